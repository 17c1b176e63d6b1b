/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/process.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"

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
#include <sys/un.h>
#include <unistd.h>

enum {
	OPEN_FILES_MOST = 1048576
};

void process_hold_standard_streams(void)
{
	/* the wrong way round: EBADF is what a closed descriptor says, too */
	static const int flags[] = {O_WRONLY, O_RDONLY, O_RDONLY};
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
			(void)!open("/dev/null", flags[fd]); /* the lowest free number: @fd */
}

struct status process_forbid_core_dumps(void)
{
	const struct rlimit none = {0, 0};
	char text[128];
	/* Two locks on one door: a core_pattern that is a pipe ignores the limit, and a limit of 0
	 * does not stop ptrace. */
	if (setrlimit(RLIMIT_CORE, &none) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return status_error(STATUS_UNAVAILABLE, "cannot switch core dumps off: %s",
			strerror_r(errno, text, sizeof text));
	return status_ok();
}

void process_fill_standard_files(void)
{
	int fd;
	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	cleanup_close(&fd);
}

uint64_t process_raise_open_files(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 0;
	rlim_t wanted = limit.rlim_max < OPEN_FILES_MOST ? limit.rlim_max : OPEN_FILES_MOST;
	if (limit.rlim_cur < wanted) {
		const struct rlimit raised = {wanted, limit.rlim_max};
		if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
			limit = raised;
	}
	return limit.rlim_cur;
}

void process_ignore_write_signals(void)
{
	/* SIG_IGN is inherited by children; a handler would not be, but we start none */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
}

void process_notify(const char *state)
{
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): nobody changes the environment */
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	if (!path || (path[0] != '/' && path[0] != '@') || !path[1] ||
		strlen(path) >= sizeof to.sun_path)
		return;
	size_t n = strlen(path);
	memcpy(to.sun_path, path, n);
	if (path[0] == '@') /* the abstract namespace: the name is the bytes after a NUL */
		to.sun_path[0] = '\0';
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	(void)!sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&to,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
}

void process_notify_ready(void)
{
	process_notify("READY=1");
}

void process_notify_reloading(void)
{
	/* Type=notify-reload wants the time, to tell this reload from an earlier one */
	char state[64];
	snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%lld",
		(long long)clock_mono(&clock_system).us);
	process_notify(state);
}

void process_notify_stopping(void)
{
	process_notify("STOPPING=1");
}
