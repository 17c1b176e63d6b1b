/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/cleanup.h"
#include "common/net/address.h"
#include "common/net/listener.h"
#include "common/net/socket_lock.h"
#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static struct address parse(const char *text)
{
	struct address a;
	assert_ok(address_parse(str_of(text), &a));
	return a;
}

static int connect_to(const struct address *a)
{
	struct sockaddr_storage ss;
	socklen_t length;
	assert_ok(address_resolve(a, &ss, &length));
	int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	if (connect(fd, (const struct sockaddr *)&ss, length) < 0) {
		int error = errno;
		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

/* Connections that wait on @fd, taken off. */
static unsigned accept_all(int fd)
{
	unsigned n = 0;
	struct pollfd p = {.fd = fd, .events = POLLIN};
	while (poll(&p, 1, 0) == 1) {
		int accepted = accept(fd, NULL, NULL);
		if (accepted < 0)
			break;
		close(accepted);
		n++;
	}
	return n;
}

static void port_0_becomes_the_port_that_the_kernel_chose(void **state)
{
	(void)state;
	struct address a = parse("127.0.0.1:0");
	_cleanup_(listener_closep) struct listener *l = NULL;
	assert_ok(listener_open(&a, 1, NULL, &l));
	assert_int_not_equal(listener_address(l)->port, 0);
	int fd = connect_to(listener_address(l));
	assert_true(fd >= 0);
	close(fd);
}

static void every_loop_has_a_socket_and_gets_connections(void **state)
{
	(void)state;
	enum {
		N = 3,
		CONNECTIONS = 300
	};
	static const char *const addresses[] = {"127.0.0.1:0", "[::1]:0", "localhost:0"};
	for (size_t k = 0; k < sizeof addresses / sizeof addresses[0]; k++) {
		struct address a = parse(addresses[k]);
		_cleanup_(listener_closep) struct listener *l = NULL;
		assert_ok(listener_open(&a, N, NULL, &l));
		int fds[N], clients[CONNECTIONS];
		for (size_t i = 0; i < N; i++)
			fds[i] = listener_take_socket(l, i);
		for (size_t i = 0; i < CONNECTIONS; i++)
			clients[i] = connect_to(listener_address(l));
		unsigned sum = 0;
		for (size_t i = 0; i < N; i++) {
			unsigned n = accept_all(fds[i]);
			assert_true(n > 0); /* by a hash: none would be a chance of (2/3)^300 */
			sum += n;
		}
		assert_int_equal(sum, CONNECTIONS);
		for (size_t i = 0; i < CONNECTIONS; i++)
			close(clients[i]);
		for (size_t i = 0; i < N; i++)
			close(fds[i]);
	}
}

static void a_port_in_use_is_an_error_also_with_several_sockets(void **state)
{
	(void)state;
	for (size_t n = 1; n <= 2; n++) {
		struct address a = parse("127.0.0.1:0");
		_cleanup_(listener_closep) struct listener *first = NULL;
		assert_ok(listener_open(&a, n, NULL, &first));
		char message[400];
		snprintf(message, sizeof message,
			"cannot listen on 127.0.0.1:%u: the address is in use by another process",
			listener_address(first)->port);
		for (size_t m = 1; m <= 2; m++) {
			struct listener *second = NULL;
			assert_status(listener_open(listener_address(first), m, NULL, &second),
				STATUS_FAILED_PRECONDITION, message);
			assert_null(second);
		}
	}
}

static void a_port_is_free_again_once_it_is_closed(void **state)
{
	(void)state;
	struct address a = parse("127.0.0.1:0");
	struct listener *l = NULL;
	assert_ok(listener_open(&a, 2, NULL, &l));
	a = *listener_address(l);
	int client = connect_to(&a);
	listener_close(l);
	close(client);
	assert_ok(listener_open(&a, 2, NULL, &l));
	listener_close(l);
}

static void an_address_of_another_machine_is_refused(void **state)
{
	(void)state;
	struct address a = parse("192.0.2.1:0");
	struct listener *l = NULL;
	assert_status(listener_open(&a, 1, NULL, &l), STATUS_INVALID_ARGUMENT,
		"cannot listen on 192.0.2.1:0: bind: Cannot assign requested address");
}

/* Newer kernels let only CAP_NET_ADMIN filter what a TCP socket hears. */
static bool may_filter(void)
{
	struct sock_filter code[] = {BPF_STMT(BPF_RET | BPF_K, UINT32_MAX)};
	const struct sock_fprog filter = {.len = ARRAY_SIZE(code), .filter = code};
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int failed = setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter);
	assert_true(failed == 0 || errno == EPERM);
	return failed == 0;
}

static void a_refusing_listener_keeps_the_connections_that_it_has(void **state)
{
	(void)state;
	static const char *const addresses[] = {"127.0.0.1:0", "[::1]:0"};
	if (!may_filter())
		skip(); /* this user cannot see it */
	for (size_t k = 0; k < ARRAY_SIZE(addresses); k++) {
		struct address a = parse(addresses[k]);
		struct sockaddr_storage ss;
		socklen_t length;
		struct listener *l = NULL;
		assert_ok(listener_open(&a, 1, NULL, &l));
		a = *listener_address(l);
		int before = connect_to(&a);
		assert_true(before >= 0);
		int fd = listener_take_socket(l, 0);
		listener_refuse(fd);
		assert_ok(address_resolve(&a, &ss, &length));
		int after = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		assert_int_equal(connect(after, (const struct sockaddr *)&ss, length), -1);
		assert_int_equal(errno, EINPROGRESS);
		struct pollfd p = {.fd = after, .events = POLLOUT};
		assert_int_equal(poll(&p, 1, 50), 0); /* no answer, so none to be reset later */
		/* What was begun goes on: bytes, and the end of both directions. */
		assert_int_equal(send(before, "x", 1, MSG_NOSIGNAL), 1);
		int accepted = accept(fd, NULL, NULL);
		assert_true(accepted >= 0);
		char byte = 0;
		assert_int_equal(recv(accepted, &byte, 1, 0), 1);
		assert_int_equal(byte, 'x');
		assert_int_equal(accept_all(fd), 0);
		close(fd);
		assert_int_equal(connect_to(&a), -1);
		assert_int_equal(errno, ECONNREFUSED);
		close(after);
		close(accepted);
		close(before);
		listener_close(l);
	}
}

/* --- unix sockets --- */

static char folder[] = "/tmp/test_listener.XXXXXX";

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	(void)state;
	return rmdir(folder);
}

static struct address in_folder(const char *name)
{
	char text[200];
	snprintf(text, sizeof text, "unix:%s/%s", folder, name);
	return parse(text);
}

static bool exists(const char *path, const char *suffix)
{
	char text[200];
	struct stat st;
	snprintf(text, sizeof text, "%s%s", path, suffix);
	return lstat(text, &st) == 0;
}

static void a_unix_socket_is_shared_by_the_loops_and_removed_at_the_end(void **state)
{
	(void)state;
	struct address a = in_folder("shared");
	struct listener *l = NULL;
	mode_t before = umask(0077);
	assert_ok(listener_open(&a, 2, NULL, &l));
	umask(before);
	struct stat st;
	assert_int_equal(stat(a.path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	int first = listener_take_socket(l, 0), second = listener_take_socket(l, 1);
	int client = connect_to(&a);
	assert_true(client >= 0);
	assert_int_equal(accept_all(second), 1);
	assert_int_equal(accept_all(first), 0);
	close(client);
	close(first);
	close(second);
	assert_true(exists(a.path, ".lock"));
	listener_close(l);
	assert_false(exists(a.path, ""));
	assert_false(exists(a.path, ".lock"));
}

static void a_unix_socket_is_not_refused_to_its_other_loops(void **state)
{
	(void)state;
	struct address a = in_folder("refusing");
	struct listener *l = NULL;
	assert_ok(listener_open(&a, 2, NULL, &l));
	int first = listener_take_socket(l, 0), second = listener_take_socket(l, 1);
	listener_refuse(first);
	close(first);
	int fd = connect_to(&a);
	assert_true(fd >= 0);
	assert_int_equal(accept_all(second), 1);
	close(second);
	close(fd);
	listener_close(l);
}

static void the_mode_of_a_unix_socket_is_an_option(void **state)
{
	(void)state;
	struct address a = in_folder("mode");
	const struct listener_options o = {.unix_mode = 0600};
	_cleanup_(listener_closep) struct listener *l = NULL;
	assert_ok(listener_open(&a, 1, &o, &l));
	struct stat st;
	assert_int_equal(stat(a.path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_unix_socket_in_use_is_left_alone(void **state)
{
	(void)state;
	struct address a = in_folder("used");
	_cleanup_(listener_closep) struct listener *l = NULL;
	struct listener *second = NULL;
	char message[400];
	assert_ok(listener_open(&a, 1, NULL, &l));
	snprintf(message, sizeof message, "unix:%s is in use by another process", a.path);
	assert_status(listener_open(&a, 1, NULL, &second), STATUS_FAILED_PRECONDITION, message);
	int client = connect_to(&a);
	assert_true(client >= 0);
	close(client);
}

static int bind_plainly(const struct address *a)
{
	struct sockaddr_storage ss;
	socklen_t length;
	assert_ok(address_resolve(a, &ss, &length));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&ss, length), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static void a_socket_of_a_stranger_is_left_alone_while_it_answers(void **state)
{
	(void)state;
	struct address a = in_folder("stranger");
	int stranger = bind_plainly(&a);
	struct listener *l = NULL;
	char message[400];
	snprintf(message, sizeof message, "unix:%s is in use by another process", a.path);
	assert_status(listener_open(&a, 1, NULL, &l), STATUS_FAILED_PRECONDITION, message);
	assert_true(exists(a.path, ""));
	assert_false(exists(a.path, ".lock"));
	close(stranger); /* now it is stale, as after kill -9 */
	assert_ok(listener_open(&a, 1, NULL, &l));
	listener_close(l);
}

static void a_file_that_is_no_socket_is_left_alone(void **state)
{
	(void)state;
	struct address a = in_folder("file");
	FILE *f = fopen(a.path, "w");
	fputs("precious", f);
	fclose(f);
	struct listener *l = NULL;
	char message[400];
	snprintf(message, sizeof message, "'%s' exists and is no socket; it is left alone", a.path);
	assert_status(listener_open(&a, 1, NULL, &l), STATUS_FAILED_PRECONDITION, message);
	struct stat st;
	assert_int_equal(stat(a.path, &st), 0);
	assert_int_equal(st.st_size, 8);
	unlink(a.path);
}

static void a_missing_folder_is_named(void **state)
{
	(void)state;
	struct address a = in_folder("missing/x");
	struct listener *l = NULL;
	char message[400];
	snprintf(message, sizeof message,
		"cannot make '%s.lock' for unix:%s: No such file or directory", a.path, a.path);
	assert_status(listener_open(&a, 1, NULL, &l), STATUS_INVALID_ARGUMENT, message);
}

/* The lock dies with its process, however that ends. */
static void a_lock_of_a_killed_process_is_taken_over(void **state)
{
	(void)state;
	struct address a = in_folder("killed");
	pid_t child = fork();
	if (child == 0) {
		struct listener *l = NULL;
		struct status s = listener_open(&a, 1, NULL, &l);
		_exit(status_is_ok(&s) ? 0 : 1); /* neither file is removed */
	}
	int result;
	assert_int_equal(waitpid(child, &result, 0), child);
	assert_int_equal(result, 0);
	assert_true(exists(a.path, "") && exists(a.path, ".lock"));
	struct listener *l = NULL;
	assert_ok(listener_open(&a, 1, NULL, &l));
	listener_close(l);
	assert_false(exists(a.path, ".lock"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(port_0_becomes_the_port_that_the_kernel_chose),
		cmocka_unit_test(every_loop_has_a_socket_and_gets_connections),
		cmocka_unit_test(a_port_in_use_is_an_error_also_with_several_sockets),
		cmocka_unit_test(a_port_is_free_again_once_it_is_closed),
		cmocka_unit_test(an_address_of_another_machine_is_refused),
		cmocka_unit_test(a_refusing_listener_keeps_the_connections_that_it_has),
		cmocka_unit_test(a_unix_socket_is_shared_by_the_loops_and_removed_at_the_end),
		cmocka_unit_test(a_unix_socket_is_not_refused_to_its_other_loops),
		cmocka_unit_test(the_mode_of_a_unix_socket_is_an_option),
		cmocka_unit_test(a_unix_socket_in_use_is_left_alone),
		cmocka_unit_test(a_socket_of_a_stranger_is_left_alone_while_it_answers),
		cmocka_unit_test(a_file_that_is_no_socket_is_left_alone),
		cmocka_unit_test(a_missing_folder_is_named),
		cmocka_unit_test(a_lock_of_a_killed_process_is_taken_over),
	};
	return cmocka_run_group_tests_name(__FILE__, tests, make_folder, remove_folder);
}
