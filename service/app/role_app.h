/* SPDX-License-Identifier: Apache-2.0 */
/* Use cases of roles. Conventions as in token_app.h. */
#pragma once

#include "common/base/arena.h"
#include "common/base/status.h"
#include "service/app/access.h"
#include "service/domain/role.h"
#include "service/store/store.h"

struct role_app {
	struct store *store;
	const struct access_policy *access; /* the roles of the moment */
	/* Makes the roles that decisions are made with those of the store; calls @done when they
	 * are. */
	void (*reload)(void *arg, struct store_waiter waiter, store_done_fn *done);
	void *reload_arg;
};

/* The roles of the moment; the caller drops the reference. */
struct role_set *role_app_list(const struct role_app *app);

/* 1 to 255 bytes of UTF-8 without control bytes, spaces, commas and slashes.
 * INVALID_ARGUMENT on "name" otherwise. */
struct status role_name_check(struct str name);
/* Its name, and that it is not too large. INVALID_ARGUMENT. */
struct status role_check(const struct role *role);
/* All that role_app_put says of @role before it is written. */
struct status role_app_check(const struct role_app *app, const struct role *role);

/* Makes the role or replaces it; its actions were parsed by role_action_parse. In force when @done
 * is called. INVALID_ARGUMENT     the name, or too many policies or actions FAILED_PRECONDITION
 * "Role R is immutable." */
struct status role_app_put(const struct role_app *app, const struct role *role, struct arena *arena,
	struct store_waiter waiter, store_done_fn *done);

/* NOT_FOUND            "Role R does not exist."
 * FAILED_PRECONDITION  "Role R is immutable." */
struct status role_app_delete(const struct role_app *app, struct str name, struct arena *arena,
	struct store_waiter waiter, store_done_fn *done);

/* The NOT_FOUND of a role, for handlers that look one up. */
struct status role_missing(struct str name);
