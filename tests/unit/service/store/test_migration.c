/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/migration.h"
#include "tests/lib/test.h"

#include <string.h>

static const struct migration_dialect dialect = {
	.text_type = "T", .bytes_type = "B", .int_type = "I", .table_suffix = "S"};

static void words_are_replaced_and_comments_left_out(void **state)
{
	(void)state;
	const struct migration m = {1, "x", "CREATE {text}, {int} -- {whatever}\n{bytes}{strict};"};
	_cleanup_buf_ struct buf out;
	buf_init(&out, 1000);
	assert_ok(migration_render(&m, &dialect, &out));
	assert_str(buf_str(&out), "CREATE T, I \nBS;\n");
}

static void unknown_word_is_an_error(void **state)
{
	(void)state;
	const struct migration m = {7, "x", "a {txet} b"};
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
	assert_int_equal(migrations_latest(), migrations_count);
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
		cmocka_unit_test(every_step_renders),
	};
	return RUN_TESTS(tests);
}
