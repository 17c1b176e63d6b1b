/* SPDX-License-Identifier: Apache-2.0 */
/* Writes that wait share a sync: how many, and how long one waits at most. On a disk that is played
 * (fault_vfs), so that the figures are those of the store and not of the machine. */
#include "service/app/token_keeper.h"
#include "tests/lib/fault_vfs.h"
#include "tests/lib/store_driver.h"
#include "tests/lib/store_load.h"
#include "tests/lib/test.h"

#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void many_clients_share_syncs(void **state)
{
	(void)state;
	enum {
		SYNC_US = 8000, /* so slow that the work of a sanitizer is little beside it */
		CLIENTS = 64
	};
	fault_vfs_reset();
	fault_vfs_slow_syncs(SYNC_US);
	struct store_driver d = {.vfs = FAULT_VFS};
	assert_ok(store_driver_open(&d));
	struct store_load one, many;
	store_load_run(&d, 1, 1.0, &one);
	store_load_run(&d, CLIENTS, 3.0, &many);
	double sets_a_sync = (double)many.inserts / (double)many.syncs;
	double times = (double)many.inserts / many.took_s / ((double)one.inserts / one.took_s);
	printf("%.1f inserts a sync, %.1f times the rate of one client, p99 of an insert %lld "
	       "syncs\n",
		sets_a_sync, times, (long long)many.waited_syncs.p99);
	assert_true(sets_a_sync >= 16);
	assert_true(times >= 12);
	assert_true(many.waited_syncs.p99 <= 4);
	/* One alone is not kept waiting for company. */
	assert_int_equal(one.waited_syncs.p50, 1);
	store_driver_done(&d);
}

struct slow_insert {
	struct latch *latch;
	atomic_bool done;
};

static void on_slow_insert(
	void *arg, const struct status *status, const struct store_insert_result *result)
{
	(void)result;
	struct slow_insert *insert = arg;
	assert_ok(*status);
	atomic_store(&insert->done, true);
	latch_down(insert->latch);
}

static void reads_do_not_wait_for_a_write_that_waits_for_the_disk(void **state)
{
	(void)state;
	struct store_driver d = {.vfs = FAULT_VFS};
	fault_vfs_reset();
	assert_ok(store_driver_open(&d));
	_cleanup_(token_unrefp) struct token *there = make_token(TOKEN_USER, "alice", "t", 20800),
					     *new = make_token(TOKEN_USER, "alice", "u", 20800);
	assert_ok(driver_insert(&d, there));

	fault_vfs_slow_syncs(2000000);
	struct slow_insert insert = {.latch = latch_new(1)};
	store_token_insert(d.store, new, NULL, NULL,
		(struct store_waiter){d.loop, MONO_TIME_NEVER, &insert}, on_slow_insert);
	for (int i = 0; i < 10; i++) {
		assert_ok(driver_by_hash(&d, &there->fields.hash, NULL));
		assert_int_equal(
			driver_by_hash(&d, &new->fields.hash, NULL).code, STATUS_NOT_FOUND);
	}
	assert_false(atomic_load(&insert.done));
	latch_wait(insert.latch);
	latch_free(insert.latch);
	assert_ok(driver_by_hash(&d, &new->fields.hash, NULL));
	fault_vfs_slow_syncs(0);
	store_driver_done(&d);
}

/* Tokens that expired on one day, past the port. */
static void fill_expired(const char *folder, int n)
{
	char path[128], sql[512];
	sqlite3 *db;
	snprintf(path, sizeof path, "%s/tokens.db", folder);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	snprintf(sql, sizeof sql,
		"BEGIN; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < "
		"%d) "
		"INSERT INTO token (hash, kind, owner, name, description, roles, expires_day, "
		"created_us, last_used_us) SELECT randomblob(32), 0, 'u' || (i / 10), 't' || i, "
		"'', "
		"'[]', 100, 0, 0 FROM n; "
		"UPDATE counter SET value = value + %d WHERE name = 'user_tokens'; COMMIT",
		n, n);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void on_stopped(void *arg)
{
	latch_down(arg);
}

static void purge_of_very_many_keeps_no_writer_waiting(void **state)
{
	(void)state;
	enum {
		SYNC_US = 3000,
		CLIENTS = 64
	};
	const bool is_long = getenv("ROUNDS");
	const int expired = is_long ? 250000 : 20000;
	fault_vfs_reset();
	fault_vfs_slow_syncs(SYNC_US);
	struct store_driver d = {.vfs = FAULT_VFS};
	assert_ok(store_driver_open(&d));
	store_driver_close(&d);
	fill_expired(d.folder, expired);
	assert_ok(store_driver_open(&d));
	struct store_load before, during;
	store_load_run(&d, CLIENTS, 3.0, &before);
	struct token_keeper *keeper = token_keeper_new(&(struct token_keeper_config){
		.store = d.store, .home = d.loop, .clock = &clock_system, .purge_interval_ms = 1});
	store_load_run(&d, CLIENTS, 3.0, &during);
	uint64_t in_time = token_keeper_stats(keeper).purged;
	for (int s = 0; is_long && s < 600 && token_keeper_stats(keeper).purged < (uint64_t)expired;
		s++)
		usleep(1000000);
	uint64_t purged = token_keeper_stats(keeper).purged;
	printf("p99 of an insert %.1f ms, during a purge %.1f ms (%lld and %lld syncs), with %llu "
	       "deleted meanwhile, %llu of %d in the end\n",
		(double)before.latency_us.p99 / 1000, (double)during.latency_us.p99 / 1000,
		(long long)before.waited_syncs.p99, (long long)during.waited_syncs.p99,
		(unsigned long long)in_time, (unsigned long long)purged, expired);
	assert_true(in_time > 500);
	assert_true(!is_long || purged == (uint64_t)expired);
	assert_true(during.waited_syncs.p99 <= 4);
	/* The machine may have other work. */
	assert_true(during.latency_us.p99 < 3 * before.latency_us.p99 + 20000);

	struct latch *latch = latch_new(1);
	token_keeper_stop(keeper, on_stopped, latch);
	latch_wait(latch);
	latch_free(latch);
	store_driver_close(&d);
	token_keeper_free(keeper);
	store_driver_done(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_clients_share_syncs),
		cmocka_unit_test(reads_do_not_wait_for_a_write_that_waits_for_the_disk),
		cmocka_unit_test(purge_of_very_many_keeps_no_writer_waiting),
	};
	return RUN_TESTS(tests);
}
