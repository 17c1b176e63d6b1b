/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/render.h"
#include "tests/lib/test.h"

static json_t *json(const char *text)
{
	json_t *value = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	assert_non_null(value);
	return value;
}

static void assert_json(const char *text, int indent, const char *wanted)
{
	_cleanup_buf_ struct buf out;
	buf_init(&out, 10000);
	json_t *value = json(text);
	render_json(value, indent, &out);
	json_decref(value);
	assert_str(buf_str(&out), wanted);
}

static void json_is_laid_out_as_python_does(void **state)
{
	(void)state;
	assert_json("{\"b\":[1,{\"c\":null}],\"a\":{},\"d\":[]}", 2,
		"{\n  \"b\": [\n    1,\n    {\n      \"c\": null\n    }\n  ],\n  \"a\": {},\n  "
		"\"d\": []\n}");
	assert_json(
		"{\"b\":[1,{\"c\":true}],\"a\":{}}", -1, "{\"b\": [1, {\"c\": true}], \"a\": {}}");
	assert_json("[]", 2, "[]");
	assert_json("\"x\"", 4, "\"x\"");
}

static void text_is_ascii(void **state)
{
	(void)state;
	assert_json("\"\\u00e9 \\ud83d\\ude00 \\u007f \\u0000 \\\" \\\\ \\/ \\b\\f\\n\\r\\t\"", -1,
		"\"\\u00e9 \\ud83d\\ude00 \\u007f \\u0000 \\\" \\\\ / \\b\\f\\n\\r\\t\"");
}

static void numbers_have_the_digits_that_they_need(void **state)
{
	(void)state;
	static const char *const pairs[][2] = {{"0", "0"}, {"-5", "-5"},
		{"4611686018427387904", "4611686018427387904"}, {"1.0", "1.0"}, {"0.1", "0.1"},
		{"-0.0", "-0.0"}, {"1e3", "1000.0"}, {"1e15", "1000000000000000.0"},
		{"1e16", "1e+16"}, {"1.5e300", "1.5e+300"}, {"0.0001", "0.0001"},
		{"0.00001", "1e-05"}, {"123456789.123", "123456789.123"},
		{"0.30000000000000004", "0.30000000000000004"}, {"5e-324", "5e-324"},
		{"1.7976931348623157e308", "1.7976931348623157e+308"}};
	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
		assert_json(pairs[i][0], -1, pairs[i][1]);
}

static void assert_value(const char *text, const char *wanted)
{
	_cleanup_buf_ struct buf out;
	buf_init(&out, 10000);
	json_t *value = json(text);
	render_value(value, &out);
	json_decref(value);
	assert_str(buf_str(&out), wanted);
}

static void values_read_as_python_prints_them(void **state)
{
	(void)state;
	assert_value("\"it's\"", "it's");
	assert_value("null", "None");
	assert_value("true", "True");
	assert_value("false", "False");
	assert_value("[\"a\",1,null,{\"k\":2.0}]", "['a', 1, None, {'k': 2.0}]");
	_cleanup_buf_ struct buf out;
	buf_init(&out, 100);
	render_value(NULL, &out);
	assert_str(buf_str(&out), "None");
}

static void lists_are_joined(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf out;
	buf_init(&out, 100);
	json_t *value = json("[\"a\",\"b c\",3]");
	render_joined(value, &out);
	json_decref(value);
	assert_str(buf_str(&out), "a, b c, 3");
}

static void assert_table(const char *const cells[][2], size_t rows, const char *wanted)
{
	static const char *const header[] = {"Name", "X"};
	_cleanup_(table_freep) struct table *t = table_new(header, 2);
	for (size_t i = 0; i < rows; i++)
		table_add(t, (struct str[]){str_of(cells[i][0]), str_of(cells[i][1])});
	_cleanup_buf_ struct buf out;
	buf_init(&out, 10000);
	table_format(t, &out);
	assert_str(buf_str(&out), wanted);
}

static void columns_are_as_wide_as_their_widest_cell(void **state)
{
	(void)state;
	assert_table(NULL, 0, "Name   X\n========\n");
	assert_table((const char *const[][2]){{"a", "long text"}, {"longer name", ""}}, 2,
		"Name          X        \n"
		"=======================\n"
		"a             long text\n"
		"longer name            \n");
}

static void width_is_what_a_terminal_shows(void **state)
{
	(void)state;
	/* two wide characters; a letter with a combining accent */
	assert_table((const char *const[][2]){{"\xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E", "1"},
			     {"e\xCC\x81", "2"}},
		2,
		"Name     X\n==========\n\xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E   1\ne\xCC\x81       "
		" 2\n");
}

static void line_feeds_make_a_row_higher_and_tabs_are_eight_columns(void **state)
{
	(void)state;
	assert_table((const char *const[][2]){{"a\n\nb", "1"}, {"x\ty", "2\r3"}}, 2,
		"Name        X  \n"
		"===============\n"
		"a           1  \n"
		"               \n"
		"b              \n"
		"x       y   2 3\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_is_laid_out_as_python_does),
		cmocka_unit_test(text_is_ascii),
		cmocka_unit_test(numbers_have_the_digits_that_they_need),
		cmocka_unit_test(values_read_as_python_prints_them),
		cmocka_unit_test(lists_are_joined),
		cmocka_unit_test(columns_are_as_wide_as_their_widest_cell),
		cmocka_unit_test(width_is_what_a_terminal_shows),
		cmocka_unit_test(line_feeds_make_a_row_higher_and_tabs_are_eight_columns),
	};
	return RUN_TESTS(tests);
}
