/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/completion.h"

#include "common/base/str.h"
#include "common/base/xalloc.h"

#include <string.h>

struct script {
	struct buf *out;
	const struct completion_command *root;
	const char *function; /* the name of the program where a name has no hyphen */
};

/* What is done for each command: @path is " token set", "" for the program itself. */
typedef void visit_fn(const struct script *s, const struct completion_command *c, const char *path);

static void visit_below(const struct script *s, const struct completion_command *c,
	const char *path, visit_fn *visit)
{
	visit(s, c, path);
	for (size_t i = 0; i < c->commands_n; i++) {
		_cleanup_free_ char *below = xasprintf("%s %s", path, c->commands[i].name);
		visit_below(s, &c->commands[i], below, visit);
	}
}

static void visit_all(const struct script *s, visit_fn *visit)
{
	visit_below(s, s->root, "", visit);
}

static bool is_option(const struct completion_arg *arg)
{
	return arg->names[0] != NULL;
}

/* @text inside single quotes of the shell bash, zsh ('\'') or fish (\'). */
static void quote(const char *text, const char *quoted_quote, struct buf *out)
{
	buf_append_char(out, '\'');
	for (; *text; text++) {
		if (*text == '\'')
			buf_append_str(out, str_of(quoted_quote));
		else
			buf_append_char(out, *text);
	}
	buf_append_char(out, '\'');
}

static void append_words(const char *const *words, struct buf *out)
{
	for (size_t i = 0; words[i]; i++)
		buf_printf(out, "%s%s", i ? " " : "", words[i]);
}

/* ---- bash ---- */

static void bash_path(const struct script *s, const struct completion_command *c, const char *path)
{
	(void)c;
	if (*path)
		buf_printf(s->out, "\t\t\"%s\") path=\"%s\" ;;\n", path, path);
}

/* After an option: its choices, files, or nothing at all. */
static void bash_value(const struct script *s, const struct completion_arg *arg, const char *path)
{
	buf_append_char(s->out, '\t');
	for (size_t k = 0; k < ARRAY_SIZE(arg->names) && arg->names[k]; k++)
		buf_printf(s->out, "%s\"%s %s\"", k ? "|" : "", path, arg->names[k]);
	buf_append_str(s->out, STR(") "));
	if (arg->choices) {
		buf_append_str(s->out, STR("COMPREPLY=($(compgen -W '"));
		append_words(arg->choices, s->out);
		buf_append_str(s->out, STR("' -- \"$current\")); "));
	} else if (arg->hint != COMPLETION_NONE) {
		buf_printf(s->out,
			"compopt -o filenames; mapfile -t COMPREPLY < <(compgen -%c -- "
			"\"$current\"); ",
			arg->hint == COMPLETION_FILES ? 'f' : 'd');
	}
	buf_append_str(s->out, STR("return ;;\n"));
}

static void bash_values(
	const struct script *s, const struct completion_command *c, const char *path)
{
	for (size_t i = 0; i < c->args_n; i++)
		if (is_option(&c->args[i]) && c->args[i].value)
			bash_value(s, &c->args[i], path);
}

static void bash_words(const struct script *s, const struct completion_command *c, const char *path)
{
	bool files = false;
	buf_printf(s->out, "\t\"%s\") words='", path);
	for (size_t i = 0; i < c->commands_n; i++)
		buf_printf(s->out, "%s ", c->commands[i].name);
	for (size_t i = 0; i < c->args_n; i++) {
		const struct completion_arg *arg = &c->args[i];
		if (!is_option(arg) && arg->choices) {
			append_words(arg->choices, s->out);
			buf_append_char(s->out, ' ');
		}
		files = files || (!is_option(arg) && arg->hint == COMPLETION_FILES);
		for (size_t k = 0; k < ARRAY_SIZE(arg->names) && arg->names[k]; k++)
			buf_printf(s->out, "%s ", arg->names[k]);
	}
	buf_printf(s->out, "'%s ;;\n", files ? " files=1" : "");
}

static void print_bash(const struct script *s)
{
	buf_printf(s->out,
		"# bash completion for %s\n_%s()\n{\n"
		"\tlocal current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}\n"
		"\tlocal path='' words='' files='' i\n"
		"\t# \"--option=value\" comes as three words\n"
		"\tif [[ $current == = ]]; then\n"
		"\t\tcurrent=''\n"
		"\telif [[ $previous == = ]]; then\n"
		"\t\tprevious=${COMP_WORDS[COMP_CWORD - 2]}\n"
		"\tfi\n"
		"\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
		"\t\tcase \"$path ${COMP_WORDS[i]}\" in\n",
		s->root->name, s->function);
	visit_all(s, bash_path);
	buf_append_str(s->out, STR("\t\tesac\n\tdone\n\tCOMPREPLY=()\n"
				   "\tcase \"$path $previous\" in\n"));
	visit_all(s, bash_values);
	buf_append_str(s->out, STR("\tesac\n\tcase \"$path\" in\n"));
	visit_all(s, bash_words);
	buf_printf(s->out,
		"\tesac\n\tif [[ $files && $current != -* ]]; then\n"
		"\t\tcompopt -o filenames\n"
		"\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n"
		"\telse\n"
		"\t\tCOMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
		"\tfi\n}\n"
		"complete -F _%s %s\n",
		s->function, s->root->name);
}

/* ---- zsh ---- */

/* A text inside "[…]" of an option specification. */
static void zsh_help(const char *text, struct buf *out)
{
	for (; text && *text; text++) {
		if (strchr("[]\\:", *text))
			buf_append_char(out, '\\');
		if (*text == '\'')
			buf_append_str(out, STR("'\\''"));
		else
			buf_append_char(out, *text);
	}
}

static void zsh_action(const struct completion_arg *arg, struct buf *out)
{
	if (arg->choices) {
		buf_append_char(out, '(');
		append_words(arg->choices, out);
		buf_append_char(out, ')');
	} else {
		/* nothing to offer: an action that is empty keeps options from being offered, too
		 */
		static const char *const actions[] = {[COMPLETION_NONE] = "()",
			[COMPLETION_FILES] = "_files",
			[COMPLETION_FOLDERS] = "_files -/"};
		buf_append_str(out, str_of(actions[arg->hint]));
	}
}

static void zsh_option(const struct completion_arg *arg, struct buf *out)
{
	const char *one = arg->names[0], *other = arg->names[1];
	buf_append_str(out, STR(" \\\n\t\t"));
	if (arg->alone)
		buf_append_str(out, STR("'(- *)'"));
	else if (other)
		buf_printf(out, "'(%s %s)'", one, other);
	/* "--name=": the value may be in the next word, or in the same one behind a "="; "-n+"
	 * likewise */
	const char *long_end = arg->value ? "=" : "", *short_end = arg->value ? "+" : "";
	if (other)
		buf_printf(out, "{%s%s,%s%s}'[", one, one[1] == '-' ? long_end : short_end, other,
			other[1] == '-' ? long_end : short_end);
	else
		buf_printf(out, "%s%s'[", one, long_end);
	zsh_help(arg->help, out);
	buf_append_char(out, ']');
	if (arg->value) {
		buf_printf(out, ":%s:", arg->value);
		zsh_action(arg, out);
	}
	buf_append_char(out, '\'');
}

static void zsh_positional(const struct completion_arg *arg, struct buf *out)
{
	buf_printf(out, " \\\n\t\t'%s:%s:", arg->optional ? ":" : "", arg->value);
	zsh_action(arg, out);
	buf_append_char(out, '\'');
}

/* The name of the function that completes the command at @path. */
static void zsh_name(const struct script *s, const char *path)
{
	buf_printf(s->out, "_%s", s->root->name);
	for (; *path; path++)
		buf_append_char(s->out, *path == ' ' ? '_' : *path);
}

static void zsh_commands(
	const struct script *s, const struct completion_command *c, const char *path)
{
	buf_append_str(s->out, STR(" \\\n\t\t': :->command' '*:: :->rest'\n"
				   "\tcase $state in\n\tcommand)\n\t\tlocal -a commands=(\n"));
	for (size_t i = 0; i < c->commands_n; i++) {
		buf_printf(s->out, "\t\t\t'%s:", c->commands[i].name);
		zsh_help(c->commands[i].help, s->out);
		buf_append_str(s->out, STR("'\n"));
	}
	buf_append_str(s->out, STR("\t\t)\n\t\t_describe command commands ;;\n"
				   "\trest)\n\t\tcase $line[1] in\n"));
	for (size_t i = 0; i < c->commands_n; i++) {
		buf_printf(s->out, "\t\t%s) ", c->commands[i].name);
		zsh_name(s, path);
		buf_printf(s->out, "_%s ;;\n", c->commands[i].name);
	}
	buf_append_str(s->out, STR("\t\tesac ;;\n\tesac\n"));
}

static void zsh_function(
	const struct script *s, const struct completion_command *c, const char *path)
{
	zsh_name(s, path);
	buf_printf(
		s->out, "()\n{\n\tlocal state line\n\t_arguments -s%s", c->commands_n ? " -C" : "");
	for (size_t i = 0; i < c->args_n; i++)
		if (is_option(&c->args[i]))
			zsh_option(&c->args[i], s->out);
	for (size_t i = 0; i < c->args_n; i++)
		if (!is_option(&c->args[i]))
			zsh_positional(&c->args[i], s->out);
	if (c->commands_n)
		zsh_commands(s, c, path);
	else
		buf_append_char(s->out, '\n');
	buf_append_str(s->out, STR("}\n"));
}

static void print_zsh(const struct script *s)
{
	buf_printf(s->out, "#compdef %s\n", s->root->name);
	visit_all(s, zsh_function);
	/* works as a file in $fpath and with "source" */
	const char *name = s->root->name;
	buf_printf(s->out,
		"if [ \"$funcstack[1]\" = \"_%s\" ]; then\n\t_%s \"$@\"\nelse\n\tcompdef _%s "
		"%s\nfi\n",
		name, name, name, name);
}

/* ---- fish ---- */

static void fish_path(const struct script *s, const struct completion_command *c, const char *path)
{
	(void)c;
	if (*path)
		buf_printf(s->out, " '%s'", path);
}

static void fish_begin(const struct script *s, const char *path)
{
	buf_printf(s->out, "complete -c %s -n \"__%s_at '%s'\"", s->root->name, s->function, path);
}

static void fish_end(const char *help, struct buf *out)
{
	buf_append_str(out, STR(" -d "));
	quote(help ? help : "", "\\'", out);
	buf_append_char(out, '\n');
}

/* What a value, or a positional argument, may be. */
static void fish_choices(const struct completion_arg *arg, struct buf *out)
{
	if (arg->choices) {
		buf_append_str(out, STR(" -a '"));
		append_words(arg->choices, out);
		buf_append_char(out, '\'');
	} else if (arg->hint == COMPLETION_FOLDERS) {
		buf_append_str(out, STR(" -a '(__fish_complete_directories)'"));
	}
}

static void fish_option(const struct script *s, const struct completion_arg *arg, const char *path)
{
	fish_begin(s, path);
	for (size_t k = 0; k < ARRAY_SIZE(arg->names) && arg->names[k]; k++) {
		bool is_long = arg->names[k][1] == '-';
		buf_printf(
			s->out, " -%c %s", is_long ? 'l' : 's', arg->names[k] + (is_long ? 2 : 1));
	}
	if (arg->value) {
		buf_append_str(s->out, arg->hint == COMPLETION_FILES ? STR(" -r -F") : STR(" -x"));
		fish_choices(arg, s->out);
	}
	fish_end(arg->help, s->out);
}

static void fish_positional(
	const struct script *s, const struct completion_arg *arg, const char *path)
{
	if (!arg->choices && arg->hint == COMPLETION_NONE)
		return;
	fish_begin(s, path);
	if (arg->hint == COMPLETION_FILES)
		buf_append_str(s->out, STR(" -F"));
	fish_choices(arg, s->out);
	fish_end(arg->help, s->out);
}

static void fish_command(
	const struct script *s, const struct completion_command *c, const char *path)
{
	for (size_t i = 0; i < c->commands_n; i++) {
		fish_begin(s, path);
		buf_printf(s->out, " -a %s", c->commands[i].name);
		fish_end(c->commands[i].help, s->out);
	}
	for (size_t i = 0; i < c->args_n; i++) {
		if (is_option(&c->args[i]))
			fish_option(s, &c->args[i], path);
		else
			fish_positional(s, &c->args[i], path);
	}
}

static void print_fish(const struct script *s)
{
	buf_printf(s->out,
		"# fish completion for %s\nfunction __%s_at\n\tset -l path ''\n"
		"\tfor word in (commandline -opc)[2..-1]\n\t\tswitch \"$path $word\"\n"
		"\t\t\tcase",
		s->root->name, s->function);
	visit_all(s, fish_path);
	buf_printf(s->out,
		"\n\t\t\t\tset path \"$path $word\"\n\t\tend\n\tend\n"
		"\ttest \"$path\" = \"$argv[1]\"\nend\ncomplete -c %s -f\n",
		s->root->name);
	visit_all(s, fish_command);
}

/* ---- */

const char *const completion_shells[] = {"bash", "zsh", "fish", NULL};

bool completion_print(const char *shell, const struct completion_command *root, struct buf *out)
{
	static void (*const printers[])(const struct script *s) = {
		print_bash, print_zsh, print_fish};
	_cleanup_free_ char *function = xstrdup(root->name);
	for (char *p = function; *p; p++)
		if (*p == '-')
			*p = '_';
	const struct script script = {out, root, function};
	for (size_t i = 0; completion_shells[i]; i++) {
		if (strcmp(shell, completion_shells[i]) == 0) {
			printers[i](&script);
			return true;
		}
	}
	return false;
}
