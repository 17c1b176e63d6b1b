/* SPDX-License-Identifier: Apache-2.0 */
/* The roles of the moment, for every thread and every call.
 *
 * A snapshot that is replaced as a whole: loaded at the start, after each change that the store
 * tells of, and every TTL. Reading it takes no lock. Whoever changes a role and answers somebody
 * waits for roles_cache_refresh in between, so that the change holds when it is acknowledged.
 * Fails closed: roles that could not be confirmed for longer than allowed give way to none at all.
 * Threads: roles_cache_get and roles_cache_refresh any; the rest is the home loop's. */
#pragma once

#include "common/event/loop.h"
#include "service/domain/role.h"
#include "service/store/store.h"

#include <stdbool.h>
#include <stdint.h>

struct roles_cache;

struct roles_cache_options {
	struct store *store; /* before its first operation: the cache listens to it */
	struct loop *home;
	const struct clock *clock;
	int64_t ttl_ms;     /* between two loads */
	int64_t max_age_ms; /* of roles that the store cannot confirm; 0: they are kept */
};

struct roles_cache *roles_cache_new(const struct roles_cache_options *options);
/* Makes sure that the default roles are there: missing ones are put, missing actions are added to
 * the first policy of others, and what is immutable is put back as it was. Then loads. Tries until
 * the store lets it; @ready (may be NULL) is called once, on the home loop, when it is done. */
void roles_cache_start(struct roles_cache *c, void (*ready)(void *arg), void *arg);
/* On the home loop, or when it runs no more; @c may be freed when no operation of the store is
 * under way (after store_stop). */
void roles_cache_stop(struct roles_cache *c);
/* No thread reads any more. NULL is allowed. */
void roles_cache_free(struct roles_cache *c);

/* With a reference for the caller; never NULL: no roles are an empty set, which allows nothing. */
struct role_set *roles_cache_get(struct roles_cache *c);
/* It was loaded, and is not too old. */
bool roles_cache_is_ready(const struct roles_cache *c);
/* Loads, and calls @done on the waiter's loop when the snapshot is of a time after this call. */
void roles_cache_refresh(struct roles_cache *c, struct store_waiter waiter, store_done_fn *done);
