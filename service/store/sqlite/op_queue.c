/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/sqlite/op_queue.h"

#include <errno.h>
#include <time.h>

void op_queue_init(struct op_queue *q, size_t max)
{
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->filled, &attributes);
	pthread_condattr_destroy(&attributes);
	list_init(&q->ops);
	atomic_init(&q->n, 0);
	q->max = max;
	q->closed = false;
}

void op_queue_done(struct op_queue *q)
{
	pthread_cond_destroy(&q->filled);
	pthread_mutex_destroy(&q->lock);
}

size_t op_queue_length(const struct op_queue *q)
{
	return atomic_load_explicit(&q->n, memory_order_relaxed);
}

enum op_queue_result op_queue_push(struct op_queue *q, struct store_op *op)
{
	pthread_mutex_lock(&q->lock);
	enum op_queue_result result = q->closed        ? OP_QUEUE_CLOSED
				      : q->n >= q->max ? OP_QUEUE_FULL
						       : OP_QUEUE_OK;
	if (result == OP_QUEUE_OK) {
		list_add_tail(&q->ops, &op->link);
		q->n++;
		pthread_cond_signal(&q->filled);
	}
	pthread_mutex_unlock(&q->lock);
	return result;
}

static struct timespec after_ms(int ms)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += (long)(ms % 1000) * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}

bool op_queue_take(struct op_queue *q, size_t max, int timeout_ms, struct list *ret)
{
	struct timespec until = after_ms(timeout_ms < 0 ? 0 : timeout_ms);
	pthread_mutex_lock(&q->lock);
	while (!q->n && !q->closed) {
		if (timeout_ms < 0)
			pthread_cond_wait(&q->filled, &q->lock);
		else if (pthread_cond_timedwait(&q->filled, &q->lock, &until) == ETIMEDOUT)
			break;
	}
	bool open = q->n || !q->closed;
	for (size_t taken = 0; q->n && taken < max; taken++, q->n--)
		list_add_tail(ret, list_pop(&q->ops));
	pthread_mutex_unlock(&q->lock);
	return open;
}

void op_queue_close(struct op_queue *q)
{
	pthread_mutex_lock(&q->lock);
	q->closed = true;
	pthread_cond_broadcast(&q->filled);
	pthread_mutex_unlock(&q->lock);
}
