/* SPDX-License-Identifier: Apache-2.0 */
/* The option table as people and programs read it. Pure, but for option_help_width. */
#pragma once

#include "common/base/buf.h"
#include "common/config/options.h"

#include <stddef.h>

/* $COLUMNS, else the width of the terminal on stdout, else 80; from 40 to 200. */
size_t option_help_width(void);
/* What --help prints: usage, commands, options by group with their defaults and variables. With
 * @command, its options alone. */
void option_help_text(const struct option_table *t, const struct option_command *command,
	size_t width, struct buf *out);
/* The manual page of section 8, in roff: the same, and what the table's manual adds. */
void option_help_man(const struct option_table *t, struct buf *out);
/* The table as JSON, hidden options included: for the checks of documentation and chart. */
void option_help_json(const struct option_table *t, struct buf *out);

/* "TOKEN_SERVICE_GRPC_LISTEN" */
void option_env_name(const struct option_table *t, const struct option_spec *s, struct buf *out);
/* "grpc-listen", and of a secret "admin-token-file": as flag and file have it. */
void option_flag_name(const struct option_spec *s, struct buf *out);
/* "ADDR", or what is usual for the type. */
const char *option_metavar(const struct option_spec *s);
