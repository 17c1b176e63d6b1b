/* SPDX-License-Identifier: Apache-2.0 */
#include "common/rpc/cq.h"

#include "common/base/xalloc.h"
#include "common/rpc/library.h"
#include "common/rpc/tsan.h"

#include <grpc/support/time.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

struct cq {
	grpc_completion_queue *core;
	pthread_t thread;
	bool has_thread;
	char name[16];
};

static _Thread_local const struct cq *current;

struct cq *cq_new(const char *name)
{
	struct cq *q = xnew(struct cq);
	q->core = grpc_completion_queue_create_for_next(NULL);
	snprintf(q->name, sizeof q->name, "%s", name);
	return q;
}

static void *run(void *arg)
{
	const struct cq *q = arg;
	const struct cq *outer = current;
	current = q;
	for (;;) {
		grpc_event event = grpc_completion_queue_next(
			q->core, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
		if (event.type == GRPC_QUEUE_SHUTDOWN)
			break;
		struct cq_tag *tag = event.tag;
		tsan_take_over(tag);
		tag->run(tag, event.success != 0);
	}
	current = outer;
	return NULL;
}

void cq_start(struct cq *q)
{
	sigset_t before;
	library_block_signals(&before);
	if (pthread_create(&q->thread, NULL, run, q) != 0) {
		perror("fatal: thread");
		abort();
	}
	library_restore_signals(&before);
	pthread_setname_np(q->thread, q->name);
	q->has_thread = true;
}

void cq_stop(struct cq *q)
{
	grpc_completion_queue_shutdown(q->core);
	if (q->has_thread)
		pthread_join(q->thread, NULL);
	else
		run(q);
	q->has_thread = false;
}

void cq_free(struct cq *q)
{
	if (!q)
		return;
	grpc_completion_queue_destroy(q->core);
	free(q);
}

grpc_completion_queue *cq_core(struct cq *q)
{
	return q->core;
}

bool cq_is_current(const struct cq *q)
{
	return current == q;
}

void cq_hand_over(struct cq_tag *tag)
{
	tsan_hand_over(tag);
}

void cq_start_batch(grpc_call *call, const grpc_op *ops, size_t n, struct cq_tag *tag)
{
	cq_hand_over(tag);
	grpc_call_error error = grpc_call_start_batch(call, ops, n, tag, NULL);
	if (error != GRPC_CALL_OK) {
		fprintf(stderr, "fatal: gRPC refused a batch: %s\n",
			grpc_call_error_to_string(error));
		abort();
	}
}
