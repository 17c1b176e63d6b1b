/* SPDX-License-Identifier: Apache-2.0 */
#include "common/codec/json_text.h"
#include "tests/lib/test.h"

static void assert_written(struct str text, const char *wanted)
{
	_cleanup_buf_ struct buf out;
	buf_init(&out, 4096);
	assert_true(json_append_string(&out, text));
	assert_str(buf_str(&out), wanted);
}

static void quotes_backslashes_and_control_bytes_are_escaped(void **state)
{
	(void)state;
	assert_written(STR(""), "\"\"");
	assert_written(STR("plain / text"), "\"plain / text\"");
	assert_written(STR("a\"b\\c"), "\"a\\\"b\\\\c\"");
	assert_written(STR("\b\f\n\r\t"), "\"\\b\\f\\n\\r\\t\"");
	assert_written(STR("\x01\x1f\x7f"), "\"\\u0001\\u001f\\u007f\"");
	assert_written(STR("a\0b"), "\"a\\u0000b\"");
}

static void text_beyond_ascii_stays_as_it_is(void **state)
{
	(void)state;
	assert_written(STR("äöü€😀"), "\"äöü€😀\"");
}

static void each_byte_that_is_not_utf8_becomes_a_replacement_character(void **state)
{
	(void)state;
	assert_written(STR("a\xFF"
			   "b"),
		"\"a\xEF\xBF\xBD"
		"b\"");
	assert_written(STR("\xC3"), "\"\xEF\xBF\xBD\"");
	assert_written(STR("\xED\xA0\x80"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"");
	assert_written(STR("\xF0\x9F\x98"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"");
}

static void a_full_buffer_is_reported(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf out;
	buf_init(&out, 4);
	assert_true(json_append_string(&out, STR("ab")));
	assert_false(json_append_string(&out, STR("c")));
	assert_true(buf_overflown(&out));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quotes_backslashes_and_control_bytes_are_escaped),
		cmocka_unit_test(text_beyond_ascii_stays_as_it_is),
		cmocka_unit_test(each_byte_that_is_not_utf8_becomes_a_replacement_character),
		cmocka_unit_test(a_full_buffer_is_reported),
	};
	return RUN_TESTS(tests);
}
