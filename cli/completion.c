/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/completion.h"

#include "cli/argparse.h"
#include "common/base/xalloc.h"

/* What is done for each command: @path is " token set", "" for the program itself. */
typedef void visit_fn(const struct command *c, const char *path, struct buf *out);

static void visit_all(const struct command *c, const char *path, visit_fn *visit, struct buf *out)
{
	visit(c, path, out);
	for (size_t i = 0; c->commands && c->commands[i]; i++) {
		_cleanup_free_ char *below = xasprintf("%s %s", path, c->commands[i]->name);
		visit_all(c->commands[i], below, visit, out);
	}
}

static bool is_option(const struct arg *arg)
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

static void bash_path(const struct command *c, const char *path, struct buf *out)
{
	(void)c;
	if (*path)
		buf_printf(out, "\t\t\"%s\") path=\"%s\" ;;\n", path, path);
}

/* After an option: its choices, files, or nothing at all. */
static void bash_values(const struct command *c, const char *path, struct buf *out)
{
	for (size_t i = 0; i < c->args_n; i++) {
		const struct arg *arg = &c->args[i];
		if (!is_option(arg) || arg->count == ARG_FLAG)
			continue;
		buf_append_char(out, '\t');
		for (size_t k = 0; k < ARRAY_SIZE(arg->names) && arg->names[k]; k++)
			buf_printf(out, "%s\"%s %s\"", k ? "|" : "", path, arg->names[k]);
		buf_append_str(out, STR(") "));
		if (arg->choices) {
			buf_append_str(out, STR("COMPREPLY=($(compgen -W '"));
			append_words(arg->choices, out);
			buf_append_str(out, STR("' -- \"$current\")); "));
		} else if (arg->hint == ARG_HINT_FILE) {
			buf_append_str(out, STR("compopt -o filenames; mapfile -t COMPREPLY < "
						"<(compgen -f -- \"$current\"); "));
		}
		buf_append_str(out, STR("return ;;\n"));
	}
}

static void bash_words(const struct command *c, const char *path, struct buf *out)
{
	buf_printf(out, "\t\"%s\") words='", path);
	for (size_t i = 0; c->commands && c->commands[i]; i++)
		buf_printf(out, "%s ", c->commands[i]->name);
	for (size_t i = 0; i < c->args_n; i++) {
		const struct arg *arg = &c->args[i];
		if (!is_option(arg) && arg->choices) {
			append_words(arg->choices, out);
			buf_append_char(out, ' ');
		}
		for (size_t k = 0; k < ARRAY_SIZE(arg->names) && arg->names[k]; k++)
			buf_printf(out, "%s ", arg->names[k]);
	}
	buf_append_str(out, STR("-h --help' ;;\n"));
}

void completion_bash(const struct command *root, struct buf *out)
{
	const char *name = root->name;
	buf_printf(out,
		"# bash completion for %s\n_%s()\n{\n"
		"\tlocal current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}\n"
		"\tlocal path='' words='' i\n"
		"\t# \"--option=value\" comes as three words\n"
		"\tif [[ $current == = ]]; then\n"
		"\t\tcurrent=''\n"
		"\telif [[ $previous == = ]]; then\n"
		"\t\tprevious=${COMP_WORDS[COMP_CWORD - 2]}\n"
		"\tfi\n"
		"\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
		"\t\tcase \"$path ${COMP_WORDS[i]}\" in\n",
		name, name);
	visit_all(root, "", bash_path, out);
	buf_append_str(out, STR("\t\tesac\n\tdone\n\tCOMPREPLY=()\n"
				"\tcase \"$path $previous\" in\n"));
	visit_all(root, "", bash_values, out);
	buf_append_str(out, STR("\tesac\n\tcase \"$path\" in\n"));
	visit_all(root, "", bash_words, out);
	buf_printf(out,
		"\tesac\n\tCOMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n}\n"
		"complete -F _%s %s\n",
		name, name);
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

static void zsh_action(const struct arg *arg, struct buf *out)
{
	if (arg->choices) {
		buf_append_char(out, '(');
		append_words(arg->choices, out);
		buf_append_char(out, ')');
	} else if (arg->hint == ARG_HINT_FILE) {
		buf_append_str(out, STR("_files"));
	} else {
		/* nothing to offer; an action that is empty keeps options from being offered, too
		 */
		buf_append_str(out, STR("()"));
	}
}

static void zsh_option(const struct arg *arg, struct buf *out)
{
	buf_append_str(out, STR(" \\\n\t\t"));
	if (arg->names[1])
		buf_printf(out, "'(%s %s)'{%s,%s}", arg->names[0], arg->names[1], arg->names[0],
			arg->names[1]);
	else
		buf_append_str(out, str_of(arg->names[0]));
	buf_append_str(out, STR("'["));
	zsh_help(arg->help, out);
	buf_append_char(out, ']');
	if (arg->count != ARG_FLAG) {
		buf_printf(out, ":%s:", arg->dest);
		zsh_action(arg, out);
	}
	buf_append_char(out, '\'');
}

static void zsh_positional(const struct arg *arg, struct buf *out)
{
	buf_printf(out, " \\\n\t\t'%s:%s:", arg->count == ARG_OPTIONAL ? ":" : "", arg->dest);
	zsh_action(arg, out);
	buf_append_char(out, '\'');
}

/* The name of the function that completes the command at @path. */
static void zsh_name(const struct command *root, const char *path, struct buf *out)
{
	buf_printf(out, "_%s", root->name);
	for (; *path; path++)
		buf_append_char(out, *path == ' ' ? '_' : *path);
}

static void zsh_commands(
	const struct command *root, const struct command *c, const char *path, struct buf *out)
{
	buf_append_str(out, STR(" \\\n\t\t': :->command' '*:: :->rest'\n"
				"\tcase $state in\n\tcommand)\n\t\tlocal -a commands=(\n"));
	for (size_t i = 0; c->commands[i]; i++) {
		buf_printf(out, "\t\t\t'%s:", c->commands[i]->name);
		zsh_help(c->commands[i]->help, out);
		buf_append_str(out, STR("'\n"));
	}
	buf_append_str(out, STR("\t\t)\n\t\t_describe command commands ;;\n"
				"\trest)\n\t\tcase $line[1] in\n"));
	for (size_t i = 0; c->commands[i]; i++) {
		buf_printf(out, "\t\t%s) ", c->commands[i]->name);
		zsh_name(root, path, out);
		buf_printf(out, "_%s ;;\n", c->commands[i]->name);
	}
	buf_append_str(out, STR("\t\tesac ;;\n\tesac\n"));
}

static void zsh_function(
	const struct command *root, const struct command *c, const char *path, struct buf *out)
{
	zsh_name(root, path, out);
	buf_printf(out, "()\n{\n\tlocal state line\n\t_arguments -s %s'(- *)'{-h,--help}'[",
		c->commands ? "-C " : "");
	zsh_help(arg_help.help, out);
	buf_append_str(out, STR("]'"));
	for (size_t i = 0; i < c->args_n; i++)
		if (is_option(&c->args[i]))
			zsh_option(&c->args[i], out);
	for (size_t i = 0; i < c->args_n; i++)
		if (!is_option(&c->args[i]))
			zsh_positional(&c->args[i], out);
	if (c->commands)
		zsh_commands(root, c, path, out);
	else
		buf_append_char(out, '\n');
	buf_append_str(out, STR("}\n"));
	for (size_t i = 0; c->commands && c->commands[i]; i++) {
		_cleanup_free_ char *below = xasprintf("%s %s", path, c->commands[i]->name);
		zsh_function(root, c->commands[i], below, out);
	}
}

void completion_zsh(const struct command *root, struct buf *out)
{
	buf_printf(out, "#compdef %s\n", root->name);
	zsh_function(root, root, "", out);
	/* works as a file in $fpath and with "source" */
	buf_printf(out,
		"if [ \"$funcstack[1]\" = \"_%s\" ]; then\n\t_%s \"$@\"\nelse\n\tcompdef _%s "
		"%s\nfi\n",
		root->name, root->name, root->name, root->name);
}

/* ---- fish ---- */

static void fish_path(const struct command *c, const char *path, struct buf *out)
{
	(void)c;
	if (*path)
		buf_printf(out, " '%s'", path);
}

static void fish_begin(const char *path, struct buf *out)
{
	buf_printf(out, "complete -c osmo -n \"__osmo_at '%s'\"", path);
}

static void fish_end(const char *help, struct buf *out)
{
	buf_append_str(out, STR(" -d "));
	quote(help ? help : "", "\\'", out);
	buf_append_char(out, '\n');
}

static void fish_option(const struct arg *arg, const char *path, struct buf *out)
{
	fish_begin(path, out);
	for (size_t k = 0; k < ARRAY_SIZE(arg->names) && arg->names[k]; k++) {
		bool is_long = arg->names[k][1] == '-';
		buf_printf(out, " -%c %s", is_long ? 'l' : 's', arg->names[k] + (is_long ? 2 : 1));
	}
	if (arg->count != ARG_FLAG)
		buf_append_str(out, arg->hint == ARG_HINT_FILE ? STR(" -r -F") : STR(" -x"));
	if (arg->choices) {
		buf_append_str(out, STR(" -a '"));
		append_words(arg->choices, out);
		buf_append_char(out, '\'');
	}
	fish_end(arg->help, out);
}

static void fish_command(const struct command *c, const char *path, struct buf *out)
{
	for (size_t i = 0; c->commands && c->commands[i]; i++) {
		fish_begin(path, out);
		buf_printf(out, " -a %s", c->commands[i]->name);
		fish_end(c->commands[i]->help, out);
	}
	fish_option(&arg_help, path, out);
	for (size_t i = 0; i < c->args_n; i++) {
		const struct arg *arg = &c->args[i];
		if (is_option(arg)) {
			fish_option(arg, path, out);
		} else if (arg->choices) {
			fish_begin(path, out);
			buf_append_str(out, STR(" -a '"));
			append_words(arg->choices, out);
			buf_append_char(out, '\'');
			fish_end(arg->help, out);
		}
	}
}

void completion_fish(const struct command *root, struct buf *out)
{
	buf_append_str(
		out, STR("# fish completion for osmo\nfunction __osmo_at\n\tset -l path ''\n"
			 "\tfor word in (commandline -opc)[2..-1]\n\t\tswitch \"$path $word\"\n"
			 "\t\t\tcase"));
	visit_all(root, "", fish_path, out);
	buf_append_str(out, STR("\n\t\t\t\tset path \"$path $word\"\n\t\tend\n\tend\n"
				"\ttest \"$path\" = \"$argv[1]\"\nend\ncomplete -c osmo -f\n"));
	visit_all(root, "", fish_command, out);
}
