/* SPDX-License-Identifier: Apache-2.0 */
/* Lists in a column: how a token's roles and a role's policies are written as text, the same in
 * every database.
 *
 * JSON, so that an operator can read and write a row. Pure; any thread. */
#pragma once

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/status.h"
#include "common/base/str.h"
#include "service/domain/role.h"

#include <stddef.h>

/* ["osmo-user","ci"]. INVALID_ARGUMENT on "roles" if a name is no UTF-8. */
struct status row_roles_format(const struct str *roles, size_t n, struct buf *out);
/* The array and its texts are in @arena. DATA_LOSS if @text is no such list. */
struct status row_roles_parse(
	struct str text, struct arena *arena, const struct str **ret, size_t *ret_n);

/* [{"actions":["http:/api/pool/<star>:Get"]}]. INVALID_ARGUMENT on "policies" if a text is no
 * UTF-8.
 */
struct status row_policies_format(const struct role *role, struct buf *out);
/* Sets the policies of *@ret, in @arena. DATA_LOSS if @text is no such list. */
struct status row_policies_parse(struct str text, struct arena *arena, struct role *ret);
