/* SPDX-License-Identifier: Apache-2.0 */
/* Work that blocks (disks, name look-ups), done off the loops by a few threads.
 *
 * A task is handed over whole: work() runs on a worker, then done() on the loop that was named;
 * between submit and done() nobody else touches it. The queue is bounded, so that overload is an
 * answer at once and not a delay. Signals are blocked in workers. */
#pragma once

#include "common/base/cleanup.h"
#include "common/base/list.h"
#include "common/base/status.h"
#include "common/event/loop.h"

#include <stddef.h>

struct worker_pool;

/* Embedded in what it is about; free again once done() was entered. */
struct worker_task {
	struct list node_;
	struct loop *loop_;
	struct loop_task done_task_;
	void (*work)(struct worker_task *self); /* on a worker; may block */
	void (*done)(struct worker_task *self); /* on the loop, exactly once */
};

/* Starts @threads (1 at least), named @name (12 bytes at most) and a number. */
struct worker_pool *worker_pool_new(const char *name, unsigned threads, size_t max_waiting);

/* Any thread. Tasks are begun in the order of submission. On an error the task was not taken, and
 * done() is not called.
 *
 * RESOURCE_EXHAUSTED  as many tasks as allowed wait already
 * UNAVAILABLE         worker_pool_stop was called */
struct status worker_pool_submit(struct worker_pool *p, struct loop *loop, struct worker_task *t);

/* Takes no more tasks; those that were taken are still worked and done. Returns at once. */
void worker_pool_stop(struct worker_pool *p);
/* Stops it, waits until all work is worked, and frees it. The loops must outlive this call; a
 * done() that was posted runs as long as they do. NULL is allowed. */
void worker_pool_free(struct worker_pool *p);
DEFINE_CLEANUP(struct worker_pool *, worker_pool_free);
