/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/xalloc.h"
#include "common/event/worker.h"
#include "tests/lib/test.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>

enum {
	TASKS = 5000,
	SUBMITTERS = 4
};

struct job {
	struct worker_task task;
	struct loop *loop;
	pthread_t worked_on;
	int worked, done, result;
	bool done_on_loop;
};

static void square(struct worker_task *t)
{
	struct job *j = container_of(t, struct job, task);
	j->worked_on = pthread_self();
	j->worked++;
	j->result *= j->result;
}

static void finish(struct worker_task *t)
{
	struct job *j = container_of(t, struct job, task);
	j->done++;
	j->done_on_loop = loop_is_current(j->loop);
}

static struct job job_of(struct loop *loop, int n)
{
	return (struct job){.task = {.work = square, .done = finish}, .loop = loop, .result = n};
}

static void work_is_done_off_the_loop_and_finished_on_it(void **state)
{
	(void)state;
	struct loop *l = loop_new();
	loop_start(l, "test-loop");
	struct worker_pool *p = worker_pool_new("test", 2, 10);
	struct job j = job_of(l, 7);
	assert_ok(worker_pool_submit(p, l, &j.task));
	worker_pool_free(p);
	loop_stop(l);
	loop_join(l);
	assert_int_equal(j.result, 49);
	assert_int_equal(j.worked, 1);
	assert_int_equal(j.done, 1);
	assert_true(j.done_on_loop);
	assert_false(pthread_equal(j.worked_on, pthread_self()));
	loop_free(l);
}

struct submitter {
	struct worker_pool *pool;
	struct loop *loop;
	struct job *jobs;
	pthread_t thread;
};

static void *submit_all(void *arg)
{
	struct submitter *s = arg;
	for (int i = 0; i < TASKS; i++) {
		s->jobs[i] = job_of(s->loop, i);
		struct status st = worker_pool_submit(s->pool, s->loop, &s->jobs[i].task);
		if (!status_is_ok(&st))
			s->jobs[i].result = -1;
	}
	return NULL;
}

static void every_task_of_every_thread_is_done_once(void **state)
{
	(void)state;
	struct loop *loops[2] = {loop_new(), loop_new()};
	loop_start(loops[0], "test-loop-0");
	loop_start(loops[1], "test-loop-1");
	struct worker_pool *p = worker_pool_new("test", 3, SUBMITTERS * TASKS);
	struct submitter s[SUBMITTERS];
	for (int i = 0; i < SUBMITTERS; i++) {
		s[i] = (struct submitter){.pool = p,
			.loop = loops[i % 2],
			.jobs = xcalloc(TASKS, sizeof(struct job))};
		assert_int_equal(pthread_create(&s[i].thread, NULL, submit_all, &s[i]), 0);
	}
	for (int i = 0; i < SUBMITTERS; i++)
		pthread_join(s[i].thread, NULL);
	worker_pool_free(p);
	for (int i = 0; i < 2; i++) {
		loop_stop(loops[i]);
		loop_join(loops[i]);
		loop_free(loops[i]);
	}
	for (int i = 0; i < SUBMITTERS; i++) {
		for (int k = 0; k < TASKS; k++) {
			const struct job *j = &s[i].jobs[k];
			assert_int_equal(j->result, k * k);
			assert_int_equal(j->done, 1);
			assert_true(j->done_on_loop);
		}
		free(s[i].jobs);
	}
}

/* A worker that waits until the test says go. */
struct blocker {
	struct worker_task task;
	sem_t entered, go;
	int done;
};

static void block(struct worker_task *t)
{
	struct blocker *b = container_of(t, struct blocker, task);
	sem_post(&b->entered);
	while (sem_wait(&b->go) < 0)
		;
}

static void unblock(struct worker_task *t)
{
	container_of(t, struct blocker, task)->done++;
}

static void past_the_bound_submitting_fails_at_once_and_later_works_again(void **state)
{
	(void)state;
	struct loop *l = loop_new();
	loop_start(l, "test-loop");
	struct worker_pool *p = worker_pool_new("test", 1, 2);
	struct blocker b = {.task = {.work = block, .done = unblock}};
	sem_init(&b.entered, 0, 0);
	sem_init(&b.go, 0, 0);
	assert_ok(worker_pool_submit(p, l, &b.task));
	sem_wait(&b.entered); /* it is worked on now, and waits no more */
	struct job one = job_of(l, 1), two = job_of(l, 2), three = job_of(l, 3);
	assert_ok(worker_pool_submit(p, l, &one.task));
	assert_ok(worker_pool_submit(p, l, &two.task));
	assert_status(worker_pool_submit(p, l, &three.task), STATUS_RESOURCE_EXHAUSTED,
		"too much work is waiting");
	sem_post(&b.go);
	/* until there is room again; what fails is not taken */
	struct status s;
	do
		s = worker_pool_submit(p, l, &three.task);
	while (!status_is_ok(&s));
	worker_pool_free(p);
	loop_stop(l);
	loop_join(l);
	assert_int_equal(b.done, 1);
	assert_int_equal(one.done + two.done + three.done, 3);
	assert_int_equal(three.result, 9);
	sem_destroy(&b.entered);
	sem_destroy(&b.go);
	loop_free(l);
}

static void after_stop_nothing_is_taken_and_what_was_taken_is_done(void **state)
{
	(void)state;
	struct loop *l = loop_new();
	loop_start(l, "test-loop");
	struct worker_pool *p = worker_pool_new("test", 1, 100);
	struct blocker b = {.task = {.work = block, .done = unblock}};
	sem_init(&b.entered, 0, 0);
	sem_init(&b.go, 0, 0);
	assert_ok(worker_pool_submit(p, l, &b.task));
	struct job jobs[20], late = job_of(l, 1);
	for (int i = 0; i < 20; i++) {
		jobs[i] = job_of(l, i);
		assert_ok(worker_pool_submit(p, l, &jobs[i].task));
	}
	worker_pool_stop(p);
	assert_status(worker_pool_submit(p, l, &late.task), STATUS_UNAVAILABLE, "shutting down");
	sem_post(&b.go);
	worker_pool_free(p);
	loop_stop(l);
	loop_join(l);
	for (int i = 0; i < 20; i++)
		assert_int_equal(jobs[i].done, 1);
	assert_int_equal(late.done, 0);
	sem_destroy(&b.entered);
	sem_destroy(&b.go);
	loop_free(l);
	worker_pool_free(NULL);
}

struct order {
	struct worker_task task;
	int *next;
	int number, seen;
};

static void take_number(struct worker_task *t)
{
	struct order *o = container_of(t, struct order, task);
	o->seen = (*o->next)++;
}

static void ignore(struct worker_task *t)
{
	(void)t;
}

static void one_worker_keeps_the_order(void **state)
{
	(void)state;
	struct loop *l = loop_new();
	loop_start(l, "test-loop");
	struct worker_pool *p = worker_pool_new("test", 1, 1000);
	struct order orders[1000];
	int next = 0;
	for (int i = 0; i < 1000; i++) {
		orders[i] = (struct order){
			.task = {.work = take_number, .done = ignore}, .next = &next, .number = i};
		assert_ok(worker_pool_submit(p, l, &orders[i].task));
	}
	worker_pool_free(p);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(orders[i].seen, i);
	loop_stop(l);
	loop_join(l);
	loop_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(work_is_done_off_the_loop_and_finished_on_it),
		cmocka_unit_test(every_task_of_every_thread_is_done_once),
		cmocka_unit_test(past_the_bound_submitting_fails_at_once_and_later_works_again),
		cmocka_unit_test(after_stop_nothing_is_taken_and_what_was_taken_is_done),
		cmocka_unit_test(one_worker_keeps_the_order),
	};
	return RUN_TESTS(tests);
}
