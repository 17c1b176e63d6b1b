/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/argparse.h"

#include "cli/usage.h"
#include "common/base/secret.h"
#include "common/base/xalloc.h"

#include <utf8proc.h>

const struct arg arg_help = {.names = {"-h", "--help"},
	.dest = "help",
	.count = ARG_FLAG,
	.help = "show this help message and exit"};

/* One string of the command line, classified for one parser. */
struct word {
	char *text;
	char kind;                 /* 'O' option, 'A' argument, '-' the first "--" */
	const struct arg *option;  /* 'O': NULL if this parser does not know it */
	const char *option_string; /* 'O': the name it stands for */
	char *explicit_value;      /* 'O': what follows "=" or a short option, or NULL */
};

struct strings {
	char **p;
	size_t n;
};

/* State of a whole parse. */
struct parse {
	struct args *ret;
	struct buf *text;
	int columns;
	struct strings unknown; /* left over by subcommands */
};

/* State of one (sub)command. */
struct parser {
	struct parse *parse;
	const struct command *command;
	const char *prog;
	struct word *words;
	size_t n;
	size_t positional; /* index, among positional arguments, of the first that is still open */
	struct strings extras;
	bool subcommand_seen;
	char short_name[3]; /* the option inside joined flags that is looked at */
	enum args_outcome outcome;
};

static void strings_add(struct strings *s, char *text)
{
	s->p = xreallocarray(s->p, s->n + 1, sizeof *s->p);
	s->p[s->n++] = text;
}

static void strings_append(struct strings *s, const struct strings *more)
{
	for (size_t i = 0; i < more->n; i++)
		strings_add(s, more->p[i]);
}

static void strings_done(struct strings *s)
{
	free(s->p);
	*s = (struct strings){NULL, 0};
}

static bool is_positional(const struct arg *arg)
{
	return !arg->names[0];
}

/* Arguments of the parser in the order of argparse: help first, subcommands last. */
static size_t arg_total(const struct command *c)
{
	return c->args_n + 1;
}

static const struct arg *arg_at(const struct command *c, size_t i)
{
	return i == 0 ? &arg_help : &c->args[i - 1];
}

void arg_format_name(const struct arg *arg, struct buf *out)
{
	if (is_positional(arg)) {
		buf_append_str(out, str_of(arg->metavar ? arg->metavar : arg->dest));
		return;
	}
	buf_append_str(out, str_of(arg->names[0]));
	if (arg->names[1])
		buf_printf(out, "/%s", arg->names[1]);
}

/* str.isprintable() of one character */
static bool is_printable(utf8proc_int32_t c)
{
	if (c == ' ')
		return true;
	switch ((int)utf8proc_category(c)) {
	case UTF8PROC_CATEGORY_CN:
	case UTF8PROC_CATEGORY_CC:
	case UTF8PROC_CATEGORY_CF:
	case UTF8PROC_CATEGORY_CS:
	case UTF8PROC_CATEGORY_CO:
	case UTF8PROC_CATEGORY_ZL:
	case UTF8PROC_CATEGORY_ZP:
	case UTF8PROC_CATEGORY_ZS:
		return false;
	default:
		return true;
	}
}

static void repr_character(utf8proc_int32_t c, struct str bytes, char quote, struct buf *out)
{
	if (c == quote || c == '\\')
		buf_printf(out, "\\%c", (char)c);
	else if (c == '\n')
		buf_append_str(out, STR("\\n"));
	else if (c == '\r')
		buf_append_str(out, STR("\\r"));
	else if (c == '\t')
		buf_append_str(out, STR("\\t"));
	else if (is_printable(c))
		buf_append_str(out, bytes);
	else if (c < 0x100)
		buf_printf(out, "\\x%02x", (unsigned)c);
	else if (c < 0x10000)
		buf_printf(out, "\\u%04x", (unsigned)c);
	else
		buf_printf(out, "\\U%08x", (unsigned)c);
}

void python_repr(struct str s, struct buf *out)
{
	bool single = str_index(s, '\'') < s.n;
	bool twofold = str_index(s, '"') < s.n;
	char quote = single && !twofold ? '"' : '\'';
	buf_append_char(out, quote);
	while (s.n) {
		utf8proc_int32_t c;
		utf8proc_ssize_t used =
			utf8proc_iterate((const utf8proc_uint8_t *)s.p, (utf8proc_ssize_t)s.n, &c);
		if (used <= 0) { /* a byte that is no UTF-8: Python's "surrogateescape" */
			buf_printf(out, "\\udc%02x", (unsigned)(unsigned char)s.p[0]);
			used = 1;
		} else {
			repr_character(c, str_sub(s, 0, (size_t)used), quote, out);
		}
		s = str_sub(s, (size_t)used, s.n);
	}
	buf_append_char(out, quote);
}

void args_error(const struct command *command, const char *prog, int columns, const char *message,
	struct buf *text)
{
	usage_format(command, prog, columns, text);
	buf_printf(text, "%s: error: %s\n", prog, message);
}

static void fail(struct parser *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void fail(struct parser *p, const char *format, ...)
{
	if (p->outcome != ARGS_RUN)
		return;
	va_list args;
	va_start(args, format);
	_cleanup_buf_ struct buf message;
	buf_init(&message, SIZE_MAX / 2);
	buf_vprintf(&message, format, args);
	va_end(args);
	buf_reset(p->parse->text);
	args_error(p->command, p->prog, p->parse->columns, message.p, p->parse->text);
	p->outcome = ARGS_ERROR;
}

/* An error about one argument. */
static void fail_arg(struct parser *p, const struct arg *arg, const char *message)
{
	_cleanup_buf_ struct buf name;
	buf_init(&name, SIZE_MAX / 2);
	arg_format_name(arg, &name);
	fail(p, "argument %s: %s", name.p, message);
}

static void fail_explicit(struct parser *p, const struct arg *arg, const char *value)
{
	_cleanup_buf_ struct buf message;
	buf_init(&message, SIZE_MAX / 2);
	buf_append_str(&message, STR("ignored explicit argument "));
	python_repr(str_of(value), &message);
	fail_arg(p, arg, message.p);
}

/* ---- classification of the words ---- */

static const struct arg *find_option(
	const struct command *c, struct str name, const char **ret_string)
{
	for (size_t i = 0; i < arg_total(c); i++) {
		const struct arg *arg = arg_at(c, i);
		for (size_t k = 0; k < ARRAY_SIZE(arg->names) && arg->names[k]; k++) {
			if (str_eq(str_of(arg->names[k]), name)) {
				*ret_string = arg->names[k];
				return arg;
			}
		}
	}
	return NULL;
}

/* ^-\d+$|^-\d*\.\d+$ */
static bool is_negative_number(const char *s)
{
	static const char digits[] = "0123456789";
	size_t whole = strspn(s + 1, digits);
	if (whole && !s[1 + whole])
		return true;
	if (s[1 + whole] != '.')
		return false;
	size_t fraction = strspn(s + 2 + whole, digits);
	return fraction && !s[2 + whole + fraction];
}

/* Options whose name begins with what was typed; a short option may carry its value. */
static size_t find_prefixes(
	const struct command *c, struct word *w, const char *text, struct buf *matches)
{
	size_t count = 0;
	bool is_long = text[1] == '-';
	struct str prefix = str_of(text);
	size_t equals = is_long ? str_index(prefix, '=') : prefix.n;
	prefix.n = equals;
	for (size_t i = 0; i < arg_total(c); i++) {
		const struct arg *arg = arg_at(c, i);
		for (size_t k = 0; k < ARRAY_SIZE(arg->names) && arg->names[k]; k++) {
			const char *name = arg->names[k];
			bool joined = !is_long && strlen(name) == 2 && name[1] == text[1];
			if (!joined && !str_starts_with(str_of(name), prefix))
				continue;
			w->option = arg;
			w->option_string = name;
			w->explicit_value = joined            ? w->text + 2
					    : w->text[equals] ? w->text + equals + 1
							      : NULL;
			buf_printf(matches, "%s%s", count++ ? ", " : "", name);
		}
	}
	return count;
}

/* Decides whether @w is an option or an argument, and which option. */
static void classify(struct parser *p, struct word *w)
{
	const char *text = w->text;
	w->kind = 'A';
	if (text[0] != '-')
		return;
	const char *name;
	const struct arg *arg = find_option(p->command, str_of(text), &name);
	if (arg) {
		*w = (struct word){w->text, 'O', arg, name, NULL};
		return;
	}
	if (!text[1])
		return;
	struct str whole = str_of(text);
	size_t equals = str_index(whole, '=');
	if (equals < whole.n && (arg = find_option(p->command, str_sub(whole, 0, equals), &name))) {
		*w = (struct word){w->text, 'O', arg, name, w->text + equals + 1};
		return;
	}
	_cleanup_buf_ struct buf matches;
	buf_init(&matches, SIZE_MAX / 2);
	struct word option = {.text = w->text, .kind = 'O'};
	size_t count = find_prefixes(p->command, &option, text, &matches);
	if (count > 1)
		fail(p, "ambiguous option: %s could match %s", text, matches.p);
	else if (count == 1 || !(is_negative_number(text) || strchr(text, ' ')))
		*w = option;
}

static void classify_all(struct parser *p, char **argv, size_t n)
{
	p->words = xcalloc(n + 1, sizeof *p->words);
	p->n = n;
	bool only_arguments = false;
	for (size_t i = 0; i < n && p->outcome == ARGS_RUN; i++) {
		struct word *w = &p->words[i];
		w->text = argv[i];
		if (only_arguments) {
			w->kind = 'A';
		} else if (strcmp(argv[i], "--") == 0) {
			w->kind = '-';
			only_arguments = true;
		} else {
			classify(p, w);
		}
	}
}

/* ---- values ---- */

static void check_choice(struct parser *p, const struct arg *arg, const char *value)
{
	if (!arg->choices)
		return;
	for (size_t i = 0; arg->choices[i]; i++)
		if (strcmp(arg->choices[i], value) == 0)
			return;
	_cleanup_buf_ struct buf message;
	buf_init(&message, SIZE_MAX / 2);
	buf_append_str(&message, STR("invalid choice: "));
	python_repr(str_of(value), &message);
	buf_append_str(&message, STR(" (choose from "));
	for (size_t i = 0; arg->choices[i]; i++) {
		buf_append_str(&message, i ? STR(", ") : STR(""));
		python_repr(str_of(arg->choices[i]), &message);
	}
	buf_append_char(&message, ')');
	fail_arg(p, arg, message.p);
}

static void check_value(struct parser *p, const struct arg *arg, const char *value)
{
	_cleanup_buf_ struct buf why;
	buf_init(&why, SIZE_MAX / 2);
	if (arg->check && !arg->check(str_of(value), &why))
		fail_arg(p, arg, why.p);
	else
		check_choice(p, arg, value);
}

static struct arg_values *find_seen(const struct args *a, const struct arg *arg)
{
	for (size_t i = 0; i < a->n; i++)
		if (a->seen[i].arg == arg)
			return &a->seen[i];
	return NULL;
}

static void values_done(struct arg_values *v)
{
	for (size_t i = 0; v->owned && i < v->n; i++) {
		secret_wipe(v->values[i], strlen(v->values[i]));
		free(v->values[i]);
	}
	free(v->values);
	*v = (struct arg_values){.arg = v->arg};
}

/* A secret leaves the argument vector, where every user of the machine can read it. */
static void own_secrets(struct arg_values *v)
{
	for (size_t i = 0; i < v->n; i++) {
		char *copy = xstrdup(v->values[i]);
		memset(v->values[i], '*', strlen(v->values[i]));
		v->values[i] = copy;
	}
	v->owned = true;
}

static void check_exclusive(struct parser *p, const struct arg *arg)
{
	const struct args *a = p->parse->ret;
	for (size_t i = 0; arg->exclusive && i < a->n; i++) {
		const struct arg *other = a->seen[i].arg;
		if (other == arg || other->exclusive != arg->exclusive)
			continue;
		_cleanup_buf_ struct buf message;
		buf_init(&message, SIZE_MAX / 2);
		buf_append_str(&message, STR("not allowed with argument "));
		arg_format_name(other, &message);
		fail_arg(p, arg, message.p);
	}
}

/* Stores the @n values of @arg, taking over the array; an earlier occurrence is replaced. */
static void store(struct parser *p, const struct arg *arg, char **values, size_t n)
{
	struct args *a = p->parse->ret;
	struct arg_values *v = find_seen(a, arg);
	if (!v) {
		a->seen = xreallocarray(a->seen, a->n + 1, sizeof *a->seen);
		v = &a->seen[a->n++];
		*v = (struct arg_values){.arg = arg};
	}
	values_done(v);
	*v = (struct arg_values){arg, values, n, false};
	if (arg->secret)
		own_secrets(v);
}

static void take(struct parser *p, const struct arg *arg, char **texts, size_t n)
{
	if (arg == &arg_help) {
		buf_reset(p->parse->text);
		help_format(p->command, p->prog, p->parse->columns, p->parse->text);
		p->outcome = ARGS_HELP;
		return;
	}
	for (size_t i = 0; i < n && p->outcome == ARGS_RUN; i++)
		check_value(p, arg, texts[i]);
	if (p->outcome == ARGS_RUN)
		check_exclusive(p, arg);
	if (p->outcome == ARGS_RUN)
		store(p, arg, n ? xmemdup(texts, n * sizeof *texts) : NULL, n);
}

/* Texts of the words [start, start + n), without the first "--". */
static char **word_texts(const struct parser *p, size_t start, size_t n, size_t *ret_n)
{
	char **texts = xcalloc(n + 1, sizeof *texts);
	size_t count = 0;
	bool dropped = false;
	for (size_t i = 0; i < n; i++) {
		const struct word *w = &p->words[start + i];
		if (!dropped && strcmp(w->text, "--") == 0)
			dropped = true;
		else
			texts[count++] = w->text;
	}
	*ret_n = count;
	return texts;
}

static void take_words(struct parser *p, const struct arg *arg, size_t start, size_t n)
{
	size_t count;
	_cleanup_free_ char **texts = word_texts(p, start, n, &count);
	take(p, arg, texts, count);
}

/* ---- options ---- */

/* How many of the words from @start the option @arg takes; -1 after an error. */
static ssize_t match_option(struct parser *p, const struct arg *arg, const char *kinds)
{
	size_t available = strspn(kinds, "A");
	switch (arg->count) {
	case ARG_FLAG:
		return 0;
	case ARG_OPTIONAL:
		return available ? 1 : 0;
	case ARG_ONE:
		if (available)
			return 1;
		fail_arg(p, arg, "expected one argument");
		return -1;
	case ARG_SOME:
		if (available)
			return (ssize_t)available;
		fail_arg(p, arg, "expected at least one argument");
		return -1;
	}
	return -1;
}

/* The kinds of the words from @start on, as a text; the caller frees it. */
static char *kinds_from(const struct parser *p, size_t start)
{
	char *kinds = xcalloc(p->n - start + 1, 1);
	for (size_t i = start; i < p->n; i++)
		kinds[i - start] = p->words[i].kind;
	return kinds;
}

/* Joined flags: "-st" is "-s" and "-t". The flags that come before the last one are noted in
 * @flags, because nothing may happen before all of them are known. False after an error. */
static bool split_joined(struct parser *p, const struct arg **option, char **explicit_value,
	const char *name, const struct arg **flags, size_t *flags_n)
{
	while (*explicit_value) {
		if ((*option)->count != ARG_FLAG)
			return true;
		if (name[1] == '-' || !**explicit_value) {
			fail_explicit(p, *option, *explicit_value);
			return false;
		}
		flags[(*flags_n)++] = *option;
		p->short_name[0] = '-';
		p->short_name[1] = **explicit_value;
		p->short_name[2] = '\0';
		const struct arg *next = find_option(p->command, str_of(p->short_name), &name);
		if (!next) {
			fail_explicit(p, *option, *explicit_value);
			return false;
		}
		*option = next;
		*explicit_value = (*explicit_value)[1] ? *explicit_value + 1 : NULL;
	}
	return true;
}

/* Takes the option at @start and its values; returns the index behind them. */
static size_t consume_option(struct parser *p, size_t start)
{
	const struct word *w = &p->words[start];
	if (!w->option) {
		strings_add(&p->extras, w->text);
		return start + 1;
	}
	const struct arg *option = w->option;
	char *value = w->explicit_value;
	size_t flags_n = 0;
	_cleanup_free_ const struct arg **flags =
		xcalloc(strlen(w->text) + 1, sizeof(const struct arg *));
	if (!split_joined(p, &option, &value, w->option_string, flags, &flags_n))
		return p->n;
	ssize_t taken = 0;
	if (!value) {
		_cleanup_free_ char *kinds = kinds_from(p, start + 1);
		taken = match_option(p, option, kinds);
	}
	if (taken < 0)
		return p->n;
	for (size_t i = 0; i < flags_n && p->outcome == ARGS_RUN; i++)
		take(p, flags[i], NULL, 0);
	if (p->outcome == ARGS_RUN && value)
		take(p, option, &value, strcmp(value, "--") == 0 ? 0 : 1);
	else if (p->outcome == ARGS_RUN)
		take_words(p, option, start + 1, (size_t)taken);
	return start + 1 + (size_t)taken;
}

/* ---- positional arguments ---- */

static enum args_outcome run_parser(struct parse *parse, const struct command *command,
	const char *prog, char **argv, size_t n);

/* The n-th positional argument, or NULL: the subcommands come after all of them. */
static const struct arg *positional_at(const struct command *c, size_t index)
{
	for (size_t i = 0; i < c->args_n; i++)
		if (is_positional(&c->args[i]) && index-- == 0)
			return &c->args[i];
	return NULL;
}

static size_t positional_total(const struct command *c)
{
	size_t n = 0;
	while (positional_at(c, n))
		n++;
	return n + (c->commands ? 1 : 0);
}

/* How one positional argument may match: the pattern of argparse is
 *     ONE  -*A-*    OPTIONAL  -*A?-*    SOME  -*A[A-]*    subcommand  -*A[-AO]*
 * as greedily as what follows allows. Words taken go to @counts. */
static bool match_positionals(
	const struct command *c, size_t first, size_t count, const char *kinds, size_t *counts)
{
	if (!count)
		return true;
	const struct arg *arg = positional_at(c, first);
	size_t lead = strspn(kinds, "-");
	bool optional = arg && arg->count == ARG_OPTIONAL;
	bool has = kinds[lead] == 'A';
	if (!has && !optional)
		return false;
	size_t least = has ? lead + 1 : lead;
	size_t most;
	if (!arg)
		most = strlen(kinds);
	else if (arg->count == ARG_SOME)
		most = least + strspn(kinds + least, "A-");
	else
		most = least + strspn(kinds + least, "-");
	if (optional)
		least = 0;
	for (size_t n = most + 1; n-- > least;) {
		counts[0] = n;
		if (match_positionals(c, first + 1, count - 1, kinds + n, counts + 1))
			return true;
	}
	return false;
}

static void fail_command(struct parser *p, const char *name)
{
	_cleanup_buf_ struct buf choices;
	_cleanup_buf_ struct buf value;
	buf_init(&choices, SIZE_MAX / 2);
	buf_init(&value, SIZE_MAX / 2);
	for (size_t i = 0; p->command->commands[i]; i++) {
		buf_append_str(&choices, i ? STR(", ") : STR(""));
		python_repr(str_of(p->command->commands[i]->name), &choices);
	}
	python_repr(str_of(name), &value);
	fail(p, "argument %s: invalid choice: %s (choose from %s)", p->command->commands_dest,
		value.p, choices.p);
}

static void take_command(struct parser *p, size_t start, size_t n)
{
	p->subcommand_seen = true;
	char *name = p->words[start].text;
	const struct command *found = NULL;
	for (size_t i = 0; !found && p->command->commands[i]; i++)
		if (strcmp(p->command->commands[i]->name, name) == 0)
			found = p->command->commands[i];
	if (!found) {
		fail_command(p, name);
		return;
	}
	_cleanup_free_ char *prog = xasprintf("%s %s", p->prog, found->name);
	_cleanup_free_ char **argv = xcalloc(n, sizeof *argv);
	for (size_t i = 1; i < n; i++)
		argv[i - 1] = p->words[start + i].text;
	p->outcome = run_parser(p->parse, found, prog, argv, n - 1);
}

/* Takes as many positional arguments as match at @start; returns the index behind them. */
static size_t consume_positionals(struct parser *p, size_t start)
{
	size_t open = positional_total(p->command) - p->positional;
	_cleanup_free_ size_t *counts = xcalloc(open + 1, sizeof *counts);
	_cleanup_free_ char *kinds = kinds_from(p, start);
	size_t matched = open;
	while (matched && !match_positionals(p->command, p->positional, matched, kinds, counts))
		matched--;
	size_t first = p->positional;
	p->positional += matched;
	for (size_t i = 0; i < matched && p->outcome == ARGS_RUN; i++) {
		const struct arg *arg = positional_at(p->command, first + i);
		if (!arg)
			take_command(p, start, counts[i]);
		else if (counts[i])
			take_words(p, arg, start, counts[i]);
		start += counts[i];
	}
	return start;
}

/* ---- the whole of a (sub)command ---- */

static size_t next_option(const struct parser *p, size_t start)
{
	while (start < p->n && p->words[start].kind != 'O')
		start++;
	return start;
}

static void consume_all(struct parser *p)
{
	size_t start = 0;
	for (size_t option; p->outcome == ARGS_RUN && (option = next_option(p, start)) < p->n;) {
		if (start != option) {
			size_t end = consume_positionals(p, start);
			if (end > start) {
				start = end;
				continue;
			}
		}
		while (start < option)
			strings_add(&p->extras, p->words[start++].text);
		if (p->outcome == ARGS_RUN)
			start = consume_option(p, start);
	}
	if (p->outcome == ARGS_RUN)
		start = consume_positionals(p, start);
	while (p->outcome == ARGS_RUN && start < p->n)
		strings_add(&p->extras, p->words[start++].text);
}

static void check_required(struct parser *p)
{
	_cleanup_buf_ struct buf missing;
	buf_init(&missing, SIZE_MAX / 2);
	for (size_t i = 0; i < p->command->args_n; i++) {
		const struct arg *arg = &p->command->args[i];
		if (!is_positional(arg) || arg->count == ARG_OPTIONAL ||
			find_seen(p->parse->ret, arg))
			continue;
		buf_append_str(&missing, missing.n ? STR(", ") : STR(""));
		arg_format_name(arg, &missing);
	}
	if (p->command->command_required && !p->subcommand_seen)
		buf_printf(&missing, "%s%s", missing.n ? ", " : "", p->command->commands_dest);
	if (missing.n)
		fail(p, "the following arguments are required: %s", missing.p);
}

static enum args_outcome run_parser(
	struct parse *parse, const struct command *command, const char *prog, char **argv, size_t n)
{
	struct parser p = {.parse = parse, .command = command, .prog = prog, .outcome = ARGS_RUN};
	parse->ret->command = command;
	classify_all(&p, argv, n);
	if (p.outcome == ARGS_RUN)
		consume_all(&p);
	if (p.outcome == ARGS_RUN)
		check_required(&p);
	struct strings all = {NULL, 0}; /* ours come before those of subcommands */
	strings_append(&all, &p.extras);
	strings_append(&all, &parse->unknown);
	strings_done(&parse->unknown);
	parse->unknown = all;
	strings_done(&p.extras);
	free(p.words);
	return p.outcome;
}

/* The program as a whole reports what no (sub)command understood. */
static void fail_unknown(struct parse *parse, const struct command *root)
{
	_cleanup_buf_ struct buf message;
	buf_init(&message, SIZE_MAX / 2);
	buf_append_str(&message, STR("unrecognized arguments:"));
	for (size_t i = 0; i < parse->unknown.n; i++)
		buf_printf(&message, " %s", parse->unknown.p[i]);
	buf_reset(parse->text);
	args_error(root, root->name, parse->columns, message.p, parse->text);
}

enum args_outcome args_parse(const struct command *root, int argc, char **argv, int columns,
	struct args *ret, struct buf *text)
{
	*ret = (struct args){.command = root};
	struct parse parse = {.ret = ret, .text = text, .columns = columns};
	enum args_outcome outcome = run_parser(
		&parse, root, root->name, argc ? argv + 1 : argv, argc ? (size_t)argc - 1 : 0);
	if (outcome == ARGS_RUN && parse.unknown.n) {
		fail_unknown(&parse, root);
		outcome = ARGS_ERROR;
	}
	strings_done(&parse.unknown);
	return outcome;
}

void args_done(struct args *a)
{
	for (size_t i = 0; i < a->n; i++)
		values_done(&a->seen[i]);
	free(a->seen);
	*a = (struct args){.command = NULL};
}

static const struct arg_values *find_dest(const struct args *a, const char *dest)
{
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->seen[i].arg->dest, dest) == 0)
			return &a->seen[i];
	return NULL;
}

bool args_has(const struct args *a, const char *dest)
{
	return find_dest(a, dest) != NULL;
}

const char *args_value(const struct args *a, const char *dest)
{
	const struct arg_values *v = find_dest(a, dest);
	return v && v->n ? v->values[v->n - 1] : NULL;
}

char *const *args_values(const struct args *a, const char *dest, size_t *ret_n)
{
	const struct arg_values *v = find_dest(a, dest);
	*ret_n = v ? v->n : 0;
	return v ? v->values : NULL;
}
