/* SPDX-License-Identifier: Apache-2.0 */
/* What the store keeps of our signing keys: which is current, which is next, which are on their way
 * out, and since when. Internal to service/auth. Pure. Threads: one at a time. */
#pragma once

#include "common/base/buf.h"
#include "common/base/status.h"
#include "common/base/str.h"
#include "service/auth/jwt_key.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	KEY_RECORD_MAX_RETIRED = 16,
	KEY_RECORD_MAX_BYTES = 256 * 1024,
	/* A retired key is trusted for as long: its last JWT dies after 300 s, but a replica may
	 * learn of the rotation later than others. */
	KEY_RETIRED_LIFETIME_S = 3600,
};

struct key_record_key {
	struct jwt_key *key; /* a reference */
	int64_t since_s;     /* when it was made (next), took over (current), was relieved */
};

struct key_record {
	struct key_record_key current, next;
	struct key_record_key retired[KEY_RECORD_MAX_RETIRED]; /* the latest first; public only */
	size_t n_retired;
};

/* Takes the references over. */
void key_record_init(struct key_record *r, struct jwt_key *_takes_current,
	struct jwt_key *_takes_next, int64_t now_s);
void key_record_done(struct key_record *r);
#define _cleanup_key_record_ _cleanup_(key_record_done)

/* Appends the text. It holds private keys: wipe it. */
void key_record_format(const struct key_record *r, struct buf *out);
/* DATA_LOSS  @text is none */
struct status key_record_parse(struct str text, struct key_record *ret);

/* Drops retired keys that nothing alive is signed with. */
void key_record_expire(struct key_record *r, int64_t now_s);
/* The next key takes over, @new_next takes its place; the reference is taken over.
 *
 * RESOURCE_EXHAUSTED  there were too many rotations within the last hour; nothing is changed */
struct status key_record_promote(
	struct key_record *r, struct jwt_key *_takes_new_next, int64_t now_s);
/* Another next key, before the one at hand signed anything. */
void key_record_replace_next(struct key_record *r, struct jwt_key *_takes_new_next, int64_t now_s);
/* current, next, retired: what is trusted and published. */
void key_record_trusted(const struct key_record *r, struct jwt_keys *ret);
