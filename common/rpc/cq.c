/* SPDX-License-Identifier: Apache-2.0 */
#include "common/rpc/cq.h"

#include "common/base/xalloc.h"
#include "common/rpc/core_context.h"
#include "common/rpc/library.h"
#include "common/rpc/tsan.h"

#include <assert.h>
#include <grpc/support/time.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum {
	MAX_STARTS = 64, /* at most so many wait for others */
	/* After one that waited in vain so many do not wait: to look for others costs a system
	 * call. */
	NOT_WAITING = 8,
};

struct cq {
	grpc_completion_queue *core;
	pthread_t thread;
	bool has_thread;
	char name[16];
	struct { /* the thread's */
		struct cq_start *first, *last;
		unsigned n;
		unsigned not_waiting; /* so many more are started at once */
		bool in_context;
	} starts;
};

static _Thread_local struct cq *current;

struct cq *cq_new(const char *name)
{
	struct cq *q = xnew(struct cq);
	q->core = grpc_completion_queue_create_for_next(NULL);
	snprintf(q->name, sizeof q->name, "%s", name);
	return q;
}

/* Also of those that are added meanwhile. */
static void start_all(void *arg)
{
	struct cq *q = arg;
	while (q->starts.first) {
		struct cq_start *s = q->starts.first;
		q->starts.first = s->next_;
		s->start(s);
	}
	q->starts.n = 0;
}

static void flush(struct cq *q)
{
	q->starts.in_context = core_context_is_known();
	if (q->starts.in_context)
		core_context_run(start_all, q);
	else
		start_all(q);
	q->starts.in_context = false;
}

void cq_start_soon(struct cq *q, struct cq_start *s)
{
	assert(cq_is_current(q));
	s->next_ = NULL;
	if (q->starts.first)
		q->starts.last->next_ = s;
	else
		q->starts.first = s;
	q->starts.last = s;
	q->starts.n++;
}

static void *run(void *arg)
{
	struct cq *q = arg;
	struct cq *outer = current;
	current = q;
	for (;;) {
		grpc_event event = grpc_completion_queue_next(q->core,
			q->starts.n ? gpr_inf_past(GPR_CLOCK_REALTIME)
				    : gpr_inf_future(GPR_CLOCK_REALTIME),
			NULL);
		if (event.type == GRPC_QUEUE_TIMEOUT) {
			if (q->starts.n == 1)
				q->starts.not_waiting = NOT_WAITING;
			flush(q);
			continue;
		}
		if (event.type == GRPC_QUEUE_SHUTDOWN)
			break; /* of a server without calls, so nobody waits to be answered */
		struct cq_tag *tag = event.tag;
		tsan_take_over(tag);
		tag->run(tag, event.success != 0);
		if (q->starts.n && q->starts.not_waiting) {
			q->starts.not_waiting--;
			flush(q);
		} else if (q->starts.n == MAX_STARTS) {
			flush(q);
		}
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
	grpc_call_error error = current && current->starts.in_context
					? core_start_batch(call, ops, n, tag)
					: grpc_call_start_batch(call, ops, n, tag, NULL);
	if (error != GRPC_CALL_OK) {
		fprintf(stderr, "fatal: gRPC refused a batch: %s\n",
			grpc_call_error_to_string(error));
		abort();
	}
}
