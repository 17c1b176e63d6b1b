/* SPDX-License-Identifier: Apache-2.0 */
/* A libpq whose calls fail in turn, sessions that are ended, and a server that is killed: an answer
 * is an error or the truth, and the store gets over it by itself. */
#include "common/base/xalloc.h"
#include "service/store/store.h"
#include "tests/lib/fault_pq.h"
#include "tests/lib/postgres.h"
#include "tests/lib/store_driver.h"
#include "tests/lib/test.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	TODAY = 20800,
	ROUNDS_MAX = 500,
	MAX_TOKENS = 1 << 17, /* 200 a round, and more */
};

enum fact {
	ABSENT,
	PRESENT,
	UNSURE, /* a write was answered with an error */
};

/* The tokens of alice, by number, and what is known of each. */
struct world {
	struct store_driver d;
	_Atomic(enum fact) facts[MAX_TOKENS];
	int next; /* that nobody used yet */
};

static void name_of(int n, char ret[16])
{
	snprintf(ret, 16, "t%05d", n);
}

static int rounds(int otherwise)
{
	const char *given = getenv("ROUNDS");
	long n = given ? strtol(given, NULL, 10) : otherwise;
	return n < ROUNDS_MAX ? (int)n : ROUNDS_MAX;
}

static int set_up(void **state)
{
	struct world *w = xnew(struct world);
	fault_pq_heal();
	w->d.server = store_driver_server();
	w->d.pq = &fault_pq;
	w->d.n_connections = 3;
	assert_ok(store_driver_open(&w->d));
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;
	fault_pq_heal();
	store_driver_done(&w->d);
	free(w);
	return 0;
}

/* --- Operations whose answers are noted --- */

static void assert_plausible(const struct status *status, enum status_code also)
{
	if (!status_is_ok(status) && status->code != STATUS_UNAVAILABLE && status->code != also)
		fail_msg("%s: %s", status_code_name(status->code), status->message);
}

/* What a write says that changed nothing. The one before it, if its outcome is not known, may still
 * be under way in a session that the server has not found to be cut off. */
static enum fact fact_after(enum fact before, const struct status *status, enum fact told)
{
	return status->code == STATUS_UNAVAILABLE || before == UNSURE ? UNSURE : told;
}

static void do_insert(struct world *w, int n)
{
	char name[16];
	name_of(n, name);
	_cleanup_(token_unrefp) struct token *t = make_token(TOKEN_USER, "alice", name, TODAY);
	struct status status = driver_insert(&w->d, t);
	enum fact before = w->facts[n];
	assert_plausible(&status, before == ABSENT ? STATUS_OK : STATUS_ALREADY_EXISTS);
	w->facts[n] = status_is_ok(&status) ? PRESENT : fact_after(before, &status, PRESENT);
}

static void do_delete(struct world *w, int n)
{
	char name[16];
	name_of(n, name);
	struct status status = driver_delete(&w->d, TOKEN_USER, "alice", name, NULL);
	enum fact before = w->facts[n];
	assert_plausible(&status, before == PRESENT ? STATUS_OK : STATUS_NOT_FOUND);
	w->facts[n] = status_is_ok(&status) ? ABSENT : fact_after(before, &status, ABSENT);
}

static void look(struct world *w, int n)
{
	char name[16];
	name_of(n, name);
	struct token_hash hash = make_hash("alice", name);
	struct status status = driver_by_hash(&w->d, &hash, NULL);
	assert_plausible(&status, STATUS_NOT_FOUND);
	if (status.code == STATUS_UNAVAILABLE)
		return;
	if (w->facts[n] == PRESENT && !status_is_ok(&status))
		fail_msg("%s was acknowledged and is not there", name);
	if (w->facts[n] == ABSENT && status_is_ok(&status))
		fail_msg("%s was deleted, or never made, and is there", name);
}

/* Everything as it was told, and the counters right. */
static void audit(struct world *w, int from)
{
	assert_ok(driver_wait_until_healthy(&w->d));
	for (int n = from; n < w->next; n++)
		look(w, n);
	const char *counted = pg_server_sql(w->d.server, w->d.database,
		"SELECT (SELECT count(*) FROM token WHERE kind = 0) - coalesce(sum(value), 0) "
		"FROM counter WHERE name LIKE 'user\\_tokens%'");
	assert_string_equal(counted, "0");
}

/* All kinds of operations, six tokens from @first on. */
static void run_script(struct world *w, int first)
{
	const struct store_profile_change change = {.set_pool = true, .to = {.pool = STR("p")}};
	const struct store_token_query query = {
		.kind = TOKEN_USER, .owner = STR("alice"), .limit = 10};
	const struct role role = {.name = STR("dev")};
	_cleanup_(role_set_unrefp) struct role_set *roles = NULL;
	char text[4096];
	size_t n;
	for (int i = 0; i < 5; i++)
		do_insert(w, first + i);
	do_insert(w, first);
	do_delete(w, first + 1);
	do_delete(w, first + 1);
	look(w, first);
	look(w, first + 1);
	struct status statuses[] = {
		driver_profile_change(&w->d, "alice", &change),
		driver_profile(&w->d, "alice", text, sizeof text),
		driver_list(&w->d, &query, text, sizeof text, &n),
		driver_role_put(&w->d, &role),
		driver_roles(&w->d, &roles),
		driver_setting_init(&w->d, "k", STR("v"), text, sizeof text),
		driver_check(&w->d),
	};
	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++)
		assert_plausible(&statuses[i], STATUS_OK);
	do_insert(w, first + 5);
	if (w->next < first + 6)
		w->next = first + 6;
}

/* --- Each call fails once --- */

static void each_call_fails(struct world *w, enum fault_pq_kind kind, int64_t step)
{
	int quiet = 0;
	for (int64_t n = 1; quiet < 3; n += step) {
		int first = w->next;
		fault_pq_fail(kind, n, 1);
		run_script(w, first);
		quiet = fault_pq_injected() ? 0 : quiet + 1;
		fault_pq_heal();
		audit(w, first);
	}
	audit(w, 0);
}

static void each_call_that_fails_is_survived(void **state)
{
	each_call_fails(*state, FAULT_PQ_REFUSE, 1);
}

static void connection_that_is_cut_at_each_call_is_survived(void **state)
{
	each_call_fails(*state, FAULT_PQ_CUT, 1);
}

static void calls_that_go_on_failing_are_survived(void **state)
{
	struct world *w = *state;
	for (int kind = FAULT_PQ_REFUSE; kind <= FAULT_PQ_CUT; kind++)
		for (int64_t n = 1; n < 120; n += 7) {
			int first = w->next;
			fault_pq_fail((enum fault_pq_kind)kind, n, 1000000000);
			run_script(w, first);
			assert_true(fault_pq_injected() > 0);
			fault_pq_heal();
			audit(w, first);
		}
}

/* --- Many at once --- */

struct crowd {
	struct world *w;
	struct latch *latch;
	atomic_int results[STATUS_CODE_COUNT];
};
struct member {
	struct crowd *crowd;
	int n;
};

static void on_member(
	void *arg, const struct status *status, const struct store_insert_result *result)
{
	(void)result;
	struct member *m = arg;
	atomic_fetch_add(&m->crowd->results[status->code], 1);
	m->crowd->w->facts[m->n] = status_is_ok(status) ? PRESENT : UNSURE;
	latch_down(m->crowd->latch);
}

static void insert_many(struct crowd *crowd, int first, int n)
{
	struct world *w = crowd->w;
	struct member *members = xcalloc((size_t)n, sizeof *members);
	crowd->latch = latch_new(n);
	for (int i = 0; i < n; i++) {
		char name[16];
		name_of(first + i, name);
		_cleanup_(token_unrefp) struct token *t =
			make_token(TOKEN_USER, "alice", name, TODAY);
		members[i] = (struct member){crowd, first + i};
		struct store_waiter waiter = {w->d.loop, MONO_TIME_NEVER, &members[i]};
		store_token_insert(w->d.store, t, NULL, NULL, waiter, on_member);
	}
	latch_wait(crowd->latch);
	latch_free(crowd->latch);
	free(members);
	if (w->next < first + n)
		w->next = first + n;
}

static void groups_that_are_cut_off_tell_no_lie(void **state)
{
	struct world *w = *state;
	for (int64_t n = 1; n < 60; n++) {
		struct crowd crowd = {.w = w};
		int first = w->next;
		fault_pq_fail(n % 2 ? FAULT_PQ_CUT : FAULT_PQ_REFUSE, (n + 1) / 2, 1);
		insert_many(&crowd, first, 60);
		fault_pq_heal();
		assert_int_equal(crowd.results[STATUS_OK] + crowd.results[STATUS_UNAVAILABLE], 60);
		audit(w, first);
	}
}

static void group_shares_transactions(void **state)
{
	struct world *w = *state;
	struct crowd crowd = {.w = w};
	struct store_stats before = store_stats(w->d.store);
	insert_many(&crowd, 0, 1000);
	struct store_stats after = store_stats(w->d.store);
	assert_int_equal(crowd.results[STATUS_OK], 1000);
	assert_int_equal(after.writes - before.writes, 1000);
	if (after.commits - before.commits > 1000 / 16)
		fail_msg("%d commits for 1000 inserts", (int)(after.commits - before.commits));
	audit(w, 0);
}

/* One that the database refuses takes no other with it. */
static void member_that_cannot_be_done_fails_alone(void **state)
{
	struct world *w = *state;
	struct member bad;
	struct crowd crowd = {.w = w, .latch = latch_new(1)};
	struct token_fields f = {.kind = TOKEN_USER,
		.owner = STR("alice"),
		.name = STR("bad"),
		.description = {"\xff\xfe", 2},
		.hash = make_hash("alice", "bad")};
	_cleanup_(token_unrefp) struct token *t = token_new(&f);
	bad = (struct member){&crowd, MAX_TOKENS - 1};
	struct store_waiter waiter = {w->d.loop, MONO_TIME_NEVER, &bad};
	store_token_insert(w->d.store, t, NULL, NULL, waiter, on_member);
	struct crowd others = {.w = w};
	insert_many(&others, 0, 40);
	latch_wait(crowd.latch);
	latch_free(crowd.latch);
	assert_int_equal(others.results[STATUS_OK], 40);
	assert_int_equal(crowd.results[STATUS_INVALID_ARGUMENT], 1);
	assert_ok(driver_check(&w->d));
	audit(w, 0);
}

/* --- The server --- */

static void sessions_that_are_ended_under_writes_are_replaced(void **state)
{
	struct world *w = *state;
	for (int i = 0; i < rounds(10); i++) {
		struct crowd crowd = {.w = w};
		int first = w->next;
		(void)pg_server_sql(w->d.server, w->d.database,
			"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
			"WHERE datname = current_database() AND pid <> pg_backend_pid()");
		insert_many(&crowd, first, 40);
		assert_int_equal(crowd.results[STATUS_OK] + crowd.results[STATUS_UNAVAILABLE], 40);
		audit(w, first);
	}
	audit(w, 0);
}

struct killer {
	struct pg_server *server;
	unsigned delay_us;
	int signal;
};

static void *kill_later(void *arg)
{
	struct killer *k = arg;
	usleep(k->delay_us);
	pg_server_stop(k->server, k->signal);
	return NULL;
}

/* Tokens are made, and some that were there deleted, while the server ends at some moment. */
static int write_until_the_end(struct pg_server *server, struct world *w, int round, int before)
{
	static const int signals[] = {SIGKILL, SIGKILL, SIGQUIT, SIGINT};
	struct killer killer = {server, (unsigned)(round * 7919 % 30000),
		signals[(size_t)round % ARRAY_SIZE(signals)]};
	int acknowledged = 0;
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, kill_later, &killer), 0);
	for (int k = 0; k < 4; k++) {
		struct crowd crowd = {.w = w};
		insert_many(&crowd, w->next, 50);
		acknowledged += crowd.results[STATUS_OK];
		for (int i = 0; i < 5; i++)
			do_delete(w, before + k * 50 + i);
	}
	pthread_join(thread, NULL);
	pg_server_start(server);
	return acknowledged;
}

static void acknowledged_writes_outlive_the_end_of_the_server(void **state)
{
	(void)state;
	struct world *w = xnew(struct world);
	struct pg_server *server = pg_server_new(NULL);
	w->d.server = server;
	w->d.n_connections = 3;
	assert_ok(store_driver_open(&w->d));
	struct crowd crowd = {.w = w};
	int acknowledged = 0, before = 0, n = rounds(6);
	insert_many(&crowd, 0, 200);
	assert_int_equal(crowd.results[STATUS_OK], 200);
	for (int i = 0; i < n; i++) {
		int first = w->next;
		acknowledged += write_until_the_end(server, w, i, before);
		audit(w, (i + 1) % 20 ? before : 0); /* all of it takes its time */
		before = first;
	}
	audit(w, 0);
	assert_true(acknowledged > n);
	store_driver_done(&w->d);
	pg_server_free(server);
	free(w);
}

/* A server that hangs is given up; what it was asked is done or not, and found out afterwards. */
static void server_that_hangs_is_given_up(void **state)
{
	(void)state;
	struct world *w = xnew(struct world);
	w->d.server = store_driver_server();
	w->d.n_connections = 3;
	w->d.statement_timeout_ms = 100;
	w->d.connect_timeout_ms = 100;
	assert_ok(store_driver_open(&w->d));
	for (int i = 0; i < 3; i++) {
		struct crowd crowd = {.w = w};
		pg_server_freeze(w->d.server);
		insert_many(&crowd, w->next, 20);
		pg_server_thaw(w->d.server);
		assert_int_equal(crowd.results[STATUS_UNAVAILABLE], 20);
		audit(w, 0);
	}
	store_driver_done(&w->d);
	free(w);
}

/* --- Many that start together --- */

static void stores_that_start_together_make_one_schema(void **state)
{
	(void)state;
	enum {
		N = 10
	};
	struct store_driver first = {.server = store_driver_server()}, others[N];
	char text[64], values[N][64];
	assert_ok(store_driver_open(&first));
	(void)pg_server_sql(first.server, first.database,
		"SET client_min_messages = error; DROP SCHEMA public CASCADE; CREATE SCHEMA "
		"public");
	store_driver_close(&first);
	struct latch *latch = latch_new(N);
	for (int i = 0; i < N; i++) {
		others[i] = (struct store_driver){.server = first.server, .n_connections = 1};
		snprintf(others[i].database, sizeof others[i].database, "%s", first.database);
		store_driver_begin(&others[i], latch);
	}
	latch_wait(latch);
	latch_free(latch);
	for (int i = 0; i < N; i++) {
		snprintf(text, sizeof text, "of %d", i);
		assert_ok(driver_setting_init(
			&others[i], "k", str_of(text), values[i], sizeof values[i]));
	}
	for (int i = 0; i < N; i++) {
		assert_string_equal(values[i], values[0]);
		store_driver_done(&others[i]);
	}
	assert_string_equal(pg_server_sql(first.server, first.database,
				    "SELECT count(*) = max(version) FROM schema_version"),
		"t");
	store_driver_done(&first);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_call_that_fails_is_survived),
		TEST(connection_that_is_cut_at_each_call_is_survived),
		TEST(calls_that_go_on_failing_are_survived),
		TEST(groups_that_are_cut_off_tell_no_lie),
		TEST(group_shares_transactions),
		TEST(member_that_cannot_be_done_fails_alone),
		TEST(sessions_that_are_ended_under_writes_are_replaced),
		cmocka_unit_test(acknowledged_writes_outlive_the_end_of_the_server),
		cmocka_unit_test(server_that_hangs_is_given_up),
		cmocka_unit_test(stores_that_start_together_make_one_schema),
	};
	return RUN_TESTS(tests);
}
