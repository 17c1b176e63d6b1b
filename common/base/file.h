/* SPDX-License-Identifier: Apache-2.0 */
/* Small files: read whole and bounded, written so that a reader sees the old content or the new
 * one and nothing between, and locked against a second process.
 *
 * Every message names the path. Calls block: at start, at the end, and on workers. Threads: any.
 *
 * Errors of all calls: NOT_FOUND (no such file or folder), PERMISSION_DENIED, RESOURCE_EXHAUSTED
 * (disk full, over quota, too many open files), FAILED_PRECONDITION (it exists and is of another
 * kind), UNAVAILABLE (any other failure of the system). */
#pragma once

#include "common/base/buf.h"
#include "common/base/secret.h"
#include "common/base/status.h"
#include "common/base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* The failed system call, "cannot @verb 'PATH': No space left on device", by @error (an errno). */
struct status file_status(int error, const char *verb, const char *path);

/* Appends the content to @out.
 *
 * OUT_OF_RANGE  it has more than @max_bytes */
struct status file_read(const char *path, size_t max_bytes, struct buf *out);

/* A secret that a file holds: the content without the one newline at its end; nothing of it stays
 * behind in memory.
 *
 * OUT_OF_RANGE      it has more than 64 KiB
 * INVALID_ARGUMENT  it is empty, or has a NUL or a newline inside (@multiline allows newlines) */
struct status file_read_secret(const char *path, bool multiline, struct secret *ret);

/* Writes a temporary file in the same folder, syncs it, renames it over @path and syncs the folder.
 * On failure @path is untouched and the temporary file is gone; but when only the folder cannot be
 * synced, the content is new, and may be the old one after a power failure. The umask does not
 * change @mode. */
struct status file_write_atomic(const char *path, struct str content, mode_t mode);
/* Whether file_write_atomic has a chance: the folder is there and may be written, and @path is no
 * folder itself. */
bool file_can_be_written(const char *path);

/* Makes the folder, and those above it, with @mode where they are missing. */
struct status file_make_dirs(const char *path, mode_t mode);

/* Takes the lock that @path stands for (flock; the kernel drops it with the last descriptor) and
 * writes our process id into it. The file stays when the lock is released. *@ret is a descriptor
 * that the caller closes.
 *
 * FAILED_PRECONDITION  another process holds it; the message names its id */
struct status file_lock(const char *path, int *ret);
