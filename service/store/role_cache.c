/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/role_cache.h"

#include "common/base/arena.h"
#include "common/base/list.h"
#include "common/base/xalloc.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

enum {
	RETRY_MS = 500, /* after a load that failed */
	LOAD_TIMEOUT_MS = 10000
};

/* What one thread has of the snapshot. */
struct reader {
	struct reader *next;
	uint64_t generation;
	struct role_set *set; /* a reference */
};

/* One who waits for a load. */
struct asker {
	struct list link;
	struct loop_task task;
	bool starts;                 /* it is the one of role_cache_start */
	struct role_set *configured; /* it brings this, or NULL */
	struct role_cache *cache;
	struct store_waiter waiter;
	store_done_fn *done;
	struct status status;
};

struct role_cache {
	struct role_cache_options options;
	pthread_key_t reader_key;

	_Atomic uint64_t generation; /* of the snapshot; changed under the lock */
	atomic_bool is_ready;
	struct {
		pthread_mutex_t lock;
		struct role_set *set;
		struct reader *readers; /* of all threads, to be freed with the cache */
	} shared;

	/* Posted by the store's thread when roles changed, once at a time. */
	struct loop_task kick;
	atomic_bool kicked;
	struct loop_task stop;

	struct {
		struct event *timer;
		bool has_started, has_defaults, stopped;
		bool loading, again;
		struct mono_time confirmed; /* when the last good load began */
		struct mono_time began;     /* the load under way */
		struct list now, next;      /* who waits for it, and for the one behind it */
		struct role_set *configured, *configured_next; /* the other from the next load on */
		struct list defaults;    /* roles that are still to be put ... */
		struct role_set *stored; /* ... and what their texts point into */
		void (*on_stopped)(void *arg);
		void *stopped_arg;
	} own; /* home loop only */
};

/* --- Readers --- */

static void publish(struct role_cache *c, struct role_set *set)
{
	pthread_mutex_lock(&c->shared.lock);
	struct role_set *old = c->shared.set;
	c->shared.set = role_set_ref(set);
	atomic_fetch_add_explicit(&c->generation, 1, memory_order_release);
	pthread_mutex_unlock(&c->shared.lock);
	role_set_unref(old);
}

static struct reader *reader_new(struct role_cache *c)
{
	struct reader *r = xnew(struct reader);
	pthread_mutex_lock(&c->shared.lock);
	r->next = c->shared.readers;
	c->shared.readers = r;
	pthread_mutex_unlock(&c->shared.lock);
	pthread_setspecific(c->reader_key, r);
	return r;
}

struct role_set *role_cache_get(struct role_cache *c)
{
	struct reader *r = pthread_getspecific(c->reader_key);
	if (!r)
		r = reader_new(c);
	if (r->generation != atomic_load_explicit(&c->generation, memory_order_acquire)) {
		role_set_unref(r->set);
		pthread_mutex_lock(&c->shared.lock);
		r->set = role_set_ref(c->shared.set);
		r->generation = atomic_load_explicit(&c->generation, memory_order_relaxed);
		pthread_mutex_unlock(&c->shared.lock);
	}
	return role_set_ref(r->set);
}

bool role_cache_is_ready(const struct role_cache *c)
{
	return atomic_load(&c->is_ready);
}

/* --- Loading: on the home loop --- */

static void begin_load(struct role_cache *c);

static void set_timer(struct role_cache *c, int64_t ms)
{
	const struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
	event_add(c->own.timer, &tv);
}

static void deliver(struct loop_task *task)
{
	struct asker *a = container_of(task, struct asker, task);
	a->done(a->waiter.arg, &a->status);
	free(a);
}

static void answer_all(struct list *askers, const struct status *status)
{
	for (struct list *node; (node = list_pop(askers));) {
		struct asker *a = container_of(node, struct asker, link);
		a->status = *status;
		a->task.run = deliver;
		loop_post(a->waiter.home, &a->task);
	}
}

static struct store_waiter own_waiter(struct role_cache *c)
{
	return (struct store_waiter){c->options.home,
		mono_time_add_ms(clock_mono(c->options.clock), LOAD_TIMEOUT_MS), c};
}

/* What everybody may do also while the store is away: the program asks no store whether it is
 * alive.
 */
static struct role_set *public_roles(void)
{
	struct role_set *set = role_set_new();
	for (size_t i = 0; i < role_defaults_count; i++)
		if (str_eq(role_defaults[i].name, ROLE_DEFAULT))
			role_set_add(set, &role_defaults[i]);
	return set;
}

/* Who may not be confirmed any more is taken back. */
static void check_age(struct role_cache *c)
{
	int64_t max_us = c->options.max_age_ms * US_PER_MS;
	int64_t age_us = clock_mono(c->options.clock).us - c->own.confirmed.us;
	if (!max_us || !atomic_load(&c->is_ready) || age_us <= max_us)
		return;
	_cleanup_(role_set_unrefp) struct role_set *least = public_roles();
	atomic_store(&c->is_ready, false);
	publish(c, least);
}

static void end_load(struct role_cache *c, const struct status *status)
{
	c->own.loading = false;
	answer_all(&c->own.now, status);
	if (c->own.stopped) {
		c->own.on_stopped(c->own.stopped_arg);
		return;
	}
	if (!status_is_ok(status))
		check_age(c);
	if (c->own.again)
		begin_load(c);
	else
		set_timer(c,
			status_is_ok(status) && c->options.ttl_ms ? c->options.ttl_ms : RETRY_MS);
}

static void loaded(struct role_cache *c, struct role_set *roles)
{
	const struct status ok = status_ok();
	c->own.confirmed = c->own.began;
	publish(c, roles);
	atomic_store(&c->is_ready, true);
	end_load(c, &ok);
}

/* --- The default roles --- */

/* A role that is to be put, in an arena of its own. */
struct wanted {
	struct list link;
	struct arena *arena;
	struct role role;
};

static void wanted_free(struct wanted *w)
{
	arena_free(w->arena);
	free(w);
}

static bool has_action(const struct role_policy *policy, const struct role_action *action)
{
	for (size_t i = 0; i < policy->n_actions; i++)
		if (str_eq(policy->actions[i].path, action->path) &&
			str_eq(policy->actions[i].method, action->method))
			return true;
	return false;
}

static bool same_actions(const struct role_policy *a, const struct role_policy *b)
{
	if (a->n_actions != b->n_actions)
		return false;
	for (size_t i = 0; i < a->n_actions; i++)
		if (!has_action(b, &a->actions[i]))
			return false;
	return true;
}

static bool same_role(const struct role *a, const struct role *b)
{
	if (a->immutable != b->immutable || a->n_policies != b->n_policies ||
		!str_eq(a->description, b->description))
		return false;
	for (size_t i = 0; i < a->n_policies; i++)
		if (!same_actions(&a->policies[i], &b->policies[i]))
			return false;
	return true;
}

/* @ret is @have with the actions of the default role that its first policy lacks; false if it lacks
 * none. The texts stay where they are. */
static bool complete(
	const struct role *have, const struct role *wanted, struct arena *arena, struct role *ret)
{
	static const struct role_policy empty;
	const struct role_policy *first = have->n_policies ? &have->policies[0] : &empty;
	const struct role_policy *defaults = &wanted->policies[0];
	struct role_action *actions =
		arena_calloc(arena, first->n_actions + defaults->n_actions, sizeof *actions);
	size_t n = first->n_actions;
	if (n)
		memcpy(actions, first->actions, n * sizeof *actions);
	for (size_t i = 0; i < defaults->n_actions; i++)
		if (!has_action(first, &defaults->actions[i]))
			actions[n++] = defaults->actions[i];
	if (n == first->n_actions)
		return false;

	size_t n_policies = have->n_policies ? have->n_policies : 1;
	struct role_policy *policies = arena_calloc(arena, n_policies, sizeof *policies);
	if (have->n_policies)
		memcpy(policies, have->policies, n_policies * sizeof *policies);
	policies[0] = (struct role_policy){actions, n};
	*ret = *have;
	ret->policies = policies;
	ret->n_policies = n_policies;
	return true;
}

static void want(struct role_cache *c, const struct role *role, struct arena *arena)
{
	struct wanted *w = xnew(struct wanted);
	w->arena = arena;
	w->role = *role;
	list_add_tail(&c->own.defaults, &w->link);
}

/* What the configuration gave up is a role like all others. */
static void unlock(struct role_cache *c, const struct role *have)
{
	struct role role = *have;
	role.immutable = false;
	want(c, &role, arena_new());
}

static void compare_default(
	struct role_cache *c, const struct role_set *roles, const struct role *wanted)
{
	const struct role *have = role_set_find(roles, wanted->name);
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	struct role role;
	if (!have || (wanted->immutable && !same_role(have, wanted))) {
		want(c, wanted, TAKE_PTR(arena));
	} else if (!wanted->immutable && complete(have, wanted, arena, &role)) {
		role.immutable = false;
		want(c, &role, TAKE_PTR(arena));
	} else if (!wanted->immutable && have->immutable) {
		unlock(c, have);
	}
}

static bool is_default(struct str name)
{
	for (size_t i = 0; i < role_defaults_count; i++)
		if (str_eq(role_defaults[i].name, name))
			return true;
	return false;
}

/* Lists what is to be put so that @roles have those of the configuration and the defaults. */
static void compare_with_wanted(struct role_cache *c, struct role_set *roles)
{
	const struct role_set *configured = c->own.configured;
	role_set_unref(c->own.stored);
	c->own.stored = role_set_ref(roles);
	for (size_t i = 0; i < role_set_count(configured); i++) {
		const struct role *wanted = role_set_at(configured, i);
		const struct role *have = role_set_find(roles, wanted->name);
		if (!have || !same_role(have, wanted))
			want(c, wanted, arena_new());
	}
	for (size_t i = 0; i < role_defaults_count; i++)
		if (!role_set_find(configured, role_defaults[i].name))
			compare_default(c, roles, &role_defaults[i]);
	for (size_t i = 0; i < role_set_count(roles); i++) {
		const struct role *have = role_set_at(roles, i);
		if (have->immutable && !is_default(have->name) &&
			!role_set_find(configured, have->name))
			unlock(c, have);
	}
}

static void forget_wanted(struct role_cache *c)
{
	for (struct list *node; (node = list_pop(&c->own.defaults));)
		wanted_free(container_of(node, struct wanted, link));
	role_set_unref(c->own.stored);
	c->own.stored = NULL;
}

static void put_next(struct role_cache *c);

static void on_put(void *arg, const struct status *status)
{
	struct role_cache *c = arg;
	if (!status_is_ok(status) || c->own.stopped) {
		forget_wanted(c);
		end_load(c, status);
		return;
	}
	put_next(c);
}

static void put_next(struct role_cache *c)
{
	struct list *node = list_pop(&c->own.defaults);
	if (!node) {
		forget_wanted(c);
		c->own.has_defaults = true;
		c->own.loading = false;
		begin_load(c);
		return;
	}
	struct wanted *w = container_of(node, struct wanted, link);
	store_role_put(c->options.store, &w->role, own_waiter(c), on_put); /* copies it */
	wanted_free(w);
}

/* --- The load --- */

static void on_roles(void *arg, const struct status *status, struct role_set *roles)
{
	struct role_cache *c = arg;
	if (!status_is_ok(status) || c->own.stopped) {
		end_load(c, status);
		return;
	}
	if (c->own.has_defaults) {
		loaded(c, roles);
		return;
	}
	compare_with_wanted(c, roles);
	put_next(c);
}

static void begin_load(struct role_cache *c)
{
	event_del(c->own.timer);
	c->own.loading = true;
	c->own.again = false;
	c->own.began = clock_mono(c->options.clock);
	list_move_all(&c->own.now, &c->own.next);
	if (c->own.configured_next) {
		role_set_unref(c->own.configured);
		c->own.configured = TAKE_PTR(c->own.configured_next);
		c->own.has_defaults = false;
	}
	store_roles_load(c->options.store, own_waiter(c), on_roles);
}

/* A load that begins after this. */
static void want_load(struct role_cache *c)
{
	if (c->own.stopped || !c->own.has_started)
		return;
	if (c->own.loading)
		c->own.again = true;
	else
		begin_load(c);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	check_age(arg);
	want_load(arg);
}

static void on_kick(struct loop_task *task)
{
	struct role_cache *c = container_of(task, struct role_cache, kick);
	atomic_store(&c->kicked, false);
	want_load(c);
}

static void on_roles_changed(void *arg)
{
	struct role_cache *c = arg;
	if (!atomic_exchange(&c->kicked, true))
		loop_post(c->options.home, &c->kick);
}

static void on_asked(struct loop_task *task)
{
	struct asker *a = container_of(task, struct asker, task);
	struct role_cache *c = a->cache;
	list_add_tail(&c->own.next, &a->link);
	c->own.has_started = c->own.has_started || a->starts;
	if (a->configured) {
		role_set_unref(c->own.configured_next);
		c->own.configured_next = TAKE_PTR(a->configured);
	}
	if (c->own.stopped) {
		const struct status stopped =
			status_error(STATUS_UNAVAILABLE, "the service is shutting down");
		answer_all(&c->own.next, &stopped);
		return;
	}
	want_load(c);
}

static void ask(struct role_cache *c, bool starts, struct role_set *_takes_configured,
	struct store_waiter waiter, store_done_fn *done)
{
	struct asker *a = xnew(struct asker);
	a->starts = starts;
	a->configured = _takes_configured;
	a->cache = c;
	a->waiter = waiter;
	a->done = done;
	a->task.run = on_asked;
	list_init(&a->link);
	loop_post(c->options.home, &a->task);
}

void role_cache_reload(struct role_cache *c, struct store_waiter waiter, store_done_fn *done)
{
	ask(c, false, NULL, waiter, done);
}

void role_cache_start(struct role_cache *c, struct role_set *_takes_configured,
	struct store_waiter waiter, store_done_fn *done)
{
	ask(c, true, _takes_configured, waiter, done);
}

void role_cache_configure(struct role_cache *c, struct role_set *_takes_configured,
	struct store_waiter waiter, store_done_fn *done)
{
	ask(c, false, _takes_configured, waiter, done);
}

static void on_stop(struct loop_task *task)
{
	struct role_cache *c = container_of(task, struct role_cache, stop);
	const struct status stopped =
		status_error(STATUS_UNAVAILABLE, "the service is shutting down");
	c->own.stopped = true;
	event_del(c->own.timer);
	answer_all(&c->own.next, &stopped);
	if (!c->own.loading)
		c->own.on_stopped(c->own.stopped_arg);
}

void role_cache_stop(struct role_cache *c, void (*stopped)(void *arg), void *arg)
{
	c->own.on_stopped = stopped;
	c->own.stopped_arg = arg;
	c->stop.run = on_stop;
	loop_post(c->options.home, &c->stop);
}

/* --- Life --- */

struct role_cache *role_cache_new(struct store *store, struct loop *home, int64_t ttl_ms)
{
	const struct role_cache_options options = {
		.store = store, .home = home, .clock = &clock_system, .ttl_ms = ttl_ms};
	return role_cache_new_with(&options);
}

struct role_cache *role_cache_new_with(const struct role_cache_options *options)
{
	struct role_cache *c = xnew(struct role_cache);
	c->options = *options;
	c->shared.set = public_roles();
	c->own.configured = role_set_new();
	atomic_store(&c->generation, 1);
	pthread_mutex_init(&c->shared.lock, NULL);
	pthread_key_create(&c->reader_key, NULL);
	list_init(&c->own.now);
	list_init(&c->own.next);
	list_init(&c->own.defaults);
	c->kick.run = on_kick;
	c->own.timer = event_new(loop_base(options->home), -1, 0, on_timer, c);
	const struct store_listener listener = {
		.roles_changed = on_roles_changed, .all_changed = on_roles_changed, .arg = c};
	store_add_listener(options->store, &listener);
	return c;
}

void role_cache_free(struct role_cache *c)
{
	if (!c)
		return;
	forget_wanted(c);
	role_set_unref(c->own.configured);
	role_set_unref(c->own.configured_next);
	event_free(c->own.timer);
	pthread_key_delete(c->reader_key);
	for (struct reader *r = c->shared.readers, *next; r; r = next) {
		next = r->next;
		role_set_unref(r->set);
		free(r);
	}
	role_set_unref(c->shared.set);
	pthread_mutex_destroy(&c->shared.lock);
	free(c);
}
