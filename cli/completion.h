/* SPDX-License-Identifier: Apache-2.0 */
/* Completion scripts, printed from a table of commands (argparse.h). Pure. */
#pragma once

#include "common/base/buf.h"

struct command;

void completion_bash(const struct command *root, struct buf *out);
void completion_zsh(const struct command *root, struct buf *out);
void completion_fish(const struct command *root, struct buf *out);
