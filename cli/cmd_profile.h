/* SPDX-License-Identifier: Apache-2.0 */
/* osmo profile list|set. Each returns the exit code. */
#pragma once

struct cli;

int cmd_profile_list(struct cli *c);
int cmd_profile_set(struct cli *c);
