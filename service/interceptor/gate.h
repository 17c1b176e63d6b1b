/* SPDX-License-Identifier: Apache-2.0 */
/* Whether calls are answered at all.
 *
 * Closed until the start has read what every decision needs, and again while the roles are too old
 * to go by: everybody gets UNAVAILABLE then, because a denial would be a lie. What tells no more
 * than that the process is alive passes always: an anonymous caller needs no store for it.
 * Threads: any. */
#pragma once

#include "common/base/status.h"
#include "service/interceptor/chain.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct role_cache;

struct gate {
	const struct role_cache *roles;
	const char *const *alive; /* paths of the RPCs that pass always; NULL-terminated */
	atomic_bool started;
	struct {
		pthread_mutex_t lock;
		struct status reason; /* why the start is not over */
	} shared;
};

/* Closed. Both are borrowed. */
void gate_init(struct gate *g, const struct role_cache *roles, const char *const *alive);
void gate_done(struct gate *g);

/* What the start waits for. */
void gate_set_reason(struct gate *g, const struct status *reason);
/* The start is over. */
void gate_open(struct gate *g);
/* OK, or why calls are not answered: for readiness, and for operators. */
struct status gate_status(struct gate *g);

/* self: a struct gate. */
struct call_step gate_run(void *self, struct call *c);
