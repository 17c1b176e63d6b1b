/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/postgres/postgres_store.h"

#include "common/base/log.h"
#include "common/base/random.h"
#include "common/base/xalloc.h"
#include "common/metrics/metrics.h"
#include "service/store/postgres/pg_error.h"
#include "service/store/postgres/pg_keeper.h"
#include "service/store/postgres/pg_shard.h"
#include "service/store/postgres/pg_shared.h"
#include "service/store/store_ops.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	CONNECTIONS = 8,
	STATEMENT_TIMEOUT_MS = 5000,
	MAX_WAITING = 4096,
	TICK_MS = 2000,
	PURGE_INTERVAL_MS = 60000,
	RESOLVERS = 2,
};

struct postgres_store {
	struct store store;
	struct pg_shared shared;
	struct pg_shard **shards; /* the first one is on the home loop */
	size_t n_shards;
	struct pg_keeper
		*keeper; /* begins with the first operation, when all who listen are there */
	atomic_bool begun;
	atomic_size_t stopping; /* shards that have not stopped yet, and the one who stops them */
	struct {
		struct loop_task task;
		struct loop *home;
		void (*stopped)(void *arg);
		void *arg;
	} stop;
};

static struct postgres_store *of_store(const struct store *s)
{
	return (struct postgres_store *)(uintptr_t)s; /* its first member */
}

/* --- The port --- */

/* The one of the loop that waits for the answer, if it has a connection; else any that has. */
static struct pg_shard *shard_for(const struct postgres_store *s, const struct loop *home)
{
	for (size_t i = 0; i < s->n_shards; i++)
		if (pg_shard_loop(s->shards[i]) == home && pg_shard_is_up(s->shards[i]))
			return s->shards[i];
	assert(s->n_shards > 0);
	size_t at = ((uintptr_t)home >> 6) % s->n_shards;
	for (size_t i = 0; i < s->n_shards; i++) {
		struct pg_shard *shard = s->shards[(at + i) % s->n_shards];
		if (pg_shard_is_alive(shard) && pg_shard_is_up(shard))
			return shard;
	}
	return s->shards[0];
}

static void look(void *arg)
{
	struct postgres_store *s = arg;
	for (size_t i = 0; i < s->n_shards; i++)
		pg_shard_look(s->shards[i]);
}

static void submit(struct store *store, struct store_op *op)
{
	struct postgres_store *s = of_store(store);
	if (!atomic_load_explicit(&s->begun, memory_order_relaxed) &&
		!atomic_exchange(&s->begun, true))
		pg_keeper_start(s->keeper);
	op->is_write = pg_shard_is_write(&s->shared, op);
	atomic_size_t *waiting =
		op->is_write ? &s->shared.waiting_writes : &s->shared.waiting_reads;
	if (atomic_fetch_add(waiting, 1) >= s->shared.max_waiting) {
		atomic_fetch_sub(waiting, 1);
		store_op_refuse(op, STORE_FULL);
	} else if (!pg_shard_submit(shard_for(s, op->waiter.home), op)) {
		atomic_fetch_sub(waiting, 1);
		store_op_refuse(op, STORE_SHUT_DOWN);
	}
}

static struct store_counts counts(const struct store *store)
{
	const struct pg_shared *s = &of_store(store)->shared;
	return (struct store_counts){atomic_load(&s->user_tokens), atomic_load(&s->service_tokens)};
}

static struct store_stats stats(const struct store *store)
{
	const struct pg_shared *s = &of_store(store)->shared;
	return (struct store_stats){
		.commits = atomic_load(&s->commits),
		.writes = atomic_load(&s->written),
		.waiting_reads = atomic_load(&s->waiting_reads),
		.waiting_writes = atomic_load(&s->waiting_writes),
		.can_write = !atomic_load(&s->writes_fail),
	};
}

/* --- Stop --- */

static void release(struct postgres_store *s)
{
	pg_keeper_free(s->keeper);
	worker_pool_free(s->shared.workers);
	for (size_t i = 0; i < s->n_shards; i++)
		pg_shard_free(s->shards[i]);
	free(s->shards);
	if (s->shared.direct != s->shared.target)
		pg_target_free(s->shared.direct);
	pg_target_free(s->shared.target);
	pthread_mutex_destroy(&s->shared.state.lock);
	store_done(&s->store);
	free(s);
}

static void on_all_stopped(struct loop_task *task)
{
	struct postgres_store *s = container_of(task, struct postgres_store, stop.task);
	void (*stopped)(void *arg) = s->stop.stopped;
	void *arg = s->stop.arg;
	release(s);
	stopped(arg);
}

static void one_stopped(void *arg)
{
	struct postgres_store *s = arg;
	if (atomic_fetch_sub(&s->stopping, 1) == 1)
		loop_post(s->stop.home, &s->stop.task);
}

static void stop(struct store *store, struct loop *home, void (*stopped)(void *arg), void *arg)
{
	struct postgres_store *s = of_store(store);
	s->stop.home = home;
	s->stop.stopped = stopped;
	s->stop.arg = arg;
	s->stop.task.run = on_all_stopped;
	atomic_store(&s->stopping, s->n_shards + 1);
	pg_keeper_stop(s->keeper);
	for (size_t i = 0; i < s->n_shards; i++)
		if (!pg_shard_stop(s->shards[i], one_stopped, s))
			one_stopped(s);
	one_stopped(s);
}

static const struct store_ops postgres_ops = {
	.name = POSTGRES_STORE_NAME,
	.submit = submit,
	.counts = counts,
	.stats = stats,
	.stop = stop,
};

/* --- Metrics --- */

static double read_connections(void *arg)
{
	return atomic_load(&of_store(arg)->shared.connections);
}

static double read_reconnects(void *arg)
{
	return (double)atomic_load(&of_store(arg)->shared.reconnects);
}

static double read_notified(void *arg)
{
	return atomic_load(&of_store(arg)->shared.notified);
}

static double read_notify_delay(void *arg)
{
	return (double)atomic_load(&of_store(arg)->shared.notify_delay_us) / US_PER_S;
}

void postgres_store_register_metrics(struct store *s, struct metrics *m)
{
	metrics_gauge_callback(m, "token_service_postgres_connections",
		"Connections that are ready for operations.", NULL, read_connections, s);
	metrics_counter_callback(m, "token_service_postgres_connections_lost_total",
		"Connections that were ready and went away.", NULL, read_reconnects, s);
	metrics_gauge_callback(m, "token_service_postgres_notifications",
		"1 while changes by other replicas are heard of at once; 0: after the cache's "
		"time.",
		NULL, read_notified, s);
	metrics_gauge_callback(m, "token_service_postgres_notification_delay_seconds",
		"How long the last probe of the notifications took to come back.", NULL,
		read_notify_delay, s);
}

/* --- Start --- */

static int or_default(int value, int otherwise)
{
	return value ? value : otherwise;
}

static void init_shared(struct postgres_store *s, const struct postgres_store_options *o)
{
	struct pg_shared *shared = &s->shared;
	uint64_t sender;
	random_bytes(&random_system, &sender, sizeof sender);
	snprintf(shared->sender, sizeof shared->sender, "%016llx", (unsigned long long)sender);
	pthread_mutex_init(&shared->state.lock, NULL);
	shared->store = &s->store;
	shared->pq = o->pq ? o->pq : &pq_libpq;
	shared->clock = o->clock;
	shared->statement_timeout_ms = or_default(o->statement_timeout_ms, STATEMENT_TIMEOUT_MS);
	shared->tick_ms = or_default(o->tick_ms, TICK_MS);
	shared->purge_interval_ms = or_default(o->purge_interval_ms, PURGE_INTERVAL_MS);
	shared->max_waiting = o->max_waiting ? o->max_waiting : MAX_WAITING;
}

/* One connection for the home loop, the others for the loops of the calls, at most one part for
 * each. */
static void make_shards(struct postgres_store *s, const struct postgres_store_options *o)
{
	size_t n = o->n_connections ? o->n_connections : CONNECTIONS;
	size_t others = o->n_loops < n - 1 ? o->n_loops : n - 1;
	s->shards = xcalloc(others + 1, sizeof *s->shards);
	s->n_shards = others + 1;
	s->shards[0] = pg_shard_new(&s->shared, o->home, others ? 1 : n);
	for (size_t i = 0; i < others; i++)
		s->shards[i + 1] = pg_shard_new(
			&s->shared, o->loops[i], (n - 1) / others + (i < (n - 1) % others));
}

struct status postgres_store_check_url(struct str url)
{
	_cleanup_free_ char *text = str_dup(url);
	_cleanup_(pg_target_freep) struct pg_target *target = NULL;
	return pg_target_parse(&(struct pg_target_options){.url = text}, &target);
}

static void warn(const struct pg_shared *s)
{
	if (pg_target_is_plaintext(s->target) || (s->direct && pg_target_is_plaintext(s->direct)))
		log_warning("unsafe.postgres_plaintext",
			LOG_TEXT("meaning", "the database is on another machine, and sslmode does "
					    "not ask for TLS"));
	if (!s->direct)
		log_warning("store.no_notifications",
			LOG_TEXT("meaning", "changes by other replicas hold after --cache-ttl: "
					    "there is no --postgres-direct-url"));
}

static struct status parse_targets(struct pg_shared *shared, const struct postgres_store_options *o)
{
	struct pg_target_options options = {
		o->url, o->password_file, o->pooler, o->connect_timeout_ms};
	_cleanup_(pg_target_freep) struct pg_target *target = NULL;
	TRY(pg_target_parse(&options, &target));
	shared->direct = o->pooler ? NULL : target;
	options.url = o->direct_url;
	options.pooler = false;
	if (o->direct_url)
		TRY(pg_target_parse(&options, &shared->direct));
	shared->target = TAKE_PTR(target);
	return status_ok();
}

struct status postgres_store_open(const struct postgres_store_options *options, struct store **ret)
{
	struct postgres_store *s = xnew(struct postgres_store);
	s->store.ops = &postgres_ops;
	init_shared(s, options);
	struct status status = parse_targets(&s->shared, options);
	if (!status_is_ok(&status)) {
		pthread_mutex_destroy(&s->shared.state.lock);
		free(s);
		return status;
	}
	s->shared.workers = worker_pool_new("store-resolve", RESOLVERS, SIZE_MAX);
	warn(&s->shared);
	make_shards(s, options);
	s->keeper = pg_keeper_new(&s->shared, look, s);
	*ret = &s->store;
	return status_ok();
}
