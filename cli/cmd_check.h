/* SPDX-License-Identifier: Apache-2.0 */
/* osmo check: does a service do what it is for? Returns the exit code. */
#pragma once

struct cli;

int cmd_check(struct cli *c);
