/* SPDX-License-Identifier: Apache-2.0 */
/* A connection for a thread that may wait: every call has a time limit, and ends at once when the
 * thread is told to stop. Threads: one. */
#pragma once

#include "common/base/status.h"
#include "service/store/postgres/pg_shared.h"

#include <libpq-fe.h>
#include <stdbool.h>

struct pg_session {
	struct pg_shared *shared;
	int wake_fd; /* readable: stop */
	PGconn *conn;
};

/* UNAVAILABLE: no host lets us in; CANCELLED: told to stop. */
struct status pg_session_open(struct pg_session *s, struct pg_shared *shared,
	const struct pg_target *target, int wake_fd);
void pg_session_close(struct pg_session *s);

/* Runs SQL (several statements are allowed, parameters are not) and gives the last result, in text;
 * @ret may be NULL. On an error *@ret_sqlstate (if not NULL) has its code, or is empty. */
struct status pg_session_run(struct pg_session *s, const char *sql, int timeout_ms, PGresult **ret,
	char ret_sqlstate[6]);

enum pg_wait {
	PG_WAIT_READABLE,
	PG_WAIT_TIMEOUT,
	PG_WAIT_STOP
};
/* Waits for the server to say something by itself. */
enum pg_wait pg_session_wait(struct pg_session *s, int timeout_ms);
/* Reads it. UNAVAILABLE: the connection is lost. */
struct status pg_session_consume(struct pg_session *s);
