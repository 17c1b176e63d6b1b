/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd_docs.h"

#include "cli/completion.h"
#include "cli/manpage.h"
#include "cli/session.h"
#include "common/base/xalloc.h"

enum {
	TEXT_MAX = 4 * 1024 * 1024
};

int cmd_completion(struct cli *c)
{
	_cleanup_buf_ struct buf text;
	buf_init(&text, TEXT_MAX);
	const char *shell = args_value(c->args, "shell");
	if (strcmp(shell, "bash") == 0)
		completion_bash(c->root, &text);
	else if (strcmp(shell, "zsh") == 0)
		completion_zsh(c->root, &text);
	else
		completion_fish(c->root, &text);
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
