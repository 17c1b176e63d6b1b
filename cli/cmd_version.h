/* SPDX-License-Identifier: Apache-2.0 */
/* osmo version. Returns the exit code. */
#pragma once

struct cli;

int cmd_version(struct cli *c);
