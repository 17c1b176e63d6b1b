/* SPDX-License-Identifier: Apache-2.0 */
#include "service/interceptor/gate.h"

#include "common/codec/schema.h"
#include "service/store/role_cache.h"

#include <string.h>

void gate_init(struct gate *g, const struct role_cache *roles, const char *const *alive)
{
	g->roles = roles;
	g->alive = alive;
	atomic_init(&g->started, false);
	pthread_mutex_init(&g->shared.lock, NULL);
	g->shared.reason = status_ok();
}

void gate_done(struct gate *g)
{
	pthread_mutex_destroy(&g->shared.lock);
}

void gate_set_reason(struct gate *g, const struct status *reason)
{
	pthread_mutex_lock(&g->shared.lock);
	g->shared.reason = *reason;
	pthread_mutex_unlock(&g->shared.lock);
}

void gate_open(struct gate *g)
{
	atomic_store(&g->started, true);
}

static struct status starting(struct gate *g)
{
	pthread_mutex_lock(&g->shared.lock);
	struct status reason = g->shared.reason;
	pthread_mutex_unlock(&g->shared.lock);
	if (status_is_ok(&reason))
		return status_error(STATUS_UNAVAILABLE, "the service is starting");
	return status_error(STATUS_UNAVAILABLE, "the service is starting: %s", reason.message);
}

struct status gate_status(struct gate *g)
{
	if (!atomic_load(&g->started))
		return starting(g);
	if (!role_cache_is_ready(g->roles))
		return status_error(STATUS_UNAVAILABLE,
			"the token store is away, and the roles that were read are too old");
	return status_ok();
}

static bool is_alive_check(const struct gate *g, const struct call *c)
{
	for (const char *const *path = g->alive; *path; path++)
		if (strcmp(*path, c->method->path) == 0)
			return true;
	return false;
}

struct call_step gate_run(void *self, struct call *c)
{
	struct gate *g = self;
	if (atomic_load(&g->started) && role_cache_is_ready(g->roles))
		return call_next(c);
	/* It may have opened since the look above. */
	struct status status = gate_status(g);
	if (status_is_ok(&status) || is_alive_check(g, c))
		return call_next(c);
	return call_failed(c, status);
}
