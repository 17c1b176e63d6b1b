/* SPDX-License-Identifier: Apache-2.0 */
/* Use cases of profiles. Conventions as in token_app.h. */
#pragma once

#include "common/base/arena.h"
#include "common/base/status.h"
#include "service/domain/principal.h"
#include "service/store/store.h"

struct profile_app {
	struct store *store;
	const struct str *pools;
	size_t n_pools;
	const struct str *buckets;
	size_t n_buckets;
};

/* @profile->user is the principal's name. UNAUTHENTICATED for the anonymous principal. */
struct status profile_app_get(const struct profile_app *app, const struct principal *by,
	struct arena *arena, struct store_waiter waiter, store_profile_fn *done);

/* INVALID_ARGUMENT  a bucket or pool that is not configured */
struct status profile_app_set(const struct profile_app *app, const struct principal *by,
	const struct store_profile_change *change, struct arena *arena, struct store_waiter waiter,
	store_done_fn *done);
