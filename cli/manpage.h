/* SPDX-License-Identifier: Apache-2.0 */
/* Manual pages (man(7) roff), printed from a table of commands (argparse.h): one for the program,
 * one for each of its commands with all of their subcommands. Pure. */
#pragma once

#include "common/base/buf.h"
#include "common/base/str.h"

#include <stdbool.h>

struct command;

/* Appends the page @name ("osmo", "osmo-token"); false if there is none. */
bool manpage_format(const struct command *root, struct str name, struct buf *out);
/* Appends the names of all pages, with @separator between them. */
void manpage_names(const struct command *root, struct str separator, struct buf *out);
