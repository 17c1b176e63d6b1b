/* SPDX-License-Identifier: Apache-2.0 */
/* From a credential to its token: the cache first, else one read of the store for all who ask.
 *
 * A delete is effective at once: the cache hears of it from the store, and whoever asks after it
 * never joins a read that began before it.
 * Fails closed: a store that does not answer is UNAVAILABLE, never "unknown"; a token that it knew
 * is served for its time to live, also when there may have been changes that nobody told of.
 * Whether the token expired is the caller's to check. Threads: any. */
#pragma once

#include "common/base/clock.h"
#include "common/base/str.h"
#include "service/domain/token.h"
#include "service/store/cache.h"
#include "service/store/store.h"

#include <stdint.h>

struct token_lookup;

/* Before the first operation of @store: the lookup listens to it. All three outlive the lookup. */
struct token_lookup *token_lookup_new(
	struct store *store, struct cache *cache, const struct clock *clock);
/* After the store stopped, and with it every lookup under way. NULL is allowed. */
void token_lookup_free(struct token_lookup *l);

/* What the cache knows; no I/O, any thread. CACHE_HIT: *@ret has a reference of the caller's. */
enum cache_result token_lookup_try_hash(
	struct token_lookup *l, const struct token_hash *hash, struct token **ret);
enum cache_result token_lookup_try_name(struct token_lookup *l, enum token_kind kind,
	struct str owner, struct str name, struct token **ret);

/* Asks the cache, then the store. @done is called on the waiter's loop, never inside this call,
 * and borrows the token. NOT_FOUND: there is none. Else what store.h says of reads. */
void token_lookup_by_hash(struct token_lookup *l, const struct token_hash *hash,
	struct store_waiter waiter, store_token_fn *done);
void token_lookup_by_name(struct token_lookup *l, enum token_kind kind, struct str owner,
	struct str name, struct store_waiter waiter, store_token_fn *done);

struct token_lookup_stats {
	uint64_t reads;  /* of the store */
	uint64_t joined; /* lookups that shared one */
};
struct token_lookup_stats token_lookup_stats(const struct token_lookup *l);
