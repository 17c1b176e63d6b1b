/* SPDX-License-Identifier: Apache-2.0 */
/* `roles:` of the configuration file: roles that the configuration owns.
 *
 *     roles:
 *       - name: ci-reader
 *         description: Reads workflows
 *         policies:
 *           - actions:
 *               - http:/api/workflow:Get
 *               - {base: http, path: /api/pool, method: Get}
 *
 * Pure; any thread. */
#pragma once

#include "common/base/status.h"

struct role_set;
struct yaml_node;

/* A new set with the roles of @section, all of them immutable: whoever wants to change one changes
 * the file. NULL as @section is an empty set.
 *
 * INVALID_ARGUMENT  FILE:LINE, what is wrong and what is expected */
struct status roles_config_parse(const struct yaml_node *section, struct role_set **ret);
