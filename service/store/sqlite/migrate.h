/* SPDX-License-Identifier: Apache-2.0 */
/* Brings the schema of a database file up to date, in one transaction. Threads: the connection's.
 */
#pragma once

#include "common/base/clock.h"
#include "common/base/status.h"
#include "service/store/sqlite/connection.h"

#include <stdbool.h>

/* What callers hear in the meantime. */
#define MIGRATE_TEXT "the schema of the token store is being brought up to date"

struct migrate_options {
	/* As the connection was opened: one that has room to sort is opened beside it. */
	const struct connection_options *connection;
	const struct clock *clock;
	/* NULL: now, however long it takes. Else what takes long is left for later, which
	 * *@ret_later says, and the status is UNAVAILABLE. */
	bool *ret_later;
	/* Asked very often, but not while the whole is committed in the end; false: stop, and leave
	 * all as it was. */
	bool (*go_on)(void *arg);
	void *arg;
};

/* What is sorted on the way goes to files beside the database; memory stays small.
 *
 * UNAVAILABLE          it cannot be written now; or it is left for later
 * FAILED_PRECONDITION  the schema is newer than this program, or the disk has no room for the
 *                      change
 * DATA_LOSS            what is there cannot be right */
struct status migrate(struct connection *c, const struct migrate_options *options);
/* That nothing is missing: FAILED_PRECONDITION otherwise, and nothing is changed. @path is for the
 * message. */
struct status migrate_check(struct connection *c, const char *path);
