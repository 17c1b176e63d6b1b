/* SPDX-License-Identifier: Apache-2.0 */
/* The keys that our JWTs are signed with: the current one, the next one, and those that were
 * current until the last JWT they signed has died.
 *
 * They come from a file, or are made at the first start and kept in the store, encrypted under the
 * server key, where all replicas find them. The next key is published (JWKS) from the day the
 * current one takes over, so that by the time it signs, everybody knows it; rotation makes the next
 * key current and a new next one. It happens by age, on command, and when the algorithm asked for
 * is another one. What another replica wrote meanwhile is never written over: two that rotate at
 * the same moment promote the same key, once.
 *
 * Threads: any, but for making and freeing; callbacks run on the loop of the configuration. */
#pragma once

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/event/loop.h"
#include "service/auth/jwt_key.h"
#include "service/auth/server_key.h"
#include "service/store/store.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct keyring;

struct keyring_config {
	enum jwt_algorithm algorithm; /* of keys that are made */
	int64_t key_lifetime_s;       /* a current key is replaced after it; 0: never */
	/* For a command: keys that are there, each followed by one of its own algorithm; just
	 * keyring_rotate changes anything, and first ones are not made (NOT_FOUND). */
	bool existing_only;
	const struct server_key *server_key;
	struct store *store;
	struct loop *home;
	const struct clock *clock;
};

/* One state of the ring; immutable. */
struct keyring_state {
	struct jwt_key *current; /* signs; NULL: nothing does */
	struct jwt_keys trusted; /* current, next, then those on their way out: the JWKS */
	uint64_t generation;     /* grows with each change of @trusted */
	atomic_uint refs_;
};

/* A ring whose keys come from the store, by keyring_start. */
struct keyring *keyring_new(const struct keyring_config *config);
/* A ring of the keys of a file, the first of which signs; the others are trusted (and published).
 *
 * INVALID_ARGUMENT  the first is no private key */
struct status keyring_new_fixed(
	const struct jwt_keys *keys, struct loop *home, struct keyring **ret);
/* A fixed ring of another issuer's keys, which sign nothing here. */
struct keyring *keyring_new_foreign(const struct jwt_keys *keys);
/* The file was read again; by one thread at a time. On an error the ring stays as it is. */
struct status keyring_set_fixed(struct keyring *k, const struct jwt_keys *keys);
/* After keyring_stop, or if it was never started. NULL is allowed. */
void keyring_free(struct keyring *k);
DEFINE_CLEANUP(struct keyring *, keyring_free);

/* Reads or makes the keys, then calls @done on the loop, once; from then on the ring follows the
 * store, also when that failed: ask again. Not for a fixed ring.
 *
 * FAILED_PRECONDITION  the keys in the store are encrypted under another server key
 * DATA_LOSS            they are damaged */
void keyring_start(struct keyring *k, struct mono_time deadline, store_done_fn *done, void *arg);
/* Looks at the store now rather than in a minute; after keyring_start. */
void keyring_follow(struct keyring *k);
/* Stops following; @stopped runs on the loop when nothing is under way any more, and may free the
 * ring. */
void keyring_stop(struct keyring *k, void (*stopped)(void *arg), void *arg);

/* The next key becomes the current one. An error at once means no callback; after OK @done runs on
 * the loop, once.
 *
 * FAILED_PRECONDITION  (at once) the ring is fixed: its keys are those of the file
 * RESOURCE_EXHAUSTED   (later) it was rotated too often within the last hour */
struct status keyring_rotate(
	struct keyring *k, struct mono_time deadline, store_done_fn *done, void *arg);

/* The state of the moment, with a reference for the caller; NULL before keyring_start is done. */
struct keyring_state *keyring_get(struct keyring *k);
void keyring_state_unref(struct keyring_state *s);
DEFINE_CLEANUP(struct keyring_state *, keyring_state_unref);
/* Its generation, without the reference. */
uint64_t keyring_generation(const struct keyring *k);
