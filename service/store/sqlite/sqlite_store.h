/* SPDX-License-Identifier: Apache-2.0 */
/* The embedded store: one SQLite file in a folder that this process owns.
 *
 * One writer thread commits groups: all writes that wait share a transaction and one fsync, and
 * each hears its own result, after the commit. Readers have threads and connections of their own
 * and never wait for the writer (write-ahead log). While the file cannot be read or written (disk
 * full, damaged, read-only) operations answer UNAVAILABLE, and go on by themselves once the cause
 * is gone. */
#pragma once

#include "common/base/clock.h"
#include "common/base/status.h"

#include <stdbool.h>
#include <stddef.h>

struct store;

/* What store_name() says of it, and the steps of the schema that it has alone. */
#define SQLITE_STORE_NAME "sqlite"

struct sqlite_store_options {
	const char *data_dir;
	const struct clock *clock;
	const char *vfs;     /* NULL: SQLite's own */
	int n_readers;       /* 0: 2 */
	size_t max_waiting;  /* reads, and writes, before RESOURCE_EXHAUSTED; 0: 4,096 of each */
	int busy_timeout_ms; /* for another program that has the file locked; 0: 5 s */
	/* A command of a moment: the service may run and keeps the folder; what is not there is not
	 * made, and no schema is brought up to date. */
	bool beside_service;
	/* A database that takes long to be brought up to date is so after the opening, which does
	 * not wait; the store is unavailable until then. */
	bool migrates_later;
	int purge_interval_ms; /* of requests that are too old to be repeated; 0: 1 min */
};

/* Makes folder and database where they are missing. A database that cannot be read right now is no
 * error: the store is there, unavailable, and tries again.
 *
 * FAILED_PRECONDITION  another process has the folder; it is on a network file system; the schema
 *                      is newer than this program (or older, @beside_service), or older and the
 *                      disk has no room to change it; the file belongs to another program
 * DATA_LOSS            the schema is older, and what is there cannot be brought up to date
 * NOT_FOUND            there is no database, @beside_service
 * and what file.h says of a folder that cannot be made or written */
struct status sqlite_store_open(const struct sqlite_store_options *options, struct store **ret);
