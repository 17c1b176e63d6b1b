/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/usage.h"

#include "cli/argparse.h"
#include "common/base/xalloc.h"

#include <ctype.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
	INDENT = 2,
	MAX_HELP_POSITION = 24,
	LEAST_HELP_WIDTH = 11,
	MAX_COLUMNS = 100000,
	TEXT_MAX = 1 << 20
};

static int max_int(int a, int b)
{
	return a > b ? a : b;
}

static int min_int(int a, int b)
{
	return a < b ? a : b;
}

static int length(const struct buf *b)
{
	return (int)b->n;
}

static void spaces(struct buf *out, int n)
{
	for (int i = 0; i < n; i++)
		buf_append_char(out, ' ');
}

int terminal_columns(void)
{
	const char *text = getenv("COLUMNS");
	if (text) {
		char *end;
		long n = strtol(text, &end, 10); /* LONG_MAX, if it is beyond that */
		while (isspace((unsigned char)*end))
			end++;
		if (end != text && !*end && n > 0)
			return n < MAX_COLUMNS ? (int)n : MAX_COLUMNS;
	}
	struct winsize size;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col)
		return size.ws_col;
	return 80;
}

/* ---- wrapping of running text (textwrap.py) ---- */

static bool is_space(char c)
{
	return c && strchr(" \t\n\v\f\r", c);
}

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

static bool is_letter(char c)
{
	return is_word(c) && !isdigit((unsigned char)c);
}

static bool is_word_or_punctuation(char c)
{
	return is_word(c) || (c && strchr("!\"'&.,?", c));
}

/* A hyphen at @i inside a compound: two letters before it (or letter, hyphen, letter) and two
 * after it. */
static bool breaks_after_hyphen(const char *s, size_t i)
{
	if (s[i] != '-' || i < 2 || !is_letter(s[i - 1]))
		return false;
	if (!is_letter(s[i - 2]) && !(i >= 3 && s[i - 2] == '-' && is_letter(s[i - 3])))
		return false;
	if (!is_letter(s[i + 1]))
		return false;
	return is_letter(s[i + 2]) || (s[i + 2] == '-' && is_letter(s[i + 3]));
}

/* Two or more hyphens at @i between words: their number, or 0. */
static size_t dash_at(const char *s, size_t i)
{
	if (!i || !is_word_or_punctuation(s[i - 1]))
		return 0;
	size_t n = strspn(s + i, "-");
	return n >= 2 && is_word(s[i + n]) ? n : 0;
}

/* Length of the indivisible piece of @s that begins at @i. */
static size_t chunk_at(const char *s, size_t i)
{
	if (s[i] == ' ')
		return strspn(s + i, " ");
	size_t dash = dash_at(s, i);
	if (dash)
		return dash;
	for (size_t end = i + 1;; end++) {
		if (end > i && breaks_after_hyphen(s, end))
			return end + 1 - i;
		if (!s[end] || s[end] == ' ' || dash_at(s, end))
			return end - i;
	}
}

/* Length of the part of a chunk that is longer than any line that goes on this one. */
static size_t break_long(const char *chunk, size_t n, int space)
{
	size_t end = space < 0 ? 0 : (size_t)space;
	if (n > end) {
		size_t hyphen = end;
		while (hyphen && chunk[hyphen - 1] != '-')
			hyphen--;
		if (hyphen > 1 && strspn(chunk, "-") < hyphen - 1)
			return hyphen;
	}
	return end < n ? end : n;
}

/* The text with runs of white space as one space, and none around. */
static char *collapse(const char *text)
{
	char *copy = xcalloc(strlen(text) + 1, 1);
	size_t n = 0;
	for (; *text; text++) {
		if (!is_space(*text))
			copy[n++] = *text;
		else if (n && copy[n - 1] != ' ')
			copy[n++] = ' ';
	}
	copy[n && copy[n - 1] == ' ' ? n - 1 : n] = '\0';
	return copy;
}

void wrap_format(const char *text, int width, int indent_first, int indent, struct buf *out)
{
	_cleanup_free_ char *s = collapse(text);
	size_t i = 0;
	for (bool first = true; s[i]; first = false) {
		if (!first && s[i] == ' ')
			i++;
		if (!s[i])
			break;
		size_t start = i;
		size_t end = i;
		while (s[end]) {
			size_t n = chunk_at(s, end);
			if ((int)(end - start + n) > width) {
				if ((int)n > width)
					end += break_long(s + end, n, width - (int)(end - start));
				break;
			}
			end += n;
		}
		i = end;
		while (end > start && s[end - 1] == ' ')
			end--;
		spaces(out, first ? indent_first : indent);
		buf_append(out, s + start, end - start);
		buf_append_char(out, '\n');
	}
}

/* ---- how an argument is written ---- */

static void format_metavar(const struct arg *arg, struct buf *out)
{
	if (arg->metavar) {
		buf_append_str(out, str_of(arg->metavar));
	} else if (arg->choices) {
		for (size_t i = 0; arg->choices[i]; i++)
			buf_printf(out, "%c%s", i ? ',' : '{', arg->choices[i]);
		buf_append_char(out, '}');
	} else {
		for (const char *p = arg->dest; *p; p++)
			buf_append_char(out, arg->names[0] ? (char)toupper((unsigned char)*p) : *p);
	}
}

void arg_format_values(const struct arg *arg, struct buf *out)
{
	if (arg->count == ARG_FLAG)
		return;
	_cleanup_buf_ struct buf metavar;
	buf_init(&metavar, TEXT_MAX);
	format_metavar(arg, &metavar);
	switch (arg->count) {
	case ARG_FLAG:
		break;
	case ARG_ONE:
		buf_append_str(out, buf_str(&metavar));
		break;
	case ARG_OPTIONAL:
		buf_printf(out, "[%s]", metavar.p);
		break;
	case ARG_SOME:
		buf_printf(out, "%s [%s ...]", metavar.p, metavar.p);
		break;
	}
}

void arg_format_invocation(const struct arg *arg, struct buf *out)
{
	if (!arg->names[0]) {
		format_metavar(arg, out);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(arg->names) && arg->names[i]; i++) {
		buf_printf(out, "%s%s", i ? ", " : "", arg->names[i]);
		if (arg->count != ARG_FLAG)
			buf_append_char(out, ' ');
		arg_format_values(arg, out);
	}
}

static void format_commands(const struct command *c, struct buf *out)
{
	for (size_t i = 0; c->commands[i]; i++)
		buf_printf(out, "%c%s", i ? ',' : '{', c->commands[i]->name);
	buf_append_char(out, '}');
}

/* ---- the usage ---- */

/* One option as the usage shows it: "[--roles ROLES [ROLES ...]]"; members of an exclusive group
 * share their brackets. */
static void format_option(const struct command *c, size_t i, struct buf *out)
{
	const struct arg *arg = &c->args[i];
	bool group = arg->exclusive != 0;
	bool first = !group || i == 0 || c->args[i - 1].exclusive != arg->exclusive;
	bool last = !group || i + 1 == c->args_n || c->args[i + 1].exclusive != arg->exclusive;
	buf_printf(out, "%s%s%s", out->n ? " " : "", first ? (group && last ? "" : "[") : "| ",
		arg->names[0]);
	if (arg->count != ARG_FLAG)
		buf_append_char(out, ' ');
	arg_format_values(arg, out);
	if (last)
		buf_append_char(out, ']');
}

static void format_options(const struct command *c, struct buf *out)
{
	buf_append_str(out, STR("[-h]"));
	for (size_t i = 0; i < c->args_n; i++)
		if (c->args[i].names[0])
			format_option(c, i, out);
}

static void format_positionals(const struct command *c, struct buf *out)
{
	for (size_t i = 0; i < c->args_n; i++) {
		if (c->args[i].names[0])
			continue;
		buf_append_str(out, out->n ? STR(" ") : STR(""));
		arg_format_values(&c->args[i], out);
	}
	if (c->commands) {
		buf_append_str(out, out->n ? STR(" ") : STR(""));
		format_commands(c, out);
		buf_append_str(out, STR(" ..."));
	}
}

/* Length of the part of a usage that is not broken: a bracket with all that it holds, or a word. */
static size_t part_at(const char *s)
{
	if (*s == '[') {
		for (size_t i = 1; s[i]; i++) {
			if (s[i] != ']')
				continue;
			i += strspn(s + i, "]");
			if (!s[i] || s[i] == ' ')
				return i;
			i--;
		}
	}
	return strcspn(s, " ");
}

struct lines {
	struct buf *out;
	int text_width;
	int indent;
	int column;   /* as argparse counts: one less than what is filled */
	bool started; /* something is on this line */
	bool any;     /* this is not the first line */
};

static void line_begin(struct lines *l)
{
	if (l->any)
		buf_append_char(l->out, '\n');
	l->any = true;
	l->started = false;
	l->column = l->indent - 1;
	spaces(l->out, l->indent);
}

static void lines_add(struct lines *l, const char *part, size_t n)
{
	if (l->started && l->column + 1 + (int)n > l->text_width)
		line_begin(l);
	if (l->started)
		buf_append_char(l->out, ' ');
	buf_append(l->out, part, n);
	l->started = true;
	l->column += (int)n + 1;
}

static void lines_add_parts(struct lines *l, const char *s)
{
	while (*s) {
		size_t n = part_at(s);
		lines_add(l, s, n);
		s += n;
		s += *s == ' ';
	}
}

static void usage_wrap(const char *prefix, const char *prog, const struct buf *options,
	const struct buf *positionals, int text_width, struct buf *out)
{
	int used = (int)(strlen(prefix) + strlen(prog));
	struct lines l = {.out = out, .text_width = text_width};
	if (4 * used <= 3 * text_width) {
		/* the program is short: the options follow it */
		l.indent = used + 1;
		l.column = (int)strlen(prefix) - 1;
		l.any = true;
		lines_add(&l, prog, strlen(prog));
		lines_add_parts(&l, options->p);
		if (positionals->n) {
			line_begin(&l);
			lines_add_parts(&l, positionals->p);
		}
		return;
	}
	l.indent = (int)strlen(prefix);
	l.any = true;
	buf_append_str(out, str_of(prog));
	int all = l.indent + length(options) + (positionals->n ? 1 + length(positionals) : 0);
	line_begin(&l);
	lines_add_parts(&l, options->p);
	if (positionals->n && all > text_width)
		line_begin(&l);
	lines_add_parts(&l, positionals->n ? positionals->p : "");
}

void usage_format(const struct command *c, const char *prog, int columns, struct buf *out)
{
	static const char prefix[] = "usage: ";
	_cleanup_buf_ struct buf options;
	_cleanup_buf_ struct buf positionals;
	buf_init(&options, TEXT_MAX);
	buf_init(&positionals, TEXT_MAX);
	format_options(c, &options);
	format_positionals(c, &positionals);
	int text_width = columns - 2;
	int whole = (int)(strlen(prefix) + strlen(prog)) + 1 + length(&options) +
		    (positionals.n ? 1 + length(&positionals) : 0);
	buf_append_str(out, str_of(prefix));
	if (whole <= text_width)
		buf_printf(out, "%s %s%s%s", prog, options.p, positionals.n ? " " : "",
			positionals.n ? positionals.p : "");
	else
		usage_wrap(prefix, prog, &options, &positionals, text_width, out);
	buf_append_char(out, '\n');
}

/* ---- the help ---- */

struct layout {
	const struct command *command;
	int width;         /* of the whole text */
	int help_position; /* column where the texts of arguments begin */
};

/* One entry: its invocation, indented, and its help beside or below it. */
static void format_entry(const struct layout *l, int indent, const struct buf *invocation,
	const char *help, struct buf *out)
{
	int action_width = l->help_position - indent - INDENT;
	spaces(out, indent);
	buf_append_str(out, buf_str(invocation));
	if (!help || !*help) {
		buf_append_char(out, '\n');
		return;
	}
	int first = l->help_position;
	if (length(invocation) <= action_width) {
		spaces(out, action_width - length(invocation) + INDENT);
		first = 0;
	} else {
		buf_append_char(out, '\n');
	}
	if (!l->command->raw_help) {
		wrap_format(help, max_int(l->width - l->help_position, LEAST_HELP_WIDTH), first,
			l->help_position, out);
		return;
	}
	struct str rest = str_of(help);
	for (struct str line; str_split(&rest, '\n', &line); first = l->help_position) {
		spaces(out, first);
		buf_append_str(out, line);
		buf_append_char(out, '\n');
	}
}

static void format_arg_entry(const struct layout *l, const struct arg *arg, struct buf *out)
{
	_cleanup_buf_ struct buf invocation;
	buf_init(&invocation, TEXT_MAX);
	arg_format_invocation(arg, &invocation);
	format_entry(l, INDENT, &invocation, arg->help, out);
}

static void format_command_entries(const struct layout *l, struct buf *out)
{
	_cleanup_buf_ struct buf invocation;
	buf_init(&invocation, TEXT_MAX);
	format_commands(l->command, &invocation);
	format_entry(l, INDENT, &invocation, NULL, out);
	for (size_t i = 0; l->command->commands[i]; i++) {
		buf_reset(&invocation);
		buf_append_str(&invocation, str_of(l->command->commands[i]->name));
		format_entry(l, 2 * INDENT, &invocation, l->command->commands[i]->help, out);
	}
}

static int longest_invocation(const struct command *c)
{
	int longest = 0;
	_cleanup_buf_ struct buf text;
	buf_init(&text, TEXT_MAX);
	arg_format_invocation(&arg_help, &text);
	longest = length(&text);
	for (size_t i = 0; i < c->args_n; i++) {
		buf_reset(&text);
		arg_format_invocation(&c->args[i], &text);
		longest = max_int(longest, length(&text));
	}
	if (c->commands) {
		buf_reset(&text);
		format_commands(c, &text);
		longest = max_int(longest, length(&text));
	}
	return longest;
}

static void format_text(const struct command *c, const char *text, int width, struct buf *out)
{
	if (!text || !*text)
		return;
	buf_append_char(out, '\n');
	if (c->raw)
		buf_printf(out, "%s\n", text);
	else
		wrap_format(text, max_int(width, LEAST_HELP_WIDTH), 0, 0, out);
}

static void format_positional_section(const struct layout *l, struct buf *out)
{
	const struct command *c = l->command;
	bool heading = c->commands != NULL;
	for (size_t i = 0; i < c->args_n; i++)
		heading = heading || !c->args[i].names[0];
	if (!heading)
		return;
	buf_append_str(out, STR("\npositional arguments:\n"));
	for (size_t i = 0; i < c->args_n; i++)
		if (!c->args[i].names[0])
			format_arg_entry(l, &c->args[i], out);
	if (c->commands)
		format_command_entries(l, out);
}

void help_format(const struct command *c, const char *prog, int columns, struct buf *out)
{
	struct layout l = {.command = c, .width = columns - 2};
	int most = min_int(MAX_HELP_POSITION, max_int(l.width - 20, 2 * INDENT));
	l.help_position = min_int(longest_invocation(c) + 2 * INDENT, most);
	usage_format(c, prog, columns, out);
	format_text(c, c->description, l.width, out);
	format_positional_section(&l, out);
	buf_append_str(out, STR("\noptions:\n"));
	format_arg_entry(&l, &arg_help, out);
	for (size_t i = 0; i < c->args_n; i++)
		if (c->args[i].names[0])
			format_arg_entry(&l, &c->args[i], out);
	format_text(c, c->epilog, l.width, out);
}
