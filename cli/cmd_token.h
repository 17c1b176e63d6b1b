/* SPDX-License-Identifier: Apache-2.0 */
/* osmo token set|list|delete. Each returns the exit code. */
#pragma once

struct cli;

int cmd_token_set(struct cli *c);
int cmd_token_list(struct cli *c);
int cmd_token_delete(struct cli *c);
