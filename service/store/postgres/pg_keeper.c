/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/postgres/pg_keeper.h"

#include "common/base/log.h"
#include "common/base/random.h"
#include "common/base/xalloc.h"
#include "service/store/postgres/pg_error.h"
#include "service/store/postgres/pg_migrate.h"
#include "service/store/postgres/pg_news.h"
#include "service/store/postgres/pg_session.h"
#include "service/store/postgres/pg_statement.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
	BACKOFF_LEAST_MS = 20,
	BACKOFF_MOST_MS = 1000,
	PURGE_BATCH = 200,
	UNSURE_MOST = 5, /* counts that are put off because of writes under way */
};

struct pg_keeper {
	struct pg_shared *shared;
	void (*look)(void *arg);
	void *arg;
	pthread_t thread;
	bool has_thread;
	int wake_fd;

	/* The thread's own. */
	struct pg_session session;
	bool has_served; /* a connection before this one was good */
	int backoff_ms;
	int unsure;
	struct mono_time tick_at, purge_at;
	uint64_t probe; /* the last one that was sent */
	struct mono_time probe_sent;
	bool probe_pending;
	bool has_heard; /* since the last tick */
};

static struct mono_time now(void)
{
	return clock_mono(&clock_system);
}

static void set_schema(struct pg_keeper *k, enum pg_schema schema, const struct status *refusal)
{
	struct status before;
	if (pg_shared_schema(k->shared, &before) == schema)
		return;
	pg_shared_set_schema(k->shared, schema, refusal);
	k->look(k->arg);
}

static bool has_been_ready(struct pg_keeper *k)
{
	struct status refusal;
	return pg_shared_schema(k->shared, &refusal) == PG_SCHEMA_READY;
}

static struct status run(struct pg_keeper *k, const char *sql, PGresult **ret)
{
	return pg_session_run(&k->session, sql, k->shared->statement_timeout_ms, ret, NULL);
}

/* --- News --- */

static void take_news(struct pg_keeper *k, const struct pg_news *news)
{
	const struct store *store = k->shared->store;
	if (news->kind == PG_NEWS_PROBE) {
		if (!news->is_own || news->number != k->probe)
			return;
		k->probe_pending = false;
		atomic_store(&k->shared->notify_delay_us, now().us - k->probe_sent.us);
		return;
	}
	if (news->is_own)
		return; /* its own listeners know */
	if (news->kind == PG_NEWS_ROLES)
		store_tell_roles(store);
	else if (news->kind == PG_NEWS_ALL)
		store_tell_all(store);
	else
		store_tell_fields(store, &news->token);
}

static void hear(struct pg_keeper *k)
{
	for (PGnotify *n; (n = PQnotifies(k->session.conn)); PQfreemem(n)) {
		struct pg_news news = pg_news_parse(str_of(n->extra), str_of(k->shared->sender));
		take_news(k, &news);
	}
}

/* --- What has time --- */

/* What was counted, and which writes of ours that is with. */
struct count {
	uint64_t ended, begun;
	int64_t user_tokens, service_tokens;
};

static struct count count_now(const struct pg_shared *s)
{
	/* In this order: what has ended is in the counts, and has begun. */
	struct count now = {.ended = atomic_load(&s->groups_ended)};
	now.user_tokens = atomic_load(&s->user_tokens);
	now.service_tokens = atomic_load(&s->service_tokens);
	now.begun = atomic_load(&s->groups_begun);
	return now;
}

static void replace(_Atomic int64_t *count, int64_t before, const char *text, bool sure)
{
	int64_t value = 0;
	(void)str_to_i64(str_of(text), &value);
	if (!sure)
		atomic_store(count, value);
	else /* unless one that began just now has been counted */
		atomic_compare_exchange_strong(count, &before, value);
}

/* Counts of the database, as long as no write of ours was under way meanwhile: ours are counted
 * already, and the database may or may not have had them when it answered. */
static void take_counts(struct pg_keeper *k, const PGresult *result, const struct count *before)
{
	struct pg_shared *s = k->shared;
	bool sure =
		before->begun == before->ended && atomic_load(&s->groups_begun) == before->begun;
	if (!sure && k->unsure++ < UNSURE_MOST)
		return;
	k->unsure = 0;
	replace(&s->user_tokens, before->user_tokens, PQgetvalue(result, 0, 0), sure);
	replace(&s->service_tokens, before->service_tokens, PQgetvalue(result, 0, 1), sure);
}

static struct status look_around(struct pg_keeper *k, bool probe)
{
	char sql[512], text[128] = "";
	PGresult *result = NULL;
	const struct count before = count_now(k->shared);
	if (probe) {
		k->probe++;
		k->probe_pending = true;
		k->probe_sent = now();
		snprintf(text, sizeof text, ", pg_notify('" PG_CHANNEL "', '%sp%llu')",
			k->shared->sender, (unsigned long long)k->probe);
	}
	snprintf(sql, sizeof sql,
		"SELECT coalesce(sum(value) FILTER (WHERE name LIKE 'user\\_tokens%%'), 0), "
		"coalesce(sum(value) FILTER (WHERE name LIKE 'service\\_tokens%%'), 0)%s "
		"FROM counter",
		text);
	TRY(run(k, sql, &result));
	take_counts(k, result, &before);
	PQclear(result);
	return status_ok();
}

static struct status purge(struct pg_keeper *k)
{
	char sql[512];
	PGresult *result = NULL;
	if (now().us < k->purge_at.us)
		return status_ok();
	snprintf(sql, sizeof sql,
		"WITH old AS (SELECT principal, id FROM request WHERE expires_us <= %lld "
		"ORDER BY expires_us LIMIT %d FOR UPDATE SKIP LOCKED) "
		"DELETE FROM request r USING old "
		"WHERE r.principal = old.principal AND r.id = old.id",
		(long long)clock_now(k->shared->clock).us, PURGE_BATCH);
	TRY(run(k, sql, &result));
	int64_t purged = 0;
	(void)str_to_i64(str_of(PQcmdTuples(result)), &purged);
	PQclear(result);
	k->purge_at = purged == PURGE_BATCH ? now()
					    : mono_time_add_ms(now(), k->shared->purge_interval_ms);
	return status_ok();
}

static struct status tick(struct pg_keeper *k)
{
	bool has_heard = k->has_heard; /* then the probe is somewhere behind that */
	k->has_heard = false;
	k->tick_at = mono_time_add_ms(now(), k->shared->tick_ms);
	if (k->probe_pending && !has_heard) {
		pg_log_text("notify", "a notification did not come back");
		return pg_status_away();
	}
	TRY(look_around(k, k->shared->direct && !k->probe_pending));
	return purge(k);
}

/* It is time, however much there is to hear. */
static int until_tick_ms(const struct pg_keeper *k)
{
	int64_t us = k->tick_at.us - now().us;
	return us <= 0 ? 0 : (int)(us / US_PER_MS) + 1;
}

/* --- A connection's life --- */

static struct status listen(struct pg_keeper *k)
{
	if (!k->shared->direct)
		return status_ok();
	TRY(run(k, "LISTEN " PG_CHANNEL, NULL));
	atomic_store(&k->shared->notified, true);
	if (k->has_served) /* who knows what happened in between */
		store_tell_all(k->shared->store);
	return status_ok();
}

static struct status prepare(struct pg_keeper *k)
{
	const struct pg_shared *s = k->shared;
	TRY(pg_session_open(&k->session, k->shared, s->direct ? s->direct : s->target, k->wake_fd));
	TRY(pg_migrate(&k->session, has_been_ready(k)));
	TRY(listen(k));
	return look_around(k, false);
}

static struct status serve(struct pg_keeper *k)
{
	k->probe_pending = false;
	TRY(prepare(k));
	k->has_served = true;
	k->backoff_ms = 0;
	k->tick_at = mono_time_add_ms(now(), k->shared->tick_ms);
	set_schema(k, PG_SCHEMA_READY, NULL);
	for (;;) {
		hear(k);
		if (until_tick_ms(k) == 0)
			TRY(tick(k));
		switch (pg_session_wait(&k->session, until_tick_ms(k))) {
		case PG_WAIT_STOP:
			return status_error(STATUS_CANCELLED, "the token store is shut down");
		case PG_WAIT_READABLE:
			k->has_heard = true;
			TRY(pg_session_consume(&k->session));
			break;
		case PG_WAIT_TIMEOUT:
			break;
		}
	}
}

static void note_end(struct pg_keeper *k, const struct status *status)
{
	atomic_store(&k->shared->notified, false);
	if (has_been_ready(k))
		return; /* the shards have connections of their own to go by */
	if (status->code == STATUS_FAILED_PRECONDITION) {
		log_error("store.refused", LOG_STATUS(status));
		set_schema(k, PG_SCHEMA_REFUSED, status);
	} else {
		set_schema(k, PG_SCHEMA_AWAY, NULL);
	}
}

static void *keeper_main(void *arg)
{
	struct pg_keeper *k = arg;
	for (;;) {
		struct status status = serve(k);
		pg_session_close(&k->session);
		if (status.code == STATUS_CANCELLED)
			return NULL;
		note_end(k, &status);
		k->backoff_ms = k->backoff_ms ? k->backoff_ms * 2 : BACKOFF_LEAST_MS;
		if (k->backoff_ms > BACKOFF_MOST_MS)
			k->backoff_ms = BACKOFF_MOST_MS;
		if (pg_session_wait(&k->session, k->backoff_ms) == PG_WAIT_STOP)
			return NULL;
	}
}

struct pg_keeper *pg_keeper_new(struct pg_shared *shared, void (*look)(void *arg), void *arg)
{
	struct pg_keeper *k = xnew(struct pg_keeper);
	k->shared = shared;
	k->look = look;
	k->arg = arg;
	k->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	k->session.wake_fd = k->wake_fd;
	if (k->wake_fd < 0) {
		log_error("fatal", LOG_TEXT("error", "cannot make an eventfd"));
		abort();
	}
	return k;
}

void pg_keeper_start(struct pg_keeper *k)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_create(&k->thread, NULL, keeper_main, k) != 0) {
		log_error("fatal", LOG_TEXT("error", "cannot start a thread"));
		abort();
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_setname_np(k->thread, "store-keeper");
	k->has_thread = true;
}

void pg_keeper_stop(struct pg_keeper *k)
{
	uint64_t one = 1;
	(void)!write(k->wake_fd, &one, sizeof one);
}

void pg_keeper_free(struct pg_keeper *k)
{
	if (!k)
		return;
	pg_keeper_stop(k);
	if (k->has_thread)
		pthread_join(k->thread, NULL);
	close(k->wake_fd);
	free(k);
}
