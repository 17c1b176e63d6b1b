/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/file.h"
#include "tests/lib/test.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/test_file.XXXXXX";

static int enter_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int leave_folder(void **state)
{
	(void)state;
	return chdir("/") == 0 ? rmdir(folder) : -1;
}

/* The names in the folder, which every test leaves empty. */
static size_t entries(void)
{
	size_t n = 0;
	DIR *d = opendir(".");
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static mode_t mode_of(const char *path)
{
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static void assert_content(const char *path, const char *content)
{
	_cleanup_buf_ struct buf b;
	buf_init(&b, 1 << 20);
	assert_ok(file_read(path, 1 << 20, &b));
	assert_str(buf_str(&b), content);
}

static void what_was_written_is_read_with_its_mode_whatever_the_umask(void **state)
{
	(void)state;
	mode_t before = umask(0777);
	assert_ok(file_write_atomic("x", STR("one"), 0640));
	umask(0);
	assert_ok(file_write_atomic("y", STR("two"), 0600));
	umask(before);
	assert_int_equal(mode_of("x"), 0640);
	assert_int_equal(mode_of("y"), 0600);
	assert_content("x", "one");
	assert_ok(file_write_atomic("x", STR(""), 0600));
	assert_int_equal(mode_of("x"), 0600);
	assert_content("x", "");
	assert_int_equal(entries(), 2);
	unlink("x");
	unlink("y");
}

static void a_failed_write_leaves_the_old_file_and_nothing_else(void **state)
{
	(void)state;
	assert_ok(file_write_atomic("x", STR("old"), 0600));
	pid_t child = fork();
	if (child == 0) {
		/* a disk that is full after ten bytes */
		const struct rlimit small = {10, 10};
		signal(SIGXFSZ, SIG_IGN);
		setrlimit(RLIMIT_FSIZE, &small);
		struct status s = file_write_atomic("x", STR("much longer than that"), 0600);
		_exit(s.code == STATUS_RESOURCE_EXHAUSTED ? 0 : 1);
	}
	int how;
	assert_int_equal(waitpid(child, &how, 0), child);
	assert_int_equal(how, 0);
	assert_content("x", "old");
	assert_int_equal(entries(), 1);
	unlink("x");

	assert_int_equal(mkdir("d", 0700), 0);
	assert_int_equal(mkdir("d/e", 0700), 0);
	struct status s = file_write_atomic("d", STR("x"), 0600);
	assert_int_equal(s.code, STATUS_FAILED_PRECONDITION);
	assert_int_equal(entries(), 1);
	rmdir("d/e");
	rmdir("d");
}

static void a_link_is_replaced_and_not_followed(void **state)
{
	(void)state;
	assert_ok(file_write_atomic("victim", STR("mine"), 0600));
	assert_int_equal(symlink("victim", "x"), 0);
	assert_ok(file_write_atomic("x", STR("new"), 0600));
	assert_content("victim", "mine");
	assert_content("x", "new");
	unlink("x");
	unlink("victim");
}

static void errors_name_the_path_and_the_reason(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf b;
	buf_init(&b, 100);
	assert_status(file_read("gone", 10, &b), STATUS_NOT_FOUND,
		"cannot open 'gone': No such file or directory");
	assert_status(file_read(".", 10, &b), STATUS_FAILED_PRECONDITION,
		"cannot read '.': Is a directory");
	struct status s = file_write_atomic("no/such/x", STR("x"), 0600);
	assert_int_equal(s.code, STATUS_NOT_FOUND);
	assert_non_null(strstr(s.message, "No such file or directory"));
	s = file_status(ENOSPC, "write", "x");
	assert_int_equal(s.code, STATUS_RESOURCE_EXHAUSTED);
	assert_string_equal(s.message, "cannot write 'x': No space left on device");
	assert_int_equal(entries(), 0);
}

static void a_file_is_read_up_to_its_bound_and_not_past_it(void **state)
{
	(void)state;
	char text[10000];
	memset(text, 'x', sizeof text);
	assert_ok(file_write_atomic("x", (struct str){text, sizeof text}, 0600));
	_cleanup_buf_ struct buf b;
	buf_init(&b, sizeof text);
	assert_ok(file_read("x", sizeof text, &b));
	assert_int_equal(b.n, sizeof text);
	buf_reset(&b);
	assert_status(file_read("x", sizeof text - 1, &b), STATUS_OUT_OF_RANGE,
		"'x' is longer than the 9999 bytes allowed");
	unlink("x");
}

static struct status secret_in(struct str content, bool multiline, struct secret *ret)
{
	assert_ok(file_write_atomic("s", content, 0600));
	struct status s = file_read_secret("s", multiline, ret);
	unlink("s");
	return s;
}

static void a_secret_is_the_content_without_its_newline(void **state)
{
	(void)state;
	static const struct {
		struct str content;
		const char *secret;
	} good[] = {{{"abc", 3}, "abc"}, {{"abc\n", 4}, "abc"}, {{"abc\r\n", 5}, "abc"},
		{{" a b \n", 6}, " a b "}};
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		_cleanup_secret_ struct secret s = {NULL, 0};
		assert_ok(secret_in(good[i].content, false, &s));
		assert_str(secret_str(&s), good[i].secret);
	}
	struct secret s = {NULL, 0};
	const enum status_code invalid = STATUS_INVALID_ARGUMENT;
	assert_status(secret_in(STR(""), false, &s), invalid, "'s' is empty");
	assert_status(secret_in(STR("\n"), true, &s), invalid, "'s' is empty");
	assert_status(secret_in(STR("a\nb"), false, &s), invalid, "'s' has more than one line");
	assert_status(secret_in(STR("a\n\n"), false, &s), invalid, "'s' has more than one line");
	assert_status(secret_in(STR("a\0b"), true, &s), invalid, "'s' has a NUL byte inside");
	assert_null(s.p);
	assert_ok(secret_in(STR("-----BEGIN\nx\n"), true, &s));
	assert_str(secret_str(&s), "-----BEGIN\nx");
	secret_done(&s);
	char *large = calloc(1, 65537);
	memset(large, 'x', 65537);
	assert_status(secret_in((struct str){large, 65537}, false, &s), STATUS_OUT_OF_RANGE,
		"'s' is longer than the 65536 bytes allowed");
	free(large);
}

static void missing_folders_are_made(void **state)
{
	(void)state;
	assert_ok(file_make_dirs("a/b/c", 0700));
	assert_int_equal(mode_of("a/b/c"), 0700);
	assert_ok(file_make_dirs("a/b/c/", 0700));
	assert_ok(file_make_dirs("/tmp", 0700));
	assert_ok(file_write_atomic("a/f", STR("x"), 0600));
	struct status s = file_make_dirs("a/f/g", 0700);
	assert_int_equal(s.code, STATUS_FAILED_PRECONDITION);
	assert_status(file_make_dirs("a/f", 0700), STATUS_FAILED_PRECONDITION,
		"cannot make the folder 'a/f': Not a directory");
	unlink("a/f");
	rmdir("a/b/c");
	rmdir("a/b");
	rmdir("a");
}

static void a_file_can_be_written_where_a_folder_is(void **state)
{
	(void)state;
	assert_true(file_can_be_written("x"));
	assert_true(file_can_be_written("./x"));
	assert_true(file_can_be_written("/tmp/x"));
	assert_true(file_can_be_written("/new-in-root") == (access("/", W_OK) == 0));
	assert_false(file_can_be_written(""));
	assert_false(file_can_be_written("."));
	assert_false(file_can_be_written("/tmp"));
	assert_false(file_can_be_written("missing/x"));
	assert_false(file_can_be_written("/dev/null/x"));
	assert_int_equal(entries(), 0);
}

static void a_lock_is_held_by_one_process_and_dies_with_it(void **state)
{
	(void)state;
	int to_child[2], to_parent[2];
	char byte = 0;
	assert_int_equal(pipe(to_child), 0);
	assert_int_equal(pipe(to_parent), 0);
	pid_t child = fork();
	if (child == 0) {
		int fd;
		struct status s = file_lock("lock", &fd);
		(void)!write(to_parent[1], &byte, 1);
		(void)!read(to_child[0], &byte, 1);
		_exit(s.code == STATUS_OK ? 0 : 1);
	}
	assert_int_equal(read(to_parent[0], &byte, 1), 1);
	int fd = -1;
	char text[100];
	snprintf(text, sizeof text, "'lock' is locked by process %d", (int)child);
	assert_status(file_lock("lock", &fd), STATUS_FAILED_PRECONDITION, text);
	assert_int_equal(fd, -1);
	assert_int_equal(write(to_child[1], &byte, 1), 1);
	int how;
	assert_int_equal(waitpid(child, &how, 0), child);
	assert_int_equal(how, 0);
	assert_ok(file_lock("lock", &fd));
	snprintf(text, sizeof text, "%d\n", (int)getpid());
	assert_content("lock", text);
	close(fd);
	for (int i = 0; i < 2; i++) {
		close(to_child[i]);
		close(to_parent[i]);
	}
	unlink("lock");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_written_is_read_with_its_mode_whatever_the_umask),
		cmocka_unit_test(a_failed_write_leaves_the_old_file_and_nothing_else),
		cmocka_unit_test(a_link_is_replaced_and_not_followed),
		cmocka_unit_test(errors_name_the_path_and_the_reason),
		cmocka_unit_test(a_file_is_read_up_to_its_bound_and_not_past_it),
		cmocka_unit_test(a_secret_is_the_content_without_its_newline),
		cmocka_unit_test(missing_folders_are_made),
		cmocka_unit_test(a_file_can_be_written_where_a_folder_is),
		cmocka_unit_test(a_lock_is_held_by_one_process_and_dies_with_it),
	};
	return cmocka_run_group_tests_name(__FILE__, tests, enter_folder, leave_folder);
}
