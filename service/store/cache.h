/* SPDX-License-Identifier: Apache-2.0 */
/* Verified tokens in memory: the one thing that all threads share.
 *
 * A key is the hash of a secret, or of a name (for JWTs, which name their token). Its entry is a
 * reference to the token, or says that there is none ("unknown"), so that guessing does not reach
 * the store. Entries end after a time to live; whether the token itself expired is the caller's to
 * check, on each hit.
 *
 * A change holds at once: cache_token_changed removes what is there, and raises the epoch of its
 * shards, so that an answer which the store gave before the change is not kept after it (its ticket
 * is of an older epoch).
 * What may have changed unheard of (cache_doubt) is asked for again, and served while nobody
 * answers: a store that comes back, and is not quite there yet, refuses nobody it let in a moment
 * ago.
 *
 * Bounded in bytes; what was not used of late goes first. Unknown keys have a small share of their
 * own, and push out each other only. Threads: any; a lookup takes one short lock of many. */
#pragma once

#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/base/str.h"
#include "service/domain/token.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cache;

struct cache_options {
	size_t max_bytes;       /* 0: keeps nothing */
	int64_t ttl_ms;         /* of tokens */
	int64_t unknown_ttl_ms; /* of unknown keys; never more than ttl_ms */
	unsigned n_shards;      /* a power of two; 0: 64 */
	const struct random *random;
};

struct cache_key {
	uint8_t bytes[32];
};
struct cache_key cache_key_of_hash(const struct token_hash *hash);
/* SHA-256 over kind, owner and name, apart from the hash of any secret. */
struct cache_key cache_key_of_name(enum token_kind kind, struct str owner, struct str name);

/* What a miss leaves with: under which epoch the question was asked. */
struct cache_ticket {
	uint32_t epoch;
};

enum cache_result {
	CACHE_MISS,
	CACHE_HIT,
	CACHE_UNKNOWN
};

struct cache *cache_new(const struct cache_options *options);
/* NULL is allowed. */
void cache_free(struct cache *c);

/* CACHE_HIT: *@ret_token has a reference of the caller's. CACHE_MISS: *@ret_ticket is for the fill
 * (or NULL, if none will follow). */
enum cache_result cache_get(struct cache *c, const struct cache_key *key, struct mono_time now,
	struct token **ret_token, struct cache_ticket *ret_ticket);
/* Keeps the answer of the store, @token or NULL for unknown, unless its key may have changed since
 * the ticket was given. Takes a reference of its own. */
void cache_fill(struct cache *c, const struct cache_key *key, struct cache_ticket ticket,
	struct token *token, struct mono_time now);
/* The epoch of the key's shard is still the ticket's. */
bool cache_ticket_is_current(
	struct cache *c, const struct cache_key *key, struct cache_ticket ticket);

/* Made, deleted or changed: all of its keys. Of @token kind, owner, name, hash, old_until and, if
 * that is not 0, old_hash are used. */
void cache_token_changed(struct cache *c, const struct token_fields *token);
/* Anything may have changed: unknown keys are forgotten, tokens are in doubt. A token in doubt is a
 * miss until the store was asked again; while the store cannot be asked, cache_get_doubted has it,
 * no longer than its time to live. */
void cache_doubt(struct cache *c);
/* A reference of the caller's, or NULL; tokens not in doubt are given too. */
struct token *cache_get_doubted(struct cache *c, const struct cache_key *key, struct mono_time now);

struct cache_stats {
	uint64_t hits, unknown_hits, misses, evictions, entries, bytes;
};
struct cache_stats cache_stats(struct cache *c);
