/* SPDX-License-Identifier: Apache-2.0 */
/* A database of an older version becomes one of this version: with every row it had, in little
 * memory, and not at all if anything comes between. */
#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/xalloc.h"
#include "service/store/migration.h"
#include "service/store/sqlite/connection.h"
#include "service/store/sqlite/migrate.h"
#include "service/store/sqlite/sqlite_store.h"
#include "tests/lib/fault_vfs.h"
#include "tests/lib/store_driver.h"
#include "tests/lib/test.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	FEW = 300,
	/* With so much description, more than is sorted in memory, and than is short. */
	MANY = 6000,
	LONG_BYTES = 4000,
};

static const struct migration_dialect dialect = {
	.text_type = "TEXT",
	.bytes_type = "BLOB",
	.int_type = "INTEGER",
	.table_suffix = "STRICT",
};

/* --- Databases of older versions --- */

static int set_up(void **state)
{
	struct store_driver *d = xnew(struct store_driver);
	fault_vfs_reset();
	store_driver_init(d); /* makes the folder */
	store_driver_close(d);
	*state = d;
	return 0;
}

static int tear_down(void **state)
{
	fault_vfs_reset();
	store_driver_done(*state);
	free(*state);
	return 0;
}

static void execute(sqlite3 *db, const char *sql)
{
	char *error = NULL;
	if (sqlite3_exec(db, sql, NULL, NULL, &error) != SQLITE_OK)
		fail_msg("%s: %s", sql, error);
}

static void make_schema(sqlite3 *db, int version)
{
	execute(db, "PRAGMA journal_mode = WAL; PRAGMA application_id = 1869835631; "
		    "CREATE TABLE schema_version (version INTEGER NOT NULL PRIMARY KEY, "
		    "name TEXT NOT NULL, applied_us INTEGER NOT NULL) STRICT");
	for (int i = 0; i < version; i++) {
		_cleanup_buf_ struct buf sql;
		buf_init(&sql, 1 << 20);
		assert_ok(migration_render(&migrations[i], &dialect, &sql));
		buf_printf(&sql, "INSERT INTO schema_version VALUES (%d, '%s', 0)",
			migrations[i].version, migrations[i].name);
		execute(db, buf_str(&sql).p);
	}
}

/* @n tokens of 20 owners, in no order; those of version 2 have been rotated and used, too. */
static void fill(sqlite3 *db, int version, int n, int description_bytes)
{
	_cleanup_buf_ struct buf sql;
	buf_init(&sql, 4096);
	buf_printf(&sql,
		"WITH RECURSIVE i(x) AS (SELECT 0 UNION ALL SELECT x + 1 FROM i WHERE x < %d) "
		"INSERT INTO token (hash, kind, owner, name, description, roles, expires_day, "
		"created_us, last_used_us) SELECT randomblob(32), x %% 7 = 0, "
		"'u' || (x * 7919 %% 20), 't' || (x * 104729 %% %d) || 'é', "
		"substr(hex(zeroblob(%d)) || ' of ' || x, -%d), '[\"osmo-user\"]', "
		"20000 + x %% 900, 1780000000000000 + x, x %% 3 * 1780000000000000 FROM i; ",
		n - 1, n * 3, description_bytes, description_bytes);
	if (version > 1)
		buf_printf(&sql, "UPDATE token SET last_used_from = '192.0.2.' || (created_us %% "
				 "200), old_until_us = created_us + 1, old_hash = CASE created_us "
				 "%% 2 WHEN 0 THEN randomblob(32) END; ");
	buf_printf(&sql, "UPDATE counter SET value = (SELECT count(*) FROM token WHERE kind = 0) "
			 "WHERE name = 'user_tokens'; "
			 "UPDATE counter SET value = (SELECT count(*) FROM token WHERE kind = 1) "
			 "WHERE name = 'service_tokens'; "
			 "INSERT INTO profile VALUES ('u1', 1, 0, 'b', NULL)");
	execute(db, buf_str(&sql).p);
}

static void make_database(
	const struct store_driver *d, int version, int n_tokens, int description_bytes)
{
	sqlite3 *db;
	unlink(store_driver_database(d));
	assert_int_equal(sqlite3_open(store_driver_database(d), &db), SQLITE_OK);
	execute(db, "PRAGMA synchronous = OFF; PRAGMA cache_size = -400000");
	make_schema(db, version);
	fill(db, version, n_tokens, description_bytes);
	sqlite3_close(db);
}

/* The first column of all rows, one below the other; for the caller to free. */
static char *rows_of(const struct store_driver *d, const char *query)
{
	sqlite3 *db;
	sqlite3_stmt *stmt;
	struct buf out;
	buf_init(&out, SIZE_MAX);
	assert_int_equal(sqlite3_open(store_driver_database(d), &db), SQLITE_OK);
	if (sqlite3_prepare_v2(db, query, -1, &stmt, NULL) != SQLITE_OK)
		fail_msg("%s: %s", query, sqlite3_errmsg(db));
	while (sqlite3_step(stmt) == SQLITE_ROW)
		buf_printf(&out, "%s\n", (const char *)sqlite3_column_text(stmt, 0));
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	char *text = xstrdup(buf_str(&out).n ? buf_str(&out).p : "");
	buf_done(&out);
	return text;
}

/* Everything that version @version knows of the tokens. */
static char *tokens_of(const struct store_driver *d, int version)
{
	return rows_of(d,
		version > 1 ? "SELECT kind || '|' || owner || '|' || name "
			      "|| '|' || hex(hash) || '|' || description || '|' || roles || '|' || "
			      "expires_day || '|' || created_us || '|' || last_used_us || '|' || "
			      "last_used_from || '|' || quote(old_hash) || '|' || old_until_us "
			      "FROM token ORDER BY kind, owner, name"
			    : "SELECT kind || '|' || owner || '|' || name || '|' || hex(hash) || "
			      "'|' || description || '|' || roles || '|' || expires_day || '|' || "
			      "created_us || '|' || last_used_us FROM token "
			      "ORDER BY kind, owner, name");
}

static void assert_rows(const struct store_driver *d, const char *query, const char *wanted)
{
	_cleanup_free_ char *rows = rows_of(d, query);
	assert_string_equal(rows, wanted);
}

static void assert_is_of(const struct store_driver *d, int version)
{
	char wanted[16];
	snprintf(wanted, sizeof wanted, "%d\n", version);
	assert_rows(d, "SELECT max(version) FROM schema_version", wanted);
	assert_rows(d, "PRAGMA integrity_check", "ok\n");
}

static int latest(void)
{
	return migrations_latest(SQLITE_STORE_NAME);
}

/* --- Tests --- */

static void every_row_of_every_version_is_kept(void **state)
{
	struct store_driver *d = *state;
	for (int version = 1; version < latest(); version++) {
		make_database(d, version, FEW, 40);
		_cleanup_free_ char *before = tokens_of(d, version);
		assert_ok(store_driver_open(d));
		assert_int_equal(store_token_counts(d->store).user_tokens, FEW - (FEW + 6) / 7);
		assert_int_equal(store_token_counts(d->store).service_tokens, (FEW + 6) / 7);
		store_driver_close(d);
		_cleanup_free_ char *after = tokens_of(d, version);
		assert_string_equal(after, before);
		assert_rows(d, "SELECT bucket FROM profile WHERE user_name = 'u1'", "b\n");
		assert_is_of(d, latest());
	}
}

static void new_database_and_old_one_have_the_same_schema(void **state)
{
	struct store_driver *d = *state;
	static const char *const query =
		"SELECT type || ' ' || tbl_name || ' ' || coalesce(sql, '') "
		"FROM sqlite_schema ORDER BY name";
	_cleanup_free_ char *fresh = rows_of(d, query);
	make_database(d, 1, FEW, 40);
	assert_ok(store_driver_open(d));
	store_driver_close(d);
	_cleanup_free_ char *migrated = rows_of(d, query);
	assert_string_equal(migrated, fresh);
}

/* Names of the files that SQLite made there for itself: "etilqs_" and a number. */
static bool saw_temporary_file(int watch)
{
	char events[65536] __attribute__((aligned(__alignof__(struct inotify_event))));
	bool seen = false;
	for (ssize_t n; !seen && (n = read(watch, events, sizeof events)) > 0;)
		for (const char *p = events; p < events + n;) {
			const struct inotify_event *e = (const void *)p;
			seen = seen || (e->len && strncmp(e->name, "etilqs_", 7) == 0);
			p += sizeof *e + e->len;
		}
	return seen;
}

/* Also where nothing but the data directory may be written. */
static void what_is_sorted_lies_beside_the_database(void **state)
{
	struct store_driver *d = *state;
	make_database(d, 2, MANY, LONG_BYTES);
	_cleanup_close_ int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	assert_true(inotify_add_watch(watch, d->folder, IN_CREATE) >= 0);
	assert_ok(store_driver_open(d));
	assert_true(saw_temporary_file(watch));
	assert_null(sqlite3_temp_directory);
	store_driver_close(d);
	assert_is_of(d, latest());
	assert_rows(d, "SELECT count(*) FROM token", "6000\n");
}

static void long_one_is_done_after_the_opening_and_reads_go_on(void **state)
{
	struct store_driver *d = *state;
	struct token_hash hash;
	sqlite3 *db;
	make_database(d, 2, MANY, LONG_BYTES);
	assert_int_equal(sqlite3_open(store_driver_database(d), &db), SQLITE_OK);
	memset(hash.bytes, 'h', sizeof hash.bytes);
	execute(db, "INSERT INTO token (hash, kind, owner, name, description, roles, expires_day, "
		    "created_us, last_used_us) VALUES (CAST('hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh' AS "
		    "BLOB), 0, 'o', 'n', '', '[]', 20000, 0, 0)");
	sqlite3_close(db);

	d->migrates_later = true;
	assert_ok(store_driver_open(d));
	_cleanup_(token_unrefp) struct token *early = make_token(TOKEN_USER, "alice", "e", 20800);
	/* It may have been done already, on a machine that was busy with something else just now.
	 */
	struct status status = driver_insert(d, early);
	bool was_early = !status_is_ok(&status);
	if (was_early)
		assert_status(status, STATUS_UNAVAILABLE, MIGRATE_TEXT);
	_cleanup_(token_unrefp) struct token *found = NULL;
	assert_ok(driver_by_hash(d, &hash, &found));
	assert_str(found->fields.name, "n");
	assert_ok(driver_wait_until_healthy(d));
	if (was_early)
		assert_ok(driver_insert(d, early));
	assert_int_equal(store_token_counts(d->store).user_tokens, MANY - (MANY + 6) / 7 + 1);
	store_driver_close(d);
	assert_is_of(d, latest());
}

/* What migrate() says of the database of @d. */
static struct status migrate_once(
	const struct store_driver *d, bool *ret_later, bool (*go_on)(void *arg), void *arg)
{
	const struct connection_options of_connection = {
		.path = store_driver_database(d), .cache_kib = 64};
	const struct migrate_options options = {.connection = &of_connection,
		.clock = &clock_system,
		.ret_later = ret_later,
		.go_on = go_on,
		.arg = arg};
	struct connection c;
	assert_ok(connection_open(&of_connection, &c));
	struct status status = migrate(&c, &options);
	connection_close(&c);
	return status;
}

static void only_a_long_one_is_left_for_later(void **state)
{
	struct store_driver *d = *state;
	bool later = false;
	make_database(d, 2, FEW, 40);
	assert_ok(migrate_once(d, &later, NULL, NULL));
	assert_false(later);
	assert_is_of(d, latest());
	make_database(d, 2, MANY, LONG_BYTES);
	assert_status(migrate_once(d, &later, NULL, NULL), STATUS_UNAVAILABLE, MIGRATE_TEXT);
	assert_true(later);
	assert_is_of(d, 2);
}

static bool third_time_stop(void *arg)
{
	int *asked = arg;
	return ++*asked < 3;
}

static void stop_leaves_all_as_it_was(void **state)
{
	struct store_driver *d = *state;
	int asked = 0;
	make_database(d, 2, MANY, 100);
	_cleanup_free_ char *before = tokens_of(d, 2);
	assert_status(
		migrate_once(d, NULL, third_time_stop, &asked), STATUS_UNAVAILABLE, MIGRATE_TEXT);
	assert_int_equal(asked, 3);
	assert_is_of(d, 2);
	_cleanup_free_ char *after = tokens_of(d, 2);
	assert_string_equal(after, before);
}

static void stop_of_the_store_does_not_wait_for_it(void **state)
{
	struct store_driver *d = *state;
	make_database(d, 2, MANY, LONG_BYTES);
	d->migrates_later = true;
	assert_ok(store_driver_open(d));
	store_driver_close(d);
	d->migrates_later = false;
	assert_ok(store_driver_open(d));
	store_driver_close(d);
	assert_is_of(d, latest());
	assert_rows(d, "SELECT count(*) FROM token", "6000\n");
}

static void one_that_failed_is_done_again_when_the_cause_is_gone(void **state)
{
	struct store_driver *d = *state;
	make_database(d, 2, MANY, LONG_BYTES);
	d->vfs = FAULT_VFS;
	d->migrates_later = true;
	fault_vfs_fail(FAULT_FULL, 500, INT64_MAX / 2);
	assert_ok(store_driver_open(d));
	while (!fault_vfs_counts().injected)
		usleep(1000);
	assert_int_equal(driver_check(d).code, STATUS_UNAVAILABLE);
	_cleanup_(token_unrefp) struct token *t = make_token(TOKEN_USER, "alice", "e", 20800);
	assert_int_equal(driver_insert(d, t).code, STATUS_UNAVAILABLE);
	fault_vfs_heal();
	assert_ok(driver_wait_until_healthy(d));
	assert_ok(driver_insert(d, t));
	store_driver_close(d);
	assert_is_of(d, latest());
}

static void database_that_is_locked_is_not_waited_for_at_the_start(void **state)
{
	struct store_driver *d = *state;
	sqlite3 *db;
	make_database(d, 2, FEW, 40);
	assert_int_equal(sqlite3_open(store_driver_database(d), &db), SQLITE_OK);
	execute(db, "BEGIN IMMEDIATE");
	int64_t begun_us = clock_mono(&clock_system).us;
	assert_ok(store_driver_open(d));
	assert_true(clock_mono(&clock_system).us - begun_us < 4 * US_PER_S);
	assert_int_equal(driver_check(d).code, STATUS_UNAVAILABLE);
	execute(db, "ROLLBACK");
	sqlite3_close(db);
	assert_ok(driver_wait_until_healthy(d));
	store_driver_close(d);
	assert_is_of(d, latest());
}

static void index_that_differs_from_its_table_is_told(void **state)
{
	struct store_driver *d = *state;
	sqlite3 *db;
	make_database(d, 2, FEW, 40);
	assert_int_equal(sqlite3_open(store_driver_database(d), &db), SQLITE_OK);
	execute(db, "DROP INDEX token_by_owner; CREATE INDEX token_by_owner ON token (kind, owner, "
		    "name); UPDATE token SET owner = 'u1', name = 'same' WHERE kind = 1 AND rowid "
		    "< 20");
	sqlite3_close(db);
	struct status status = store_driver_open(d);
	assert_int_equal(status.code, STATUS_DATA_LOSS);
	assert_non_null(strstr(status.message, "an index differs from its table"));
	assert_is_of(d, 2);
}

static void failure_of_any_call_leaves_all_as_it_was_and_it_is_done_again(void **state)
{
	struct store_driver *d = *state;
	int64_t calls = INT64_MAX;
	int failed = 0;
	d->vfs = FAULT_VFS;
	/* Each of the first, then one here and there: the many in the middle write pages. */
	for (int64_t call = 1; call <= calls; call += call < 150 ? 1 : 1 + call / 20) {
		make_database(d, 2, FEW, 400);
		_cleanup_free_ char *before = tokens_of(d, 2);
		fault_vfs_reset();
		fault_vfs_fail(call % 2 ? FAULT_IO : FAULT_FULL, call, 1);
		struct status status = store_driver_open(d);
		if (status_is_ok(&status)) {
			struct status check = driver_check(d);
			if (!status_is_ok(&check))
				assert_int_equal(check.code, STATUS_UNAVAILABLE);
			assert_ok(driver_wait_until_healthy(d));
			store_driver_close(d);
		}
		struct fault_counts counts = fault_vfs_counts();
		failed += counts.injected > 0;
		if (!counts.injected && call % 2)
			calls = call; /* there is no such call: it was the last */
		fault_vfs_reset();
		_cleanup_free_ char *after = tokens_of(d, 2);
		assert_string_equal(after, before);
		assert_is_of(d, latest());
	}
	assert_true(failed > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			every_row_of_every_version_is_kept, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			new_database_and_old_one_have_the_same_schema, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_is_sorted_lies_beside_the_database, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			long_one_is_done_after_the_opening_and_reads_go_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			only_a_long_one_is_left_for_later, set_up, tear_down),
		cmocka_unit_test_setup_teardown(stop_leaves_all_as_it_was, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			stop_of_the_store_does_not_wait_for_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			one_that_failed_is_done_again_when_the_cause_is_gone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			database_that_is_locked_is_not_waited_for_at_the_start, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			index_that_differs_from_its_table_is_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			failure_of_any_call_leaves_all_as_it_was_and_it_is_done_again, set_up,
			tear_down),
	};
	return RUN_TESTS(tests);
}
