/* SPDX-License-Identifier: Apache-2.0 */
/* The help texts of a command table (argparse.h), laid out as Python's argparse 3.11 does.
 *
 * Widths count bytes: tables are ASCII. Pure but for terminal_columns. */
#pragma once

#include "common/base/buf.h"

struct arg;
struct command;

/* $COLUMNS if it is a positive number, else the width of the terminal on standard output, else
 * 80. */
int terminal_columns(void);

/* Appends "usage: PROG …" and a line feed. */
void usage_format(const struct command *c, const char *prog, int columns, struct buf *out);
/* Appends the whole help of @c. */
void help_format(const struct command *c, const char *prog, int columns, struct buf *out);

/* Appends how @arg is written: "--expires-at EXPIRES_AT, -e EXPIRES_AT", "name". */
void arg_format_invocation(const struct arg *arg, struct buf *out);
/* Appends the values it takes: "EXPIRES_AT", "ROLES [ROLES ...]", "" for a flag. */
void arg_format_values(const struct arg *arg, struct buf *out);

/* Appends @text, wrapped to @width as Python's textwrap does; each line follows @indent spaces
 * (the first @indent_first) and ends with a line feed. */
void wrap_format(const char *text, int width, int indent_first, int indent, struct buf *out);
