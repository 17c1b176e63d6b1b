/* SPDX-License-Identifier: Apache-2.0 */
/* A disk that fails at every possible call, is full, may not be written, or loses what was not
 * synced: an answer is an error or the truth, and the store gets over it by itself. */
#include "common/base/buf.h"
#include "common/base/xalloc.h"
#include "common/event/loop.h"
#include "service/store/sqlite/sqlite_store.h"
#include "tests/lib/fault_vfs.h"
#include "tests/lib/store_driver.h"
#include "tests/lib/test.h"

#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	TODAY = 20800
};

/* What a token is known to be. */
enum fact {
	ABSENT,
	PRESENT,
	UNSURE, /* a write was answered with an error */
};

/* The tokens of alice, by number. */
enum {
	MAX_TOKENS = 512
};
struct truth {
	enum fact tokens[MAX_TOKENS];
	enum fact rotated; /* alice's "rotates" has its second secret */
	enum fact of_gone; /* the service tokens of "gone" */
	enum fact of_old;  /* that of "old", which expired long ago */
	bool has_others;   /* these are there at all */
};

static void name_of(int n, char ret[16])
{
	snprintf(ret, 16, "t%03d", n);
}

static void do_insert(struct store_driver *d, struct truth *truth, int n)
{
	char name[16];
	name_of(n, name);
	_cleanup_(token_unrefp) struct token *t = make_token(TOKEN_USER, "alice", name, TODAY);
	struct status status = driver_insert(d, t);
	if (status.code == STATUS_ALREADY_EXISTS)
		assert_int_not_equal(truth->tokens[n], ABSENT);
	else
		assert_true(status_is_ok(&status) || status.code == STATUS_UNAVAILABLE);
	truth->tokens[n] =
		status_is_ok(&status) || status.code == STATUS_ALREADY_EXISTS ? PRESENT : UNSURE;
}

static void do_delete(struct store_driver *d, struct truth *truth, int n)
{
	char name[16];
	name_of(n, name);
	struct status status = driver_delete(d, TOKEN_USER, "alice", name, NULL);
	if (status.code == STATUS_NOT_FOUND)
		assert_int_not_equal(truth->tokens[n], PRESENT);
	else
		assert_true(status_is_ok(&status) || status.code == STATUS_UNAVAILABLE);
	truth->tokens[n] =
		status_is_ok(&status) || status.code == STATUS_NOT_FOUND ? ABSENT : UNSURE;
}

/* A lookup tells the truth, or that it cannot. */
static void look(struct store_driver *d, const struct truth *truth, int n, bool must_work)
{
	char name[16];
	name_of(n, name);
	struct token_hash hash = make_hash("alice", name);
	_cleanup_(token_unrefp) struct token *t = NULL;
	struct status status = driver_by_hash(d, &hash, &t);
	if (must_work || status.code != STATUS_UNAVAILABLE) {
		if (truth->tokens[n] == PRESENT)
			assert_ok(status);
		else if (truth->tokens[n] == ABSENT)
			assert_int_equal(status.code, STATUS_NOT_FOUND);
		else
			assert_true(status_is_ok(&status) || status.code == STATUS_NOT_FOUND);
	}
	if (t)
		assert_str(t->fields.name, name);
}

static void list_all(struct store_driver *d, size_t *ret_n, struct status *ret)
{
	static char text[64 * 1024];
	const struct store_token_query query = {
		.kind = TOKEN_USER, .owner = STR("alice"), .limit = 10000};
	*ret = driver_list(d, &query, text, sizeof text, ret_n);
}

/* --- The life of tokens --- */

static struct token *rotating(const char *hash_of)
{
	struct token_fields f = {.owner = STR("alice"),
		.name = STR("rotates"),
		.expires = {TODAY},
		.hash = make_hash("alice", hash_of)};
	return token_new(&f);
}

static void insert_others(struct store_driver *d, struct truth *truth)
{
	_cleanup_(token_unrefp) struct token *r = rotating("first");
	_cleanup_(token_unrefp) struct token *g1 = make_token(TOKEN_SERVICE, "gone", "g1", TODAY),
					     *g2 = make_token(TOKEN_SERVICE, "gone", "g2", TODAY),
					     *old = make_token(TOKEN_SERVICE, "old", "old", 1);
	assert_ok(driver_insert(d, r));
	assert_ok(driver_insert(d, g1));
	assert_ok(driver_insert(d, g2));
	assert_ok(driver_insert(d, old));
	truth->has_others = true;
	truth->of_gone = truth->of_old = PRESENT;
}

static bool worked(struct status status)
{
	assert_true(status_is_ok(&status) || status.code == STATUS_UNAVAILABLE);
	return status_is_ok(&status);
}

static void change_others(struct store_driver *d, struct truth *truth)
{
	size_t n = 0;
	_cleanup_(token_unrefp) struct token *first = rotating("first"),
					     *second = rotating("second");
	truth->rotated = worked(driver_replace(d, first, second)) ? PRESENT : UNSURE;
	const struct store_token_use use = {make_hash("alice", "t001"), {5}, STR("192.0.2.1")};
	(void)worked(driver_used(d, &use, 1, 1));
	bool deleted = worked(driver_delete_all(d, TOKEN_SERVICE, "gone", 10, &n, NULL));
	assert_true(!deleted || n == 2);
	truth->of_gone = deleted ? ABSENT : UNSURE;
	bool purged = worked(driver_purge(d, 10, 10, &n));
	/* A batch whose commit failed and was done all the same is not counted again. */
	assert_true(!purged || n <= 1);
	truth->of_old = purged ? ABSENT : UNSURE;
}

static bool is_there(struct store_driver *d, const char *owner, const char *name)
{
	struct token_hash hash = make_hash(owner, name);
	struct status status = driver_by_hash(d, &hash, NULL);
	assert_true(status_is_ok(&status) || status.code == STATUS_NOT_FOUND);
	return status_is_ok(&status);
}

static void audit_others(struct store_driver *d, const struct truth *truth)
{
	if (!truth->has_others)
		return;
	bool second = is_there(d, "alice", "second");
	assert_true(truth->rotated == UNSURE || second == (truth->rotated == PRESENT));
	assert_true(second != is_there(d, "alice", "first")); /* one of them, never both */
	bool g1 = is_there(d, "gone", "g1"), old = is_there(d, "old", "old");
	assert_true(g1 == is_there(d, "gone", "g2")); /* both or none */
	assert_true(truth->of_gone == UNSURE || g1 == (truth->of_gone == PRESENT));
	assert_true(truth->of_old == UNSURE || old == (truth->of_old == PRESENT));
	assert_int_equal(store_token_counts(d->store).service_tokens, 2 * g1 + old);
}

/* A few of everything; each may fail. */
static void use(struct store_driver *d, struct truth *truth)
{
	size_t n;
	struct status status;
	do_insert(d, truth, 10);
	do_delete(d, truth, 0);
	look(d, truth, 1, false);
	do_insert(d, truth, 11);
	list_all(d, &n, &status);
	assert_true(status_is_ok(&status) || status.code == STATUS_UNAVAILABLE);
	const struct store_profile_change change = {
		.set_pool = true, .to = {.pool = STR("default")}};
	status = driver_profile_change(d, "alice", &change);
	assert_true(status_is_ok(&status) || status.code == STATUS_UNAVAILABLE);
	do_delete(d, truth, 2);
	if (truth->has_others)
		change_others(d, truth);
}

/* Everything is as it was acknowledged, list and counters agree. */
static void audit(struct store_driver *d, const struct truth *truth)
{
	size_t n = 0;
	struct status status;
	for (int i = 0; i < MAX_TOKENS; i++)
		if (truth->tokens[i] != ABSENT || i < 8)
			look(d, truth, i, true);
	list_all(d, &n, &status);
	assert_ok(status);
	assert_int_equal(store_token_counts(d->store).user_tokens, n);
	audit_others(d, truth);
}

static int first_column(void *arg, int n, char **values, char **names)
{
	(void)n;
	(void)names;
	snprintf(arg, 64, "%s", values[0]);
	return 0;
}

static void check_integrity(const struct store_driver *d)
{
	char result[64] = "";
	sqlite3 *db;
	assert_int_equal(sqlite3_open(store_driver_database(d), &db), SQLITE_OK);
	sqlite3_exec(db, "PRAGMA integrity_check", first_column, result, NULL);
	sqlite3_close(db);
	assert_string_equal(result, "ok");
}

/* The store waits a while before it opens a file again; here time flies. */
static struct unix_time fast_now(const struct clock *self)
{
	(void)self;
	return clock_now(&clock_system);
}

static struct mono_time fast_mono(const struct clock *self)
{
	(void)self;
	return (struct mono_time){clock_mono(&clock_system).us * 50};
}

static void open_faulty(struct store_driver *d)
{
	static const struct clock fast_clock = {.now = fast_now, .mono = fast_mono};
	fault_vfs_reset();
	*d = (struct store_driver){.vfs = FAULT_VFS, .n_readers = 1, .clock = &fast_clock};
}

static void fill(struct store_driver *d, struct truth *truth)
{
	for (int i = 0; i < 5; i++)
		do_insert(d, truth, i);
	for (int i = 0; i < 5; i++)
		assert_int_equal(truth->tokens[i], PRESENT);
}

/* Opens, uses and closes a store while @n calls from the @first on fail; false when there are fewer
 * calls than that. */
static bool round_with(enum fault_kind kind, int64_t first, int64_t n, bool at_open)
{
	struct store_driver d;
	struct truth truth = {.tokens = {ABSENT}};
	open_faulty(&d);
	assert_ok(store_driver_open(&d));
	fill(&d, &truth);
	insert_others(&d, &truth);
	if (at_open)
		store_driver_close(&d);
	fault_vfs_fail(kind, first, n);
	if (at_open)
		assert_ok(store_driver_open(&d)); /* not there is not a reason to give up */
	use(&d, &truth);
	bool reached = fault_vfs_counts().injected > 0;
	fault_vfs_heal();
	assert_ok(driver_wait_until_healthy(&d));
	audit(&d, &truth);
	do_insert(&d, &truth, 20);
	assert_int_equal(truth.tokens[20], PRESENT);

	store_driver_close(&d);
	check_integrity(&d);
	assert_ok(store_driver_open(&d));
	audit(&d, &truth);
	store_driver_done(&d);
	return reached;
}

static void each_call_that_fails_once_is_survived(void **state)
{
	(void)state;
	int64_t n = 1;
	while (round_with(FAULT_IO, n, 1, false))
		n++;
	assert_true(n > 20);
	n = 1;
	while (round_with(FAULT_IO, n, 1, true))
		n++;
	assert_true(n > 60);
}

static void calls_that_go_on_failing_are_survived(void **state)
{
	(void)state;
	int64_t n = 1;
	while (round_with(FAULT_IO, n, 1000000, false))
		n += 3;
	n = 1;
	while (round_with(FAULT_IO, n, 1000000, true))
		n += 7;
}

static void disk_that_fills_up_at_any_write_is_survived(void **state)
{
	(void)state;
	int64_t n = 1;
	while (round_with(FAULT_FULL, n, 1, false))
		n++;
	n = 1;
	while (round_with(FAULT_FULL, n, 1000000, true))
		n += 2;
}

/* --- Full and read-only, as an operator sees it --- */

static void no_write_works(enum fault_kind kind)
{
	struct store_driver d;
	struct truth truth = {.tokens = {ABSENT}};
	open_faulty(&d);
	assert_ok(store_driver_open(&d));
	fill(&d, &truth);
	assert_ok(driver_check(&d));

	fault_vfs_fail(kind, 1, 1000000000);
	char name[16];
	for (int i = 100; i < 110; i++) {
		name_of(i, name);
		_cleanup_(token_unrefp) struct token *t =
			make_token(TOKEN_USER, "alice", name, TODAY);
		assert_int_equal(driver_insert(&d, t).code, STATUS_UNAVAILABLE);
		truth.tokens[i] = UNSURE;
		look(&d, &truth, 1, true); /* reads go on */
	}
	assert_int_equal(driver_check(&d).code, STATUS_UNAVAILABLE); /* not ready */

	fault_vfs_heal();
	assert_ok(driver_wait_until_healthy(&d)); /* and nobody had to write for it to find out */
	do_insert(&d, &truth, 200);
	assert_int_equal(truth.tokens[200], PRESENT);
	audit(&d, &truth);
	store_driver_done(&d);
}

static void full_disk_refuses_writes_and_answers_reads_and_recovers(void **state)
{
	(void)state;
	no_write_works(FAULT_FULL);
}

/* Another program has taken the last room. */
static void full_disk_takes_what_the_log_has_room_for(void **state)
{
	(void)state;
	struct store_driver d;
	struct truth truth = {.tokens = {ABSENT}};
	open_faulty(&d);
	assert_ok(store_driver_open(&d));
	for (int i = 0; i < 200; i++)
		do_insert(&d, &truth, i);

	fault_vfs_fail(FAULT_GROWTH, 1, 1000000000);
	for (int i = 0; i < 100; i++) {
		do_delete(&d, &truth, i);
		assert_int_equal(truth.tokens[i], ABSENT);
		do_insert(&d, &truth, 300 + i);
		assert_int_equal(truth.tokens[300 + i], PRESENT);
	}
	assert_true(fault_vfs_counts().injected > 0);
	assert_ok(driver_check(&d));
	fault_vfs_heal();
	audit(&d, &truth);
	store_driver_close(&d);
	check_integrity(&d);
	store_driver_done(&d);
}

static void read_only_disk_refuses_writes_and_answers_reads_and_recovers(void **state)
{
	(void)state;
	no_write_works(FAULT_READONLY);
}

/* --- A group in which something fails --- */

struct crowd {
	struct latch *latch;
	atomic_int results[STATUS_CODE_COUNT];
	struct truth *truth;
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
	m->crowd->truth->tokens[m->n] = status_is_ok(status) ? PRESENT : UNSURE;
	latch_down(m->crowd->latch);
}

/* Starts @n inserts at once, from token @first on, and waits for all answers. */
static void insert_many(struct store_driver *d, struct crowd *crowd, int first, int n)
{
	struct member *members = xcalloc((size_t)n, sizeof *members);
	crowd->latch = latch_new(n);
	for (int i = 0; i < n; i++) {
		char name[16];
		name_of(first + i, name);
		_cleanup_(token_unrefp) struct token *t =
			make_token(TOKEN_USER, "alice", name, TODAY);
		members[i] = (struct member){crowd, first + i};
		struct store_waiter waiter = {d->loop, MONO_TIME_NEVER, &members[i]};
		store_token_insert(d->store, t, NULL, NULL, waiter, on_member);
	}
	latch_wait(crowd->latch);
	latch_free(crowd->latch);
	free(members);
}

static void group_shares_syncs(void **state)
{
	(void)state;
	struct store_driver d;
	struct truth truth = {.tokens = {ABSENT}};
	struct crowd crowd = {.truth = &truth};
	open_faulty(&d);
	assert_ok(store_driver_open(&d));
	fault_vfs_slow_syncs(2000);
	int64_t before = fault_vfs_counts().syncs;
	insert_many(&d, &crowd, 0, 400);
	int64_t syncs = fault_vfs_counts().syncs - before;
	struct store_stats stats = store_stats(d.store);
	assert_int_equal(stats.writes, 400);
	assert_in_range(stats.commits, 1, syncs);
	assert_int_equal(crowd.results[STATUS_OK], 400);
	if (syncs > 400 / 16)
		fail_msg("%lld syncs for 400 inserts", (long long)syncs);
	audit(&d, &truth);
	store_driver_done(&d);
}

static void group_whose_commit_fails_is_done_again_one_by_one(void **state)
{
	(void)state;
	for (int64_t n = 1; n < 60; n += 2) {
		struct store_driver d;
		struct truth truth = {.tokens = {ABSENT}};
		struct crowd crowd = {.truth = &truth};
		open_faulty(&d);
		assert_ok(store_driver_open(&d));
		fill(&d, &truth);
		fault_vfs_fail(FAULT_FULL, n, 1);
		insert_many(&d, &crowd, 100, 50);
		int injected = (int)fault_vfs_counts().injected;
		/* Whoever was alone when it struck may have failed; the others did not. */
		assert_in_range(crowd.results[STATUS_UNAVAILABLE], 0, injected);
		assert_int_equal(crowd.results[STATUS_OK] + crowd.results[STATUS_UNAVAILABLE], 50);
		fault_vfs_heal();
		assert_ok(driver_wait_until_healthy(&d));
		audit(&d, &truth);
		store_driver_done(&d);
		if (!injected)
			break;
	}
}

struct deletion {
	struct latch *latch;
	struct status status;
	size_t n;
};

static void on_all_deleted(
	void *arg, const struct status *status, struct token *const *tokens, size_t n)
{
	(void)tokens;
	struct deletion *deletion = arg;
	deletion->status = *status;
	deletion->n = n;
	latch_down(deletion->latch);
}

static void delete_of_all_that_is_done_again_counts_once(void **state)
{
	(void)state;
	bool injected = true;
	for (int64_t n = 1; injected; n++) {
		struct store_driver d;
		struct truth truth = {.tokens = {ABSENT}};
		struct crowd crowd = {.truth = &truth};
		struct deletion deletion = {.latch = latch_new(1)};
		open_faulty(&d);
		assert_ok(store_driver_open(&d));
		insert_others(&d, &truth);
		fault_vfs_fail(FAULT_FULL, n, 1);
		struct store_waiter waiter = {d.loop, MONO_TIME_NEVER, &deletion};
		store_tokens_delete(
			d.store, TOKEN_SERVICE, STR("gone"), 10, waiter, on_all_deleted);
		insert_many(&d, &crowd, 0, 20);
		latch_wait(deletion.latch);
		injected = fault_vfs_counts().injected > 0;
		if (worked(deletion.status))
			assert_int_equal(deletion.n, 2);
		truth.of_gone = status_is_ok(&deletion.status) ? ABSENT : UNSURE;
		fault_vfs_heal();
		assert_ok(driver_wait_until_healthy(&d));
		audit(&d, &truth);
		latch_free(deletion.latch);
		store_driver_done(&d);
	}
}

static void on_deleted(void *arg, const struct status *status, struct token *token)
{
	(void)token;
	struct member *m = arg;
	atomic_fetch_add(&m->crowd->results[status->code], 1);
	m->crowd->truth->tokens[m->n] = status_is_ok(status) ? ABSENT : UNSURE;
	latch_down(m->crowd->latch);
}

static void delete_many(struct store_driver *d, struct crowd *crowd, int first, int n)
{
	struct member *members = xcalloc((size_t)n, sizeof *members);
	crowd->latch = latch_new(n);
	for (int i = 0; i < n; i++) {
		char name[16];
		name_of(first + i, name);
		members[i] = (struct member){crowd, first + i};
		struct store_waiter waiter = {d->loop, MONO_TIME_NEVER, &members[i]};
		store_token_delete(
			d->store, TOKEN_USER, STR("alice"), str_of(name), waiter, on_deleted);
	}
	latch_wait(crowd->latch);
	latch_free(crowd->latch);
	free(members);
}

/* A commit whose sync fails may have reached the log: when the file is opened again its rows are
 * there, and the second try must not take them for somebody else's. */
static void commit_that_failed_and_was_done_all_the_same_is_no_contradiction(void **state)
{
	(void)state;
	int reruns = 0;
	for (int i = 0; i < 14 * 12; i++) {
		struct store_driver d;
		struct truth truth = {.tokens = {ABSENT}};
		struct crowd inserts = {.truth = &truth}, deletes = {.truth = &truth};
		open_faulty(&d);
		assert_ok(store_driver_open(&d));
		fill(&d, &truth);
		fault_vfs_fail(FAULT_IO, 1 + i / 12, 1 + i % 12);
		insert_many(&d, &inserts, 100, 20);
		reruns += fault_vfs_counts().injected > 0 && inserts.results[STATUS_OK] > 0;
		assert_int_equal(
			inserts.results[STATUS_OK] + inserts.results[STATUS_UNAVAILABLE], 20);
		fault_vfs_heal();
		assert_ok(driver_wait_until_healthy(&d));
		audit(&d, &truth);

		fault_vfs_fail(FAULT_IO, 1 + i / 12, 1 + i % 12);
		delete_many(&d, &deletes, 0, 5);
		assert_int_equal(
			deletes.results[STATUS_OK] + deletes.results[STATUS_UNAVAILABLE], 5);
		fault_vfs_heal();
		assert_ok(driver_wait_until_healthy(&d));
		audit(&d, &truth);
		store_driver_done(&d);
	}
	assert_true(reruns > 20);
}

static void on_tokens_deleted(
	void *arg, const struct status *status, struct token *const *tokens, size_t n)
{
	(void)tokens;
	struct member *m = arg;
	atomic_fetch_add(&m->crowd->results[status->code], 1);
	m->n = (int)n;
	latch_down(m->crowd->latch);
}

/* Who asks for all of a user's tokens goes on until fewer than the limit came: one that is told
 * twice would end that too early. */
static void tokens_deleted_by_a_second_try_are_told_once(void **state)
{
	(void)state;
	bool reached = true;
	for (int64_t n = 1; reached; n++) {
		struct store_driver d;
		struct truth truth = {.tokens = {ABSENT}, .has_others = false};
		struct crowd crowd = {.truth = &truth, .latch = latch_new(3)};
		struct member first = {&crowd, 100}, all = {&crowd, 0}, last = {&crowd, 101};
		open_faulty(&d);
		assert_ok(store_driver_open(&d));
		insert_others(&d, &truth);
		fault_vfs_slow_syncs(2000); /* the first one's, behind which the others gather */
		fault_vfs_fail(FAULT_FULL, n, 1);
		_cleanup_(token_unrefp) struct token *a =
			make_token(TOKEN_USER, "alice", "t100", TODAY);
		_cleanup_(token_unrefp) struct token *b =
			make_token(TOKEN_USER, "alice", "t101", TODAY);
		store_token_insert(d.store, a, NULL, NULL,
			(struct store_waiter){d.loop, MONO_TIME_NEVER, &first}, on_member);
		store_tokens_delete(d.store, TOKEN_SERVICE, STR("gone"), 2,
			(struct store_waiter){d.loop, MONO_TIME_NEVER, &all}, on_tokens_deleted);
		store_token_insert(d.store, b, NULL, NULL,
			(struct store_waiter){d.loop, MONO_TIME_NEVER, &last}, on_member);
		latch_wait(crowd.latch);
		latch_free(crowd.latch);
		reached = fault_vfs_counts().injected > 0;
		assert_in_range(all.n, 0, 2);
		fault_vfs_heal();
		store_driver_done(&d);
	}
}

/* --- Power loss --- */

static void power_is_lost(uint32_t seed)
{
	struct store_driver d;
	static struct truth truth;
	struct crowd crowd = {.truth = &truth};
	memset(&truth, 0, sizeof truth);
	open_faulty(&d);
	fault_vfs_remember();
	assert_ok(store_driver_open(&d));
	fill(&d, &truth);
	for (int i = 0; i < 4; i++) {
		insert_many(&d, &crowd, 20 + i * 40, 40);
		do_delete(&d, &truth, i);
		do_delete(&d, &truth, 20 + i * 40);
	}
	/* The power goes in the middle of what follows: some call of its transactions is the first
	 * that fails, and all behind it do. */
	fault_vfs_fail(FAULT_IO, 1 + seed % 23, 1000000000);
	crowd = (struct crowd){.truth = &truth};
	insert_many(&d, &crowd, 300, 40);
	do_delete(&d, &truth, 25);
	fault_vfs_power_off();
	store_driver_close(&d);
	fault_vfs_heal();
	fault_vfs_power_on(seed);

	check_integrity(&d);
	assert_ok(store_driver_open(&d));
	assert_ok(driver_wait_until_healthy(&d));
	audit(&d, &truth);
	store_driver_done(&d);
}

static void acknowledged_writes_outlive_a_loss_of_power(void **state)
{
	(void)state;
	const char *rounds = getenv("ROUNDS");
	int n = rounds ? (int)strtol(rounds, NULL, 10) : 25;
	for (int i = 0; i < n; i++)
		power_is_lost((uint32_t)i * 7919u + 17u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_call_that_fails_once_is_survived),
		cmocka_unit_test(calls_that_go_on_failing_are_survived),
		cmocka_unit_test(disk_that_fills_up_at_any_write_is_survived),
		cmocka_unit_test(full_disk_refuses_writes_and_answers_reads_and_recovers),
		cmocka_unit_test(full_disk_takes_what_the_log_has_room_for),
		cmocka_unit_test(read_only_disk_refuses_writes_and_answers_reads_and_recovers),
		cmocka_unit_test(group_shares_syncs),
		cmocka_unit_test(group_whose_commit_fails_is_done_again_one_by_one),
		cmocka_unit_test(delete_of_all_that_is_done_again_counts_once),
		cmocka_unit_test(commit_that_failed_and_was_done_all_the_same_is_no_contradiction),
		cmocka_unit_test(tokens_deleted_by_a_second_try_are_told_once),
		cmocka_unit_test(acknowledged_writes_outlive_a_loss_of_power),
	};
	return RUN_TESTS(tests);
}
