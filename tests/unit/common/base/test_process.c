/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/process.h"
#include "common/base/str.h"
#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void streams_that_were_closed_are_held_and_carry_nothing(void **state)
{
	(void)state;
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		char byte = 'x';
		for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
			close(fd);
		process_hold_standard_streams();
		bool held = fcntl(STDIN_FILENO, F_GETFD) == 0 && dup(STDIN_FILENO) > STDERR_FILENO;
		bool mute = read(STDIN_FILENO, &byte, 1) < 0 && errno == EBADF &&
			    write(STDOUT_FILENO, &byte, 1) < 0 && errno == EBADF &&
			    write(STDERR_FILENO, &byte, 1) < 0 && errno == EBADF;
		_exit(held && mute ? 0 : 1);
	}
	int ended;
	assert_int_equal(waitpid(child, &ended, 0), child);
	assert_true(WIFEXITED(ended));
	assert_int_equal(WEXITSTATUS(ended), 0);
	int before = dup(STDOUT_FILENO);
	process_hold_standard_streams(); /* what is open stays as it is */
	int after = dup(STDOUT_FILENO);
	assert_int_equal(after, before + 1);
	close(after);
	close(before);
}

static void core_dumps_are_off_for_good(void **state)
{
	(void)state;
	assert_ok(process_forbid_core_dumps());
	struct rlimit limit;
	assert_int_equal(getrlimit(RLIMIT_CORE, &limit), 0);
	assert_int_equal(limit.rlim_cur, 0);
	assert_int_equal(limit.rlim_max, 0);
	assert_int_equal(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 0);
	/* a sanitizer attaches to us at the end */
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static void standard_files_that_are_closed_are_filled(void **state)
{
	(void)state;
	int kept[2] = {dup(STDIN_FILENO), dup(STDERR_FILENO)};
	close(STDIN_FILENO);
	close(STDERR_FILENO);
	process_fill_standard_files();
	int next = dup(kept[0]);
	struct stat null, in, err;
	int bad = stat("/dev/null", &null) | fstat(STDIN_FILENO, &in) | fstat(STDERR_FILENO, &err);
	dup2(kept[0], STDIN_FILENO);
	dup2(kept[1], STDERR_FILENO);
	assert_int_equal(bad, 0);
	assert_true(in.st_rdev == null.st_rdev && err.st_rdev == null.st_rdev);
	assert_true(next > kept[1]); /* no other is */
	close(next);
	close(kept[0]);
	close(kept[1]);
}

static void the_limit_of_open_files_is_raised(void **state)
{
	(void)state;
	struct rlimit limit;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	const rlim_t wanted = limit.rlim_max < 1048576 ? limit.rlim_max : 1048576;
	limit.rlim_cur = 32;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(process_raise_open_files(), wanted);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(limit.rlim_cur, wanted);
}

static void a_closed_peer_is_an_error_code(void **state)
{
	(void)state;
	int ends[2];
	process_ignore_write_signals();
	assert_int_equal(pipe(ends), 0);
	close(ends[0]);
	assert_int_equal(write(ends[1], "x", 1), -1);
	assert_int_equal(errno, EPIPE);
	close(ends[1]);
}

static void a_file_that_may_not_grow_is_an_error_code(void **state)
{
	(void)state;
	struct rlimit before;
	process_ignore_write_signals();
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	FILE *file = tmpfile();
	assert_non_null(file);
	const struct rlimit none = {0, before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	ssize_t written = write(fileno(file), "x", 1);
	int error = errno;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(written, -1);
	assert_int_equal(error, EFBIG);
	fclose(file);
}

/* A supervisor that listens on @path (its first byte a NUL for the abstract namespace). */
static int supervisor(const char *path, size_t n)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	memcpy(at.sun_path, path, n);
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&at,
				 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)),
		0);
	return fd;
}

static void assert_told(int fd, const char *text)
{
	char got[256];
	ssize_t n = recv(fd, got, sizeof got - 1, MSG_DONTWAIT);
	assert_true(n >= 0);
	got[n] = '\0';
	assert_string_equal(got, text);
}

static void the_supervisor_hears_every_step(void **state)
{
	(void)state;
	char path[64];
	snprintf(path, sizeof path, "/tmp/test_process.%d", (int)getpid());
	int fd = supervisor(path, strlen(path));
	setenv("NOTIFY_SOCKET", path, 1);
	process_notify_ready();
	assert_told(fd, "READY=1");
	process_notify_stopping();
	assert_told(fd, "STOPPING=1");
	process_notify("STATUS=draining");
	assert_told(fd, "STATUS=draining");
	process_notify_reloading();
	char got[256] = "";
	assert_true(recv(fd, got, sizeof got - 1, MSG_DONTWAIT) > 0);
	assert_true(str_starts_with(str_of(got), STR("RELOADING=1\nMONOTONIC_USEC=")));
	assert_true(strtoll(got + strlen("RELOADING=1\nMONOTONIC_USEC="), NULL, 10) > 0);
	close(fd);
	unlink(path);
	process_notify_ready(); /* the supervisor is gone: nothing happens */
}

static void the_abstract_namespace_works_too(void **state)
{
	(void)state;
	char path[64];
	int n = snprintf(path, sizeof path, "@test_process.%d", (int)getpid());
	setenv("NOTIFY_SOCKET", path, 1);
	path[0] = '\0';
	int fd = supervisor(path, (size_t)n);
	process_notify_ready();
	assert_told(fd, "READY=1");
	close(fd);
}

static void without_a_supervisor_nothing_happens(void **state)
{
	(void)state;
	unsetenv("NOTIFY_SOCKET");
	process_notify_ready();
	static const char *const bad[] = {"", "relative", "@", "/"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		setenv("NOTIFY_SOCKET", bad[i], 1);
		process_notify_ready();
	}
	char longest[200];
	memset(longest, 'x', sizeof longest - 1);
	longest[0] = '/';
	longest[sizeof longest - 1] = '\0';
	setenv("NOTIFY_SOCKET", longest, 1);
	process_notify_ready();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(streams_that_were_closed_are_held_and_carry_nothing),
		cmocka_unit_test(core_dumps_are_off_for_good),
		cmocka_unit_test(standard_files_that_are_closed_are_filled),
		cmocka_unit_test(the_limit_of_open_files_is_raised),
		cmocka_unit_test(a_closed_peer_is_an_error_code),
		cmocka_unit_test(a_file_that_may_not_grow_is_an_error_code),
		cmocka_unit_test(the_supervisor_hears_every_step),
		cmocka_unit_test(the_abstract_namespace_works_too),
		cmocka_unit_test(without_a_supervisor_nothing_happens),
	};
	return RUN_TESTS(tests);
}
