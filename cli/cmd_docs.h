/* SPDX-License-Identifier: Apache-2.0 */
/* osmo completion, osmo man: what is printed from the table of verbs. Each returns the exit code.
 */
#pragma once

struct cli;

int cmd_completion(struct cli *c);
int cmd_man(struct cli *c);
