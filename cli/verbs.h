/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs of osmo: the one table that parsing, help, completion and manual pages come from. */
#pragma once

#include "common/base/str.h"

#include <stdbool.h>

struct command;

extern const struct command verbs_root;

/* The number of a level of --log-level: a name in either case, or one of the numbers. */
bool verbs_log_level(struct str name, int *ret);
