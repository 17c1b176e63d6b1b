/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/file.h"

#include "common/base/base64.h"
#include "common/base/cleanup.h"
#include "common/base/escape.h" /* shown */
#include "common/base/random.h"
#include "common/base/xalloc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	READ_FIRST_BYTES = 4096,
	SECRET_MAX_BYTES = 65536
};

static enum status_code code_of(int error)
{
	switch (error) {
	case ENOENT:
		return STATUS_NOT_FOUND;
	case EACCES:
	case EPERM:
	case EROFS:
		return STATUS_PERMISSION_DENIED;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
	case EMFILE:
	case ENFILE:
		return STATUS_RESOURCE_EXHAUSTED;
	case EISDIR:
	case ENOTDIR:
	case EEXIST:
	case ELOOP:
		return STATUS_FAILED_PRECONDITION;
	default:
		return STATUS_UNAVAILABLE;
	}
}

struct status file_status(int error, const char *verb, const char *path)
{
	char text[128];
	return status_error(code_of(error), "cannot %s '%s': %s", verb, shown(str_of(path)).text,
		strerror_r(error, text, sizeof text));
}

/* One byte more than @max tells a file that is too long from one that just fits. */
static struct status read_up_to(const char *path, size_t max, char *p, size_t *ret_n)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return file_status(errno, "open", path);
	size_t n = 0;
	while (n <= max) {
		ssize_t got = read(fd, p + n, max + 1 - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return file_status(errno, "read", path);
		if (got == 0) {
			*ret_n = n;
			return status_ok();
		}
		n += (size_t)got;
	}
	return status_error(
		STATUS_OUT_OF_RANGE, "'%s' is longer than the %zu bytes allowed", path, max);
}

struct status file_read(const char *path, size_t max_bytes, struct buf *out)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return file_status(errno, "open", path);
	char block[READ_FIRST_BYTES];
	size_t n = 0;
	for (;;) {
		ssize_t got = read(fd, block, sizeof block);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return file_status(errno, "read", path);
		if (got == 0)
			return status_ok();
		n += (size_t)got;
		if (n > max_bytes || !buf_append(out, block, (size_t)got))
			return status_error(STATUS_OUT_OF_RANGE,
				"'%s' is longer than the %zu bytes allowed", path, max_bytes);
	}
}

struct status file_read_secret(const char *path, bool multiline, struct secret *ret)
{
	char *content = xmalloc(SECRET_MAX_BYTES + 1);
	size_t n = 0;
	struct status s = read_up_to(path, SECRET_MAX_BYTES, content, &n);
	if (n && content[n - 1] == '\n')
		n--;
	if (n && content[n - 1] == '\r')
		n--;
	if (!status_is_ok(&s))
		;
	else if (!n)
		s = status_error(STATUS_INVALID_ARGUMENT, "'%s' is empty", path);
	else if (memchr(content, '\0', n))
		s = status_error(STATUS_INVALID_ARGUMENT, "'%s' has a NUL byte inside", path);
	else if (!multiline && memchr(content, '\n', n))
		s = status_error(STATUS_INVALID_ARGUMENT, "'%s' has more than one line", path);
	else
		*ret = secret_of((struct str){content, n});
	secret_wipe(content, SECRET_MAX_BYTES + 1);
	free(content);
	return s;
}

static struct status write_all(int fd, struct str content, const char *path)
{
	while (content.n) {
		ssize_t wrote = write(fd, content.p, content.n);
		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote < 0)
			return file_status(errno, "write", path);
		content = str_sub(content, (size_t)wrote, content.n);
	}
	return status_ok();
}

/* The folder that @path is in, as a string of the caller's. */
static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	if (!slash)
		return xstrdup(".");
	return slash == path ? xstrdup("/") : xstrndup(path, (size_t)(slash - path));
}

/* A rename lasts through a power failure only when its folder was synced as well. */
static struct status sync_folder(const char *path)
{
	_cleanup_free_ char *folder = folder_of(path);
	_cleanup_close_ int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return file_status(errno, "open", folder);
	/* some file systems cannot sync a folder and say EINVAL: there is nothing to wait for */
	if (fsync(fd) < 0 && errno != EINVAL && errno != EROFS)
		return file_status(errno, "sync", folder);
	return status_ok();
}

static struct status write_new(const char *path, struct str content, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode & 0600);
	if (fd < 0)
		return file_status(errno, "create", path);
	struct status s = write_all(fd, content, path);
	if (status_is_ok(&s) && fchmod(fd, mode) < 0)
		s = file_status(errno, "set the mode of", path);
	if (status_is_ok(&s) && fsync(fd) < 0)
		s = file_status(errno, "sync", path);
	if (close(fd) < 0 && status_is_ok(&s))
		s = file_status(errno, "close", path);
	if (!status_is_ok(&s))
		unlink(path);
	return s;
}

struct status file_write_atomic(const char *path, struct str content, mode_t mode)
{
	unsigned char random[8];
	char suffix[2 * sizeof random + 1];
	random_bytes(&random_system, random, sizeof random);
	hex_encode(random, sizeof random, suffix);
	_cleanup_free_ char *temporary = xasprintf("%s.%s.tmp", path, suffix);

	TRY(write_new(temporary, content, mode));
	if (rename(temporary, path) < 0) {
		struct status s = file_status(errno, "replace", path);
		unlink(temporary);
		return s;
	}
	return sync_folder(path);
}

bool file_can_be_written(const char *path)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *folder =
		slash ? xasprintf("%.*s/", (int)(slash - path), path) : xstrdup(".");
	struct stat st;
	bool is_folder = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
	return *path && !is_folder && access(folder, W_OK | X_OK) == 0;
}

struct status file_make_dirs(const char *path, mode_t mode)
{
	_cleanup_free_ char *part = xstrdup(path);
	for (char *p = part + 1; *part; p++) {
		bool last = *p == '\0';
		if (*p != '/' && !last)
			continue;
		*p = '\0';
		if (mkdir(part, mode) < 0) {
			int error = errno;
			struct stat st;
			/* where it is there already, EROFS and EACCES say nothing */
			if (stat(part, &st) < 0)
				return file_status(error, "make the folder", part);
			if (!S_ISDIR(st.st_mode))
				return file_status(ENOTDIR, "make the folder", part);
		}
		if (last)
			break;
		*p = '/';
	}
	return status_ok();
}

static struct status locked_by_another(int fd, const char *path)
{
	char text[32] = "";
	ssize_t n = pread(fd, text, sizeof text - 1, 0);
	struct str pid = str_trim((struct str){text, n > 0 ? (size_t)n : 0});
	uint64_t number;
	if (!str_to_u64(pid, &number))
		return status_error(
			STATUS_FAILED_PRECONDITION, "'%s' is locked by another process", path);
	return status_error(STATUS_FAILED_PRECONDITION, "'%s' is locked by process %llu", path,
		(unsigned long long)number);
}

struct status file_lock(const char *path, int *ret)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return file_status(errno, "open", path);
	int locked;
	do
		locked = flock(fd, LOCK_EX | LOCK_NB);
	while (locked < 0 && errno == EINTR);
	if (locked < 0) {
		struct status s = errno == EWOULDBLOCK ? locked_by_another(fd, path)
						       : file_status(errno, "lock", path);
		close(fd);
		return s;
	}
	/* The id is for people; a disk that is full must not keep us from starting. */
	char text[32];
	int n = snprintf(text, sizeof text, "%d\n", (int)getpid());
	if (ftruncate(fd, 0) == 0)
		(void)!pwrite(fd, text, (size_t)n, 0);
	*ret = fd;
	return status_ok();
}
