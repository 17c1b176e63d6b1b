/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/sqlite/data_dir.h"

#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/base/xalloc.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

const char *data_dir_network_file_system(int64_t f_type)
{
	static const struct {
		uint32_t type;
		const char *name;
	} known[] = {
		{NFS_SUPER_MAGIC, "NFS"},
		{0xFF534D42, "CIFS"},
		{0xFE534D42, "SMB"},
		{SMB_SUPER_MAGIC, "SMB"},
		{V9FS_MAGIC, "9p"},
		{AFS_SUPER_MAGIC, "AFS"},
		{0x6B414653, "AFS"},
		{CODA_SUPER_MAGIC, "Coda"},
		{NCP_SUPER_MAGIC, "NCP"},
		{0x786F4256, "vboxsf"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if ((uint32_t)f_type == known[i].type)
			return known[i].name;
	return NULL;
}

static struct status check_file_system(const char *path)
{
	struct statfs fs;
	if (statfs(path, &fs) != 0)
		return file_status(errno, "examine", path);
	const char *name = data_dir_network_file_system((int64_t)fs.f_type);
	if (name)
		return status_error(STATUS_FAILED_PRECONDITION,
			"'%s' is on %s, where the embedded database does not work; give a "
			"directory on a local disk",
			path, name);
	return status_ok();
}

/* SQLite would make it with the umask's mode; its log and index take the mode of this file. One
 * that is there and cannot be opened now is the connection's to wait for. */
static struct status make_database_file(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		int error = errno;
		struct stat there;
		bool is_file = lstat(path, &there) == 0 && S_ISREG(there.st_mode);
		return is_file ? status_ok() : file_status(error, "open", path);
	}
	struct stat st;
	if (fstat(fd, &st) != 0)
		return file_status(errno, "examine", path);
	if (!S_ISREG(st.st_mode))
		return status_error(STATUS_FAILED_PRECONDITION, "'%s' is no regular file", path);
	if ((st.st_mode & 077) && fchmod(fd, 0600) != 0)
		return file_status(errno, "make private", path);
	return status_ok();
}

struct status data_dir_open(const char *path, struct data_dir *ret)
{
	_cleanup_free_ char *lock_path = xasprintf("%s/lock", path);
	_cleanup_free_ char *database = xasprintf("%s/tokens.db", path);
	_cleanup_close_ int lock = -1;
	TRY(file_make_dirs(path, 0700));
	TRY(check_file_system(path));
	struct status status = file_lock(lock_path, &lock);
	if (status.code == STATUS_FAILED_PRECONDITION)
		return status_error(STATUS_FAILED_PRECONDITION, "data directory '%s' is in use: %s",
			path, status.message);
	TRY(status);
	TRY(make_database_file(database));
	*ret = (struct data_dir){xstrdup(path), TAKE_PTR(database), lock};
	lock = -1;
	return status_ok();
}

struct status data_dir_join(const char *path, struct data_dir *ret)
{
	_cleanup_free_ char *database = xasprintf("%s/tokens.db", path);
	if (access(database, F_OK) != 0)
		return errno == ENOENT ? status_error(STATUS_NOT_FOUND, "there is no database '%s'",
						 database)
				       : file_status(errno, "examine", database);
	TRY(check_file_system(path));
	*ret = (struct data_dir){xstrdup(path), TAKE_PTR(database), -1};
	return status_ok();
}

void data_dir_close(struct data_dir *d)
{
	if (!d->path)
		return;
	free(d->path);
	free(d->database);
	if (d->lock >= 0)
		close(d->lock);
	*d = (struct data_dir){.lock = -1};
}
