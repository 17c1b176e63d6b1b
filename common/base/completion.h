/* SPDX-License-Identifier: Apache-2.0 */
/* Completion scripts for bash, zsh and fish, printed from a table of commands.
 *
 * What is offered: the commands below the one at hand, its options, and after an option (or as an
 * argument) the choices, files or folders that it takes. Pure; a table is borrowed for the call. */
#pragma once

#include "common/base/buf.h"

#include <stdbool.h>
#include <stddef.h>

enum completion_hint {
	COMPLETION_NONE,
	COMPLETION_FILES,
	COMPLETION_FOLDERS
};

struct completion_arg {
	const char *names[2];       /* "--service", "-s"; none: a positional argument */
	const char *value;          /* what the value is called, "FILE"; NULL: it takes none */
	const char *help;           /* may be NULL */
	const char *const *choices; /* of the value, NULL-terminated, or NULL */
	enum completion_hint hint;
	bool optional; /* a positional argument that may be left out */
	bool alone;    /* nothing else makes sense beside it, like --help */
};

struct completion_command {
	const char *name, *help;
	const struct completion_arg *args;
	size_t args_n;
	const struct completion_command *commands;
	size_t commands_n;
};

extern const char *const completion_shells[]; /* NULL-terminated */

/* Appends the script for one of completion_shells; false if @shell is none of them. */
bool completion_print(const char *shell, const struct completion_command *root, struct buf *out);
