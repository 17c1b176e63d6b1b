/* SPDX-License-Identifier: Apache-2.0 */
#include "common/event/loop.h"

#include "common/base/xalloc.h"

#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct loop {
	struct {
		struct event_base *base;
		struct event *wake;
	} own; /* loop thread only, once it runs */
	struct {
		/* A stack, newest first; the poster that finds it empty rings the eventfd. */
		_Atomic(struct loop_task *) posted;
		_Atomic bool stopping;
	} shared;
	int wake_fd;
	pthread_t thread;
	bool has_thread;
};

static _Thread_local const struct loop *current_loop;

static void run_posted(struct loop *l)
{
	struct loop_task *stack =
		atomic_exchange_explicit(&l->shared.posted, NULL, memory_order_acquire);
	struct loop_task *queue = NULL;
	while (stack) {
		struct loop_task *next = stack->next_;
		stack->next_ = queue;
		queue = stack;
		stack = next;
	}
	while (queue) {
		struct loop_task *task = queue;
		queue = task->next_;
		task->run(task);
	}
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	(void)what;
	struct loop *l = arg;
	uint64_t count;
	(void)!read(fd, &count, sizeof count);
	/* looked at first: what was posted before loop_stop is then among the tasks that run now */
	bool stopping = atomic_load(&l->shared.stopping);
	run_posted(l);
	if (stopping)
		event_base_loopbreak(l->own.base);
}

struct loop *loop_new(void)
{
	struct loop *l = xnew(struct loop);
	struct event_config *config = event_config_new();
	/* All calls on the base come from its thread, so it needs no lock. */
	event_config_set_flag(
		config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
	l->own.base = event_base_new_with_config(config);
	event_config_free(config);
	l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!l->own.base || l->wake_fd < 0) {
		perror("fatal: event loop");
		abort();
	}
	l->own.wake = event_new(l->own.base, l->wake_fd, EV_READ | EV_PERSIST, on_wake, l);
	event_add(l->own.wake, NULL);
	return l;
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	event_free(l->own.wake);
	event_base_free(l->own.base);
	close(l->wake_fd);
	free(l);
}

struct event_base *loop_base(struct loop *l)
{
	return l->own.base;
}

static void ring(struct loop *l)
{
	uint64_t one = 1;
	(void)!write(l->wake_fd, &one, sizeof one);
}

void loop_post(struct loop *l, struct loop_task *task)
{
	struct loop_task *head = atomic_load_explicit(&l->shared.posted, memory_order_relaxed);
	do {
		task->next_ = head;
	} while (!atomic_compare_exchange_weak_explicit(
		&l->shared.posted, &head, task, memory_order_release, memory_order_relaxed));
	if (!head)
		ring(l);
}

bool loop_is_current(const struct loop *l)
{
	return current_loop == l;
}

void loop_run(struct loop *l)
{
	const struct loop *outer = current_loop;
	current_loop = l;
	event_base_loop(l->own.base, EVLOOP_NO_EXIT_ON_EMPTY);
	current_loop = outer;
}

static void *thread_main(void *arg)
{
	loop_run(arg);
	return NULL;
}

void loop_start(struct loop *l, const char *name)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_create(&l->thread, NULL, thread_main, l) != 0) {
		perror("fatal: thread");
		abort();
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_setname_np(l->thread, name);
	l->has_thread = true;
}

void loop_stop(struct loop *l)
{
	atomic_store(&l->shared.stopping, true);
	ring(l);
}

void loop_join(struct loop *l)
{
	if (l->has_thread)
		pthread_join(l->thread, NULL);
	l->has_thread = false;
}
