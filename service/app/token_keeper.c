/* SPDX-License-Identifier: Apache-2.0 */
#include "service/app/token_keeper.h"

#include "common/base/log.h"
#include "common/base/xalloc.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
	USE_APART_S = 60,
	FROM_MAX_BYTES = 45, /* the longest IPv6 address */
	USES_MAX = 8192,     /* that wait; more in two seconds are lost */
	USES_BATCH = 64,     /* in one operation: two to four milliseconds of the store's writer */
	FLUSH_INTERVAL_MS = 2000,
	PURGE_BATCH = 32,
	PURGE_PAUSE_MS = 20,
	PURGE_INTERVAL_MS = 600 * 1000,
	FIRST_PURGE_MS = 1000,
	OPERATION_MS = 5000,
};

struct use {
	struct token_hash hash;
	struct unix_time at;
	uint8_t from_n;
	char from[FROM_MAX_BYTES];
};

struct token_keeper {
	struct token_keeper_config config;
	struct {
		pthread_mutex_t lock;
		struct use *uses; /* USES_MAX */
		size_t n;
	} shared;
	struct {
		struct event *flush_timer, *purge_timer;
		bool writing, purging, stopping;
		size_t batch; /* uses in the operation under way */
		void (*stopped)(void *arg);
		void *stopped_arg;
	} own; /* home loop only */
	struct loop_task stop;
	_Atomic uint64_t stored, lost, purged;
};

/* --- Uses --- */

bool token_keeper_is_due(struct token_keeper *k, struct token *token)
{
	return token_note_use(token, clock_now(k->config.clock), USE_APART_S * US_PER_S);
}

void token_keeper_note(struct token_keeper *k, const struct token *token, struct str from)
{
	struct use use = {.hash = token->fields.hash, .at = clock_now(k->config.clock)};
	use.from_n = (uint8_t)(from.n < FROM_MAX_BYTES ? from.n : FROM_MAX_BYTES);
	if (use.from_n)
		memcpy(use.from, from.p, use.from_n);
	pthread_mutex_lock(&k->shared.lock);
	bool has_room = k->shared.n < USES_MAX;
	if (has_room)
		k->shared.uses[k->shared.n++] = use;
	pthread_mutex_unlock(&k->shared.lock);
	if (!has_room)
		atomic_fetch_add(&k->lost, 1);
}

/* The last ones that were noted; their order is no matter. */
static size_t take_uses(struct token_keeper *k, struct use ret[USES_BATCH])
{
	pthread_mutex_lock(&k->shared.lock);
	size_t n = k->shared.n < USES_BATCH ? k->shared.n : USES_BATCH;
	k->shared.n -= n;
	memcpy(ret, k->shared.uses + k->shared.n, n * sizeof *ret);
	pthread_mutex_unlock(&k->shared.lock);
	return n;
}

static struct store_waiter waiter(struct token_keeper *k)
{
	return (struct store_waiter){
		k->config.home, mono_time_add_ms(clock_mono(k->config.clock), OPERATION_MS), k};
}

static void finish_if_idle(struct token_keeper *k)
{
	if (k->own.stopping && !k->own.writing && !k->own.purging)
		k->own.stopped(k->own.stopped_arg);
}

static void flush(struct token_keeper *k);

static void on_stored(void *arg, const struct status *status)
{
	struct token_keeper *k = arg;
	k->own.writing = false;
	atomic_fetch_add(status_is_ok(status) ? &k->stored : &k->lost, k->own.batch);
	if (status_is_ok(status))
		flush(k);
	if (!k->own.writing)
		finish_if_idle(k);
}

static void flush(struct token_keeper *k)
{
	struct use uses[USES_BATCH];
	struct store_token_use rows[USES_BATCH];
	size_t n = k->own.writing ? 0 : take_uses(k, uses);
	if (!n)
		return;
	for (size_t i = 0; i < n; i++)
		rows[i] = (struct store_token_use){
			uses[i].hash, uses[i].at, {uses[i].from, uses[i].from_n}};
	k->own.writing = true;
	k->own.batch = n;
	store_tokens_used(k->config.store, rows, n, USE_APART_S * US_PER_S, waiter(k), on_stored);
}

static void on_flush_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	flush(arg);
}

/* --- Purge --- */

static void set_purge_timer(struct token_keeper *k, int ms)
{
	struct timeval tv = {ms / 1000, ms % 1000 * 1000};
	if (!k->own.stopping)
		event_add(k->own.purge_timer, &tv);
}

static void on_purged(void *arg, const struct status *status, size_t n)
{
	struct token_keeper *k = arg;
	k->own.purging = false;
	if (status_is_ok(status) && n) {
		uint64_t before = atomic_fetch_add(&k->purged, n);
		log_debug("tokens.purged", LOG_I64("n", (int64_t)n),
			LOG_I64("since_start", (int64_t)(before + n)));
	}
	bool has_more = status_is_ok(status) && n == PURGE_BATCH;
	set_purge_timer(k, has_more ? PURGE_PAUSE_MS : k->config.purge_interval_ms);
	finish_if_idle(k);
}

static void on_purge_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct token_keeper *k = arg;
	struct unix_time then = clock_now(k->config.clock);
	then.us -= k->config.grace_ms * US_PER_MS;
	k->own.purging = true;
	store_tokens_purge(k->config.store, date_of(then), PURGE_BATCH, waiter(k), on_purged);
}

/* --- Life --- */

struct token_keeper *token_keeper_new(const struct token_keeper_config *config)
{
	struct token_keeper *k = xnew(struct token_keeper);
	k->config = *config;
	if (!k->config.flush_interval_ms)
		k->config.flush_interval_ms = FLUSH_INTERVAL_MS;
	if (!k->config.purge_interval_ms)
		k->config.purge_interval_ms = PURGE_INTERVAL_MS;
	pthread_mutex_init(&k->shared.lock, NULL);
	k->shared.uses = xcalloc(USES_MAX, sizeof *k->shared.uses);

	struct event_base *base = loop_base(config->home);
	const int flush_ms = k->config.flush_interval_ms;
	const struct timeval flush_interval = {flush_ms / 1000, flush_ms % 1000 * 1000};
	k->own.flush_timer = event_new(base, -1, EV_PERSIST, on_flush_timer, k);
	k->own.purge_timer = event_new(base, -1, 0, on_purge_timer, k);
	event_add(k->own.flush_timer, &flush_interval);
	set_purge_timer(k, config->purge_interval_ms ? config->purge_interval_ms : FIRST_PURGE_MS);
	return k;
}

static void on_stop(struct loop_task *task)
{
	struct token_keeper *k = container_of(task, struct token_keeper, stop);
	event_del(k->own.flush_timer);
	event_del(k->own.purge_timer);
	k->own.stopping = true;
	flush(k);
	finish_if_idle(k);
}

void token_keeper_stop(struct token_keeper *k, void (*stopped)(void *arg), void *arg)
{
	k->own.stopped = stopped;
	k->own.stopped_arg = arg;
	k->stop.run = on_stop;
	loop_post(k->config.home, &k->stop);
}

void token_keeper_free(struct token_keeper *k)
{
	if (!k)
		return;
	event_free(k->own.flush_timer);
	event_free(k->own.purge_timer);
	pthread_mutex_destroy(&k->shared.lock);
	free(k->shared.uses);
	free(k);
}

struct token_keeper_stats token_keeper_stats(const struct token_keeper *k)
{
	return (struct token_keeper_stats){
		atomic_load(&k->stored), atomic_load(&k->lost), atomic_load(&k->purged)};
}
