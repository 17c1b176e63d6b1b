/* SPDX-License-Identifier: Apache-2.0 */
/* osmo login, osmo logout. Each returns the exit code. */
#pragma once

struct cli;

int cmd_login(struct cli *c);
int cmd_logout(struct cli *c);
