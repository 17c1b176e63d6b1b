/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for something asynchronous, for threads that have nothing else to do: the main thread
 * while the service starts and stops. Never on a loop. */
#pragma once

#include "common/base/status.h"

#include <pthread.h>
#include <stdbool.h>

struct sync {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool is_done;
	struct status status;
};

void sync_init(struct sync *s);
/* Once, from any thread. */
void sync_done(struct sync *s, const struct status *status);
/* Returns what sync_done was given, and releases @s. */
struct status sync_wait(struct sync *s);

/* The same as callbacks; @arg is the struct sync. */
void sync_on_done(void *arg, const struct status *status);
void sync_on_stopped(void *arg);
