/* SPDX-License-Identifier: Apache-2.0 */
/* One connection to the database, on a loop: it connects, carries units of statements in a
 * pipeline, and closes itself when something is wrong with it.
 *
 * A unit is statements up to a sync point: a read, or a transaction. Units are answered in the
 * order in which they were begun, and each hears of its end exactly once. The oldest has
 * statement_timeout_ms to get on; then the connection is dropped, because a server that hangs
 * cannot be told to stop (PQcancel blocks, and asks the same server).
 *
 *      CLOSED ──open──► RESOLVING ──► CONNECTING ──► PREPARING ──► READY
 *        ▲                  │ worker      │ next address  │           │
 *        └──────────────────┴─────────────┴───────────────┴───────────┘  on_change
 *
 * Threads: the loop's. */
#pragma once

#include "common/base/clock.h"
#include "common/base/list.h"
#include "common/event/loop.h"
#include "common/event/worker.h"
#include "service/store/postgres/pg_error.h"
#include "service/store/postgres/pg_statement.h"
#include "service/store/postgres/pg_target.h"
#include "service/store/postgres/pq.h"

#include <stdbool.h>
#include <stddef.h>

struct event;

enum pg_unit_end {
	PG_UNIT_ANSWERED, /* every statement was, be it with an error */
	PG_UNIT_LOST,     /* the connection went away before that */
};

struct pg_unit {
	struct list link;
	/* For each statement, counted from 0; @result is borrowed. May call
	 * pg_connection_break, and nothing else of the connection. */
	void (*on_result)(struct pg_unit *u, int statement, const PGresult *result);
	void (*on_end)(struct pg_unit *u, enum pg_unit_end end);
	struct mono_time begun;
	int sent, answered;
};

enum pg_state {
	PG_CLOSED,
	PG_RESOLVING,
	PG_CONNECTING,
	PG_PREPARING,
	PG_READY,
};

struct pg_connection_options {
	const struct pq *pq;
	struct loop *loop;
	struct worker_pool *workers;
	const struct pg_target *target;
	int statement_timeout_ms;
	/* The state has changed to READY or CLOSED, or units have ended: never inside a call. */
	void (*on_change)(void *arg);
	void *arg;
};

struct pg_connection {
	struct pg_connection_options options;
	enum pg_state state;
	PGconn *conn;
	struct event *io, *timer;
	short io_what;
	struct list units; /* of struct pg_unit.link, the oldest first */
	size_t n_units;
	bool broken;       /* to be closed when the stack is unwound */
	bool in_statement; /* results of one have begun to come */
	bool has_warning;  /* the server warned while it carried out the oldest unit */
	struct pg_unit set_up;
	bool set_up_failed;
	enum pg_error why; /* it could not be opened */
	struct pg_candidates candidates;
	size_t candidate;
	struct {
		struct worker_task task;
		struct pg_candidates candidates;
		struct status status;
		bool runs;
	} resolve;
};

void pg_connection_init(struct pg_connection *c, const struct pg_connection_options *options);
/* From PG_CLOSED only, and while no resolver runs for it. */
void pg_connection_open(struct pg_connection *c);
/* Units that are under way are lost; on_change is not called. */
void pg_connection_close(struct pg_connection *c);
/* After close, once nothing runs (pg_connection_is_quiet). */
void pg_connection_done(struct pg_connection *c);
/* No worker has anything to do with it. */
bool pg_connection_is_quiet(const struct pg_connection *c);
/* Closes it as soon as control is back at the loop; it is not READY any more. */
void pg_connection_break(struct pg_connection *c);

/* --- Units; in state READY --- */

void pg_connection_begin(struct pg_connection *c, struct pg_unit *u);
void pg_connection_add(struct pg_connection *c, enum pg_statement id, struct pg_params *params);
/* Ends the unit and sends it. A failure is told by on_end, later. */
void pg_connection_end(struct pg_connection *c);

/* What a session sets for itself, for tests of plans. */
const char *pg_connection_settings_sql(void);
