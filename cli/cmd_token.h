/* SPDX-License-Identifier: Apache-2.0 */
/* osmo token set|list|update|rotate|delete|delete-all. Each returns the exit code. */
#pragma once

#include "common/base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct cli;

int cmd_token_set(struct cli *c);
int cmd_token_list(struct cli *c);
int cmd_token_update(struct cli *c);
int cmd_token_rotate(struct cli *c);
int cmd_token_delete(struct cli *c);
int cmd_token_delete_all(struct cli *c);

/* "90s", "30m", "24h", "7d" or "0", in seconds. */
bool cmd_token_parse_overlap(struct str text, int64_t *ret_s);
