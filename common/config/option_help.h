/* SPDX-License-Identifier: Apache-2.0 */
/* The option table as people and programs read it. Pure, but for option_help_width. */
#pragma once

#include "common/base/buf.h"
#include "common/config/options.h"

#include <stdbool.h>
#include <stddef.h>

/* $COLUMNS, else the width of the terminal on stdout, else 80; from 40 to 200. */
size_t option_help_width(void);
/* What --help prints: usage, commands, options by group with their defaults and variables. With
 * @command, its options alone. */
void option_help_text(const struct option_table *t, const struct option_command *command,
	size_t width, struct buf *out);
/* The manual page of section 8, in roff: the same, and what the table's manual adds. */
void option_help_man(const struct option_table *t, struct buf *out);
/* The completion script for a shell of completion_shells (common/base/completion.h). */
void option_help_completion(const struct option_table *t, const char *shell, struct buf *out);
/* The table as JSON, hidden options included: for the checks of documentation and chart. */
void option_help_json(const struct option_table *t, struct buf *out);

/* "TOKEN_SERVICE_GRPC_LISTEN" */
void option_env_name(const struct option_table *t, const struct option_spec *s, struct buf *out);
/* "grpc-listen", and of a secret "admin-token-file": as flag and file have it. */
void option_flag_name(const struct option_spec *s, struct buf *out);
/* "ADDR", or what is usual for the type. */
const char *option_metavar(const struct option_spec *s);
/* Whether the command, or without one the program, takes the option on its command line. */
bool option_is_taken(const struct option_command *c, const struct option_spec *s);

/* What every table has without listing it. */
struct option_builtin {
	const char *name;           /* "check-config" */
	char letter;                /* 'h': the same as -h; or 0 */
	enum options_action action; /* OPTIONS_RUN: none is asked for (--config) */
	const char *metavar;        /* of its value, or NULL */
	const char *const *choices; /* of its value, NULL-terminated, or NULL */
	const char *help;           /* NULL: not shown */
};

extern const struct option_builtin option_builtins[]; /* ends with a NULL name */
/* NULL if @name is none of them. */
const struct option_builtin *option_builtin_find(struct str name);
