/* SPDX-License-Identifier: Apache-2.0 */
/* What a command line means, on a table of its own. tests/integration/test_cli_arguments.py
 * compares the real table with Python's argparse on any command line. */
#include "cli/argparse.h"
#include "common/base/xalloc.h"
#include "tests/lib/test.h"

static bool check_even(struct str value, struct buf *why)
{
	if (value.n && (value.p[value.n - 1] - '0') % 2 == 0)
		return true;
	buf_printf(why, "not even: %.*s", STR_ARG(value));
	return false;
}

static const char *const colours[] = {"red", "it's", NULL};
static const struct arg paint_args[] = {{.dest = "thing", .count = ARG_ONE},
	{.dest = "more", .count = ARG_OPTIONAL},
	{.names = {"--verbose", "-v"}, .dest = "verbose", .count = ARG_FLAG},
	{.names = {"--version"}, .dest = "version", .count = ARG_FLAG},
	{.names = {"--colour", "-c"}, .dest = "colour", .count = ARG_ONE, .choices = colours},
	{.names = {"--number", "-n"}, .dest = "number", .count = ARG_ONE, .check = check_even},
	{.names = {"--tags", "-t"}, .dest = "tags", .count = ARG_SOME},
	{.names = {"--secret"}, .dest = "secret", .count = ARG_ONE, .secret = true, .exclusive = 1},
	{.names = {"--open"}, .dest = "open", .count = ARG_FLAG, .exclusive = 1}};
static const struct command paint = {
	.name = "paint", .args = paint_args, .args_n = ARRAY_SIZE(paint_args)};
static const struct command *const commands[] = {&paint, NULL};
static const struct command root = {.name = "p", .commands = commands, .commands_dest = "verb"};

/* One parse of "p WORDS…"; the words are split at '|' and live as long as this does. */
struct line {
	char *text;
	char *argv[32];
	int argc;
	struct args args;
	struct buf out;
	enum args_outcome outcome;
};

static void line_done(struct line *l)
{
	args_done(&l->args);
	buf_done(&l->out);
	free(l->text);
}
#define _cleanup_line_ __attribute__((cleanup(line_done)))

static void parse(struct line *l, const char *words)
{
	static char program[] = "p";
	*l = (struct line){.text = xstrdup(words), .argv = {program}, .argc = 1};
	buf_init(&l->out, 1 << 20);
	for (char *p = l->text; p && *words; l->argc++) {
		l->argv[l->argc] = p;
		p = strchr(p, '|');
		if (p)
			*p++ = '\0';
	}
	l->outcome = args_parse(&root, l->argc, l->argv, 80, &l->args, &l->out);
}

static void assert_error(const char *words, const char *message)
{
	_cleanup_line_ struct line l;
	parse(&l, words);
	assert_int_equal(l.outcome, ARGS_ERROR);
	if (!str_ends_with(buf_str(&l.out), str_of(message)))
		fail_msg("%s: '%s' does not end with '%s'", words, l.out.p, message);
}

static void assert_value(const char *words, const char *dest, const char *value)
{
	_cleanup_line_ struct line l;
	parse(&l, words);
	if (l.outcome != ARGS_RUN)
		fail_msg("%s: %s", words, l.out.p);
	assert_ptr_equal(l.args.command, &paint);
	const char *got = args_value(&l.args, dest);
	if (!value)
		assert_null(got);
	else
		assert_string_equal(got ? got : "(none)", value);
}

static void an_option_may_be_written_in_many_ways(void **state)
{
	(void)state;
	assert_value("paint|x|--number|2", "number", "2");
	assert_value("paint|x|--number=2", "number", "2");
	assert_value("paint|x|--num=2", "number", "2");
	assert_value("paint|x|-n|2", "number", "2");
	assert_value("paint|x|-n2", "number", "2");
	assert_value("paint|x|-n=2", "number", "2");
	assert_value("paint|x|-vn2", "number", "2");
	assert_value("paint|x|-vn|2", "number", "2");
	assert_value("paint|-n|2|x", "thing", "x");
	assert_value("paint|x|--colour=it's|--colour|red", "colour", "red");
}

static void what_looks_like_a_number_or_has_a_blank_is_an_argument(void **state)
{
	(void)state;
	assert_value("paint|-5", "thing", "-5");
	assert_value("paint|-.5", "thing", "-.5");
	assert_value("paint|-x y", "thing", "-x y");
	assert_value("paint|-", "thing", "-");
	assert_value("paint|--|-v", "thing", "-v");
	assert_value("paint|", "thing", "");
	assert_error("paint|-5.", "the following arguments are required: thing\n");
}

static void some_values_take_all_that_follow(void **state)
{
	(void)state;
	_cleanup_line_ struct line l;
	parse(&l, "paint|x|-t|a|b|-v|--tags|c|d|e");
	assert_int_equal(l.outcome, ARGS_RUN);
	size_t n;
	char *const *tags = args_values(&l.args, "tags", &n);
	assert_int_equal(n, 3); /* the second -t replaces the first */
	assert_string_equal(tags[0], "c");
	assert_string_equal(tags[2], "e");
	assert_true(args_has(&l.args, "verbose"));
	assert_false(args_has(&l.args, "version"));
	assert_error(
		"paint|-t|a|x", "p paint: error: the following arguments are required: thing\n");
}

static void a_positional_argument_may_be_left_out(void **state)
{
	(void)state;
	assert_value("paint|x", "more", NULL);
	assert_value("paint|x|y", "more", "y");
	assert_value("paint|-v|x|y", "more", "y");
	assert_value("paint|--|x|y", "more", "y");
}

static void errors_name_option_value_and_what_was_expected(void **state)
{
	(void)state;
	assert_error("paint|x|-n|3", "p paint: error: argument --number/-n: not even: 3\n");
	assert_error("paint|x|-n", "argument --number/-n: expected one argument\n");
	assert_error("paint|x|-t|-v", "argument --tags/-t: expected at least one argument\n");
	assert_error(
		"paint|x|--verbose=1", "argument --verbose/-v: ignored explicit argument '1'\n");
	assert_error("paint|x|-vx", "argument --verbose/-v: ignored explicit argument 'x'\n");
	assert_error("paint|x|--ver", "ambiguous option: --ver could match --verbose, --version\n");
	assert_error("paint|x|-c|blue",
		"argument --colour/-c: invalid choice: 'blue' (choose from 'red', \"it's\")\n");
	assert_error(
		"frob", "p: error: argument verb: invalid choice: 'frob' (choose from 'paint')\n");
	assert_error("paint|x|y|z|--what", "p: error: unrecognized arguments: z --what\n");
	assert_error(
		"--first|paint|x|--last", "p: error: unrecognized arguments: --first --last\n");
	assert_error("paint|x|--open|--secret|s",
		"argument --secret: not allowed with argument --open\n");
}

static void the_first_thing_that_ends_the_parse_counts(void **state)
{
	(void)state;
	_cleanup_line_ struct line help;
	parse(&help, "paint|--what|-h|-n|3");
	assert_int_equal(help.outcome, ARGS_HELP);
	assert_true(str_starts_with(buf_str(&help.out), STR("usage: p paint [-h]")));
	assert_error("paint|-n|3|-h", "not even: 3\n");
}

static void without_a_command_the_root_is_meant(void **state)
{
	(void)state;
	_cleanup_line_ struct line l;
	parse(&l, "");
	assert_int_equal(l.outcome, ARGS_RUN);
	assert_ptr_equal(l.args.command, &root);
}

static void a_secret_leaves_the_argument_vector(void **state)
{
	(void)state;
	static const char *const lines[] = {
		"paint|x|--secret|hunter2", "paint|x|--secret=hunter2", "paint|x|--sec=hunter2"};
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		_cleanup_line_ struct line l;
		parse(&l, lines[i]);
		assert_string_equal(args_value(&l.args, "secret"), "hunter2");
		for (int k = 0; k < l.argc; k++)
			assert_null(strstr(l.argv[k], "hunter2"));
		assert_non_null(strstr(l.argv[l.argc - 1], "*******"));
	}
}

static void a_repeated_secret_leaves_it_too(void **state)
{
	(void)state;
	_cleanup_line_ struct line l;
	parse(&l, "paint|x|--secret|first|--secret|second");
	assert_string_equal(args_value(&l.args, "secret"), "second");
	assert_string_equal(l.argv[4], "*****");
	assert_string_equal(l.argv[6], "******");
}

static void texts_are_quoted_as_python_does(void **state)
{
	(void)state;
	static const struct {
		struct str text;
		const char *repr;
	} cases[] = {{STR("a"), "'a'"}, {STR("it's"), "\"it's\""}, {STR("'\""), "'\\'\"'"},
		{STR("\\\n\r\t"), "'\\\\\\n\\r\\t'"}, {STR("\x01\x7f"), "'\\x01\\x7f'"},
		{STR("\xC3\xA9"), "'\xC3\xA9'"}, {STR("\xC2\xA0"), "'\\xa0'"},
		{STR("\xE2\x80\xA8"), "'\\u2028'"}, {STR("\xF3\xA0\x80\x81"), "'\\U000e0001'"},
		{STR("\xFFx"), "'\\udcffx'"}, {STR(""), "''"}};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_buf_ struct buf out;
		buf_init(&out, 1000);
		python_repr(cases[i].text, &out);
		assert_string_equal(out.p, cases[i].repr);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_option_may_be_written_in_many_ways),
		cmocka_unit_test(what_looks_like_a_number_or_has_a_blank_is_an_argument),
		cmocka_unit_test(some_values_take_all_that_follow),
		cmocka_unit_test(a_positional_argument_may_be_left_out),
		cmocka_unit_test(errors_name_option_value_and_what_was_expected),
		cmocka_unit_test(the_first_thing_that_ends_the_parse_counts),
		cmocka_unit_test(without_a_command_the_root_is_meant),
		cmocka_unit_test(a_secret_leaves_the_argument_vector),
		cmocka_unit_test(a_repeated_secret_leaves_it_too),
		cmocka_unit_test(texts_are_quoted_as_python_does),
	};
	return RUN_TESTS(tests);
}
