/* SPDX-License-Identifier: Apache-2.0 */
#include "common/event/worker.h"

#include "common/base/xalloc.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

struct worker_pool {
	struct {
		pthread_mutex_t lock;
		pthread_cond_t changed; /* a task came, or it is time to stop */
		struct list waiting;
		size_t count;
		bool stopping;
	} shared; /* any thread, locked */
	size_t max_waiting;
	unsigned thread_count;
	pthread_t threads[];
};

static void on_done(struct loop_task *self)
{
	struct worker_task *t = container_of(self, struct worker_task, done_task_);
	t->done(t);
}

/* The next task, or NULL when there is none and none will come. */
static struct worker_task *next_task(struct worker_pool *p)
{
	pthread_mutex_lock(&p->shared.lock);
	while (list_empty(&p->shared.waiting) && !p->shared.stopping)
		pthread_cond_wait(&p->shared.changed, &p->shared.lock);
	struct list *node = list_pop(&p->shared.waiting);
	if (node)
		p->shared.count--;
	pthread_mutex_unlock(&p->shared.lock);
	return node ? container_of(node, struct worker_task, node_) : NULL;
}

static void *worker_main(void *arg)
{
	struct worker_task *t;
	while ((t = next_task(arg))) {
		t->work(t);
		loop_post(t->loop_, &t->done_task_);
	}
	return NULL;
}

static void start_threads(struct worker_pool *p, const char *name)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (unsigned i = 0; i < p->thread_count; i++) {
		char text[16];
		snprintf(text, sizeof text, "%.12s-%u", name, i % 100);
		if (pthread_create(&p->threads[i], NULL, worker_main, p) != 0) {
			perror("fatal: thread");
			abort();
		}
		pthread_setname_np(p->threads[i], text);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

struct worker_pool *worker_pool_new(const char *name, unsigned threads, size_t max_waiting)
{
	if (!threads)
		threads = 1;
	struct worker_pool *p = xcalloc(1, sizeof *p + threads * sizeof p->threads[0]);
	pthread_mutex_init(&p->shared.lock, NULL);
	pthread_cond_init(&p->shared.changed, NULL);
	list_init(&p->shared.waiting);
	p->max_waiting = max_waiting;
	p->thread_count = threads;
	start_threads(p, name);
	return p;
}

struct status worker_pool_submit(struct worker_pool *p, struct loop *loop, struct worker_task *t)
{
	struct status s = status_ok();
	pthread_mutex_lock(&p->shared.lock);
	if (p->shared.stopping) {
		s = status_error(STATUS_UNAVAILABLE, "shutting down");
	} else if (p->shared.count >= p->max_waiting) {
		s = status_error(STATUS_RESOURCE_EXHAUSTED, "too much work is waiting");
	} else {
		t->loop_ = loop;
		t->done_task_.run = on_done;
		list_add_tail(&p->shared.waiting, &t->node_);
		p->shared.count++;
		pthread_cond_signal(&p->shared.changed);
	}
	pthread_mutex_unlock(&p->shared.lock);
	return s;
}

void worker_pool_stop(struct worker_pool *p)
{
	pthread_mutex_lock(&p->shared.lock);
	p->shared.stopping = true;
	pthread_cond_broadcast(&p->shared.changed);
	pthread_mutex_unlock(&p->shared.lock);
}

void worker_pool_free(struct worker_pool *p)
{
	if (!p)
		return;
	worker_pool_stop(p);
	for (unsigned i = 0; i < p->thread_count; i++)
		pthread_join(p->threads[i], NULL);
	pthread_cond_destroy(&p->shared.changed);
	pthread_mutex_destroy(&p->shared.lock);
	free(p);
}
