/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd_docs.h"

#include "cli/manpage.h"
#include "cli/session.h"
#include "common/base/arena.h"
#include "common/base/completion.h"
#include "common/base/xalloc.h"

enum {
	TEXT_MAX = 4 * 1024 * 1024
};

static struct completion_arg completion_of_arg(const struct arg *arg)
{
	return (struct completion_arg){
		.names = {arg->names[0], arg->names[1]},
		.value = arg->count == ARG_FLAG ? NULL : arg->dest,
		.help = arg->help,
		.choices = arg->choices,
		.hint = arg->hint == ARG_HINT_FILE ? COMPLETION_FILES : COMPLETION_NONE,
		.optional = arg->count == ARG_OPTIONAL,
		.alone = arg == &arg_help,
	};
}

static struct completion_command completion_of(struct arena *arena, const struct command *c)
{
	struct completion_arg *args = arena_calloc(arena, c->args_n + 1, sizeof *args);
	for (size_t i = 0; i < c->args_n; i++)
		args[i] = completion_of_arg(&c->args[i]);
	args[c->args_n] = completion_of_arg(&arg_help);
	size_t n = 0;
	while (c->commands && c->commands[n])
		n++;
	struct completion_command *commands = arena_calloc(arena, n, sizeof *commands);
	for (size_t i = 0; i < n; i++)
		commands[i] = completion_of(arena, c->commands[i]);
	return (struct completion_command){c->name, c->help, args, c->args_n + 1, commands, n};
}

int cmd_completion(struct cli *c)
{
	_cleanup_buf_ struct buf text;
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	const struct completion_command root = completion_of(arena, c->root);
	buf_init(&text, TEXT_MAX);
	completion_print(args_value(c->args, "shell"), &root, &text);
	cli_print(buf_str(&text));
	return EXIT_DONE;
}

int cmd_man(struct cli *c)
{
	const char *page = args_value(c->args, "page");
	_cleanup_buf_ struct buf text;
	buf_init(&text, TEXT_MAX);
	if (manpage_format(c->root, str_of(page ? page : c->root->name), &text)) {
		cli_print(buf_str(&text));
		return EXIT_DONE;
	}
	_cleanup_buf_ struct buf message;
	buf_init(&message, TEXT_MAX);
	buf_append_str(&message, STR("argument page: there is no page "));
	python_repr(str_of(page), &message);
	buf_append_str(&message, STR(" (choose from "));
	manpage_names(c->root, STR(", "), &message);
	buf_append_char(&message, ')');
	return cli_usage_error(c, "osmo man", message.p);
}
