/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/buf.h"
#include "common/base/file.h"
#include "common/base/xalloc.h"
#include "common/config/options.h"
#include "common/config/yaml_node.h"
#include "tests/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct values {
	bool dev_login, metrics;
	char *listen, *data_dir, *to;
	int64_t threads, ttl_ms, cache_bytes;
	int level;
	struct option_list roles;
	struct secret admin_token;
	const struct yaml_node *policies;
};

static struct status even_length(struct str value)
{
	if (value.n % 2)
		return status_error(
			STATUS_INVALID_ARGUMENT, "'%.*s' has an odd length", STR_ARG(value));
	return status_ok();
}

static const struct option_choice levels[] = {{"debug", 0}, {"info", 1}, {"error", 3}, {NULL, 0}};

static const struct option_spec specs[] = {
	{.name = "listen",
		OPTION_STRING_AT(struct values, listen),
		.metavar = "ADDR",
		.initial = "127.0.0.1:50051",
		.group = "Listening",
		.help = "where to listen"},
	{.name = "data-dir",
		OPTION_STRING_AT(struct values, data_dir),
		.metavar = "DIR",
		.check = even_length,
		.help = "where data is kept"},
	{.name = "threads",
		OPTION_INT_AT(struct values, threads),
		.metavar = "N",
		.initial = "2",
		.min = 1,
		.max = 64,
		.help = "how many loops run"},
	{.name = "cache-ttl",
		OPTION_DURATION_AT(struct values, ttl_ms),
		.initial = "30s",
		.max = 3600000,
		.flags = OPTION_RELOADABLE,
		.help = "how long a token is remembered"},
	{.name = "cache-max-bytes",
		OPTION_SIZE_AT(struct values, cache_bytes),
		.initial = "16MiB",
		.help = "how much is remembered"},
	{.name = "log-level",
		OPTION_ENUM_AT(struct values, level),
		.choices = levels,
		.initial = "info",
		.flags = OPTION_RELOADABLE,
		.help = "what is logged"},
	{.name = "default-roles",
		OPTION_LIST_AT(struct values, roles),
		.metavar = "ROLE",
		.initial = "osmo-user",
		.flags = OPTION_RELOADABLE,
		.help = "what a personal token carries"},
	{.name = "dev-login", OPTION_FLAG_AT(struct values, dev_login), .help = "trust everybody"},
	{.name = "metrics",
		OPTION_FLAG_AT(struct values, metrics),
		.initial = "true",
		.help = "serve metrics"},
	{.name = "admin-token",
		OPTION_SECRET_AT(struct values, admin_token),
		.flags = OPTION_RELOADABLE,
		.help = "the admin's token"},
	{.name = "policies",
		OPTION_SECTION_AT(struct values, policies),
		.flags = OPTION_RELOADABLE,
		.help = "who may do what"},
	{.name = "to",
		OPTION_STRING_AT(struct values, to),
		.flags = OPTION_COMMAND_ONLY | OPTION_REQUIRED,
		.help = "where the backup goes"},
};

static const char *const backup_options[] = {"data-dir", "to", NULL};
static const struct option_command commands[] = {
	{"backup", "write a copy of the database", backup_options, NULL},
	{"restore", "read a copy of the database", backup_options, "FILE"}};

static const struct option_table table = {
	.program = "token-service",
	.version = "1.2.3",
	.env_prefix = "TOKEN_SERVICE",
	.summary = "Serves access tokens.",
	.values_size = sizeof(struct values),
	.specs = specs,
	.count = ARRAY_SIZE(specs),
	.commands = commands,
	.command_count = ARRAY_SIZE(commands),
};

/* One program run: arguments, environment and a file; each list ends with NULL. */
struct run {
	struct options *options;
	const struct values *v;
	struct status status;
	char **env; /* which the options borrow */
};

static char folder[] = "/tmp/test_options.XXXXXX";

static char *path_of(const char *name)
{
	return xasprintf("%s/%s", folder, name);
}

static void write_file(const char *name, const char *content)
{
	_cleanup_free_ char *path = path_of(name);
	assert_ok(file_write_atomic(path, str_of(content), 0600));
}

static int enter_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int leave_folder(void **state)
{
	(void)state;
	static const char *const names[] = {"x.yaml", "secret", "big.yaml"};
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		unlink(names[i]);
	return chdir("/") == 0 ? rmdir(folder) : -1;
}

static void run_done(struct run *r)
{
	options_free(r->options);
	for (size_t i = 0; r->env[i]; i++)
		free(r->env[i]);
	free(r->env);
}

static struct run run_with(const char *const *args, const char *const *env)
{
	struct run r = {NULL, NULL, status_ok(), xcalloc(20, sizeof(char *))};
	char *argv[20] = {xstrdup("token-service")};
	int argc = 1, count = 0;
	for (; args && args[argc - 1]; argc++)
		argv[argc] = xstrdup(args[argc - 1]);
	for (; env && env[count]; count++)
		r.env[count] = xstrdup(env[count]);
	r.status = options_read(&table, argc, argv, r.env, &r.options);
	if (r.options)
		r.v = options_values(r.options);
	for (int i = 0; i < argc; i++)
		free(argv[i]);
	return r;
}

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})
#define RUN(r, args, env)                                                                          \
	_cleanup_(run_done) struct run r = run_with(args, env);                                    \
	assert_ok(r.status)
#define REFUSED(args, env, text)                                                                   \
	do {                                                                                       \
		struct run refused = run_with(args, env);                                          \
		run_done(&refused);                                                                \
		assert_status(refused.status, STATUS_INVALID_ARGUMENT, (text));                    \
	} while (0)

static void without_anything_the_defaults_hold(void **state)
{
	(void)state;
	RUN(r, NULL, NULL);
	assert_int_equal(options_action(r.options), OPTIONS_RUN);
	assert_string_equal(r.v->listen, "127.0.0.1:50051");
	assert_null(r.v->data_dir);
	assert_int_equal(r.v->threads, 2);
	assert_int_equal(r.v->ttl_ms, 30000);
	assert_int_equal(r.v->cache_bytes, 16 << 20);
	assert_int_equal(r.v->level, 1);
	assert_int_equal(r.v->roles.count, 1);
	assert_string_equal(r.v->roles.items[0], "osmo-user");
	assert_false(r.v->dev_login);
	assert_true(r.v->metrics);
	assert_null(r.v->admin_token.p);
	assert_null(r.v->policies);
	assert_string_equal(options_origin(r.options, "threads"), "the default");
}

static void command_line_beats_environment_beats_file_beats_default(void **state)
{
	(void)state;
	write_file("x.yaml", "threads: 3\nlisten: file:1\ncache-ttl: 1m\nlog-level: error\n");
	RUN(r, LIST("--config=x.yaml", "--threads", "5"),
		LIST("TOKEN_SERVICE_THREADS=4", "TOKEN_SERVICE_LISTEN=env:1", "THREADS=9"));
	assert_int_equal(r.v->threads, 5);
	assert_string_equal(r.v->listen, "env:1");
	assert_int_equal(r.v->ttl_ms, 60000);
	assert_int_equal(r.v->level, 3);
	assert_int_equal(r.v->cache_bytes, 16 << 20);
	assert_string_equal(options_config_file(r.options), "x.yaml");
	assert_string_equal(options_origin(r.options, "threads"), "the command line");
	assert_string_equal(options_origin(r.options, "listen"), "TOKEN_SERVICE_LISTEN");
	assert_string_equal(options_origin(r.options, "cache-ttl"), "x.yaml:3");
}

static void the_file_may_be_named_by_the_environment(void **state)
{
	(void)state;
	write_file("x.yaml", "threads: 3\n");
	RUN(r, NULL, LIST("TOKEN_SERVICE_CONFIG=x.yaml"));
	assert_int_equal(r.v->threads, 3);
}

static void flags_have_three_spellings(void **state)
{
	(void)state;
	RUN(a, LIST("--dev-login", "--no-metrics"), NULL);
	assert_true(a.v->dev_login && !a.v->metrics);
	RUN(b, LIST("--dev-login=off", "--metrics=yes"), LIST("TOKEN_SERVICE_DEV_LOGIN=true"));
	assert_true(!b.v->dev_login && b.v->metrics);
	REFUSED(LIST("--dev-login=maybe"), NULL,
		"--dev-login must be true or false, got 'maybe' from the command line");
	REFUSED(LIST("--dev-login", "true"), NULL,
		"unexpected argument 'true': there are options only");
	REFUSED(LIST("--no-threads"), NULL,
		"unknown option '--no-threads'; did you mean '--threads'?");
}

static void a_list_is_repeated_or_has_commas_and_replaces_what_is_below(void **state)
{
	(void)state;
	RUN(a, LIST("--default-roles", "a", "--default-roles=b, c"), NULL);
	assert_int_equal(a.v->roles.count, 3);
	assert_string_equal(a.v->roles.items[2], "c");
	RUN(b, NULL, LIST("TOKEN_SERVICE_DEFAULT_ROLES=x,y"));
	assert_int_equal(b.v->roles.count, 2);
	RUN(c, LIST("--default-roles="), LIST("TOKEN_SERVICE_DEFAULT_ROLES=x,y"));
	assert_int_equal(c.v->roles.count, 0);
	write_file("x.yaml", "default-roles:\n  - 'with, comma'\n  - z\n");
	RUN(d, LIST("--config", "x.yaml"), NULL);
	assert_int_equal(d.v->roles.count, 2);
	assert_string_equal(d.v->roles.items[0], "with, comma");
	write_file("x.yaml", "default-roles: []\n");
	RUN(e, LIST("--config", "x.yaml"), NULL);
	assert_int_equal(e.v->roles.count, 0);
	REFUSED(LIST("--default-roles=a,,b"), NULL,
		"--default-roles must be a list without empty entries, got 'a,,b' from the command "
		"line");
}

static void empty_means_unset_only_in_environment_and_file(void **state)
{
	(void)state;
	write_file("x.yaml", "threads:\nlisten: ~\n");
	RUN(a, LIST("--config", "x.yaml"), LIST("TOKEN_SERVICE_CACHE_TTL="));
	assert_int_equal(a.v->threads, 2);
	assert_string_equal(a.v->listen, "127.0.0.1:50051");
	assert_int_equal(a.v->ttl_ms, 30000);
}

static void an_empty_text_takes_back_what_lies_below(void **state)
{
	(void)state;
	write_file("x.yaml", "data-dir: four\n");
	RUN(a, LIST("--config", "x.yaml"), NULL);
	assert_string_equal(a.v->data_dir, "four");
	RUN(b, LIST("--config", "x.yaml", "--data-dir="), NULL);
	assert_null(b.v->data_dir);
	write_file("x.yaml", "data-dir: ''\n");
	RUN(c, LIST("--config", "x.yaml"), NULL);
	assert_null(c.v->data_dir);
}

static void an_option_with_a_default_is_never_empty(void **state)
{
	(void)state;
	REFUSED(LIST("--listen="), NULL,
		"--listen must be a text that is not empty, got '' from the command line");
	write_file("x.yaml", "listen: ''\n");
	REFUSED(LIST("--config", "x.yaml"), NULL,
		"--listen must be a text that is not empty, got '' from x.yaml:1");
	write_file("x.yaml", "default-roles: [a, '']\n");
	REFUSED(LIST("--config", "x.yaml"), NULL,
		"--default-roles must be a list without empty entries, got '' from x.yaml:1");
}

static void the_last_of_a_plain_option_counts(void **state)
{
	(void)state;
	RUN(r, LIST("--threads", "3", "--threads=7"), NULL);
	assert_int_equal(r.v->threads, 7);
}

static void an_error_names_option_value_origin_and_expectation(void **state)
{
	(void)state;
	REFUSED(LIST("--threads", "0"), NULL,
		"--threads must be a whole number from 1 to 64, got '0' from the command line");
	REFUSED(NULL, LIST("TOKEN_SERVICE_THREADS=many"),
		"--threads must be a whole number from 1 to 64, got 'many' from "
		"TOKEN_SERVICE_THREADS");
	write_file("x.yaml", "# comment\nthreads: 65\n");
	REFUSED(LIST("--config", "x.yaml"), NULL,
		"--threads must be a whole number from 1 to 64, got '65' from x.yaml:2");
	/* also where the command line hides it */
	REFUSED(LIST("--config", "x.yaml", "--threads=2"), NULL,
		"--threads must be a whole number from 1 to 64, got '65' from x.yaml:2");
	REFUSED(LIST("--cache-ttl", "30"), NULL,
		"--cache-ttl must be a duration from 0 to 1h (500ms, 30s, 2m, 1h), got '30' from "
		"the "
		"command line");
	REFUSED(LIST("--cache-max-bytes", "1 MiB"), NULL,
		"--cache-max-bytes must be a size (4096, 64KiB, 1MiB), got '1 MiB' from the "
		"command "
		"line");
	REFUSED(LIST("--log-level", "warn"), NULL,
		"--log-level must be debug, info or error, got 'warn' from the command line");
	REFUSED(LIST("--data-dir", "abc"), NULL,
		"--data-dir from the command line: 'abc' has an odd length");
	REFUSED(LIST("--listen", "a\n\xFF\x1B[31m"), NULL,
		"--listen must be UTF-8, got 'a\\x0a\\xff\\x1b[31m' from the command line");
	write_file("x.yaml", "threads: [1]\n");
	REFUSED(LIST("--config", "x.yaml"), NULL,
		"--threads must be a whole number from 1 to 64, got a list from x.yaml:1");
	write_file("x.yaml", "default-roles:\n- a\n- [b]\n");
	REFUSED(LIST("--config", "x.yaml"), NULL,
		"--default-roles must be a list of texts, see x.yaml:3");
	write_file("x.yaml", "listen: \"a\\0b\"\n");
	REFUSED(LIST("--config", "x.yaml"), NULL,
		"--listen must be text without NUL, got 'a\\x00b' from x.yaml:1");
}

static void what_is_unknown_gets_a_suggestion(void **state)
{
	(void)state;
	REFUSED(LIST("--thread", "3"), NULL,
		"unknown option '--thread'; did you mean '--threads'?");
	REFUSED(LIST("--help-me"), NULL, "unknown option '--help-me'");
	REFUSED(LIST("--xyzzy=secret"), NULL, "unknown option '--xyzzy'");
	REFUSED(LIST("-x"), NULL, "unknown option '-x'");
	REFUSED(LIST("--"), NULL, "unknown option '--'");
	REFUSED(LIST("--=x"), NULL, "unknown option '--'");
	REFUSED(LIST("bakup"), NULL, "unknown command 'bakup'; did you mean 'backup'?");
	REFUSED(LIST("--dev-login", "backup"), NULL,
		"the command 'backup' must stand before all options");
	write_file("x.yaml", "threads: 3\ncacheTtl: 3s\n");
	REFUSED(LIST("--config=x.yaml"), NULL,
		"unknown option 'cacheTtl' in x.yaml:2; did you mean 'cache-ttl'?");
	write_file("x.yaml", "config: y.yaml\n");
	REFUSED(LIST("--config=x.yaml"), NULL, "unknown option 'config' in x.yaml:1");
}

static void a_forgotten_value_is_told(void **state)
{
	(void)state;
	REFUSED(LIST("--listen"), NULL, "--listen needs a value: --listen ADDR");
	REFUSED(LIST("--listen", "--dev-login"), NULL, "--listen needs a value: --listen ADDR");
	REFUSED(LIST("--config"), NULL, "--config needs a value: --config FILE");
	REFUSED(LIST("--check-config=yes"), NULL, "--check-config takes no value");
	RUN(r, LIST("--listen=--odd"), NULL);
	assert_string_equal(r.v->listen, "--odd");
}

static void a_file_that_cannot_be_read_is_told_with_who_named_it(void **state)
{
	(void)state;
	REFUSED(LIST("--config", "missing.yaml"), NULL,
		"--config from the command line: cannot open 'missing.yaml': No such file or "
		"directory");
	REFUSED(NULL, LIST("TOKEN_SERVICE_CONFIG=."),
		"--config from TOKEN_SERVICE_CONFIG: cannot read '.': Is a directory");
	write_file("x.yaml", "- a\n- b\n");
	REFUSED(LIST("--config=x.yaml"), NULL,
		"x.yaml:1: a configuration must be a mapping of options");
	write_file("x.yaml", "threads: 1\nthreads: 2\n");
	REFUSED(LIST("--config=x.yaml"), NULL, "x.yaml:2: 'threads' is there already, on line 1");
	write_file("x.yaml", "");
	RUN(r, LIST("--config=x.yaml"), NULL);
	assert_int_equal(r.v->threads, 2);
}

static void a_file_of_more_than_a_mebibyte_is_refused(void **state)
{
	(void)state;
	FILE *f = fopen("big.yaml", "w");
	assert_non_null(f);
	for (int i = 0; i < (1 << 20) + 1; i++)
		fputc('#', f);
	fclose(f);
	REFUSED(LIST("--config=big.yaml"), NULL,
		"--config from the command line: 'big.yaml' is longer than the 1048576 bytes "
		"allowed");
}

static void secrets_come_from_files_and_the_environment_only(void **state)
{
	(void)state;
	write_file("secret", "s3cret\n");
	RUN(a, LIST("--admin-token-file", "secret"), NULL);
	assert_str(secret_str(&a.v->admin_token), "s3cret");
	RUN(b, NULL, LIST("TOKEN_SERVICE_ADMIN_TOKEN_FILE=secret"));
	assert_str(secret_str(&b.v->admin_token), "s3cret");
	RUN(c, NULL, LIST("TOKEN_SERVICE_ADMIN_TOKEN=other"));
	assert_str(secret_str(&c.v->admin_token), "other");
	write_file("x.yaml", "admin-token-file: secret\n");
	RUN(d, LIST("--config=x.yaml"), NULL);
	assert_str(secret_str(&d.v->admin_token), "s3cret");

	REFUSED(LIST("--admin-token", "s3cret"), NULL,
		"--admin-token is refused, because all users can read a command line: give "
		"--admin-token-file FILE");
	REFUSED(LIST("--admin-token=s3cret"), NULL,
		"--admin-token is refused, because all users can read a command line: give "
		"--admin-token-file FILE");
	write_file("x.yaml", "admin-token: s3cret\n");
	REFUSED(LIST("--config=x.yaml"), NULL,
		"unknown option 'admin-token' in x.yaml:1; did you mean 'admin-token-file'?");
	REFUSED(NULL, LIST("TOKEN_SERVICE_ADMIN_TOKEN=a", "TOKEN_SERVICE_ADMIN_TOKEN_FILE=secret"),
		"TOKEN_SERVICE_ADMIN_TOKEN and TOKEN_SERVICE_ADMIN_TOKEN_FILE must not both be "
		"set");
	REFUSED(LIST("--admin-token-file=gone"), NULL,
		"--admin-token-file from the command line: cannot open 'gone': No such file or "
		"directory");
	write_file("secret", "\n");
	REFUSED(LIST("--admin-token-file=secret"), NULL,
		"--admin-token-file from the command line: 'secret' is empty");
	_cleanup_buf_ struct buf text;
	buf_init(&text, 100);
	options_format(a.options, "admin-token", &text);
	assert_str(buf_str(&text), "***");
}

static void sections_are_trees_of_the_file_only(void **state)
{
	(void)state;
	write_file("x.yaml", "policies:\n  admin:\n    - a\n    - b\n");
	RUN(r, LIST("--config=x.yaml"), NULL);
	const struct yaml_node *admin = yaml_node_find(r.v->policies, "admin");
	assert_non_null(admin);
	assert_int_equal(admin->count, 2);
	assert_str(admin->first->next->text, "b");
	assert_int_equal(admin->first->next->line, 4);
	REFUSED(LIST("--policies=x"), NULL,
		"'policies' is no option of the command line: give it in the file of --config");
}

static void a_command_takes_its_own_options(void **state)
{
	(void)state;
	RUN(r, LIST("backup", "--to", "x", "--data-dir=ab"), LIST("TOKEN_SERVICE_THREADS=9"));
	assert_string_equal(options_command(r.options)->name, "backup");
	assert_string_equal(r.v->to, "x");
	assert_int_equal(r.v->threads, 9);
	/* What takes an operand takes just one, wherever it stands. */
	RUN(o, LIST("restore", "--to", "x", "copy.db", "--data-dir=ab"), NULL);
	assert_string_equal(options_operand(o.options), "copy.db");
	REFUSED(LIST("restore", "--to=x"), NULL, "the command 'restore' needs a FILE");
	REFUSED(LIST("restore", "--to=x", "a", "b"), NULL,
		"unexpected argument 'b': there are options only");
	REFUSED(LIST("backup", "--to=x", "a"), NULL,
		"unexpected argument 'a': there are options only");
	REFUSED(LIST("backup"), NULL,
		"--to is required: give it on the command line, as TOKEN_SERVICE_TO or in the file "
		"of "
		"--config");
	REFUSED(LIST("backup", "--to=x", "--threads=1"), NULL,
		"--threads is no option of the command 'backup'");
	REFUSED(LIST("--to=x"), NULL, "--to belongs to a command; see --help");
	RUN(plain, NULL, NULL);
	assert_null(options_command(plain.options));
}

static void help_wins_over_errors(void **state)
{
	(void)state;
	RUN(a, LIST("--xyzzy", "--listen", "--help"), NULL);
	assert_int_equal(options_action(a.options), OPTIONS_HELP);
	RUN(b, LIST("-V"), LIST("TOKEN_SERVICE_THREADS=x"));
	assert_int_equal(options_action(b.options), OPTIONS_VERSION);
	RUN(c, LIST("--check-config"), NULL);
	assert_int_equal(options_action(c.options), OPTIONS_CHECK);
	REFUSED(LIST("--check-config", "--threads=x"), NULL,
		"--threads must be a whole number from 1 to 64, got 'x' from the command line");
}

static void errors_of_the_caller_look_the_same(void **state)
{
	(void)state;
	RUN(r, LIST("--listen", "0.0.0.0:1"), NULL);
	assert_status(
		options_error(r.options, "listen", "a loopback address with %s", "--dev-login"),
		STATUS_INVALID_ARGUMENT,
		"--listen must be a loopback address with --dev-login, got '0.0.0.0:1' from the "
		"command line");
}

struct changes {
	char text[1000];
};

static void note_change(void *arg, const struct option_change *c)
{
	struct changes *it = arg;
	size_t n = strlen(it->text);
	snprintf(it->text + n, sizeof it->text - n, "%s: %s -> %s%s\n", c->name, c->old, c->new,
		c->applied ? "" : " (restart)");
}

static void a_reload_applies_what_it_may_and_names_the_rest(void **state)
{
	(void)state;
	write_file("secret", "one");
	write_file("x.yaml", "threads: 3\nlisten: a:1\ncache-ttl: 1m\ndefault-roles: [a]\n"
			     "admin-token-file: secret\npolicies: {x: [1]}\n");
	RUN(r, LIST("--config=x.yaml", "--log-level=error"), NULL);

	struct changes none = {""};
	_cleanup_(options_freep) struct options *same = NULL;
	assert_ok(options_reload(r.options, note_change, &none, &same));
	assert_string_equal(none.text, "");

	write_file("secret", "two");
	write_file("x.yaml", "threads: 4\nlog-level: debug\ncache-ttl: 2m\ndefault-roles: [a, b]\n"
			     "admin-token-file: secret\npolicies: {x: [1, 2]}\n");
	struct changes some = {""};
	_cleanup_(options_freep) struct options *fresh = NULL;
	assert_ok(options_reload(r.options, note_change, &some, &fresh));
	assert_string_equal(some.text, "listen: a:1 -> 127.0.0.1:50051 (restart)\n"
				       "threads: 3 -> 4 (restart)\n"
				       "cache-ttl: 1m -> 2m\n"
				       "default-roles: a -> a,b\n"
				       "admin-token: *** -> ***\n"
				       "policies:  -> \n");
	const struct values *v = options_values(fresh);
	assert_string_equal(v->listen, "a:1");
	assert_int_equal(v->threads, 3);
	assert_string_equal(options_origin(fresh, "threads"), "x.yaml:1");
	assert_int_equal(v->ttl_ms, 120000);
	assert_int_equal(v->level, 3);
	assert_int_equal(v->roles.count, 2);
	assert_str(secret_str(&v->admin_token), "two");
	assert_int_equal(yaml_node_find(v->policies, "x")->count, 2);
	/* the old one is whole */
	assert_str(secret_str(&r.v->admin_token), "one");
	assert_int_equal(yaml_node_find(r.v->policies, "x")->count, 1);
}

static void a_reload_that_fails_changes_nothing(void **state)
{
	(void)state;
	write_file("x.yaml", "cache-ttl: 1m\n");
	RUN(r, LIST("--config=x.yaml"), NULL);
	write_file("x.yaml", "cache-ttl: 2m\nthreads: none\n");
	struct changes none = {""};
	struct options *fresh = NULL;
	assert_status(options_reload(r.options, note_change, &none, &fresh),
		STATUS_INVALID_ARGUMENT,
		"--threads must be a whole number from 1 to 64, got 'none' from x.yaml:2");
	assert_null(fresh);
	assert_string_equal(none.text, "");
	assert_int_equal(r.v->ttl_ms, 60000);
}

/* Every kind of value can be kept over a reload. */
static const struct option_spec fixed_specs[] = {
	{.name = "policies", OPTION_SECTION_AT(struct values, policies), .help = "p"},
	{.name = "default-roles", OPTION_LIST_AT(struct values, roles), .help = "r"},
	{.name = "admin-token", OPTION_SECRET_AT(struct values, admin_token), .help = "t"},
	{.name = "listen", OPTION_STRING_AT(struct values, listen), .help = "l"},
};
static const struct option_table fixed_table = {.program = "p",
	.version = "1",
	.env_prefix = "P",
	.values_size = sizeof(struct values),
	.specs = fixed_specs,
	.count = ARRAY_SIZE(fixed_specs)};

static void kept_values_do_not_depend_on_the_old_options(void **state)
{
	(void)state;
	write_file("secret", "one");
	write_file("x.yaml",
		"policies: {x: [1]}\ndefault-roles: [a]\nadmin-token-file: secret\nlisten: l\n");
	char program[] = "p", config[] = "--config=x.yaml";
	char *const argv[] = {program, config, NULL}, *const env[] = {NULL};
	struct options *o = NULL;
	assert_ok(options_read(&fixed_table, 2, argv, env, &o));
	write_file("x.yaml", "");
	struct changes some = {""};
	_cleanup_(options_freep) struct options *fresh = NULL;
	assert_ok(options_reload(o, note_change, &some, &fresh));
	options_free(o);
	const struct values *v = options_values(fresh);
	assert_str(yaml_node_find(v->policies, "x")->first->text, "1");
	assert_string_equal(v->roles.items[0], "a");
	assert_str(secret_str(&v->admin_token), "one");
	assert_string_equal(v->listen, "l");
}

static void note_env(void *arg, const struct option_stray *stray)
{
	struct changes *it = arg;
	size_t n = strlen(it->text);
	snprintf(it->text + n, sizeof it->text - n, "%s%s%s ", stray->name,
		stray->in_file_only ? "!" : "?", stray->nearest ? stray->nearest : "");
}

static void misspelt_variables_are_found_and_those_of_kubernetes_are_not(void **state)
{
	(void)state;
	char a[] = "TOKEN_SERVICE_THREAD=3", b[] = "TOKEN_SERVICE_PORT=tcp://10.0.0.1:50051",
	     c[] = "TOKEN_SERVICE_PORT_50051_TCP_ADDR=10.0.0.1",
	     d[] = "TOKEN_SERVICE_SERVICE_HOST=10.0.0.1", e[] = "TOKEN_SERVICE_CONFIG=x",
	     f[] = "TOKEN_SERVICE_ADMIN_TOKEN_FILE=x", g[] = "THREAD=1",
	     h[] = "TOKEN_SERVICE_SERVICE_PORT_GRPC=50051",
	     i[] = "TOKEN_SERVICE_GATEWAY_SERVICE_HOST=10.0.0.2", /* token-service-gateway */
		j[] = "TOKEN_SERVICE_GATEWAY_PORT_80_TCP=tcp://10.0.0.2:80",
	     k[] = "TOKEN_SERVICE_HOST=10.0.0.3", /* a Service that is called token */
		l[] = "TOKEN_SERVICE_THREED=", m[] = "TOKEN_SERVICES=1", n[] = "TOKEN_SERVICE_",
	     o[] = "TOKEN_SERVICE_THREADS=3", p[] = "TOKEN_SERVICE_GATEWAY_PORT=tcp://10.0.0.2:80";
	char *const env[] = {a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, NULL};
	struct changes found = {""};
	options_suspicious_env(&table, env, note_env, &found);
	assert_string_equal(found.text, "TOKEN_SERVICE_THREAD?threads ");
}

static void a_variable_that_resembles_no_option_is_found_too(void **state)
{
	(void)state;
	char a[] = "TOKEN_SERVICE_WONDERS=3", b[] = "TOKEN_SERVICE_HTTP_PORT=80";
	char *const env[] = {a, b, NULL};
	struct changes found = {""};
	options_suspicious_env(&table, env, note_env, &found);
	assert_string_equal(found.text, "TOKEN_SERVICE_WONDERS? TOKEN_SERVICE_HTTP_PORT? ");
}

static void a_section_is_in_the_file_only(void **state)
{
	(void)state;
	char a[] = "TOKEN_SERVICE_POLICIES={}";
	char *const env[] = {a, NULL};
	struct changes found = {""};
	options_suspicious_env(&table, env, note_env, &found);
	assert_string_equal(found.text, "TOKEN_SERVICE_POLICIES!policies ");
}

static struct status check_one(const struct option_spec *s, size_t count)
{
	struct option_table t = fixed_table;
	t.specs = s;
	t.count = count;
	return option_table_check(&t);
}

static void a_table_that_is_wrong_is_found(void **state)
{
	(void)state;
	assert_ok(option_table_check(&table));
	assert_ok(option_table_check(&fixed_table));
	struct option_spec two[] = {fixed_specs[3], fixed_specs[3]};
	assert_status(
		check_one(two, 2), STATUS_FAILED_PRECONDITION, "'listen' and 'listen' collide");
	struct option_spec s = fixed_specs[3];
	s.name = "port";
	assert_status(check_one(&s, 1), STATUS_FAILED_PRECONDITION, "'port': the name is taken");
	s.name = "Listen";
	assert_status(check_one(&s, 1), STATUS_FAILED_PRECONDITION, "option 0 has a bad name");
	s = specs[2];
	s.max = -1;
	assert_status(check_one(&s, 1), STATUS_FAILED_PRECONDITION,
		"'threads' has its least value above its greatest");
	s = specs[2];
	s.initial = "0";
	assert_status(check_one(&s, 1), STATUS_FAILED_PRECONDITION,
		"--threads must be a whole number from 1 to 64, got '0' from the default");
}

static void the_front_door_says_2_and_one_line(void **state)
{
	(void)state;
	char program[] = "token-service", bad[] = "--threads=\n";
	char *const argv[] = {program, bad, NULL};
	int code = -1;
	struct options *o = NULL;
	int saved = dup(STDERR_FILENO);
	assert_non_null(freopen("secret", "w", stderr));
	bool go_on = options_start(&table, 2, argv, &o, &code);
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
	assert_false(go_on);
	assert_int_equal(code, 2);
	_cleanup_buf_ struct buf line;
	buf_init(&line, 4096);
	assert_ok(file_read("secret", 4096, &line));
	assert_str(buf_str(&line),
		"token-service: --threads must be a whole number from 1 to 64, got "
		"'\\x0a' from the command line\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_anything_the_defaults_hold),
		cmocka_unit_test(command_line_beats_environment_beats_file_beats_default),
		cmocka_unit_test(the_file_may_be_named_by_the_environment),
		cmocka_unit_test(flags_have_three_spellings),
		cmocka_unit_test(a_list_is_repeated_or_has_commas_and_replaces_what_is_below),
		cmocka_unit_test(empty_means_unset_only_in_environment_and_file),
		cmocka_unit_test(an_empty_text_takes_back_what_lies_below),
		cmocka_unit_test(an_option_with_a_default_is_never_empty),
		cmocka_unit_test(the_last_of_a_plain_option_counts),
		cmocka_unit_test(an_error_names_option_value_origin_and_expectation),
		cmocka_unit_test(what_is_unknown_gets_a_suggestion),
		cmocka_unit_test(a_forgotten_value_is_told),
		cmocka_unit_test(a_file_that_cannot_be_read_is_told_with_who_named_it),
		cmocka_unit_test(a_file_of_more_than_a_mebibyte_is_refused),
		cmocka_unit_test(secrets_come_from_files_and_the_environment_only),
		cmocka_unit_test(sections_are_trees_of_the_file_only),
		cmocka_unit_test(a_command_takes_its_own_options),
		cmocka_unit_test(help_wins_over_errors),
		cmocka_unit_test(errors_of_the_caller_look_the_same),
		cmocka_unit_test(a_reload_applies_what_it_may_and_names_the_rest),
		cmocka_unit_test(a_reload_that_fails_changes_nothing),
		cmocka_unit_test(kept_values_do_not_depend_on_the_old_options),
		cmocka_unit_test(misspelt_variables_are_found_and_those_of_kubernetes_are_not),
		cmocka_unit_test(a_variable_that_resembles_no_option_is_found_too),
		cmocka_unit_test(a_section_is_in_the_file_only),
		cmocka_unit_test(a_table_that_is_wrong_is_found),
		cmocka_unit_test(the_front_door_says_2_and_one_line),
	};
	return cmocka_run_group_tests_name(__FILE__, tests, enter_folder, leave_folder);
}
