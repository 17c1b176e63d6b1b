/* SPDX-License-Identifier: Apache-2.0 */
/* A thread's event loop: an event_base, and tasks posted to it from any thread.
 *
 * Whatever lives on a loop (connections, timers, pending calls) is touched by its thread only;
 * everything else crosses by loop_post. Signals are blocked in loop threads. */
#pragma once

#include "common/base/cleanup.h"

#include <stdbool.h>

struct event_base;
struct loop;

/* A posted task, embedded in what it is about; free again once run() was entered. */
struct loop_task {
	struct loop_task *next_;
	void (*run)(struct loop_task *self);
};

/* Not running yet; the base may be furnished with events before loop_start or loop_run. */
struct loop *loop_new(void);
/* The loop must not run. Tasks that were posted and never ran are dropped. NULL is allowed. */
void loop_free(struct loop *l);
DEFINE_CLEANUP(struct loop *, loop_free);

struct event_base *loop_base(struct loop *l);

/* Runs @task on the loop's thread, in the order of posting, never inside this call. Any thread. */
void loop_post(struct loop *l, struct loop_task *task);
/* True on the loop's thread. */
bool loop_is_current(const struct loop *l);

/* Runs in the calling thread until loop_stop. */
void loop_run(struct loop *l);
/* Starts a thread of the loop's own (named @name, 15 bytes at most), which runs until loop_stop. */
void loop_start(struct loop *l, const char *name);
/* Ends the run after the events at hand; any thread. Tasks posted before it are run first. */
void loop_stop(struct loop *l);
/* Waits for the thread of loop_start. */
void loop_join(struct loop *l);
