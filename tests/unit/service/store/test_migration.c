/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/cleanup.h"
#include "service/store/migration.h"
#include "service/store/postgres/postgres_store.h"
#include "service/store/sqlite/sqlite_store.h"
#include "tests/lib/test.h"

#include <string.h>

static const struct migration_dialect dialect = {
	.text_type = "T", .bytes_type = "B", .int_type = "I", .table_suffix = "S"};

static void words_are_replaced_and_comments_left_out(void **state)
{
	(void)state;
	const struct migration m = {
		1, "x", "CREATE {text}, {int} -- {whatever}\n{bytes}{strict};", NULL};
	_cleanup_buf_ struct buf out;
	buf_init(&out, 1000);
	assert_ok(migration_render(&m, &dialect, &out));
	assert_str(buf_str(&out), "CREATE T, I \nBS;\n");
}

static void unknown_word_is_an_error(void **state)
{
	(void)state;
	const struct migration m = {7, "x", "a {txet} b", NULL};
	_cleanup_buf_ struct buf out;
	buf_init(&out, 1000);
	assert_status(migration_render(&m, &dialect, &out), STATUS_INTERNAL,
		"migration 7 (x) has an unknown word at '{txet} b'");
}

static void versions_are_1_2_3_without_a_gap(void **state)
{
	(void)state;
	for (size_t i = 0; i < migrations_count; i++) {
		assert_int_equal(migrations[i].version, i + 1);
		assert_true(strlen(migrations[i].sql) > 0);
	}
}

static void step_is_for_all_stores_or_for_one(void **state)
{
	(void)state;
	const char *const stores[] = {SQLITE_STORE_NAME, POSTGRES_STORE_NAME};
	for (size_t i = 0; i < ARRAY_SIZE(stores); i++) {
		int latest = 0;
		for (size_t m = 0; m < migrations_count; m++)
			if (migration_is_for(&migrations[m], stores[i]))
				latest = migrations[m].version;
		assert_int_equal(migrations_latest(stores[i]), latest);
	}
	for (size_t m = 0; m < migrations_count; m++)
		assert_true(migration_is_for(&migrations[m], stores[0]) ||
			    migration_is_for(&migrations[m], stores[1]));
	const struct migration one = {1, "x", "", "sqlite"}, all = {1, "x", "", NULL};
	assert_true(migration_is_for(&one, SQLITE_STORE_NAME));
	assert_false(migration_is_for(&one, POSTGRES_STORE_NAME));
	assert_true(migration_is_for(&all, POSTGRES_STORE_NAME));
}

static void every_step_renders(void **state)
{
	(void)state;
	for (size_t i = 0; i < migrations_count; i++) {
		_cleanup_buf_ struct buf out;
		buf_init(&out, 1 << 20);
		assert_ok(migration_render(&migrations[i], &dialect, &out));
		assert_null(strchr(out.p, '{'));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_replaced_and_comments_left_out),
		cmocka_unit_test(unknown_word_is_an_error),
		cmocka_unit_test(versions_are_1_2_3_without_a_gap),
		cmocka_unit_test(step_is_for_all_stores_or_for_one),
		cmocka_unit_test(every_step_renders),
	};
	return RUN_TESTS(tests);
}
