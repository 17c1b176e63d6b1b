/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/fault_vfs.h"

#include "common/base/clock.h"
#include "common/base/list.h"
#include "common/base/xalloc.h"

#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	SECTOR_BYTES = 512
};

/* A change of a file that is not synced yet. */
struct change {
	struct list link;
	int64_t offset; /* of a write; of a truncation the new size */
	int n;          /* -1: a truncation */
	char bytes[];
};

/* What the disk holds for sure of one file, and what was done since. */
struct image {
	struct image *next;
	char *path;
	char *bytes;
	int64_t size;
	struct list changes;
};

static struct {
	sqlite3_vfs vfs;
	sqlite3_vfs *real;
	atomic_int kind;
	_Atomic int64_t first, n, calls, injected, syncs, syncs_took_us;
	atomic_int sync_us;
	atomic_bool off, remembers, real_syncs;
	pthread_mutex_t lock; /* of the images */
	struct image *images;
} disk = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct fault_file {
	sqlite3_file base;
	struct image *image; /* NULL: not remembered */
	sqlite3_file *real;  /* behind this struct */
};

static sqlite3_file *real_of(sqlite3_file *f)
{
	return ((struct fault_file *)f)->real;
}

/* --- What fails --- */

/* One that may fail: the code to do so with, or 0. */
static int count_call(enum fault_kind kind, int io_error)
{
	int64_t call = atomic_fetch_add(&disk.calls, 1) + 1;
	int64_t first = atomic_load(&disk.first);
	if (!first || call < first || call - first >= atomic_load(&disk.n))
		return 0;
	atomic_fetch_add(&disk.injected, 1);
	return kind == FAULT_FULL || kind == FAULT_GROWTH ? SQLITE_FULL
	       : kind == FAULT_READONLY                   ? SQLITE_READONLY
							  : io_error;
}

/* The code to fail with, or 0. */
static int fault(bool writes, int io_error)
{
	if (atomic_load(&disk.off))
		return io_error;
	enum fault_kind kind = (enum fault_kind)atomic_load(&disk.kind);
	if (kind == FAULT_GROWTH || (kind != FAULT_IO && !writes))
		return 0;
	return count_call(kind, io_error);
}

/* Of a call that wants the file to be so long. */
static int growth_fault(sqlite3_file *f, int64_t end)
{
	enum fault_kind kind = (enum fault_kind)atomic_load(&disk.kind);
	sqlite3_int64 size = 0;
	if (kind != FAULT_GROWTH || f->pMethods->xFileSize(f, &size) != SQLITE_OK || end <= size)
		return 0;
	return count_call(kind, SQLITE_FULL);
}

#define FAIL_IF(writes, io_error)                                                                  \
	do {                                                                                       \
		int fault_code = fault((writes), (io_error));                                      \
		if (fault_code)                                                                    \
			return fault_code;                                                         \
	} while (0)

/* --- What is remembered --- */

static void resize(struct image *i, int64_t size)
{
	i->bytes = xrealloc(i->bytes, (size_t)(size ? size : 1));
	if (size > i->size)
		memset(i->bytes + i->size, 0, (size_t)(size - i->size));
	i->size = size;
}

static void apply(struct image *i, const struct change *c, int n)
{
	if (c->n < 0) {
		resize(i, c->offset);
		return;
	}
	if (c->offset + n > i->size)
		resize(i, c->offset + n);
	memcpy(i->bytes + c->offset, c->bytes, (size_t)n);
}

static void load(struct image *i)
{
	_cleanup_close_ int fd = open(i->path, O_RDONLY | O_CLOEXEC);
	off_t size = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0;
	resize(i, size > 0 ? size : 0);
	if (fd >= 0 && pread(fd, i->bytes, (size_t)i->size, 0) != i->size)
		abort();
}

static void forget_changes(struct image *i)
{
	for (struct list *node; (node = list_pop(&i->changes));)
		free(container_of(node, struct change, link));
}

static struct image *image_of(const char *path)
{
	pthread_mutex_lock(&disk.lock);
	struct image *i = disk.images;
	while (i && strcmp(i->path, path) != 0)
		i = i->next;
	if (!i) {
		i = xnew(struct image);
		i->path = xstrdup(path);
		list_init(&i->changes);
		load(i);
		i->next = disk.images;
		disk.images = i;
	}
	pthread_mutex_unlock(&disk.lock);
	return i;
}

static void remember(struct image *i, const void *p, int n, int64_t offset)
{
	if (!i)
		return;
	struct change *c = xmalloc(sizeof *c + (size_t)(n > 0 ? n : 0));
	c->offset = offset;
	c->n = n;
	if (n > 0)
		memcpy(c->bytes, p, (size_t)n);
	pthread_mutex_lock(&disk.lock);
	list_add_tail(&i->changes, &c->link);
	pthread_mutex_unlock(&disk.lock);
}

static void settle(struct image *i)
{
	if (!i)
		return;
	pthread_mutex_lock(&disk.lock);
	list_for_each (node, &i->changes) {
		const struct change *c = container_of(node, struct change, link);
		apply(i, c, c->n);
	}
	forget_changes(i);
	pthread_mutex_unlock(&disk.lock);
}

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 16;
}

/* Each change that was not synced is on the disk, or not, or its first sectors are. */
static void lose_some(struct image *i, uint32_t *seed)
{
	list_for_each (node, &i->changes) {
		const struct change *c = container_of(node, struct change, link);
		uint32_t fate = next_random(seed) % 3;
		if (fate == 0)
			continue;
		int n = c->n;
		if (fate == 1 && n > SECTOR_BYTES)
			n = (int)(next_random(seed) % (uint32_t)(n / SECTOR_BYTES)) * SECTOR_BYTES;
		apply(i, c, n);
	}
	forget_changes(i);
}

static void write_out(const struct image *i)
{
	_cleanup_close_ int fd = open(i->path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return; /* it was removed */
	if (ftruncate(fd, i->size) != 0 || pwrite(fd, i->bytes, (size_t)i->size, 0) != i->size)
		abort();
}

static void forget_images(void)
{
	for (struct image *i = disk.images, *next; i; i = next) {
		next = i->next;
		forget_changes(i);
		free(i->path);
		free(i->bytes);
		free(i);
	}
	disk.images = NULL;
}

/* --- Files --- */

static int f_close(sqlite3_file *f)
{
	return real_of(f)->pMethods->xClose(real_of(f));
}

static int f_read(sqlite3_file *f, void *p, int n, sqlite3_int64 offset)
{
	FAIL_IF(false, SQLITE_IOERR_READ);
	return real_of(f)->pMethods->xRead(real_of(f), p, n, offset);
}

static int f_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 offset)
{
	FAIL_IF(true, SQLITE_IOERR_WRITE);
	int code = growth_fault(real_of(f), offset + n);
	if (code != SQLITE_OK)
		return code;
	code = real_of(f)->pMethods->xWrite(real_of(f), p, n, offset);
	if (code == SQLITE_OK)
		remember(((struct fault_file *)f)->image, p, n, offset);
	return code;
}

static int f_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	FAIL_IF(true, SQLITE_IOERR_TRUNCATE);
	int code = real_of(f)->pMethods->xTruncate(real_of(f), size);
	if (code == SQLITE_OK)
		remember(((struct fault_file *)f)->image, NULL, -1, size);
	return code;
}

static int f_sync(sqlite3_file *f, int flags)
{
	FAIL_IF(true, SQLITE_IOERR_FSYNC);
	const int64_t begin_us = clock_mono(&clock_system).us;
	int us = atomic_load(&disk.sync_us);
	if (us)
		usleep((useconds_t)us);
	int code = SQLITE_OK;
	if (atomic_load(&disk.real_syncs))
		code = real_of(f)->pMethods->xSync(real_of(f), flags);
	atomic_fetch_add(&disk.syncs, 1);
	atomic_fetch_add(&disk.syncs_took_us, clock_mono(&clock_system).us - begin_us);
	if (code == SQLITE_OK)
		settle(((struct fault_file *)f)->image);
	return code;
}

static int f_file_size(sqlite3_file *f, sqlite3_int64 *ret)
{
	FAIL_IF(false, SQLITE_IOERR_FSTAT);
	return real_of(f)->pMethods->xFileSize(real_of(f), ret);
}

static int f_lock(sqlite3_file *f, int level)
{
	FAIL_IF(false, SQLITE_IOERR_LOCK);
	return real_of(f)->pMethods->xLock(real_of(f), level);
}

static int f_unlock(sqlite3_file *f, int level)
{
	return real_of(f)->pMethods->xUnlock(real_of(f), level);
}

static int f_check_reserved(sqlite3_file *f, int *ret)
{
	FAIL_IF(false, SQLITE_IOERR_CHECKRESERVEDLOCK);
	return real_of(f)->pMethods->xCheckReservedLock(real_of(f), ret);
}

static int f_control(sqlite3_file *f, int op, void *arg)
{
	if (op == SQLITE_FCNTL_SIZE_HINT) {
		int code = growth_fault(real_of(f), *(const sqlite3_int64 *)arg);
		if (code != SQLITE_OK)
			return code;
	}
	return real_of(f)->pMethods->xFileControl(real_of(f), op, arg);
}

static int f_sector_size(sqlite3_file *f)
{
	return real_of(f)->pMethods->xSectorSize(real_of(f));
}

static int f_characteristics(sqlite3_file *f)
{
	return real_of(f)->pMethods->xDeviceCharacteristics(real_of(f));
}

static int f_shm_map(sqlite3_file *f, int region, int size, int extend, void volatile **ret)
{
	FAIL_IF(extend, SQLITE_IOERR_SHMMAP);
	return real_of(f)->pMethods->xShmMap(real_of(f), region, size, extend, ret);
}

static int f_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
	if (flags & SQLITE_SHM_LOCK)
		FAIL_IF(false, SQLITE_IOERR_SHMLOCK);
	return real_of(f)->pMethods->xShmLock(real_of(f), offset, n, flags);
}

static void f_shm_barrier(sqlite3_file *f)
{
	real_of(f)->pMethods->xShmBarrier(real_of(f));
}

static int f_shm_unmap(sqlite3_file *f, int remove)
{
	return real_of(f)->pMethods->xShmUnmap(real_of(f), remove);
}

static const sqlite3_io_methods methods = {
	.iVersion = 2,
	.xClose = f_close,
	.xRead = f_read,
	.xWrite = f_write,
	.xTruncate = f_truncate,
	.xSync = f_sync,
	.xFileSize = f_file_size,
	.xLock = f_lock,
	.xUnlock = f_unlock,
	.xCheckReservedLock = f_check_reserved,
	.xFileControl = f_control,
	.xSectorSize = f_sector_size,
	.xDeviceCharacteristics = f_characteristics,
	.xShmMap = f_shm_map,
	.xShmLock = f_shm_lock,
	.xShmBarrier = f_shm_barrier,
	.xShmUnmap = f_shm_unmap,
};

/* --- The VFS --- */

static int v_open(sqlite3_vfs *v, sqlite3_filename name, sqlite3_file *f, int flags, int *ret_flags)
{
	(void)v;
	struct fault_file *file = (struct fault_file *)f;
	f->pMethods = NULL; /* SQLite does not close what has none */
	FAIL_IF(false, SQLITE_CANTOPEN);
	file->real = (sqlite3_file *)(void *)(file + 1);
	file->image = NULL;
	int code = disk.real->xOpen(disk.real, name, file->real, flags, ret_flags);
	if (code != SQLITE_OK)
		return code;
	if (name && atomic_load(&disk.remembers))
		file->image = image_of(name);
	f->pMethods = &methods;
	return SQLITE_OK;
}

static void forget_image(const char *path)
{
	pthread_mutex_lock(&disk.lock);
	for (struct image *i = disk.images; i; i = i->next) {
		if (strcmp(i->path, path) != 0)
			continue;
		forget_changes(i);
		resize(i, 0);
	}
	pthread_mutex_unlock(&disk.lock);
}

static int v_delete(sqlite3_vfs *v, const char *name, int sync_dir)
{
	(void)v;
	FAIL_IF(true, SQLITE_IOERR_DELETE);
	int code = disk.real->xDelete(disk.real, name, sync_dir);
	if (code == SQLITE_OK)
		forget_image(name);
	return code;
}

static int v_access(sqlite3_vfs *v, const char *name, int flags, int *ret)
{
	(void)v;
	FAIL_IF(false, SQLITE_IOERR_ACCESS);
	return disk.real->xAccess(disk.real, name, flags, ret);
}

static int v_full_path(sqlite3_vfs *v, const char *name, int n, char *ret)
{
	(void)v;
	FAIL_IF(false, SQLITE_CANTOPEN);
	return disk.real->xFullPathname(disk.real, name, n, ret);
}

static void install(void)
{
	sqlite3_initialize();
	disk.real = sqlite3_vfs_find(NULL);
	disk.vfs = *disk.real;
	disk.vfs.pNext = NULL;
	disk.vfs.zName = FAULT_VFS;
	disk.vfs.szOsFile = (int)sizeof(struct fault_file) + disk.real->szOsFile;
	disk.vfs.xOpen = v_open;
	disk.vfs.xDelete = v_delete;
	disk.vfs.xAccess = v_access;
	disk.vfs.xFullPathname = v_full_path;
	sqlite3_vfs_register(&disk.vfs, 0);
}

void fault_vfs_reset(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, install);
	fault_vfs_heal();
	atomic_store(&disk.syncs, 0);
	atomic_store(&disk.syncs_took_us, 0);
	atomic_store(&disk.sync_us, 0);
	atomic_store(&disk.off, false);
	atomic_store(&disk.remembers, false);
	atomic_store(&disk.real_syncs, false);
	forget_images();
}

void fault_vfs_fail(enum fault_kind kind, int64_t first, int64_t n)
{
	atomic_store(&disk.first, 0);
	atomic_store(&disk.kind, (int)kind);
	atomic_store(&disk.n, n);
	atomic_store(&disk.calls, 0);
	atomic_store(&disk.injected, 0);
	atomic_store(&disk.first, first);
}

void fault_vfs_heal(void)
{
	atomic_store(&disk.first, 0);
}

struct fault_counts fault_vfs_counts(void)
{
	return (struct fault_counts){atomic_load(&disk.calls), atomic_load(&disk.injected),
		atomic_load(&disk.syncs), atomic_load(&disk.syncs_took_us)};
}

void fault_vfs_slow_syncs(int us)
{
	atomic_store(&disk.sync_us, us);
}

void fault_vfs_real_syncs(bool on)
{
	atomic_store(&disk.real_syncs, on);
}

void fault_vfs_remember(void)
{
	atomic_store(&disk.remembers, true);
}

void fault_vfs_power_off(void)
{
	atomic_store(&disk.off, true);
}

void fault_vfs_power_on(uint32_t seed)
{
	pthread_mutex_lock(&disk.lock);
	for (struct image *i = disk.images; i; i = i->next) {
		lose_some(i, &seed);
		write_out(i);
	}
	forget_images();
	pthread_mutex_unlock(&disk.lock);
	atomic_store(&disk.off, false);
}
