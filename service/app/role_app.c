/* SPDX-License-Identifier: Apache-2.0 */
#include "service/app/role_app.h"

#include <string.h>

struct status role_missing(struct str name)
{
	return status_error(STATUS_NOT_FOUND, "Role %.*s does not exist.", STR_ARG(name));
}

struct role_set *role_app_list(const struct role_app *app)
{
	return app->access->roles(app->access->roles_arg);
}

struct status role_name_check(struct str name)
{
	bool ok = name.n && name.n <= ROLE_NAME_MAX_BYTES && str_is_utf8(name);
	for (size_t i = 0; ok && i < name.n; i++)
		ok = (unsigned char)name.p[i] > ' ' && name.p[i] != 0x7F && name.p[i] != ',' &&
		     name.p[i] != '/';
	return ok ? status_ok()
		  : status_invalid("name",
			    "a role name must be 1 to %d bytes of text without spaces, commas and "
			    "slashes, got '%.*s'",
			    ROLE_NAME_MAX_BYTES, STR_ARG(name));
}

struct status role_check(const struct role *role)
{
	TRY(role_name_check(role->name));
	if (role->description.n > TOKEN_DESCRIPTION_MAX_BYTES)
		return status_invalid("description",
			"Description must be at most %d bytes long, got %zu",
			TOKEN_DESCRIPTION_MAX_BYTES, role->description.n);
	if (role->n_policies > ROLE_MAX_POLICIES)
		return status_invalid("policies", "a role has at most %d policies, got %zu",
			ROLE_MAX_POLICIES, role->n_policies);
	for (size_t i = 0; i < role->n_policies; i++)
		if (role->policies[i].n_actions > ROLE_MAX_ACTIONS)
			return status_invalid("policies",
				"a policy has at most %d actions, got %zu", ROLE_MAX_ACTIONS,
				role->policies[i].n_actions);
	return status_ok();
}

static struct status check_mutable(const struct role_app *app, struct str name, bool must_exist)
{
	_cleanup_(role_set_unrefp) struct role_set *roles = role_app_list(app);
	const struct role *role = role_set_find(roles, name);
	if (!role)
		return must_exist ? role_missing(name) : status_ok();
	if (role->immutable)
		return status_error(
			STATUS_FAILED_PRECONDITION, "Role %.*s is immutable.", STR_ARG(name));
	return status_ok();
}

struct status role_app_check(const struct role_app *app, const struct role *role)
{
	TRY(role_check(role));
	return check_mutable(app, role->name, false);
}

struct write_work {
	const struct role_app *app;
	struct str name;
	struct store_waiter waiter;
	store_done_fn *done;
};

static void on_reloaded(void *arg, const struct status *status)
{
	struct write_work *work = arg;
	work->done(work->waiter.arg, status);
}

static void on_written(void *arg, const struct status *status)
{
	struct write_work *work = arg;
	if (status->code == STATUS_NOT_FOUND) {
		struct status missing = role_missing(work->name);
		work->done(work->waiter.arg, &missing);
		return;
	}
	if (status->code != STATUS_OK) {
		work->done(work->waiter.arg, status);
		return;
	}
	struct store_waiter waiter = work->waiter;
	waiter.arg = work;
	work->app->reload(work->app->reload_arg, waiter, on_reloaded);
}

static struct store_waiter write_waiter(const struct role_app *app, struct str name,
	struct arena *arena, struct store_waiter waiter, store_done_fn *done)
{
	struct write_work *work = arena_calloc(arena, 1, sizeof *work);
	*work = (struct write_work){app, arena_str(arena, name), waiter, done};
	waiter.arg = work;
	return waiter;
}

struct status role_app_put(const struct role_app *app, const struct role *role, struct arena *arena,
	struct store_waiter waiter, store_done_fn *done)
{
	TRY(role_app_check(app, role));
	store_role_put(
		app->store, role, write_waiter(app, role->name, arena, waiter, done), on_written);
	return status_ok();
}

struct status role_app_delete(const struct role_app *app, struct str name, struct arena *arena,
	struct store_waiter waiter, store_done_fn *done)
{
	TRY(check_mutable(app, name, true));
	store_role_delete(
		app->store, name, write_waiter(app, name, arena, waiter, done), on_written);
	return status_ok();
}
