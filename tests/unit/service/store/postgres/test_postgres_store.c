/* SPDX-License-Identifier: Apache-2.0 */
/* What is particular to the store of several replicas: what they tell each other, plans, schema. */
#include "common/base/buf.h"
#include "common/base/xalloc.h"
#include "service/store/postgres/pg_connection.h"
#include "service/store/postgres/pg_statement.h"
#include "service/store/postgres/postgres_store.h"
#include "tests/lib/postgres.h"
#include "tests/lib/store_driver.h"
#include "tests/lib/test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	TODAY = 20800
};

/* Two replicas on one database; the second one listens. */
struct pair {
	struct store_driver one, two;
	atomic_int tokens, roles, all;
	char last[64];
	struct token_hash last_hash;
};

static void on_token_changed(void *arg, const struct token_fields *token)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	struct pair *p = arg;
	pthread_mutex_lock(&lock); /* its own changes come from its loop, others' from its keeper */
	snprintf(p->last, sizeof p->last, "%d %.*s/%.*s", (int)token->kind, STR_ARG(token->owner),
		STR_ARG(token->name));
	p->last_hash = token->hash;
	pthread_mutex_unlock(&lock);
	atomic_fetch_add(&p->tokens, 1);
}

static void on_roles_changed(void *arg)
{
	atomic_fetch_add(&((struct pair *)arg)->roles, 1);
}

static void on_all_changed(void *arg)
{
	atomic_fetch_add(&((struct pair *)arg)->all, 1);
}

static void wait_for(atomic_int *count, int wanted)
{
	for (int i = 0; i < 4000 && atomic_load(count) < wanted; i++)
		usleep(5000);
	assert_int_equal(atomic_load(count), wanted);
}

static int set_up(void **state)
{
	struct pair *p = xnew(struct pair);
	p->one.server = p->two.server = store_driver_server();
	assert_ok(store_driver_open(&p->one));
	snprintf(p->two.database, sizeof p->two.database, "%s", p->one.database);
	struct store_listener listener = {on_token_changed, on_roles_changed, on_all_changed, p};
	struct latch *latch = latch_new(1);
	p->two.listener = &listener;
	store_driver_begin(&p->two, latch);
	latch_wait(latch);
	latch_free(latch);
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	struct pair *p = *state;
	store_driver_done(&p->two);
	store_driver_done(&p->one);
	free(p);
	return 0;
}

static void replica_hears_of_tokens_and_roles(void **state)
{
	struct pair *p = *state;
	_cleanup_(token_unrefp) struct token *t =
		make_token(TOKEN_SERVICE, "c d", "n\xC3\xA4me", TODAY);
	assert_ok(driver_insert(&p->one, t));
	wait_for(&p->tokens, 1);
	assert_string_equal(p->last, "1 c d/n\xC3\xA4me");
	assert_memory_equal(p->last_hash.bytes, t->fields.hash.bytes, TOKEN_HASH_BYTES);

	struct token_fields f = t->fields;
	f.hash = make_hash("other", "secret");
	f.old_hash = t->fields.hash;
	f.old_until.us = INT64_C(1780000000000000);
	_cleanup_(token_unrefp) struct token *to = token_new(&f);
	assert_ok(driver_replace(&p->one, t, to)); /* told of what was, and of what is */
	wait_for(&p->tokens, 3);
	assert_memory_equal(p->last_hash.bytes, to->fields.hash.bytes, TOKEN_HASH_BYTES);

	assert_ok(driver_delete(&p->one, TOKEN_SERVICE, "c d", "n\xC3\xA4me", NULL));
	wait_for(&p->tokens, 4);

	const struct role role = {.name = STR("dev")};
	assert_ok(driver_role_put(&p->one, &role));
	wait_for(&p->roles, 1);
	assert_ok(driver_role_delete(&p->one, "dev"));
	wait_for(&p->roles, 2);
	assert_int_equal(p->all, 0);
}

static void replica_hears_once_of_what_it_did_itself(void **state)
{
	struct pair *p = *state;
	_cleanup_(token_unrefp) struct token *t = make_token(TOKEN_USER, "alice", "a", TODAY);
	_cleanup_(token_unrefp) struct token *u = make_token(TOKEN_USER, "alice", "b", TODAY);
	assert_ok(driver_insert(&p->two, t));
	assert_int_equal(p->tokens, 1);
	assert_ok(driver_insert(&p->one, u)); /* comes behind the first one's own news */
	wait_for(&p->tokens, 2);
}

static void name_too_long_for_the_news_changes_everything(void **state)
{
	struct pair *p = *state;
	char owner[7100];
	memset(owner, 'o', sizeof owner - 1);
	owner[sizeof owner - 1] = '\0';
	_cleanup_(token_unrefp) struct token *t = make_token(TOKEN_USER, owner, "a", TODAY);
	assert_ok(driver_insert(&p->one, t));
	wait_for(&p->all, 1);
	assert_int_equal(p->tokens, 0);
}

static void replica_that_was_cut_off_takes_everything_for_changed(void **state)
{
	struct pair *p = *state;
	(void)pg_server_sql(p->one.server, p->one.database,
		"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
		"WHERE datname = current_database() AND pid <> pg_backend_pid()");
	wait_for(&p->all, 1);
	_cleanup_(token_unrefp) struct token *t = make_token(TOKEN_USER, "alice", "a", TODAY);
	struct status status = driver_insert(&p->one, t);
	assert_true(status_is_ok(&status) || status.code == STATUS_UNAVAILABLE);
}

static void replicas_see_each_others_counts(void **state)
{
	struct pair *p = *state;
	_cleanup_(token_unrefp) struct token *t = make_token(TOKEN_USER, "alice", "a", TODAY);
	_cleanup_(token_unrefp) struct token *s = make_token(TOKEN_SERVICE, "s", "s", TODAY);
	assert_ok(driver_insert(&p->one, t));
	assert_ok(driver_insert(&p->two, s));
	for (int i = 0; i < 4000; i++) {
		struct store_counts a = store_token_counts(p->one.store);
		struct store_counts b = store_token_counts(p->two.store);
		if (a.service_tokens == 1 && b.user_tokens == 1) {
			assert_int_equal(a.user_tokens, 1);
			assert_int_equal(b.service_tokens, 1);
			return;
		}
		usleep(5000);
	}
	fail_msg("the counts did not come");
}

struct talker {
	const struct pair *p;
	atomic_bool stop;
};

static void *talk(void *arg)
{
	struct talker *t = arg;
	PGconn *conn = PQconnectdb(pg_server_url(t->p->one.server, t->p->one.database));
	while (!atomic_load(&t->stop)) {
		PQclear(PQexec(conn, "NOTIFY token_service, '0123456789abcdefr'"));
		usleep(2000); /* well within a tick */
	}
	PQfinish(conn);
	return NULL;
}

static void replica_that_never_ceases_to_hear_does_what_has_time_all_the_same(void **state)
{
	struct pair *p = *state;
	struct talker talker = {.p = p};
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, talk, &talker), 0);
	for (int i = 0; i < 4000 && atomic_load(&p->roles) < 10; i++)
		usleep(5000);
	_cleanup_(token_unrefp) struct token *t = make_token(TOKEN_USER, "alice", "a", TODAY);
	assert_ok(driver_insert(&p->one, t));
	int64_t counted = 0;
	for (int i = 0; i < 400 && !counted; i++) {
		usleep(5000);
		counted = store_token_counts(p->two.store).user_tokens;
	}
	atomic_store(&talker.stop, true);
	pthread_join(thread, NULL);
	assert_int_equal(counted, 1);
	assert_int_equal(p->all, 0); /* nor did it take the connection for dead */
}

struct racer {
	struct pair *p;
	struct latch *latch;
	atomic_int ok, replayed, other;
};

static void on_raced(
	void *arg, const struct status *status, const struct store_insert_result *result)
{
	struct racer *r = arg;
	atomic_fetch_add(!status_is_ok(status) ? &r->other
			 : result->replayed    ? &r->replayed
					       : &r->ok,
		1);
	latch_down(r->latch);
}

/* The same request at two replicas at a time: one makes the token, the other finds it. */
static void request_sent_to_two_replicas_at_a_time_is_done_once(void **state)
{
	struct pair *p = *state;
	for (int i = 0; i < 50; i++) {
		struct racer r = {.p = p, .latch = latch_new(2)};
		char id[16], names[2][24];
		snprintf(id, sizeof id, "r%d", i);
		for (int k = 0; k < 2; k++) {
			struct store_driver *d = k ? &p->two : &p->one;
			struct store_request_id request = {
				.principal = STR("user:alice"), .id = str_of(id)};
			request.salt[0] = (uint8_t)(1 + k);
			snprintf(names[k], sizeof names[k], "%s-%d", id, k);
			struct token_fields f = {.owner = STR("alice"),
				.name = str_of(id),
				.expires = {TODAY},
				.hash = make_hash("h", names[k])};
			_cleanup_(token_unrefp) struct token *t = token_new(&f);
			store_token_insert(d->store, t, &request, NULL,
				(struct store_waiter){d->loop, MONO_TIME_NEVER, &r}, on_raced);
		}
		latch_wait(r.latch);
		latch_free(r.latch);
		assert_int_equal(r.ok, 1);
		assert_int_equal(r.replayed, 1);
	}
}

static void on_limited(
	void *arg, const struct status *status, const struct store_insert_result *result)
{
	(void)result;
	struct racer *r = arg;
	atomic_fetch_add(status_is_ok(status)                        ? &r->ok
			 : status->code == STATUS_RESOURCE_EXHAUSTED ? &r->replayed
								     : &r->other,
		1);
	latch_down(r->latch);
}

static void two_replicas_together_do_not_get_past_a_limit(void **state)
{
	struct pair *p = *state;
	enum {
		N = 60,
		LIMIT = 9
	};
	const struct store_token_limit limit = {LIMIT, {TODAY - 1}};
	struct racer r = {.p = p, .latch = latch_new(N)};
	for (int i = 0; i < N; i++) {
		struct store_driver *d = i % 2 ? &p->two : &p->one;
		char name[16];
		snprintf(name, sizeof name, "n%d", i);
		_cleanup_(token_unrefp) struct token *t =
			make_token(TOKEN_USER, "alice", name, TODAY);
		store_token_insert(d->store, t, NULL, &limit,
			(struct store_waiter){d->loop, MONO_TIME_NEVER, &r}, on_limited);
	}
	latch_wait(r.latch);
	latch_free(r.latch);
	assert_int_equal(r.ok, LIMIT);
	assert_int_equal(r.replayed, N - LIMIT);
}

/* --- Schema --- */

static void newer_schema_is_refused_at_the_start(void **state)
{
	struct pair *p = *state;
	char wanted[256];
	struct store_driver late = {.server = p->one.server};
	snprintf(late.database, sizeof late.database, "%s", p->one.database);
	const char *version = pg_server_sql(
		p->one.server, p->one.database, "SELECT max(version) FROM schema_version");
	snprintf(wanted, sizeof wanted,
		"the database has schema version 99, this program knows versions up to %s: start "
		"the newer program that wrote it",
		version);
	(void)pg_server_sql(p->one.server, p->one.database,
		"INSERT INTO schema_version VALUES (99, 'of the future', 0)");
	assert_status(store_driver_open(&late), STATUS_FAILED_PRECONDITION, wanted);
	store_driver_done(&late);
	/* Who runs already goes on, also with new connections. */
	(void)pg_server_sql(p->one.server, p->one.database,
		"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
		"WHERE datname = current_database() AND pid <> pg_backend_pid()");
	wait_for(&p->all, 1);
	for (int i = 0; i < 1000; i++) {
		struct status status = driver_check(&p->two);
		if (status_is_ok(&status))
			return;
		usleep(5000);
	}
	fail_msg("it did not go on");
}

static void names_with_an_index_are_ordered_by_bytes(void **state)
{
	struct pair *p = *state;
	assert_string_equal(pg_server_sql(p->one.server, p->one.database,
				    "SELECT count(*) FROM pg_attribute a "
				    "JOIN pg_class c ON c.oid = a.attrelid "
				    "JOIN pg_collation l ON l.oid = a.attcollation "
				    "WHERE c.relname IN ('token', 'request', 'profile', 'role') "
				    "AND a.attnum > 0 AND l.collname <> 'C'"),
		"0");
}

/* What @wanted gives of `plans (line)`, the plan that a session with our settings keeps for a
 * statement. */
static const char *ask_plan(const struct pair *p, enum pg_statement id, const char *wanted)
{
	_cleanup_buf_ struct buf sql;
	const char *text = pg_statement_text(id);
	long n = 0;
	for (const char *at = text; (at = strchr(at, '$')); at++) {
		long number = strtol(at + 1, NULL, 10);
		n = number > n ? number : n;
	}
	buf_init(&sql, 1 << 16);
	buf_printf(&sql,
		"%s; PREPARE s AS %s; "
		"CREATE TEMP TABLE plans (line text); "
		"DO $do$ DECLARE l text; BEGIN FOR l IN EXECUTE 'EXPLAIN EXECUTE s",
		pg_connection_settings_sql(), text);
	for (long i = 0; i < n; i++)
		buf_append_str(&sql, i ? STR(", NULL") : STR("(NULL"));
	buf_append_str(&sql, n ? STR(")") : STR(""));
	buf_printf(&sql, "' LOOP INSERT INTO plans VALUES (l); END LOOP; END $do$; %s", wanted);
	return pg_server_sql(p->one.server, p->one.database, sql.p);
}

static void assert_plan_uses_indexes(const struct pair *p, enum pg_statement id)
{
	const char *bad = ask_plan(p, id,
		"SELECT coalesce(string_agg(line, E'\\n'), '') FROM plans "
		"WHERE line ~ 'Seq Scan on (token|request|profile|setting)' OR line ~ 'Sort'");
	if (*bad)
		fail_msg("%s: %s", pg_statement_name(id), bad);
}

/* A token that the cache does not know costs as much with ten million of them as with ten. */
static void lookups_and_pages_read_the_indexes_made_for_them(void **state)
{
	struct pair *p = *state;
	static const char indexes[] =
		"SELECT string_agg(substring(line FROM 'Index .*Scan using (\\w+)'), ' ') "
		"FROM plans WHERE line ~ 'Index.*Scan'";
	static const char one[] =
		"SELECT count(*) = 1 FROM plans WHERE line ~ 'Scan using token_by_(name|owner)'";
	assert_string_equal(
		ask_plan(p, PG_TOKEN_BY_HASH, indexes), "token_by_hash token_by_old_hash");
	/* Two indexes begin with what names a token, and one is as good as the other. */
	assert_string_equal(ask_plan(p, PG_TOKEN_BY_NAME, one), "t");
	assert_string_equal(ask_plan(p, PG_TOKENS_OF_OWNER, indexes), "token_by_owner");
	assert_string_equal(ask_plan(p, PG_TOKENS_SEARCH_OWNER, indexes), "token_by_owner");
	assert_string_equal(ask_plan(p, PG_TOKENS_OF_ALL, indexes), "token_by_name");
	const char *search = ask_plan(p, PG_TOKENS_SEARCH_ALL, indexes);
	if (!str_starts_with(str_of(search), STR("token_by_name token_by_")))
		fail_msg("%s", search);
}

static void no_statement_reads_more_rows_than_it_gives(void **state)
{
	struct pair *p = *state;
	for (int id = PG_TOUCH; id < PG_STATEMENT_COUNT; id++)
		if (id != PG_TOKEN_INSERT_LIMITED) /* sorts what it was given */
			assert_plan_uses_indexes(p, (enum pg_statement)id);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(replica_hears_of_tokens_and_roles),
		TEST(replica_hears_once_of_what_it_did_itself),
		TEST(name_too_long_for_the_news_changes_everything),
		TEST(replica_that_was_cut_off_takes_everything_for_changed),
		TEST(replicas_see_each_others_counts),
		TEST(replica_that_never_ceases_to_hear_does_what_has_time_all_the_same),
		TEST(request_sent_to_two_replicas_at_a_time_is_done_once),
		TEST(two_replicas_together_do_not_get_past_a_limit),
		TEST(newer_schema_is_refused_at_the_start),
		TEST(names_with_an_index_are_ordered_by_bytes),
		TEST(no_statement_reads_more_rows_than_it_gives),
		TEST(lookups_and_pages_read_the_indexes_made_for_them),
	};
	return RUN_TESTS(tests);
}
