/* SPDX-License-Identifier: Apache-2.0 */
/* What is particular to the embedded store: its folder, its file, its schema, its indexes. */
#include "common/base/buf.h"
#include "common/base/file.h"
#include "common/base/xalloc.h"
#include "service/store/sqlite/connection.h"
#include "service/store/sqlite/data_dir.h"
#include "service/store/sqlite/sqlite_store.h"
#include "tests/lib/fake_clock.h"
#include "tests/lib/fault_vfs.h"
#include "tests/lib/store_driver.h"
#include "tests/lib/test.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	TODAY = 20800
};

static int set_up(void **state)
{
	struct store_driver *d = xnew(struct store_driver);
	store_driver_init(d);
	*state = d;
	return 0;
}

static int tear_down(void **state)
{
	store_driver_done(*state);
	free(*state);
	return 0;
}

/* Runs SQL on the closed database; the first column of the last row, as text. */
static const char *sql(const struct store_driver *d, const char *text)
{
	static char result[512];
	sqlite3 *db;
	sqlite3_stmt *stmt;
	result[0] = '\0';
	assert_int_equal(sqlite3_open(store_driver_database(d), &db), SQLITE_OK);
	while (*text) {
		if (sqlite3_prepare_v2(db, text, -1, &stmt, &text) != SQLITE_OK)
			fail_msg("%s: %s", text, sqlite3_errmsg(db));
		while (sqlite3_step(stmt) == SQLITE_ROW)
			snprintf(result, sizeof result, "%s",
				(const char *)sqlite3_column_text(stmt, 0));
		sqlite3_finalize(stmt);
	}
	sqlite3_close(db);
	return result;
}

static void insert(struct store_driver *d, const char *name)
{
	_cleanup_(token_unrefp) struct token *t = make_token(TOKEN_USER, "alice", name, TODAY);
	assert_ok(driver_insert(d, t));
}

static struct status open_folder(const char *path)
{
	const struct sqlite_store_options options = {.data_dir = path, .clock = &clock_system};
	struct store *store = NULL;
	struct status status = sqlite_store_open(&options, &store);
	assert_null(store); /* it is for paths that do not work */
	return status;
}

/* --- Folder and files --- */

static mode_t mode_of(const struct store_driver *d, const char *name)
{
	char path[128];
	struct stat st;
	snprintf(path, sizeof path, "%s/%s", d->folder, name);
	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 0777;
}

static void files_are_private(void **state)
{
	(void)state;
	struct store_driver d = {.store = NULL};
	mode_t before = umask(0);
	snprintf(d.folder, sizeof d.folder, "/tmp/store-test-%d/a", (int)getpid());
	assert_ok(store_driver_open(&d));
	insert(&d, "ci");
	assert_int_equal(mode_of(&d, ""), 0700);
	assert_int_equal(mode_of(&d, "tokens.db"), 0600);
	assert_int_equal(mode_of(&d, "tokens.db-wal"), 0600);
	assert_int_equal(mode_of(&d, "tokens.db-shm"), 0600);
	assert_int_equal(mode_of(&d, "lock"), 0600);
	umask(before);
	*strrchr(d.folder, '/') = '\0';
	store_driver_done(&d);
}

static void second_store_on_a_folder_is_refused(void **state)
{
	struct store_driver *d = *state;
	struct status status = open_folder(d->folder);
	assert_int_equal(status.code, STATUS_FAILED_PRECONDITION);
	assert_true(str_starts_with(str_of(status.message), STR("data directory '/tmp/")));
	assert_non_null(strstr(status.message, "is in use"));
	char pid[32];
	snprintf(pid, sizeof pid, "%d", (int)getpid());
	assert_non_null(strstr(status.message, pid));
	insert(d, "still-works");
}

static void folder_that_cannot_be_made_is_named(void **state)
{
	(void)state;
	struct status status = open_folder("/proc/none/data");
	assert_false(status_is_ok(&status));
	assert_non_null(strstr(status.message, "/proc/none"));
}

static void network_file_systems_are_known_by_name(void **state)
{
	(void)state;
	assert_string_equal(data_dir_network_file_system(0x6969), "NFS");
	assert_string_equal(data_dir_network_file_system(0xFF534D42), "CIFS");
	/* f_type is signed on some machines. */
	assert_string_equal(data_dir_network_file_system((int32_t)0xFF534D42), "CIFS");
	assert_string_equal(data_dir_network_file_system(0x01021997), "9p");
	assert_null(data_dir_network_file_system(0xEF53));     /* ext4 */
	assert_null(data_dir_network_file_system(0x01021994)); /* tmpfs */
	assert_null(data_dir_network_file_system(0x794c7630)); /* overlayfs */
	assert_null(data_dir_network_file_system(0x58465342)); /* XFS */
}

/* --- Schema --- */

static void newer_schema_is_refused(void **state)
{
	struct store_driver *d = *state;
	char wanted[512];
	store_driver_close(d);
	sql(d, "INSERT INTO schema_version VALUES (99, 'of the future', 0)");
	snprintf(wanted, sizeof wanted,
		"'%s' has schema version 99, this program knows versions up to 3: start the newer "
		"program that wrote it",
		store_driver_database(d));
	assert_status(store_driver_open(d), STATUS_FAILED_PRECONDITION, wanted);
	sql(d, "DELETE FROM schema_version WHERE version = 99");
	assert_ok(store_driver_open(d));
}

static void database_of_another_program_is_refused_and_left_alone(void **state)
{
	struct store_driver *d = *state;
	char wanted[256];
	store_driver_close(d);
	unlink(store_driver_database(d));
	sql(d, "CREATE TABLE photos (x); INSERT INTO photos VALUES (1)");
	snprintf(wanted, sizeof wanted, "'%s' is a database of another program",
		store_driver_database(d));
	assert_status(store_driver_open(d), STATUS_FAILED_PRECONDITION, wanted);
	assert_string_equal(sql(d, "PRAGMA journal_mode"), "delete");
	assert_string_equal(sql(d, "SELECT count(*) FROM sqlite_schema"), "1");
	unlink(store_driver_database(d));
}

static void schema_is_made_once_and_says_so(void **state)
{
	struct store_driver *d = *state;
	store_driver_close(d);
	assert_ok(store_driver_open(d));
	store_driver_close(d);
	assert_string_equal(sql(d, "SELECT group_concat(version || name) FROM schema_version"),
		"1tokens,2life_of_tokens,3tokens_in_order");
	assert_string_equal(sql(d, "PRAGMA application_id"), "1869835631");
	assert_string_equal(sql(d, "PRAGMA journal_mode"), "wal");
	assert_string_equal(
		sql(d, "SELECT count(*) FROM pragma_table_list WHERE schema = 'main' "
		       "AND type = 'table' AND name NOT LIKE 'sqlite_%' AND NOT strict"),
		"0");
}

/* --- Every statement by index --- */

static const char *plan_of(const struct store_driver *d, const char *statement)
{
	static char result[1024];
	_cleanup_buf_ struct buf text;
	sqlite3 *db;
	sqlite3_stmt *stmt;
	buf_init(&text, 4096);
	buf_printf(&text, "EXPLAIN QUERY PLAN %s", statement);
	result[0] = '\0';
	assert_int_equal(sqlite3_open(store_driver_database(d), &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, text.p, -1, &stmt, NULL), SQLITE_OK);
	while (sqlite3_step(stmt) == SQLITE_ROW)
		snprintf(result + strlen(result), sizeof result - strlen(result), "%s;",
			(const char *)sqlite3_column_text(stmt, 3));
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	return result;
}

static void assert_in_plan(const struct store_driver *d, enum statement_id id, const char *wanted)
{
	const char *plan = plan_of(d, connection_statement_text(id));
	if (!strstr(plan, wanted))
		fail_msg("%s\n%s", plan, wanted);
}

static void no_statement_reads_more_rows_than_it_gives(void **state)
{
	struct store_driver *d = *state;
	store_driver_close(d);
	for (int id = 0; id < STATEMENT_ID_COUNT; id++) {
		const char *text = connection_statement_text((enum statement_id)id);
		const char *plan = plan_of(d, text);
		if (id == STATEMENT_ROLES)
			continue; /* all of them are wanted */
		const char *scan = strstr(plan, "SCAN");
		if ((scan && !str_starts_with(str_of(scan), STR("SCAN CONSTANT ROW")) &&
			    !str_starts_with(str_of(scan), STR("SCAN (subquery"))) ||
			strstr(plan, "TEMP B-TREE") || strstr(plan, "(kind=?)"))
			fail_msg("%s\n%s", text, plan);
	}
	assert_string_equal(plan_of(d, connection_statement_text(STATEMENT_TOKEN_BY_HASH)),
		"SEARCH token USING INDEX token_by_hash (hash=?);");
	assert_string_equal(plan_of(d, connection_statement_text(STATEMENT_TOKEN_BY_NAME)),
		"SEARCH token USING PRIMARY KEY (kind=? AND owner=? AND name=?);");
	assert_string_equal(plan_of(d, connection_statement_text(STATEMENT_TOKENS_OF_OWNER)),
		"SEARCH token USING PRIMARY KEY (kind=? AND owner=? AND name>? AND name<?);");
	assert_string_equal(plan_of(d, connection_statement_text(STATEMENT_TOKEN_BY_OLD_HASH)),
		"SEARCH token USING INDEX token_by_old_hash (old_hash=?);");
	assert_string_equal(plan_of(d, connection_statement_text(STATEMENT_TOKEN_USED)),
		"SEARCH token USING INDEX token_by_hash (hash=?);");
	/* What else is said of them differs between versions of SQLite. */
	assert_in_plan(d, STATEMENT_TOKENS_DELETE, "token_by_name (kind=? AND name=? AND owner=?)");
	assert_in_plan(d, STATEMENT_TOKENS_DELETE, "PRIMARY KEY (kind=? AND owner=?)");
	assert_in_plan(d, STATEMENT_TOKENS_PURGE, "token_by_hash (hash=?)");
	assert_in_plan(d, STATEMENT_TOKENS_PURGE, "token_by_expiry (expires_day<?)");
	assert_in_plan(d, STATEMENT_TOKEN_OF_KEY,
		"COVERING INDEX token_by_name (kind=? AND name=? AND owner=?)");
	/* A page begins at its (name, owner), also when one name has very many owners. */
	assert_string_equal(plan_of(d, connection_statement_text(STATEMENT_TOKENS_OF_ALL)),
		"SEARCH token USING COVERING INDEX token_by_name (kind=? AND (name,owner)>(?,?) "
		"AND name<?);");
	assert_string_equal(plan_of(d, connection_statement_text(STATEMENT_TOKENS_SEARCH)),
		"SEARCH token USING COVERING INDEX token_by_name (kind=? AND (name,owner)>(?,?) "
		"AND name<?);");
}

/* --- Damage --- */

static void overwrite(const char *path, off_t offset, const void *p, size_t n)
{
	_cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, p, n, offset), n);
}

static void file_that_is_no_database_is_unavailable_until_it_is_one_again(void **state)
{
	struct store_driver *d = *state;
	char before[4096], garbage[4096];
	insert(d, "ci");
	store_driver_close(d);
	_cleanup_close_ int fd = open(store_driver_database(d), O_RDONLY | O_CLOEXEC);
	assert_int_equal(pread(fd, before, sizeof before, 0), sizeof before);
	memset(garbage, 'x', sizeof garbage);
	overwrite(store_driver_database(d), 0, garbage, sizeof garbage);

	assert_ok(store_driver_open(d)); /* it is there, and not ready */
	assert_int_equal(driver_check(d).code, STATUS_UNAVAILABLE);
	struct token_hash hash = make_hash("alice", "ci");
	assert_int_equal(driver_by_hash(d, &hash, NULL).code, STATUS_UNAVAILABLE);
	_cleanup_(token_unrefp) struct token *t = make_token(TOKEN_USER, "alice", "cd", TODAY);
	assert_int_equal(driver_insert(d, t).code, STATUS_UNAVAILABLE);

	overwrite(store_driver_database(d), 0, before, sizeof before);
	assert_ok(driver_wait_until_healthy(d));
	assert_ok(driver_by_hash(d, &hash, NULL));
	assert_ok(driver_insert(d, t));
	assert_int_equal(store_token_counts(d->store).user_tokens, 2);
}

/* So that the others, which may still read what they remember of it, are opened again as well. */
static void connection_tells_that_damage_kept_it_from_opening(void **state)
{
	struct store_driver *d = *state;
	const struct connection_options options = {
		.path = store_driver_database(d), .read_only = true, .cache_kib = 64};
	struct connection c;
	store_driver_close(d);
	assert_ok(connection_open(&options, &c));
	assert_false(c.damaged);
	connection_close(&c);

	char garbage[4096];
	memset(garbage, 'x', sizeof garbage);
	overwrite(store_driver_database(d), 0, garbage, sizeof garbage);
	assert_int_equal(connection_open(&options, &c).code, STATUS_UNAVAILABLE);
	assert_null(c.db);
	assert_true(c.damaged);
	connection_close(&c);

	assert_int_equal(truncate(store_driver_database(d), 0), 0);
	assert_int_equal(connection_open(&options, &c).code, STATUS_UNAVAILABLE);
	assert_false(c.damaged); /* empty: it comes, or is put back */
}

static void damaged_pages_are_unavailable_and_never_a_wrong_answer(void **state)
{
	struct store_driver *d = *state;
	char name[16], garbage[4096];
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof name, "t%02d", i);
		insert(d, name);
	}
	store_driver_close(d);
	struct stat st;
	assert_int_equal(stat(store_driver_database(d), &st), 0);
	memset(garbage, 0xA5, sizeof garbage);
	for (off_t at = 4096; at < st.st_size; at += 4096)
		overwrite(store_driver_database(d), at, garbage, sizeof garbage);
	assert_ok(store_driver_open(d));
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof name, "t%02d", i);
		struct token_hash hash = make_hash("alice", name);
		assert_int_equal(driver_by_hash(d, &hash, NULL).code, STATUS_UNAVAILABLE);
	}
	assert_int_equal(driver_check(d).code, STATUS_UNAVAILABLE);
}

static void damaged_row_is_unavailable_and_others_are_read(void **state)
{
	struct store_driver *d = *state;
	insert(d, "good");
	insert(d, "bad");
	store_driver_close(d);
	sql(d, "UPDATE token SET roles = '[1' WHERE name = 'bad'");
	assert_ok(store_driver_open(d));
	struct token_hash bad = make_hash("alice", "bad"), good = make_hash("alice", "good");
	assert_int_equal(driver_by_hash(d, &bad, NULL).code, STATUS_UNAVAILABLE);
	assert_ok(driver_by_hash(d, &good, NULL));
	assert_int_equal(driver_by_hash(d, &bad, NULL).code, STATUS_UNAVAILABLE);
	assert_ok(driver_by_hash(d, &good, NULL));
}

static void file_that_was_removed_takes_no_write(void **state)
{
	struct store_driver *d = *state;
	char aside[160];
	insert(d, "ci");
	snprintf(aside, sizeof aside, "%s.aside", store_driver_database(d));
	assert_int_equal(rename(store_driver_database(d), aside), 0);
	_cleanup_(token_unrefp) struct token *t = make_token(TOKEN_USER, "alice", "cd", TODAY);
	assert_int_equal(driver_insert(d, t).code, STATUS_UNAVAILABLE); /* it would be lost */
	assert_int_equal(driver_check(d).code, STATUS_UNAVAILABLE);
	assert_int_equal(rename(aside, store_driver_database(d)), 0);
	assert_ok(driver_wait_until_healthy(d));
	assert_ok(driver_insert(d, t));
}

/* --- Upkeep --- */

/* Whether the database still has the salt of the request @n, also in a place that is free. */
static bool file_has_salt(struct store_driver *d, int n)
{
	_cleanup_buf_ struct buf file;
	buf_init(&file, 1 << 20);
	uint8_t salt[32];
	memset(salt, 'A' + n, sizeof salt);
	assert_ok(file_read(store_driver_database(d), 1 << 20, &file));
	return memmem(file.p, file.n, salt, sizeof salt);
}

static void old_requests_are_purged_and_young_ones_stay(void **state)
{
	(void)state;
	struct fake_clock clock;
	fake_clock_init(&clock);
	clock.mono = clock_mono(&clock_system);
	struct store_driver d = {.clock = &clock.clock};
	assert_ok(store_driver_open(&d));
	char name[16];
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof name, "r%02d", i);
		struct store_request_id request = {
			.principal = STR("user:alice"), .id = str_of(name)};
		memset(request.salt, 'A' + i, sizeof request.salt);
		_cleanup_(token_unrefp) struct token *t =
			make_token(TOKEN_USER, "alice", name, TODAY);
		struct store_insert_result result;
		assert_ok(driver_insert_request(&d, t, &request, &result));
		token_unref(result.token);
		if (i == 9) { /* the writer reads the clock while it is moved: only when it waits */
			store_driver_close(&d);
			fake_clock_advance_ms(&clock, INT64_C(23) * 3600 * 1000);
			assert_ok(store_driver_open(&d));
		}
	}
	store_driver_close(&d);
	assert_string_equal(sql(&d, "SELECT count(*) FROM request"), "20");
	assert_true(file_has_salt(&d, 0));
	fake_clock_advance_ms(&clock, INT64_C(2) * 3600 * 1000);
	assert_ok(store_driver_open(&d));
	assert_ok(driver_setting_put(&d, "k", STR("v"))); /* upkeep follows a write */
	store_driver_close(&d);
	assert_string_equal(sql(&d, "SELECT count(*) || min(id) FROM request"), "10r10");
	assert_string_equal(sql(&d, "SELECT count(*) FROM token"), "20");
	for (int i = 0; i < 20; i++)
		assert_int_equal(file_has_salt(&d, i), i >= 10);
	store_driver_done(&d);
}

static void log_does_not_grow_without_bound(void **state)
{
	(void)state;
	enum {
		BYTES = 40000,
		ROUNDS = 2500
	};
	char name[32], path[160];
	char *value = xmalloc(BYTES);
	memset(value, 'v', BYTES);
	fault_vfs_reset(); /* its syncs take no time */
	struct store_driver d = {.vfs = FAULT_VFS};
	assert_ok(store_driver_open(&d));
	for (int i = 0; i < ROUNDS; i++) {
		snprintf(name, sizeof name, "k%d", i % 50);
		value[0] = (char)('a' + i % 26);
		value[BYTES - 1] = value[0];
		value[BYTES / 2] = value[0];
		assert_ok(driver_setting_put(&d, name, (struct str){value, BYTES}));
	}
	free(value);
	struct stat st;
	snprintf(path, sizeof path, "%s-wal", store_driver_database(&d));
	assert_int_equal(stat(path, &st), 0);
	/* Of some 100 MB that went through it. */
	assert_in_range(st.st_size, 1, 36 << 20);
	store_driver_done(&d);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_private),
		TEST(second_store_on_a_folder_is_refused),
		cmocka_unit_test(folder_that_cannot_be_made_is_named),
		cmocka_unit_test(network_file_systems_are_known_by_name),
		TEST(newer_schema_is_refused),
		TEST(database_of_another_program_is_refused_and_left_alone),
		TEST(schema_is_made_once_and_says_so),
		TEST(no_statement_reads_more_rows_than_it_gives),
		TEST(file_that_is_no_database_is_unavailable_until_it_is_one_again),
		TEST(connection_tells_that_damage_kept_it_from_opening),
		TEST(damaged_pages_are_unavailable_and_never_a_wrong_answer),
		TEST(damaged_row_is_unavailable_and_others_are_read),
		TEST(file_that_was_removed_takes_no_write),
		cmocka_unit_test(old_requests_are_purged_and_young_ones_stay),
		cmocka_unit_test(log_does_not_grow_without_bound),
	};
	return RUN_TESTS(tests);
}
