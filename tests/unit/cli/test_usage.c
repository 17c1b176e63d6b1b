/* SPDX-License-Identifier: Apache-2.0 */
/* Wrapping of running text, on cases that the real help has not got; whole helps are compared with
 * Python's in tests/integration/test_cli_arguments.py. */
#include "cli/argparse.h"
#include "cli/usage.h"
#include "tests/lib/test.h"

#include <stdlib.h>

static void assert_wrapped(const char *text, int width, const char *wanted)
{
	_cleanup_buf_ struct buf out;
	buf_init(&out, 10000);
	wrap_format(text, width, 0, 0, &out);
	assert_str(buf_str(&out), wanted);
}

static void words_fill_the_line(void **state)
{
	(void)state;
	assert_wrapped("", 20, "");
	assert_wrapped("one two three", 20, "one two three\n");
	assert_wrapped("one two three", 13, "one two three\n");
	assert_wrapped("one two three", 12, "one two\nthree\n");
	assert_wrapped("  one\n\t two  ", 20, "one two\n");
}

static void compounds_break_behind_their_hyphen(void **state)
{
	(void)state;
	assert_wrapped("a well-known thing", 8, "a well-\nknown\nthing\n");
	assert_wrapped("use --long-option now", 12, "use --long-\noption now\n");
	assert_wrapped("on 2026-05-01 there", 8, "on 2026-\n05-01\nthere\n");
	assert_wrapped("a-b c-d", 4, "a-b\nc-d\n");
	assert_wrapped("this--that", 6, "this--\nthat\n");
}

static void what_fits_no_line_is_cut(void **state)
{
	(void)state;
	assert_wrapped("abcdefghij", 4, "abcd\nefgh\nij\n");
	assert_wrapped("x abcdefghij", 4, "x ab\ncdef\nghij\n");
}

static void indents_come_before_each_line(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf out;
	buf_init(&out, 1000);
	wrap_format("one two", 4, 0, 3, &out);
	assert_str(buf_str(&out), "one\n   two\n");
}

static void the_width_comes_from_columns(void **state)
{
	(void)state;
	static const struct {
		const char *value;
		int columns;
	} cases[] = {{"1", 1}, {"132", 132}, {" 90 ", 90}, {"+70", 70}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		setenv("COLUMNS", cases[i].value, 1);
		assert_int_equal(terminal_columns(), cases[i].columns);
	}
}

static void members_of_a_group_share_their_brackets(void **state)
{
	(void)state;
	static const struct arg args[] = {
		{.names = {"-a"}, .dest = "a", .count = ARG_FLAG, .exclusive = 1},
		{.names = {"-b"}, .dest = "b", .count = ARG_ONE, .exclusive = 1},
		{.names = {"-c"}, .dest = "c", .count = ARG_FLAG}};
	static const struct command c = {.name = "p", .args = args, .args_n = ARRAY_SIZE(args)};
	_cleanup_buf_ struct buf out;
	buf_init(&out, 1000);
	usage_format(&c, "p", 80, &out);
	assert_str(buf_str(&out), "usage: p [-h] [-a | -b B] [-c]\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_fill_the_line),
		cmocka_unit_test(compounds_break_behind_their_hyphen),
		cmocka_unit_test(what_fits_no_line_is_cut),
		cmocka_unit_test(indents_come_before_each_line),
		cmocka_unit_test(the_width_comes_from_columns),
		cmocka_unit_test(members_of_a_group_share_their_brackets),
	};
	return RUN_TESTS(tests);
}
