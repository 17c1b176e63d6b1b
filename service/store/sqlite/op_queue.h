/* SPDX-License-Identifier: Apache-2.0 */
/* Where operations wait for a thread that does them: first come, first served, and bounded.
 *
 * Threads: any. */
#pragma once

#include "common/base/list.h"
#include "service/store/store_ops.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct op_queue {
	pthread_mutex_t lock;
	pthread_cond_t filled;
	struct list ops; /* of struct store_op.link */
	atomic_size_t n; /* changed under the lock, read by anybody */
	size_t max;
	bool closed;
};

void op_queue_init(struct op_queue *q, size_t max);
void op_queue_done(struct op_queue *q);

/* How many wait; any thread, no lock. */
size_t op_queue_length(const struct op_queue *q);

enum op_queue_result {
	OP_QUEUE_OK,
	OP_QUEUE_FULL,
	OP_QUEUE_CLOSED
};
/* The caller keeps @op unless it is OP_QUEUE_OK. */
enum op_queue_result op_queue_push(struct op_queue *q, struct store_op *op);
/* Waits at most @timeout_ms (-1: for ever) for one, then moves up to @max of them to the end of
 * @ret. False when the queue is closed and empty. */
bool op_queue_take(struct op_queue *q, size_t max, int timeout_ms, struct list *ret);
/* No more are taken in; those that wait are still given out. */
void op_queue_close(struct op_queue *q);
