/* SPDX-License-Identifier: Apache-2.0 */
/* A completion queue of gRPC's with the thread that waits on it.
 *
 * Every operation is given a struct cq_tag, whose run is called on the queue's thread when the
 * operation is done. ThreadSanitizer does not see the hand-over inside gRPC, which is not
 * instrumented, so it is told here; all operations start through cq_start_batch for that reason. */
#pragma once

#include "common/base/cleanup.h"

#include <grpc/grpc.h>
#include <stdbool.h>

struct cq;

struct cq_tag {
	/* @ok is false when the operation failed, or when the queue is shutting down. The tag is
	 * free for the next operation. */
	void (*run)(struct cq_tag *tag, bool ok);
};

struct cq_start {
	void (*start)(struct cq_start *s); /* @s is not used after */
	struct cq_start *next_;
};

/* @name of the thread, 15 bytes at most. The library must be up (library.h). */
struct cq *cq_new(const char *name);
void cq_start(struct cq *q);
/* Waits for all operations and ends the thread; without one, runs what is left in this one. */
void cq_stop(struct cq *q);
/* Stopped. NULL is allowed. */
void cq_free(struct cq *q);

grpc_completion_queue *cq_core(struct cq *q);
/* True on the queue's thread. */
bool cq_is_current(const struct cq *q);

/* On the queue's thread: calls @s->start once what has come was looked at, in one go with others.
 * The batches that are started there leave in one write for each connection (core_context.h). */
void cq_start_soon(struct cq *q, struct cq_start *s);

/* Before @tag goes to gRPC by any other way than cq_start_batch. */
void cq_hand_over(struct cq_tag *tag);
/* A batch that gRPC refuses is a bug of ours: aborts. After the return @tag may be done already. */
void cq_start_batch(grpc_call *call, const grpc_op *ops, size_t n, struct cq_tag *tag);
