/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/buf.h"
#include "common/base/xalloc.h"
#include "tests/lib/test.h"

#include <stdlib.h>
#include <string.h>

static void an_append_past_the_maximum_changes_nothing_and_is_remembered(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf b;
	buf_init(&b, 5);
	assert_true(buf_append_str(&b, STR("abc")));
	assert_false(buf_append_str(&b, STR("def")));
	assert_true(buf_overflown(&b));
	assert_str(buf_str(&b), "abc");
	assert_true(buf_append_str(&b, STR("de"))); /* what fits still fits */
	assert_str(buf_str(&b), "abcde");
	assert_false(buf_printf(&b, "%d", 1));
	assert_false(buf_append_char(&b, 'x'));
	assert_true(buf_append(&b, NULL, 0));
	assert_true(buf_overflown(&b));
}

static void the_content_is_always_a_c_string(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf b;
	buf_init(&b, 100000);
	assert_string_equal(buf_str(&b).p, "");
	for (int i = 0; i < 10000; i++) {
		assert_true(buf_printf(&b, "%d,", i % 10));
		assert_int_equal(b.p[b.n], '\0');
	}
	assert_int_equal(b.n, 20000);
	buf_reset(&b);
	assert_string_equal(b.p, "");
	assert_int_equal(b.n, 0);
}

static void printf_writes_the_whole_text_or_nothing(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf b;
	buf_init(&b, 10);
	assert_true(buf_printf(&b, "%s", "0123456789"));
	assert_str(buf_str(&b), "0123456789");
	buf_reset(&b);
	assert_false(buf_overflown(&b));
	assert_false(buf_printf(&b, "%s", "0123456789a"));
	assert_str(buf_str(&b), "");
}

static void reserved_room_is_written_by_the_caller(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf b;
	buf_init(&b, 1000);
	buf_append_str(&b, STR("ab"));
	char *at = buf_reserve(&b, 998);
	assert_ptr_equal(at, b.p + 2);
	memset(at, 'x', 998);
	b.n += 998;
	assert_null(buf_reserve(&b, 1));
	assert_null(buf_reserve(&b, SIZE_MAX));
	assert_true(buf_overflown(&b));
}

static void truncating_undoes_an_append_and_its_overflow(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf b;
	buf_init(&b, 4);
	buf_append_str(&b, STR("abc"));
	assert_false(buf_append_str(&b, STR("de")));
	buf_truncate(&b, 2);
	assert_string_equal(b.p, "ab");
	assert_false(buf_overflown(&b));
	buf_truncate(&b, 9);
	assert_str(buf_str(&b), "ab");
}

static void stealing_leaves_an_empty_buffer_behind(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf b;
	buf_init(&b, 100);
	buf_append_str(&b, STR("abc"));
	char *text = buf_steal(&b);
	assert_string_equal(text, "abc");
	free(text);
	assert_int_equal(b.n, 0);
	text = buf_steal(&b);
	assert_string_equal(text, "");
	free(text);
	assert_true(buf_append_str(&b, STR("again")));
}

/* What malloc gives out again is what was freed last, but for the words that it keeps there. */
static void assert_left_behind(const char *old, size_t size)
{
	enum {
		OF_MALLOC = 2 * sizeof(void *)
	};
	char *again = xmalloc(size);
	if (again == old) /* not so with a sanitizer */
		for (size_t i = OF_MALLOC; i < size; i++)
			assert_int_not_equal(again[i], 's');
	free(again);
}

static void what_is_left_behind_is_wiped(void **state)
{
	(void)state;
	static char secret[300];
	memset(secret, 's', sizeof secret);
	struct buf b;
	buf_init(&b, 10000);
	buf_append(&b, secret, 200);
	const char *old = b.p;
	size_t size = b.capacity_;
	buf_append(&b, secret, 300); /* it grows */
	assert_left_behind(old, size);
	assert_int_equal(b.n, 500);
	assert_int_equal(b.p[499], 's');
	old = b.p;
	buf_wipe(&b);
	assert_int_equal(b.n, 0);
	assert_ptr_equal(b.p, old);
	for (size_t i = 0; i < 500; i++)
		assert_int_equal(b.p[i], 0);
	buf_append(&b, secret, 300);
	size = b.capacity_;
	buf_done(&b);
	assert_left_behind(old, size);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_append_past_the_maximum_changes_nothing_and_is_remembered),
		cmocka_unit_test(the_content_is_always_a_c_string),
		cmocka_unit_test(printf_writes_the_whole_text_or_nothing),
		cmocka_unit_test(reserved_room_is_written_by_the_caller),
		cmocka_unit_test(truncating_undoes_an_append_and_its_overflow),
		cmocka_unit_test(what_is_left_behind_is_wiped),
		cmocka_unit_test(stealing_leaves_an_empty_buffer_behind),
	};
	return RUN_TESTS(tests);
}
