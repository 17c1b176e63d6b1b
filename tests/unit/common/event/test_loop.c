/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/xalloc.h"
#include "common/event/loop.h"
#include "tests/lib/test.h"

#include <event2/event.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/time.h>

enum {
	POSTERS = 8,
	POSTS = 20000
};

struct numbered {
	struct loop_task task;
	struct poster *poster;
	int number;
};

struct poster {
	struct loop *loop;
	pthread_t thread;
	struct numbered *tasks;
	int next;    /* loop thread only: the number that must come */
	int strange; /* loop thread only: those out of order, or on another thread */
};

static void run_numbered(struct loop_task *task)
{
	struct numbered *n = container_of(task, struct numbered, task);
	struct poster *p = n->poster;
	if (n->number != p->next || !loop_is_current(p->loop))
		p->strange++;
	p->next = n->number + 1;
}

static void *post_all(void *arg)
{
	struct poster *p = arg;
	for (int i = 0; i < POSTS; i++) {
		p->tasks[i] = (struct numbered){.task.run = run_numbered, .poster = p, .number = i};
		loop_post(p->loop, &p->tasks[i].task);
	}
	return NULL;
}

static void eight_posters_lose_nothing_and_keep_their_orders(void **state)
{
	(void)state;
	struct loop *l = loop_new();
	struct poster posters[POSTERS] = {0};
	loop_start(l, "test-loop");
	for (int i = 0; i < POSTERS; i++) {
		posters[i].loop = l;
		posters[i].tasks = xcalloc(POSTS, sizeof(struct numbered));
		assert_int_equal(
			pthread_create(&posters[i].thread, NULL, post_all, &posters[i]), 0);
	}
	for (int i = 0; i < POSTERS; i++)
		pthread_join(posters[i].thread, NULL);
	loop_stop(l);
	loop_join(l);
	for (int i = 0; i < POSTERS; i++) {
		assert_int_equal(posters[i].next, POSTS);
		assert_int_equal(posters[i].strange, 0);
		free(posters[i].tasks);
	}
	loop_free(l);
}

struct count_task {
	struct loop_task task;
	struct loop *loop;
	int runs, again;
	bool inside_post;
};

static void run_count(struct loop_task *task)
{
	struct count_task *c = container_of(task, struct count_task, task);
	c->runs++;
}

struct slow_task {
	struct loop_task task;
	sem_t entered, go;
};

static void run_slow(struct loop_task *task)
{
	struct slow_task *s = container_of(task, struct slow_task, task);
	sem_post(&s->entered);
	while (sem_wait(&s->go) < 0)
		;
}

/* Also when the loop is in the middle of a turn, its tasks already detached. */
static void what_was_posted_before_stop_runs(void **state)
{
	(void)state;
	_cleanup_(loop_freep) struct loop *l = loop_new();
	struct slow_task first = {.task.run = run_slow};
	struct count_task last = {.task.run = run_count};
	sem_init(&first.entered, 0, 0);
	sem_init(&first.go, 0, 0);
	loop_start(l, "test-loop");
	loop_post(l, &first.task);
	while (sem_wait(&first.entered) < 0)
		;
	loop_post(l, &last.task);
	loop_stop(l);
	sem_post(&first.go);
	loop_join(l);
	assert_int_equal(last.runs, 1);
	sem_destroy(&first.entered);
	sem_destroy(&first.go);
}

static void tasks_posted_to_a_loop_that_does_not_run_yet_wait(void **state)
{
	(void)state;
	_cleanup_(loop_freep) struct loop *l = loop_new();
	struct count_task c = {.task.run = run_count};
	loop_post(l, &c.task);
	assert_int_equal(c.runs, 0);
	loop_stop(l);
	loop_run(l); /* in this thread */
	assert_int_equal(c.runs, 1);
	assert_false(loop_is_current(l));
}

static void run_and_post_again(struct loop_task *task)
{
	struct count_task *c = container_of(task, struct count_task, task);
	assert_false(c->inside_post);
	c->runs++;
	if (c->again-- > 0) {
		c->inside_post = true;
		loop_post(c->loop, &c->task); /* free again: it was entered */
		c->inside_post = false;
	} else {
		loop_stop(c->loop);
	}
}

static void a_task_may_post_itself_and_never_runs_inside_post(void **state)
{
	(void)state;
	_cleanup_(loop_freep) struct loop *l = loop_new();
	struct count_task c = {.task.run = run_and_post_again, .loop = l, .again = 1000};
	loop_post(l, &c.task);
	loop_run(l);
	assert_int_equal(c.runs, 1001);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct count_task *c = arg;
	c->runs++;
	if (c->runs == 3)
		loop_stop(c->loop);
}

/* A task that posts itself for ever must not starve timers. */
static void run_for_ever(struct loop_task *task)
{
	struct count_task *c = container_of(task, struct count_task, task);
	loop_post(c->loop, &c->task);
}

static void timers_run_beside_tasks(void **state)
{
	(void)state;
	_cleanup_(loop_freep) struct loop *l = loop_new();
	struct count_task busy = {.task.run = run_for_ever, .loop = l}, timed = {.loop = l};
	struct event *timer = event_new(loop_base(l), -1, EV_PERSIST, on_timer, &timed);
	const struct timeval ms = {0, 1000};
	event_add(timer, &ms);
	loop_post(l, &busy.task);
	loop_run(l);
	assert_int_equal(timed.runs, 3);
	event_free(timer);
}

struct mask_task {
	struct loop_task task;
	sigset_t mask;
};

static void read_mask(struct loop_task *task)
{
	struct mask_task *m = container_of(task, struct mask_task, task);
	pthread_sigmask(SIG_SETMASK, NULL, &m->mask);
}

static void signals_are_blocked_in_loop_threads(void **state)
{
	(void)state;
	_cleanup_(loop_freep) struct loop *l = loop_new();
	struct mask_task m = {.task.run = read_mask};
	loop_start(l, "test-loop");
	loop_post(l, &m.task);
	loop_stop(l);
	loop_join(l);
	assert_int_equal(sigismember(&m.mask, SIGTERM), 1);
	assert_int_equal(sigismember(&m.mask, SIGHUP), 1);
	sigset_t own;
	pthread_sigmask(SIG_SETMASK, NULL, &own);
	assert_int_equal(sigismember(&own, SIGTERM), 0);
}

static void stop_is_heard_by_an_idle_loop(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++) {
		struct loop *l = loop_new();
		loop_start(l, "test-loop");
		loop_stop(l);
		loop_join(l);
		loop_join(l); /* once more does nothing */
		loop_free(l);
	}
	loop_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(eight_posters_lose_nothing_and_keep_their_orders),
		cmocka_unit_test(what_was_posted_before_stop_runs),
		cmocka_unit_test(tasks_posted_to_a_loop_that_does_not_run_yet_wait),
		cmocka_unit_test(a_task_may_post_itself_and_never_runs_inside_post),
		cmocka_unit_test(timers_run_beside_tasks),
		cmocka_unit_test(signals_are_blocked_in_loop_threads),
		cmocka_unit_test(stop_is_heard_by_an_idle_loop),
	};
	return RUN_TESTS(tests);
}
