/* SPDX-License-Identifier: Apache-2.0 */
#include "common/event/loop.h"
#include "common/program/file_watch.h"
#include "tests/lib/test.h"

#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char folder[] = "/tmp/test_file_watch.XXXXXX";

static const char *in_folder(const char *name)
{
	static char paths[4][100];
	static unsigned next;
	char *path = paths[next++ % 4];
	snprintf(path, sizeof paths[0], "%s/%s", folder, name);
	return path;
}

/* A new file in the place of @name, as those who renew certificates do it. */
static void put(const char *name, const char *text)
{
	FILE *f = fopen(in_folder("new"), "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(rename(in_folder("new"), in_folder(name)), 0);
}

struct reader {
	struct file_watch *watch;
	unsigned n; /* times it was asked */
	struct status answer;
	sem_t asked;
	int log, old_stderr;
};

static struct status on_read(void *arg)
{
	struct reader *r = arg;
	r->n++;
	sem_post(&r->asked);
	return r->answer;
}

/* Watches "cert" and "key"; what is logged goes to a file. */
static int watch_two(void **state)
{
	struct reader *r = calloc(1, sizeof *r);
	sem_init(&r->asked, 0, 0);
	r->watch = file_watch_new();
	put("cert", "1");
	put("key", "1");
	const char *const paths[] = {in_folder("cert"), NULL, in_folder("key")};
	file_watch_add(r->watch, "pair", paths, 3, on_read, r);
	r->log = open(in_folder("log"), O_RDWR | O_CREAT | O_TRUNC, 0600);
	r->old_stderr = dup(STDERR_FILENO);
	dup2(r->log, STDERR_FILENO);
	*state = r;
	return 0;
}

static int end_watch(void **state)
{
	struct reader *r = *state;
	dup2(r->old_stderr, STDERR_FILENO);
	close(r->old_stderr);
	close(r->log);
	file_watch_free(r->watch);
	sem_destroy(&r->asked);
	free(r);
	return 0;
}

static unsigned lines_logged(const struct reader *r)
{
	char text[8192];
	ssize_t n = pread(r->log, text, sizeof text, 0);
	unsigned lines = 0;
	for (ssize_t i = 0; i < n; i++)
		lines += text[i] == '\n';
	return lines;
}

static void look_twice(struct reader *r)
{
	file_watch_look(r->watch);
	file_watch_look(r->watch);
}

static void files_that_stay_are_not_read(void **state)
{
	struct reader *r = *state;
	look_twice(r);
	assert_int_equal(r->n, 0);
	assert_int_equal(lines_logged(r), 0);
}

static void what_changed_is_read_once_when_it_rests(void **state)
{
	struct reader *r = *state;
	put("cert", "2");
	file_watch_look(r->watch);
	assert_int_equal(r->n, 0);
	put("key", "2");
	file_watch_look(r->watch);
	assert_int_equal(r->n, 0); /* the pair was just completed */
	file_watch_look(r->watch);
	assert_int_equal(r->n, 1);
	look_twice(r);
	assert_int_equal(r->n, 1);
	assert_int_equal(lines_logged(r), 1);
}

static void a_folder_that_a_link_no_longer_names_is_a_change(void **state)
{
	struct reader *r = *state;
	/* as Kubernetes mounts a Secret: cert -> data/cert, data -> version1 */
	struct file_watch *w = file_watch_new();
	mkdir(in_folder("version1"), 0700);
	mkdir(in_folder("version2"), 0700);
	put("version1/cert", "1");
	put("version2/cert", "2");
	assert_int_equal(symlink("version1", in_folder("data")), 0);
	assert_int_equal(symlink("data/cert", in_folder("linked")), 0);
	const char *const paths[] = {in_folder("linked")};
	file_watch_add(w, "linked", paths, 1, on_read, r);
	assert_int_equal(symlink("version2", in_folder("data.new")), 0);
	assert_int_equal(rename(in_folder("data.new"), in_folder("data")), 0);
	file_watch_look(w);
	file_watch_look(w);
	assert_int_equal(r->n, 1);
	file_watch_free(w);
}

static void what_cannot_be_used_is_said_once_and_tried_until_it_can(void **state)
{
	struct reader *r = *state;
	r->answer = status_error(STATUS_INVALID_ARGUMENT, "no PEM");
	put("key", "broken");
	for (int i = 0; i < 4; i++)
		file_watch_look(r->watch);
	assert_int_equal(r->n, 3);
	assert_int_equal(lines_logged(r), 1);
	r->answer = status_error(STATUS_INVALID_ARGUMENT, "of another certificate");
	file_watch_look(r->watch);
	assert_int_equal(lines_logged(r), 2);
	r->answer = status_ok();
	look_twice(r);
	assert_int_equal(r->n, 5);
	assert_int_equal(lines_logged(r), 3);
}

static void a_file_that_is_gone_is_a_change(void **state)
{
	struct reader *r = *state;
	r->answer = status_error(STATUS_INVALID_ARGUMENT, "cannot open");
	assert_int_equal(unlink(in_folder("key")), 0);
	look_twice(r);
	assert_int_equal(r->n, 1);
	r->answer = status_ok();
	put("key", "3");
	look_twice(r);
	assert_int_equal(r->n, 2);
}

static void who_asks_has_all_read_and_hears_whether_it_can_be_used(void **state)
{
	struct reader *r = *state;
	assert_true(file_watch_read(r->watch));
	assert_int_equal(r->n, 1);
	put("cert", "2");
	assert_true(file_watch_read(r->watch));
	look_twice(r);
	assert_int_equal(r->n, 2);
	r->answer = status_error(STATUS_INVALID_ARGUMENT, "no PEM");
	assert_false(file_watch_read(r->watch));
	assert_false(file_watch_read(r->watch)); /* who asks twice is told twice */
	assert_int_equal(lines_logged(r), 2);
}

static void on_the_loop_it_looks_by_itself(void **state)
{
	struct reader *r = *state;
	struct loop *loop = loop_new();
	loop_start(loop, "test");
	file_watch_start(r->watch, loop);
	put("cert", "2");
	struct timespec patience;
	clock_gettime(CLOCK_REALTIME, &patience);
	patience.tv_sec += 60;
	assert_int_equal(sem_timedwait(&r->asked, &patience), 0);
	assert_true(file_watch_read(r->watch)); /* from another thread, meanwhile */
	loop_stop(loop);
	loop_join(loop);
	file_watch_free(r->watch);
	r->watch = NULL;
	loop_free(loop);
}

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	(void)state;
	char command[100];
	snprintf(command, sizeof command, "rm -r %s", folder);
	return system(command);
}

#define WATCHED(f) cmocka_unit_test_setup_teardown(f, watch_two, end_watch)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WATCHED(files_that_stay_are_not_read),
		WATCHED(what_changed_is_read_once_when_it_rests),
		WATCHED(a_folder_that_a_link_no_longer_names_is_a_change),
		WATCHED(what_cannot_be_used_is_said_once_and_tried_until_it_can),
		WATCHED(a_file_that_is_gone_is_a_change),
		WATCHED(who_asks_has_all_read_and_hears_whether_it_can_be_used),
		WATCHED(on_the_loop_it_looks_by_itself),
	};
	return cmocka_run_group_tests_name(__FILE__, tests, make_folder, remove_folder);
}
