/* SPDX-License-Identifier: Apache-2.0 */
#include "common/net/socket_lock.h"

#include "common/base/xalloc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct socket_lock {
	char *path;
	char *lock_path;
	int fd;
};

static struct status in_use(const char *path)
{
	return status_error(
		STATUS_FAILED_PRECONDITION, "unix:%s is in use by another process", path);
}

/* True when @path still names the file that @fd has open: its owner may have removed it between
 * our open and our lock, and then we would hold a lock that nobody else can see. */
static bool names_same_file(const char *path, int fd)
{
	struct stat by_path, by_fd;
	return stat(path, &by_path) == 0 && fstat(fd, &by_fd) == 0 &&
	       by_path.st_ino == by_fd.st_ino && by_path.st_dev == by_fd.st_dev;
}

static struct status lock_file(const char *path, const char *lock_path, int *ret)
{
	for (;;) {
		_cleanup_close_ int fd =
			open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0)
			return status_error(STATUS_INVALID_ARGUMENT,
				"cannot make '%s' for unix:%s: %s", lock_path, path,
				strerrordesc_np(errno));
		if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
			if (errno == EINTR)
				continue;
			return in_use(path);
		}
		if (names_same_file(lock_path, fd)) {
			*ret = TAKE_FD(fd);
			return status_ok();
		}
	}
}

/* A server that knows nothing of our lock file still answers a connect. */
static bool somebody_listens(const char *path)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	memcpy(un.sun_path, path, strlen(path) + 1);
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return fd >= 0 &&
	       (connect(fd, (const struct sockaddr *)&un, sizeof un) == 0 || errno == EAGAIN);
}

static struct status remove_stale(const char *path)
{
	struct stat st;
	if (lstat(path, &st) < 0) {
		if (errno == ENOENT)
			return status_ok();
		return status_error(STATUS_INVALID_ARGUMENT, "cannot look at '%s': %s", path,
			strerrordesc_np(errno));
	}
	if (!S_ISSOCK(st.st_mode))
		return status_error(STATUS_FAILED_PRECONDITION,
			"'%s' exists and is no socket; it is left alone", path);
	if (somebody_listens(path))
		return in_use(path);
	if (unlink(path) < 0)
		return status_error(STATUS_INVALID_ARGUMENT,
			"cannot remove the stale socket '%s': %s", path, strerrordesc_np(errno));
	return status_ok();
}

struct status socket_lock_take(const char *path, struct socket_lock **ret)
{
	if (strlen(path) >= sizeof((struct sockaddr_un *)NULL)->sun_path)
		return status_error(STATUS_INVALID_ARGUMENT,
			"'%s' is too long for a unix socket (107 bytes)", path);
	_cleanup_free_ char *lock_path = xasprintf("%s.lock", path);
	int fd = -1;
	TRY(lock_file(path, lock_path, &fd));
	struct status s = remove_stale(path);
	if (!status_is_ok(&s)) {
		unlink(lock_path);
		close(fd);
		return s;
	}
	struct socket_lock *l = xnew(struct socket_lock);
	l->path = xstrdup(path);
	l->lock_path = TAKE_PTR(lock_path);
	l->fd = fd;
	*ret = l;
	return status_ok();
}

void socket_lock_release(struct socket_lock *l)
{
	if (!l)
		return;
	unlink(l->path);
	unlink(l->lock_path); /* while it is locked: see names_same_file */
	close(l->fd);
	free(l->path);
	free(l->lock_path);
	free(l);
}
