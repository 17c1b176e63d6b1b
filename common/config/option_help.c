/* SPDX-License-Identifier: Apache-2.0 */
#include "common/config/option_help.h"

#include "common/base/arena.h"
#include "common/base/completion.h"
#include "common/base/escape.h"
#include "common/base/roff.h"
#include "common/config/option_value.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
	WIDTH_DEFAULT = 80,
	WIDTH_MIN = 40,
	WIDTH_MAX = 200,
	HELP_COLUMN = 30,
	TEXT_MAX = 4096,
	ROFF = 0 /* as a width: a manual page, which man(1) fills */
};

static const char precedence[] =
	"The command line counts before the environment, the environment before the file.";

const struct option_builtin option_builtins[] = {
	{"config", 0, OPTIONS_RUN, "FILE", NULL,
		"read options from this YAML file; its keys are the names of options"},
	{"check-config", 0, OPTIONS_CHECK, NULL, NULL,
		"check the configuration, say whether it is right, and exit"},
	{"completion", 0, OPTIONS_COMPLETION, "SHELL", completion_shells,
		"print completion for bash, zsh or fish and exit"},
	{"help", 'h', OPTIONS_HELP, NULL, NULL, "show this help and exit"},
	{"help-json", 0, OPTIONS_HELP_JSON, NULL, NULL, NULL},
	{"help-man", 0, OPTIONS_HELP_MAN, NULL, NULL, NULL},
	{"version", 'V', OPTIONS_VERSION, NULL, NULL, "show the version and exit"},
	{.name = NULL},
};

const struct option_builtin *option_builtin_find(struct str name)
{
	for (const struct option_builtin *b = option_builtins; b->name; b++)
		if (str_eq(name, str_of(b->name)))
			return b;
	return NULL;
}

size_t option_help_width(void)
{
	struct winsize size;
	uint64_t width = WIDTH_DEFAULT;
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): nobody changes the environment */
	struct str columns = str_of(getenv("COLUMNS"));
	if (!str_to_u64(columns, &width) || !width) {
		width = WIDTH_DEFAULT;
		if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col)
			width = size.ws_col;
	}
	return width < WIDTH_MIN ? WIDTH_MIN : width > WIDTH_MAX ? WIDTH_MAX : (size_t)width;
}

void option_env_name(const struct option_table *t, const struct option_spec *s, struct buf *out)
{
	buf_printf(out, "%s_", t->env_prefix);
	for (const char *p = s->name; *p; p++) {
		char c = *p;
		if (c >= 'a' && c <= 'z')
			c = (char)(c - 0x20);
		else if (c == '-')
			c = '_';
		buf_append_char(out, c);
	}
}

void option_flag_name(const struct option_spec *s, struct buf *out)
{
	buf_printf(out, "%s%s", s->name, s->type == OPTION_SECRET ? "-file" : "");
}

const char *option_metavar(const struct option_spec *s)
{
	static const char *const usual[] = {[OPTION_FLAG] = "BOOL",
		[OPTION_STRING] = "TEXT",
		[OPTION_INT] = "N",
		[OPTION_DURATION] = "TIME",
		[OPTION_SIZE] = "SIZE",
		[OPTION_ENUM] = "WORD",
		[OPTION_LIST] = "TEXT",
		[OPTION_SECRET] = "FILE",
		[OPTION_SECTION] = ""};
	/* of a secret the file is named, whatever the secret is called */
	return s->metavar && s->type != OPTION_SECRET ? s->metavar : usual[s->type];
}

static void pad(struct buf *out, size_t n)
{
	while (n--)
		buf_append_char(out, ' ');
}

/* Words of @text up to @width, from @column on; lines after the first begin at @indent. */
static void wrap(struct buf *out, struct str text, size_t column, size_t indent, size_t width)
{
	struct str word;
	bool first = true;
	while (str_split(&text, ' ', &word)) {
		if (!first && column + 1 + word.n > width) {
			buf_append_char(out, '\n');
			pad(out, indent);
			column = indent;
		} else if (!first) {
			buf_append_char(out, ' ');
			column++;
		}
		buf_append_str(out, word);
		column += word.n;
		first = false;
	}
	buf_append_char(out, '\n');
}

static void heading(struct buf *out, const char *text, size_t width)
{
	if (width == ROFF)
		roff_subsection(out, text);
	else
		buf_printf(out, "\n%s:\n", text);
}

/* "  --name ARG" and the help beside it, or below where there is no room. Both end in NUL. */
static void entry(struct buf *out, struct str left, struct str help, size_t width)
{
	if (width == ROFF) {
		roff_entry(out, left.p, help.p);
		return;
	}
	size_t indent = width / 2 < HELP_COLUMN ? 8 : HELP_COLUMN;
	buf_printf(out, "  %.*s", STR_ARG(left));
	size_t column = left.n + 2;
	if (column + 2 > indent) {
		buf_append_char(out, '\n');
		column = 0;
	}
	pad(out, indent - column);
	wrap(out, help, indent, indent, width);
}

bool option_is_taken(const struct option_command *c, const struct option_spec *s)
{
	if (s->type == OPTION_SECTION)
		return false;
	if (!c)
		return !(s->flags & OPTION_COMMAND_ONLY);
	for (size_t i = 0; c->options[i]; i++)
		if (strcmp(c->options[i], s->name) == 0)
			return true;
	return false;
}

static void append_left(const struct option_spec *s, struct buf *out)
{
	buf_append_str(out, s->type == OPTION_SECTION ? STR("") : STR("--"));
	if (s->type == OPTION_FLAG && s->initial && strcmp(s->initial, "true") == 0)
		buf_append_str(out, STR("[no-]"));
	option_flag_name(s, out);
	if (s->type == OPTION_SECTION)
		buf_append_char(out, ':');
	else if (s->type != OPTION_FLAG)
		buf_printf(out, " %s", option_metavar(s));
}

static void append_choices(const struct option_spec *s, struct buf *out)
{
	buf_append_str(out, STR(": "));
	option_describe(s, out);
}

/* "$TOKEN_SERVICE_THREADS" */
static void append_variables(
	const struct option_table *t, const struct option_spec *s, struct buf *out)
{
	if (s->type == OPTION_SECRET) {
		buf_append_char(out, '$');
		option_env_name(t, s, out);
		buf_append_str(out, STR("_FILE, or the secret itself in "));
	}
	buf_append_char(out, '$');
	option_env_name(t, s, out);
}

static void append_help(const struct option_table *t, const struct option_spec *s, struct buf *out)
{
	buf_append_str(out, str_of(s->help));
	if (s->type == OPTION_ENUM)
		append_choices(s, out);
	if (s->type == OPTION_LIST)
		buf_append_str(out, STR("; may be given again and again"));
	if (s->type == OPTION_SECTION) {
		buf_append_str(out, STR(" [in the file only]"));
		return;
	}
	buf_append_str(out, STR(" ["));
	if (s->flags & OPTION_REQUIRED)
		buf_append_str(out, STR("required, "));
	if (s->initial && s->initial[0])
		buf_printf(out, "default: %s, ", s->initial);
	append_variables(t, s, out);
	buf_append_char(out, ']');
}

static void append_option(
	const struct option_table *t, const struct option_spec *s, size_t width, struct buf *out)
{
	_cleanup_buf_ struct buf left, help;
	buf_init(&left, TEXT_MAX);
	buf_init(&help, TEXT_MAX);
	append_left(s, &left);
	append_help(t, s, &help);
	entry(out, buf_str(&left), buf_str(&help), width);
}

static bool same_group(const struct option_spec *a, const struct option_spec *b)
{
	return str_eq(str_of(a->group), str_of(b->group));
}

static bool is_shown(const struct option_command *c, const struct option_spec *s)
{
	bool in_file = !c && s->type == OPTION_SECTION;
	return (in_file || option_is_taken(c, s)) && !(s->flags & OPTION_HIDDEN);
}

/* The options of the group that spec @first opens, if it is the first one shown of it. */
static void append_group(const struct option_table *t, const struct option_command *c, size_t first,
	size_t width, struct buf *out)
{
	const struct option_spec *s = &t->specs[first];
	for (size_t i = 0; i < first; i++)
		if (is_shown(c, &t->specs[i]) && same_group(&t->specs[i], s))
			return;
	heading(out, s->group ? s->group : "Options", width);
	for (size_t i = first; i < t->count; i++)
		if (is_shown(c, &t->specs[i]) && same_group(&t->specs[i], s))
			append_option(t, &t->specs[i], width, out);
}

static void append_builtins(const struct option_table *t, size_t width, struct buf *out)
{
	heading(out, "General", width);
	for (const struct option_builtin *b = option_builtins; b->name; b++) {
		if (!b->help)
			continue;
		_cleanup_buf_ struct buf left, help;
		buf_init(&left, TEXT_MAX);
		buf_init(&help, TEXT_MAX);
		if (b->letter)
			buf_printf(&left, "-%c, ", b->letter);
		buf_printf(&left, "--%s%s%s", b->name, b->metavar ? " " : "",
			b->metavar ? b->metavar : "");
		buf_append_str(&help, str_of(b->help));
		if (b->action == OPTIONS_RUN) { /* a value that the environment may give, too */
			buf_append_str(&help, STR(" ["));
			append_variables(t, &(const struct option_spec){.name = b->name}, &help);
			buf_append_char(&help, ']');
		}
		entry(out, buf_str(&left), buf_str(&help), width);
	}
}

static void append_usage(
	const struct option_table *t, const struct option_command *c, struct buf *out)
{
	buf_printf(out, "Usage: %s%s%s [OPTION]...%s%s\n", t->program, c ? " " : "",
		c ? c->name : "", c && c->operand ? " " : "", c && c->operand ? c->operand : "");
	if (!c && t->command_count)
		buf_printf(out, "       %s COMMAND [OPTION]...\n", t->program);
}

static void append_commands(const struct option_table *t, size_t width, struct buf *out)
{
	if (!t->command_count)
		return;
	heading(out, "Commands", width);
	for (size_t i = 0; i < t->command_count; i++)
		entry(out, str_of(t->commands[i].name), str_of(t->commands[i].summary), width);
}

static void append_groups(const struct option_table *t, const struct option_command *command,
	size_t width, struct buf *out)
{
	for (size_t i = 0; i < t->count; i++)
		if (is_shown(command, &t->specs[i]))
			append_group(t, command, i, width, out);
}

void option_help_text(const struct option_table *t, const struct option_command *command,
	size_t width, struct buf *out)
{
	append_usage(t, command, out);
	struct str summary = str_of(command ? command->summary : t->summary);
	if (summary.n) {
		buf_append_char(out, '\n');
		wrap(out, summary, 0, 0, width);
	}
	if (!command)
		append_commands(t, width, out);
	append_groups(t, command, width, out);
	append_builtins(t, width, out);
	buf_append_char(out, '\n');
	wrap(out, str_of(precedence), 0, 0, width);
}

/* --- completion --- */

static enum completion_hint hint_of(const char *metavar)
{
	if (str_eq(str_of(metavar), STR("FILE")))
		return COMPLETION_FILES;
	return str_eq(str_of(metavar), STR("DIR")) ? COMPLETION_FOLDERS : COMPLETION_NONE;
}

static struct completion_arg completion_of_option(const struct option_spec *s, struct arena *arena)
{
	_cleanup_buf_ struct buf name;
	buf_init(&name, TEXT_MAX);
	option_flag_name(s, &name);
	const char *value = s->type == OPTION_FLAG ? NULL : option_metavar(s);
	const char **choices = NULL;
	if (s->type == OPTION_ENUM) {
		size_t n = 0;
		while (s->choices[n].name)
			n++;
		choices = arena_calloc(arena, n + 1, sizeof *choices);
		for (size_t i = 0; i < n; i++)
			choices[i] = s->choices[i].name;
	}
	return (struct completion_arg){
		.names = {arena_printf(arena, "--%s", name.p)},
		.value = value,
		.help = s->help,
		.choices = choices,
		.hint = hint_of(value),
	};
}

static struct completion_arg completion_of_builtin(
	const struct option_builtin *b, struct arena *arena)
{
	return (struct completion_arg){
		.names = {arena_printf(arena, "--%s", b->name),
			b->letter ? arena_printf(arena, "-%c", b->letter) : NULL},
		.value = b->metavar,
		.help = b->help,
		.choices = b->choices,
		.hint = hint_of(b->metavar),
		.alone = b->action != OPTIONS_RUN && b->action != OPTIONS_CHECK,
	};
}

/* Of the program itself, without @c, or of its command @c. */
static struct completion_command completion_of(
	const struct option_table *t, const struct option_command *c, struct arena *arena)
{
	size_t n = t->count + 1; /* an operand */
	for (const struct option_builtin *b = option_builtins; b->name; b++)
		n++;
	struct completion_arg *args = arena_calloc(arena, n, sizeof *args);
	n = 0;
	for (size_t i = 0; i < t->count; i++)
		if (t->specs[i].type != OPTION_SECTION && is_shown(c, &t->specs[i]))
			args[n++] = completion_of_option(&t->specs[i], arena);
	for (const struct option_builtin *b = option_builtins; b->name; b++)
		if (b->help)
			args[n++] = completion_of_builtin(b, arena);
	if (c && c->operand)
		args[n++] =
			(struct completion_arg){.value = c->operand, .hint = hint_of(c->operand)};
	return (struct completion_command){.name = c ? c->name : t->program,
		.help = c ? c->summary : NULL,
		.args = args,
		.args_n = n};
}

void option_help_completion(const struct option_table *t, const char *shell, struct buf *out)
{
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	struct completion_command root = completion_of(t, NULL, arena);
	struct completion_command *commands =
		arena_calloc(arena, t->command_count, sizeof *commands);
	for (size_t i = 0; i < t->command_count; i++)
		commands[i] = completion_of(t, &t->commands[i], arena);
	root.commands = commands;
	root.commands_n = t->command_count;
	completion_print(shell, &root, out);
}

/* --- manual page --- */

static void append_synopsis(const struct option_table *t, struct buf *out)
{
	roff_section(out, "SYNOPSIS");
	buf_append_str(out, STR(".B "));
	roff_text(out, t->program);
	buf_append_str(out, STR("\n[OPTION]...\n"));
	for (size_t i = 0; i < t->command_count; i++) {
		buf_append_str(out, STR(".br\n.B "));
		roff_text(out, t->program);
		buf_append_char(out, ' ');
		roff_text(out, t->commands[i].name);
		const char *operand = t->commands[i].operand;
		buf_printf(out, "\n[OPTION]...%s%s\n", operand ? " " : "", operand ? operand : "");
	}
}

static void append_manual_commands(const struct option_table *t, struct buf *out)
{
	if (!t->command_count)
		return;
	roff_section(out, "COMMANDS");
	for (size_t i = 0; i < t->command_count; i++) {
		const struct option_command *c = &t->commands[i];
		roff_subsection(out, c->name);
		roff_paragraph(out, c->summary);
		for (size_t k = 0; k < t->count; k++)
			if (is_shown(c, &t->specs[k]))
				append_option(t, &t->specs[k], ROFF, out);
	}
}

void option_help_man(const struct option_table *t, struct buf *out)
{
	roff_title(out, t->program, "8", t->program, "System Administration",
		t->phrase ? t->phrase : "");
	append_synopsis(t, out);
	roff_section(out, "DESCRIPTION");
	roff_paragraph(out, t->summary);
	roff_paragraph(out, precedence);
	append_manual_commands(t, out);
	roff_section(out, "OPTIONS");
	append_groups(t, NULL, ROFF, out);
	append_builtins(t, ROFF, out);
	const char *section = "";
	for (const struct option_manual *m = t->manual; m && m->section; m++) {
		if (strcmp(section, m->section) != 0)
			roff_section(out, m->section);
		section = m->section;
		if (m->what)
			roff_entry(out, m->what, m->text);
		else
			roff_paragraph(out, m->text);
	}
}

/* --- JSON --- */

static const char *const type_names[] = {[OPTION_FLAG] = "flag",
	[OPTION_STRING] = "string",
	[OPTION_INT] = "int",
	[OPTION_DURATION] = "duration",
	[OPTION_SIZE] = "size",
	[OPTION_ENUM] = "enum",
	[OPTION_LIST] = "list",
	[OPTION_SECRET] = "secret",
	[OPTION_SECTION] = "section"};

static void member(struct buf *out, const char *name, struct str value)
{
	buf_printf(out, ",\"%s\":\"", name);
	escape_json(out, value, SIZE_MAX);
	buf_append_char(out, '"');
}

static void member_text(struct buf *out, const char *name, const char *value)
{
	if (value)
		member(out, name, str_of(value));
}

static void member_bool(struct buf *out, const char *name, bool value)
{
	buf_printf(out, ",\"%s\":%s", name, value ? "true" : "false");
}

static void append_choice_list(struct buf *out, const struct option_spec *s)
{
	buf_append_str(out, STR(",\"choices\":["));
	for (const struct option_choice *c = s->choices; c->name; c++) {
		buf_append_str(out, c == s->choices ? STR("\"") : STR(",\""));
		escape_json(out, str_of(c->name), SIZE_MAX);
		buf_append_char(out, '"');
	}
	buf_append_char(out, ']');
}

static void append_bounds(struct buf *out, const struct option_spec *s)
{
	buf_printf(out, ",\"min\":%lld", (long long)s->min);
	if (s->max)
		buf_printf(out, ",\"max\":%lld", (long long)s->max);
}

static void append_json_option(
	struct buf *out, const struct option_table *t, const struct option_spec *s)
{
	_cleanup_buf_ struct buf name;
	buf_init(&name, TEXT_MAX);
	option_flag_name(s, &name);
	buf_append_str(out, STR("{\"name\":\""));
	escape_json(out, buf_str(&name), SIZE_MAX);
	buf_append_char(out, '"');
	member_text(out, "type", type_names[s->type]);
	if (s->type != OPTION_SECTION) {
		buf_reset(&name);
		option_env_name(t, s, &name);
		if (s->type == OPTION_SECRET) {
			member(out, "env_secret", buf_str(&name));
			buf_append_str(&name, STR("_FILE"));
		}
		member(out, "env", buf_str(&name));
	}
	if (s->type != OPTION_FLAG && s->type != OPTION_SECTION)
		member_text(out, "metavar", option_metavar(s));
	member_text(out, "default", s->initial);
	if (s->type == OPTION_INT || s->type == OPTION_DURATION || s->type == OPTION_SIZE)
		append_bounds(out, s);
	if (s->type == OPTION_ENUM)
		append_choice_list(out, s);
	member_text(out, "group", s->group);
	member_bool(out, "reloadable", s->flags & OPTION_RELOADABLE);
	member_bool(out, "required", s->flags & OPTION_REQUIRED);
	member_bool(out, "hidden", s->flags & OPTION_HIDDEN);
	member_bool(out, "command_only", s->flags & OPTION_COMMAND_ONLY);
	member_text(out, "help", s->help);
	buf_append_char(out, '}');
}

static void append_json_command(struct buf *out, const struct option_command *c)
{
	buf_append_str(out, STR("{\"name\":\""));
	escape_json(out, str_of(c->name), SIZE_MAX);
	buf_append_char(out, '"');
	member_text(out, "summary", c->summary);
	if (c->operand)
		member_text(out, "operand", c->operand);
	buf_append_str(out, STR(",\"options\":["));
	for (size_t i = 0; c->options[i]; i++) {
		buf_append_str(out, i ? STR(",\"") : STR("\""));
		escape_json(out, str_of(c->options[i]), SIZE_MAX);
		buf_append_char(out, '"');
	}
	buf_append_str(out, STR("]}"));
}

void option_help_json(const struct option_table *t, struct buf *out)
{
	buf_append_str(out, STR("{\"program\":\""));
	escape_json(out, str_of(t->program), SIZE_MAX);
	buf_append_char(out, '"');
	member_text(out, "version", t->version);
	buf_append_str(out, STR(",\"options\":[\n"));
	for (size_t i = 0; i < t->count; i++) {
		buf_append_str(out, i ? STR(",\n") : STR(""));
		append_json_option(out, t, &t->specs[i]);
	}
	buf_append_str(out, STR("\n],\"commands\":["));
	for (size_t i = 0; i < t->command_count; i++) {
		buf_append_str(out, i ? STR(",\n") : STR("\n"));
		append_json_command(out, &t->commands[i]);
	}
	buf_append_str(out, STR("]}\n"));
}
