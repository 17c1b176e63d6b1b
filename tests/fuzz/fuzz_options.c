/* SPDX-License-Identifier: Apache-2.0 */
/* Options from all three places: arguments, one a line; `%%`; variables, one a line; `%%`; the
 * file. Whatever is refused is refused in one clean line; whatever is taken can be shown and is the
 * same after a reload. */
#include "common/base/buf.h"
#include "common/base/xalloc.h"
#include "common/config/options.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	WORDS_MAX = 32
};

struct values {
	bool flag;
	char *text, *needed;
	int64_t number, duration_ms, bytes;
	int choice;
	struct option_list list;
	struct secret secret;
	const struct yaml_node *section;
};

static const struct option_choice choices[] = {{"one", 1}, {"two", 2}, {NULL, 0}};
static const struct option_spec specs[] = {
	{.name = "flag", OPTION_FLAG_AT(struct values, flag), .help = "h"},
	{.name = "text", OPTION_STRING_AT(struct values, text), .initial = "t", .help = "h"},
	{.name = "number",
		OPTION_INT_AT(struct values, number),
		.min = -3,
		.max = 9,
		.flags = OPTION_RELOADABLE,
		.help = "h"},
	{.name = "duration", OPTION_DURATION_AT(struct values, duration_ms), .help = "h"},
	{.name = "size", OPTION_SIZE_AT(struct values, bytes), .initial = "1KiB", .help = "h"},
	{.name = "choice",
		OPTION_ENUM_AT(struct values, choice),
		.choices = choices,
		.initial = "one",
		.help = "h"},
	{.name = "list",
		OPTION_LIST_AT(struct values, list),
		.initial = "a,b",
		.flags = OPTION_RELOADABLE,
		.help = "h"},
	{.name = "secret", OPTION_SECRET_AT(struct values, secret), .help = "h"},
	{.name = "section", OPTION_SECTION_AT(struct values, section), .help = "h"},
	{.name = "needed",
		OPTION_STRING_AT(struct values, needed),
		.flags = OPTION_COMMAND_ONLY | OPTION_REQUIRED,
		.help = "h"},
};
static const char *const command_options[] = {"text", "needed", NULL};
static const struct option_command commands[] = {
	{"command", "s", command_options, NULL}, {"operand", "s", command_options, "FILE"}};
static const struct option_table table = {.program = "fuzz",
	.version = "1",
	.env_prefix = "FUZZ",
	.values_size = sizeof(struct values),
	.specs = specs,
	.count = sizeof specs / sizeof specs[0],
	.commands = commands,
	.command_count = 1};

static void require(bool truth)
{
	if (!truth)
		abort();
}

/* Cuts the lines up to a `%%` off the front of *@rest into @words, which ends with NULL. */
static int cut_words(struct str *rest, char *words[WORDS_MAX + 1], int n)
{
	struct str line;
	while (str_split(rest, '\n', &line) && !str_eq(line, STR("%%")))
		if (n < WORDS_MAX && (!line.n || !memchr(line.p, '\0', line.n)))
			words[n++] = str_dup(line);
	words[n] = NULL;
	return n;
}

static void free_words(char **words)
{
	for (; *words; words++)
		free(*words);
}

static void on_change(void *arg, const struct option_change *c)
{
	(void)arg;
	(void)c;
	abort(); /* nothing changed in between */
}

static void found(void *arg, const struct option_stray *stray)
{
	(void)arg;
	require(stray->name[0] && (stray->nearest || !stray->in_file_only));
}

static void use(const struct options *o)
{
	for (size_t i = 0; i < table.count; i++) {
		_cleanup_buf_ struct buf text;
		buf_init(&text, 1 << 21);
		options_format(o, specs[i].name, &text);
		struct status s = options_error(o, specs[i].name, "something else");
		require(!status_is_ok(&s) && options_origin(o, specs[i].name));
	}
	const struct values *v = options_values(o);
	require(v->number >= -3 && v->number <= 9 && v->duration_ms >= 0 && v->bytes >= 0);
	_cleanup_(options_freep) struct options *again = NULL;
	struct status s = options_reload(o, on_change, NULL, &again);
	require(status_is_ok(&s));
}

static void run(int argc, char **argv, char **env)
{
	_cleanup_(options_freep) struct options *o = NULL;
	struct status s = options_read(&table, argc, argv, env, &o);
	options_suspicious_env(&table, env, found, NULL);
	if (status_is_ok(&s)) {
		if (options_action(o) == OPTIONS_RUN || options_action(o) == OPTIONS_CHECK)
			use(o);
		return;
	}
	require(s.code == STATUS_INVALID_ARGUMENT && s.message[0] && !o);
	for (const char *p = s.message; *p; p++)
		require((unsigned char)*p >= 0x20 && *p != 0x7F);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* paths of the machine (devices, pipes) are none of a fuzzer's business */
	if (size > 65536 || (size && memchr(data, '/', size)))
		return 0;
	int file = memfd_create("fuzz", MFD_CLOEXEC);
	char config[64];
	snprintf(config, sizeof config, "FUZZ_CONFIG=/proc/self/fd/%d", file);

	char *argv[WORDS_MAX + 1], *env[WORDS_MAX + 1];
	struct str rest = {(const char *)data, size};
	argv[0] = xstrdup("fuzz");
	env[0] = xstrdup(config);
	int argc = cut_words(&rest, argv, 1);
	cut_words(&rest, env, 1);
	if (rest.n)
		require(write(file, rest.p, rest.n) == (ssize_t)rest.n);
	run(argc, argv, env);
	free_words(argv);
	free_words(env);
	close(file);
	return 0;
}
