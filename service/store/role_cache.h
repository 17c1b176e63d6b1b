/* SPDX-License-Identifier: Apache-2.0 */
/* The roles of the moment, for every thread and every call.
 *
 * A snapshot that is replaced as a whole: loaded at the start, after each change that the store
 * tells of, and every TTL. Reading it takes no lock. Whoever changes a role and answers somebody
 * waits for role_cache_reload in between, so that the change holds when it is acknowledged.
 * Fails closed: before the first load, and when they could not be confirmed for longer than
 * allowed, there is just the built-in osmo-default. Threads: any, unless a function says otherwise.
 */
#pragma once

#include "common/event/loop.h"
#include "service/domain/role.h"
#include "service/store/store.h"

#include <stdbool.h>
#include <stdint.h>

struct role_cache;

struct role_cache_options {
	struct store *store; /* before its first operation: the cache listens to it */
	struct loop *home;
	const struct clock *clock;
	int64_t ttl_ms;     /* between two loads */
	int64_t max_age_ms; /* of roles that the store cannot confirm; 0: they are kept */
};

struct role_cache *role_cache_new_with(const struct role_cache_options *options);
/* For a store that nobody else writes: its roles are kept while it is away. */
struct role_cache *role_cache_new(struct store *store, struct loop *home, int64_t ttl_ms);
/* Makes sure that the default roles and those that the configuration owns (all of them immutable;
 * NULL: none) are there: missing ones are put, missing actions are added to the first policy of
 * default roles that are not the configuration's, what is immutable is put back as it was, and what
 * the configuration does not own any more is a role like all others. Then loads. @done is told how
 * that went; if it failed it is tried again until the store lets it. Once; any thread. */
void role_cache_start(struct role_cache *c, struct role_set *_takes_configured,
	struct store_waiter waiter, store_done_fn *done);
/* The same with another configuration, later. */
void role_cache_configure(struct role_cache *c, struct role_set *_takes_configured,
	struct store_waiter waiter, store_done_fn *done);
/* @stopped is called on the home loop when no operation of the store is under way for the cache,
 * and none will be: before store_stop. Any thread. */
void role_cache_stop(struct role_cache *c, void (*stopped)(void *arg), void *arg);
/* It was stopped or never started, its home loop runs no more, and no thread reads. NULL is
 * allowed.
 */
void role_cache_free(struct role_cache *c);

/* With a reference for the caller; never NULL. */
struct role_set *role_cache_get(struct role_cache *c);
/* It was loaded, and is not too old. */
bool role_cache_is_ready(const struct role_cache *c);
/* Loads, and calls @done on the waiter's loop when the snapshot is of a time after this call. */
void role_cache_reload(struct role_cache *c, struct store_waiter waiter, store_done_fn *done);
