/* SPDX-License-Identifier: Apache-2.0 */
/* Brings the schema of a database file up to date, in one transaction. Threads: the connection's.
 */
#pragma once

#include "common/base/clock.h"
#include "common/base/status.h"
#include "service/store/sqlite/connection.h"

/* FAILED_PRECONDITION  the schema is newer than this program; @path is for the message */
struct status migrate(struct connection *c, const char *path, struct unix_time now);
/* That nothing is missing: FAILED_PRECONDITION otherwise, and nothing is changed. */
struct status migrate_check(struct connection *c, const char *path);
