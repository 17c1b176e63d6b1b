/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/escape.h"
#include "tests/lib/test.h"

#include <stdlib.h>
#include <string.h>

static void assert_json(struct str s, size_t max, bool whole, const char *text)
{
	_cleanup_buf_ struct buf out;
	buf_init(&out, 1 << 16);
	assert_int_equal(escape_json(&out, s, max), whole);
	assert_str(buf_str(&out), text);
}

static void json_strings_are_escaped(void **state)
{
	(void)state;
	assert_json(STR("plain \xE2\x82\xAC"), 100, true, "plain \xE2\x82\xAC");
	assert_json(STR("\"\\/\n\t\x1F\x7F"), 100, true, "\\\"\\\\/\\n\\u0009\\u001f\\u007f");
	assert_json(STR("\0"), 100, true, "\\u0000");
	assert_json(STR("\xC2\x80\xC2\x9F\xC2\xA0"), 100, true, "\\u0080\\u009f\xC2\xA0");
	assert_json(
		STR("\xE2\x80\xA9\xE2\x81\xA6\xE2\x81\xA9"), 100, true, "\\u2029\\u2066\\u2069");
	assert_json(STR(""), 0, true, "");
}

static void bytes_that_are_no_utf8_are_escaped_one_by_one(void **state)
{
	(void)state;
	assert_json(STR("a\xFF"
			"b"),
		100, true, "a\\u00ffb");
	assert_json(STR("\xE2\x82"), 100, true, "\\u00e2\\u0082");
	assert_json(STR("\xF0\x9F\x98\x80\xF0\x9F"), 100, true, "\xF0\x9F\x98\x80\\u00f0\\u009f");
	assert_json(STR("\xED\xA0\x80"), 100, true, "\\u00ed\\u00a0\\u0080");
	assert_json(STR("\xC0\xAF"), 100, true, "\\u00c0\\u00af");
}

static void a_long_text_is_cut_at_a_character(void **state)
{
	(void)state;
	assert_json(STR("ab\xC3\xA9"
			"cd"),
		3, false, "ab");
	assert_json(STR("ab\xC3\xA9"
			"cd"),
		4, false, "ab\xC3\xA9");
	assert_json(STR("abcd"), 4, true, "abcd");
}

static void what_is_shown_has_no_control_bytes_and_is_short(void **state)
{
	(void)state;
	assert_string_equal(shown(STR("a'\"\\b")).text, "a'\"\\b");
	assert_string_equal(shown(STR("a\n\x1B\x7F\xFF\0")).text, "a\\x0a\\x1b\\x7f\\xff\\x00");
	assert_string_equal(shown(STR("\xC2\x9B\xE2\x80\xAE")).text, "\\x9b\\u202e");
	assert_string_equal(shown(STR("")).text, "");

	char text[300];
	memset(text, 'x', sizeof text);
	struct shown s = shown((struct str){text, sizeof text});
	assert_int_equal(strlen(s.text), sizeof s.text - 1);
	assert_string_equal(s.text + sizeof s.text - 5, "x...");
	for (size_t n = 100; n < 140; n++) {
		memcpy(text, "\xE2\x82\xAC", 3);
		for (size_t i = 0; i + 3 <= sizeof text; i += 3)
			memcpy(text + i, "\xE2\x82\xAC", 3);
		s = shown((struct str){text, n});
		assert_true(str_is_utf8(str_of(s.text)));
	}
}

/* Whatever goes in: what comes out is UTF-8 without control characters. */
static void random_bytes_come_out_harmless(void **state)
{
	(void)state;
	unsigned seed = 1;
	for (int round = 0; round < 2000; round++) {
		char bytes[64];
		for (size_t i = 0; i < sizeof bytes; i++) {
			seed = seed * 1103515245 + 12345;
			bytes[i] = (char)(seed >> 16);
		}
		_cleanup_buf_ struct buf out;
		buf_init(&out, 4096);
		assert_true(escape_json(&out, (struct str){bytes, sizeof bytes}, sizeof bytes));
		struct shown s = shown((struct str){bytes, sizeof bytes});
		assert_true(str_is_utf8(buf_str(&out)) && str_is_utf8(str_of(s.text)));
		for (size_t i = 0; i < out.n; i++)
			assert_true((unsigned char)out.p[i] >= 0x20 && out.p[i] != 0x7F);
		for (const char *p = s.text; *p; p++)
			assert_true((unsigned char)*p >= 0x20 && *p != 0x7F);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_strings_are_escaped),
		cmocka_unit_test(bytes_that_are_no_utf8_are_escaped_one_by_one),
		cmocka_unit_test(a_long_text_is_cut_at_a_character),
		cmocka_unit_test(what_is_shown_has_no_control_bytes_and_is_short),
		cmocka_unit_test(random_bytes_come_out_harmless),
	};
	return RUN_TESTS(tests);
}
