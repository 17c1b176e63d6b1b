/* SPDX-License-Identifier: Apache-2.0 */
#include "service/app/profile_app.h"

struct get_work {
	struct str name;
	store_profile_fn *done;
	void *arg;
};

/* Service principals are a kind of their own: their profiles have keys that no user can have, since
 * a user's name holds no control bytes. */
static struct str profile_key(const struct principal *by, struct arena *arena)
{
	if (by->kind != PRINCIPAL_SERVICE)
		return by->name;
	return str_of(arena_printf(arena, "\x1f%.*s", STR_ARG(by->name)));
}

static struct status check_owner(const struct principal *by)
{
	if (by->kind == PRINCIPAL_ANONYMOUS || !by->name.n)
		return status_error(STATUS_UNAUTHENTICATED, "authentication is required");
	return status_ok();
}

static void on_profile(void *arg, const struct status *status, const struct store_profile *profile)
{
	struct get_work *work = arg;
	if (status->code != STATUS_OK) {
		work->done(work->arg, status, NULL);
		return;
	}
	struct store_profile named = *profile;
	named.user = work->name;
	work->done(work->arg, status, &named);
}

struct status profile_app_get(const struct profile_app *app, const struct principal *by,
	struct arena *arena, struct store_waiter waiter, store_profile_fn *done)
{
	TRY(check_owner(by));
	struct get_work *work = arena_calloc(arena, 1, sizeof *work);
	*work = (struct get_work){by->name, done, waiter.arg};
	waiter.arg = work;
	store_profile_get(app->store, profile_key(by, arena), waiter, on_profile);
	return status_ok();
}

static bool is_one_of(struct str name, const struct str *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(name, names[i]))
			return true;
	return false;
}

struct status profile_app_set(const struct profile_app *app, const struct principal *by,
	const struct store_profile_change *change, struct arena *arena, struct store_waiter waiter,
	store_done_fn *done)
{
	TRY(check_owner(by));
	if (change->set_bucket && !is_one_of(change->to.bucket, app->buckets, app->n_buckets))
		return status_invalid("bucket",
			"Bucket %.*s does not exist. Use the \"osmo bucket list\" CLI  to see all "
			"available buckets.",
			STR_ARG(change->to.bucket));
	if (change->set_pool && !is_one_of(change->to.pool, app->pools, app->n_pools))
		return status_invalid("pool", "Pool %.*s not found.", STR_ARG(change->to.pool));
	store_profile_change(app->store, profile_key(by, arena), change, waiter, done);
	return status_ok();
}
