/* SPDX-License-Identifier: Apache-2.0 */
/* Which services can answer at the moment: the state behind grpc.health.v1.
 *
 * The program sets it, the gRPC server serves it (Check and Watch). The empty name stands for the
 * server as a whole; it and every name that was set once are known from then on.
 * Threads: any; watchers are told under the lock, on the thread that made the change. */
#pragma once

#include "common/base/cleanup.h"
#include "common/base/list.h"
#include "common/base/str.h"

#include <stdbool.h>

/* grpc.health.v1.HealthCheckResponse.ServingStatus: the numbers are the wire's. */
enum health_state {
	HEALTH_UNKNOWN = 0,
	HEALTH_SERVING = 1,
	HEALTH_NOT_SERVING = 2,
	HEALTH_SERVICE_UNKNOWN = 3,
};

struct health;

/* Nothing but the server as a whole is known, and it is not serving. */
struct health *health_new(void);
/* No watcher may be left. NULL is allowed. */
void health_free(struct health *h);
DEFINE_CLEANUP(struct health *, health_free);

void health_set(struct health *h, const char *service, bool serving);
/* All known services stop serving, and health_set changes nothing from now on: for a drain. */
void health_shut_down(struct health *h);
/* HEALTH_SERVICE_UNKNOWN for a name that was never set. */
enum health_state health_get(struct health *h, struct str service);

/* Hears of each change of one service, also of an unknown one that becomes known. Embedded in what
 * it wakes. */
struct health_watcher {
	/* Under the lock of the health: short, and no call back into it. */
	void (*changed)(struct health_watcher *w, enum health_state state);
	struct list link_;
	char *service_;
};

/* Calls @w->changed with the present state at once. */
void health_watch(struct health *h, struct health_watcher *w, struct str service);
/* No call of changed runs or begins after it. */
void health_unwatch(struct health *h, struct health_watcher *w);
