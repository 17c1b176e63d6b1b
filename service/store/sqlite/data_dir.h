/* SPDX-License-Identifier: Apache-2.0 */
/* The folder of the embedded database: ours alone, private, and on a file system that can hold it.
 *
 * Blocking; at start, before threads. */
#pragma once

#include "common/base/status.h"

#include <stdint.h>

struct data_dir {
	char *path;
	char *database; /* PATH/tokens.db */
	int lock;       /* descriptor; the lock goes with it; -1: it is another process's */
};

/* Makes the folder (0700) and the database file (0600, empty) where they are missing, and takes the
 * lock of the folder.
 *
 * FAILED_PRECONDITION  another process has it, or it is on a network file system
 * and what file.h says. */
struct status data_dir_open(const char *path, struct data_dir *ret);
/* The folder of another process, without its lock: makes nothing.
 *
 * NOT_FOUND  there is no database in it */
struct status data_dir_join(const char *path, struct data_dir *ret);
void data_dir_close(struct data_dir *d);

/* The name of a file system on which a write-ahead log does not work, by f_type of statfs(2):
 * processes of two hosts share no memory there, and locks are not to be relied on
 * (https://www.sqlite.org/wal.html, "all processes ... must be on the same host"). NULL for any
 * other. */
const char *data_dir_network_file_system(int64_t f_type);
