/* SPDX-License-Identifier: Apache-2.0 */
#include "common/event/loop.h"
#include "common/program/program_loops.h"
#include "tests/lib/test.h"

#include <semaphore.h>
#include <unistd.h>

struct visit {
	struct loop_task task;
	sem_t done;
};

static void on_visit(struct loop_task *task)
{
	sem_post(&container_of(task, struct visit, task)->done);
}

static void visit(struct loop *l)
{
	struct visit v = {.task.run = on_visit};
	sem_init(&v.done, 0, 0);
	loop_post(l, &v.task);
	while (sem_wait(&v.done) != 0)
		;
	sem_destroy(&v.done);
}

static void test_every_loop_of_a_set_runs_and_stops(void **state)
{
	(void)state;
	struct program_loops l;
	program_loops_init(&l, 3);
	assert_int_equal(l.n, 3);
	assert_false(l.run);
	program_loops_run_control(&l);
	visit(l.control);
	program_loops_run(&l);
	assert_true(l.run);
	for (size_t i = 0; i < l.n; i++)
		visit(l.workers[i]);
	program_loops_stop_workers(&l);
	visit(l.control); /* outlives them */
	loop_stop(l.control);
	loop_join(l.control);
	program_loops_done(&l);
	assert_null(l.control);
}

static void test_without_a_number_there_is_a_worker_for_each_processor(void **state)
{
	(void)state;
	struct program_loops l;
	program_loops_init(&l, 0);
	assert_int_equal(l.n, sysconf(_SC_NPROCESSORS_ONLN));
	program_loops_stop_workers(&l); /* which do not run */
	program_loops_done(&l);
}

static void test_a_set_that_was_never_made_can_be_freed(void **state)
{
	(void)state;
	struct program_loops l = {.n = 0};
	program_loops_stop_workers(&l);
	program_loops_done(&l);
	assert_int_equal(l.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_loop_of_a_set_runs_and_stops),
		cmocka_unit_test(test_without_a_number_there_is_a_worker_for_each_processor),
		cmocka_unit_test(test_a_set_that_was_never_made_can_be_freed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
