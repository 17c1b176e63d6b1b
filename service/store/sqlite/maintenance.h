/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator does with the embedded database: a copy of it, and a look through all of it.
 *
 * Both read only, and work also while a service has the database: readers do not wait for its
 * writer, nor it for them. Blocking. Threads: any. */
#pragma once

#include "common/base/status.h"

#include <stddef.h>
#include <stdint.h>

struct sqlite_backup_result {
	int64_t bytes, tokens;
};

/* Copies the database of @data_dir, as it is at one moment, to the new file @to (0600), which is
 * there once it is whole and synced.
 *
 * ALREADY_EXISTS       there is a file @to
 * NOT_FOUND            there is no database in @data_dir
 * FAILED_PRECONDITION  that is no database of ours
 * DATA_LOSS            the copy is not sound: the database is damaged
 * UNAVAILABLE          it cannot be read, or @to not written; what file.h says of folders */
struct status sqlite_backup(const char *data_dir, const char *to, struct sqlite_backup_result *ret);

struct sqlite_check_result {
	int schema_version;
	int64_t user_tokens, service_tokens, bytes;
	int problems;
};
/* Reads all of the database: its structure, that indexes and rows are the same, that every row can
 * be understood and that counters are right. @problem (may be NULL) is told of each that is found.
 * OK also if there are some: see ret->problems.
 *
 * NOT_FOUND, FAILED_PRECONDITION, UNAVAILABLE  as above; then nothing could be looked at */
struct status sqlite_check(const char *data_dir, void (*problem)(void *arg, const char *text),
	void *arg, struct sqlite_check_result *ret);
