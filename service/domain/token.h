/* SPDX-License-Identifier: Apache-2.0 */
/* Access tokens: what a token is, and the rules it obeys from minting to expiry.
 *
 * Pure: no I/O and no clock of its own. A struct token is immutable once made (but for when its use
 * was noted) and is counted by reference, so threads, cache and calls share one. */
#pragma once

#include "common/base/cleanup.h"
#include "common/base/clock.h" /* struct unix_time */
#include "common/base/date.h"
#include "common/base/random.h"
#include "common/base/secret.h"
#include "common/base/status.h"
#include "common/base/str.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum token_kind {
	TOKEN_USER,
	TOKEN_SERVICE
};

/* "USER", "SERVICE" */
const char *token_kind_name(enum token_kind kind);

enum {
	TOKEN_NAME_MAX_BYTES = 255,
	TOKEN_DESCRIPTION_MAX_BYTES = 1024,
	TOKEN_MAX_ROLES = 64,
	TOKEN_HASH_BYTES = 32,
	TOKEN_DEFAULT_LIFETIME_DAYS = 31,
};

/* What the store keeps of a secret: its SHA-256. */
struct token_hash {
	uint8_t bytes[TOKEN_HASH_BYTES];
};

/* What a token is made of; borrowed by token_new. */
struct token_fields {
	enum token_kind kind;
	struct str owner; /* of a service token: its name */
	struct str name;
	struct str description;
	const struct str *roles;
	size_t n_roles;
	struct date expires; /* valid until 00:00 UTC of this day */
	struct unix_time created;
	struct unix_time last_used; /* us == 0: not used yet */
	struct str last_used_from;  /* the address of that call; empty: not known */
	struct token_hash hash;
	/* Of the secret before this one, which is good until then; us == 0: there is none. */
	struct token_hash old_hash;
	struct unix_time old_until;
};

struct token {
	struct token_fields fields; /* its texts are NUL-terminated and live as long as the token */
	size_t bytes;               /* memory that it takes, for a cache that counts */
	atomic_uint refs_;
	_Atomic int64_t use_noted_us_;
};

/* Copies @fields. One reference, the caller's. */
struct token *token_new(const struct token_fields *fields);
struct token *token_ref(struct token *t);
void token_unref(struct token *t);
DEFINE_CLEANUP(struct token *, token_unref);

/* True from 00:00 UTC of the expiry date on. */
bool token_expired(const struct token *t, struct unix_time now);

/* A letter, then letters, digits, '_' and '-', the last one a letter or digit; at most 255 bytes.
 * INVALID_ARGUMENT on "name" otherwise, in the words of the existing system. */
struct status token_name_check(struct str name);

/* Parses "YYYY-MM-DD" and checks it against the rules, in the words of the existing system and in
 * its order. @max_lifetime_text is how the configuration writes @max_lifetime_days ("365d").
 * INVALID_ARGUMENT on @field: malformed; not after the day of @now; more than @max_lifetime_days
 * from it */
struct status token_expiry_parse(const char *field, struct str text, struct unix_time now,
	int32_t max_lifetime_days, const char *max_lifetime_text, struct date *ret);

/* UTF-8 without NUL, at most 1,024 bytes. INVALID_ARGUMENT on "description" otherwise. */
struct status token_description_check(struct str description);

/* Secrets: "osmo_", 43 base62 digits of 256 random bits, and 6 base62 digits of the CRC-32 of all
 * that is before them, so that a scanner finds them and a typo is refused before any lookup. */
enum {
	TOKEN_SECRET_CHARS = 5 + 43 + 6
};
struct secret token_secret_mint(const struct random *random);
/* The secret that stands for 256 bits of the caller's: the same bits, the same text. */
enum {
	TOKEN_SECRET_BYTES = 32
};
struct secret token_secret_of_bytes(const uint8_t bytes[TOKEN_SECRET_BYTES]);
/* A secret that a token may have: one of ours with the right checksum, or the 64 hexadecimal digits
 * of an existing OSMO installation. Anything else is no access token and needs no lookup. */
bool token_secret_is_well_formed(struct str secret);
/* Finds what may be such a secret, or most of one, in a text from @at on (log_find_secret_fn):
 * where it begins, with its length in *@ret_n; text.n if there is none. */
size_t token_secret_find(struct str text, size_t at, size_t *ret_n);
/* SHA-256 over the text as it is sent; equals what existing OSMO installations store. */
struct token_hash token_secret_hash(struct str secret);
bool token_hash_eq(const struct token_hash *a, const struct token_hash *b);
/* @hash is that of the token's secret, or of the one before while that is still good. */
bool token_opens_with(const struct token *t, const struct token_hash *hash, struct unix_time now);
/* True, once, if its last use that was stored or noted is at least @apart_us ago: then this one is
 * to be stored. Any thread. */
bool token_note_use(struct token *t, struct unix_time now, int64_t apart_us);
/* The same secret, description, roles and expiry date: nobody changed it. */
bool token_is_unchanged(const struct token_fields *a, const struct token_fields *b);
