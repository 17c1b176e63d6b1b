/* SPDX-License-Identifier: Apache-2.0 */
#include "common/config/option_help.h"
#include "tests/lib/test.h"

#include <jansson.h>
#include <stdlib.h>

struct values {
	char *listen, *to;
	int level;
	struct option_list roles;
	struct secret token;
	const struct yaml_node *policies;
	bool quiet, metrics;
	int64_t limit;
};

static const struct option_choice levels[] = {{"info", 1}, {"error", 3}, {NULL, 0}};
static const struct option_spec specs[] = {
	{.name = "listen",
		OPTION_STRING_AT(struct values, listen),
		.metavar = "ADDR",
		.initial = "127.0.0.1:50051",
		.group = "Listening",
		.help = "where gRPC is served, host:port or unix:PATH"},
	{.name = "log-level",
		OPTION_ENUM_AT(struct values, level),
		.choices = levels,
		.metavar = "LEVEL",
		.initial = "info",
		.group = "Logs",
		.flags = OPTION_RELOADABLE,
		.help = "what is logged"},
	{.name = "default-roles",
		OPTION_LIST_AT(struct values, roles),
		.metavar = "ROLE",
		.group = "Listening",
		.help = "what it \"carries\""},
	{.name = "token",
		OPTION_SECRET_AT(struct values, token),
		.group = "Logs",
		.help = "the token"},
	{.name = "policies",
		OPTION_SECTION_AT(struct values, policies),
		.group = "Logs",
		.help = "who may do what"},
	{.name = "quiet",
		OPTION_FLAG_AT(struct values, quiet),
		.group = "Logs",
		.flags = OPTION_HIDDEN,
		.help = "hush"},
	{.name = "metrics",
		OPTION_FLAG_AT(struct values, metrics),
		.initial = "true",
		.group = "Logs",
		.help = "serve metrics"},
	{.name = "limit",
		OPTION_INT_AT(struct values, limit),
		.group = "Logs",
		.min = 1,
		.max = 5,
		.flags = OPTION_HIDDEN,
		.help = "limit"},
	{.name = "to",
		OPTION_STRING_AT(struct values, to),
		.metavar = "FILE",
		.flags = OPTION_COMMAND_ONLY | OPTION_REQUIRED,
		.help = "where it goes"},
};
static const char *const backup_options[] = {"to", NULL};
static const struct option_command commands[] = {
	{"backup", "write a copy of the database", backup_options, NULL}};
static const struct option_manual manual[] = {
	{"FILES", "/etc/x", ".what - it is"}, {"SEE ALSO", NULL, "osmo(1)"}, {NULL, NULL, NULL}};
static const struct option_table table = {.program = "token-service",
	.phrase = "serve tokens",
	.manual = manual,
	.version = "1.2.3",
	.env_prefix = "TOKEN_SERVICE",
	.summary = "Serves access tokens to people and programs, over gRPC and over HTTP.",
	.values_size = sizeof(struct values),
	.specs = specs,
	.count = ARRAY_SIZE(specs),
	.commands = commands,
	.command_count = ARRAY_SIZE(commands)};

static void help_is_grouped_and_wrapped(void **state)
{
	(void)state;
	assert_ok(option_table_check(&table));
	_cleanup_buf_ struct buf out;
	buf_init(&out, 1 << 16);
	option_help_text(&table, NULL, 80, &out);
	assert_string_equal(buf_str(&out).p,
		"Usage: token-service [OPTION]...\n"
		"       token-service COMMAND [OPTION]...\n"
		"\n"
		"Serves access tokens to people and programs, over gRPC and over HTTP.\n"
		"\n"
		"Commands:\n"
		"  backup                      write a copy of the database\n"
		"\n"
		"Listening:\n"
		"  --listen ADDR               where gRPC is served, host:port or unix:PATH\n"
		"                              [default: 127.0.0.1:50051, $TOKEN_SERVICE_LISTEN]\n"
		"  --default-roles ROLE        what it \"carries\"; may be given again and again\n"
		"                              [$TOKEN_SERVICE_DEFAULT_ROLES]\n"
		"\n"
		"Logs:\n"
		"  --log-level LEVEL           what is logged: info or error [default: info,\n"
		"                              $TOKEN_SERVICE_LOG_LEVEL]\n"
		"  --token-file FILE           the token [$TOKEN_SERVICE_TOKEN_FILE, or the\n"
		"                              secret itself in $TOKEN_SERVICE_TOKEN]\n"
		"  policies:                   who may do what [in the file only]\n"
		"  --[no-]metrics              serve metrics [default: true,\n"
		"                              $TOKEN_SERVICE_METRICS]\n"
		"\n"
		"General:\n"
		"  --config FILE               read options from this YAML file; its keys are the\n"
		"                              names of options [$TOKEN_SERVICE_CONFIG]\n"
		"  --check-config              check the configuration, say whether it is right,\n"
		"                              and exit\n"
		"  --completion SHELL          print completion for bash, zsh or fish and exit\n"
		"  -h, --help                  show this help and exit\n"
		"  -V, --version               show the version and exit\n"
		"\n"
		"The command line counts before the environment, the environment before the "
		"file.\n");
}

static void no_line_is_wider_than_asked(void **state)
{
	(void)state;
	for (size_t width = 40; width <= 200; width += 7) {
		_cleanup_buf_ struct buf out;
		buf_init(&out, 1 << 16);
		option_help_text(&table, NULL, width, &out);
		struct str rest = buf_str(&out), line;
		while (str_split(&rest, '\n', &line))
			if (line.n > width)
				fail_msg("%zu columns: '%.*s'", width, STR_ARG(line));
	}
}

static void a_command_shows_its_own_options(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf out;
	buf_init(&out, 1 << 16);
	option_help_text(&table, &commands[0], 80, &out);
	static const char start[] =
		"Usage: token-service backup [OPTION]...\n"
		"\n"
		"write a copy of the database\n"
		"\n"
		"Options:\n"
		"  --to FILE                   where it goes [required, $TOKEN_SERVICE_TO]\n"
		"\n"
		"General:\n";
	assert_true(str_starts_with(buf_str(&out), str_of(start)));
	assert_null(strstr(out.p, "--listen"));
}

static void a_manual_page_says_what_help_says(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf out;
	buf_init(&out, 1 << 16);
	option_help_man(&table, &out);
	assert_true(str_starts_with(buf_str(&out),
		STR(".TH TOKEN-SERVICE 8 \"\" \"token-service\" \"System Administration\"\n"
		    ".SH NAME\ntoken\\-service \\- serve tokens\n")));
	static const char *const parts[] = {
		".SH SYNOPSIS\n.B token\\-service\n[OPTION]...\n"
		".br\n.B token\\-service backup\n[OPTION]...\n",
		".SH COMMANDS\n.SS backup\n.PP\nwrite a copy of the database\n.TP\n.B \\-\\-to "
		"FILE\n",
		".SH OPTIONS\n.SS Listening\n.TP\n.B \\-\\-listen ADDR\n",
		".SS General\n.TP\n.B \\-\\-config FILE\n",
		".SH FILES\n.TP\n.B /etc/x\n\\&.what \\- it is\n",
		".SH SEE ALSO\n.PP\nosmo(1)\n",
	};
	const char *from = out.p;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		from = strstr(from, parts[i]);
		if (!from)
			fail_msg("'%s' is missing in:\n%s", parts[i], out.p);
	}
	assert_null(strstr(out.p, "hush"));
}

static const json_t *option_named(const json_t *root, const char *name)
{
	size_t i;
	json_t *o;
	json_array_foreach(json_object_get(root, "options"), i,
		o) if (strcmp(json_string_value(json_object_get(o, "name")), name) == 0) return o;
	fail_msg("%s is missing", name);
	return NULL;
}

static const char *text_of(const json_t *o, const char *member)
{
	return json_string_value(json_object_get(o, member));
}

static void json_holds_the_whole_table(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf out;
	buf_init(&out, 1 << 16);
	option_help_json(&table, &out);
	json_t *root = json_loads(buf_str(&out).p, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(root);
	assert_int_equal(json_array_size(json_object_get(root, "options")), ARRAY_SIZE(specs));
	const json_t *listen = option_named(root, "listen");
	assert_string_equal(text_of(listen, "default"), "127.0.0.1:50051");
	assert_string_equal(text_of(listen, "env"), "TOKEN_SERVICE_LISTEN");
	assert_string_equal(text_of(listen, "type"), "string");
	const json_t *token = option_named(root, "token-file");
	assert_string_equal(text_of(token, "env"), "TOKEN_SERVICE_TOKEN_FILE");
	assert_string_equal(text_of(token, "env_secret"), "TOKEN_SERVICE_TOKEN");
	assert_true(json_is_true(json_object_get(option_named(root, "log-level"), "reloadable")));
	assert_int_equal(
		json_array_size(json_object_get(option_named(root, "log-level"), "choices")), 2);
	assert_int_equal(
		json_integer_value(json_object_get(option_named(root, "limit"), "max")), 5);
	assert_string_equal(
		text_of(option_named(root, "default-roles"), "help"), "what it \"carries\"");
	assert_null(json_object_get(option_named(root, "policies"), "env"));
	json_decref(root);
}

static void the_width_is_that_of_columns_within_reason(void **state)
{
	(void)state;
	setenv("COLUMNS", "100", 1);
	assert_int_equal(option_help_width(), 100);
	setenv("COLUMNS", "3", 1);
	assert_int_equal(option_help_width(), 40);
	setenv("COLUMNS", "99999", 1);
	assert_int_equal(option_help_width(), 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(help_is_grouped_and_wrapped),
		cmocka_unit_test(no_line_is_wider_than_asked),
		cmocka_unit_test(a_command_shows_its_own_options),
		cmocka_unit_test(a_manual_page_says_what_help_says),
		cmocka_unit_test(json_holds_the_whole_table),
		cmocka_unit_test(the_width_is_that_of_columns_within_reason),
	};
	return RUN_TESTS(tests);
}
