/* SPDX-License-Identifier: Apache-2.0 */
/* The border at which errors of PostgreSQL and libpq become a struct status.
 *
 * Callers hear a sentence without host, SQL or data; the cause goes to the log, held to a rate.
 * Threads: any. */
#pragma once

#include "common/base/status.h"

#include <libpq-fe.h>
#include <stdbool.h>

/* What an error asks for, by its SQLSTATE (NULL: the connection is lost). */
enum pg_error {
	PG_ERROR_OTHER, /* the statement's own; the connection is good */
	PG_ERROR_RETRY, /* nothing was done, and it may work the next time: deadlock and the like */
	PG_ERROR_READ_ONLY, /* nothing was done: this server is no primary (any more) */
	PG_ERROR_CAP,       /* too many connections */
	PG_ERROR_LOST,      /* the connection is of no use any more */
};
enum pg_error pg_error_of(const char *sqlstate);

/* For an answer: UNAVAILABLE; INVALID_ARGUMENT for a text that the database cannot hold;
 * ALREADY_EXISTS for a secret that another token got at the same time. */
struct status pg_status(const char *sqlstate);
struct status pg_status_unknown(void); /* a write whose outcome nobody knows */
struct status pg_status_away(void);    /* no connection */
struct status pg_status_late(void);    /* the deadline passed while waiting */
struct status pg_status_damaged(void); /* a row that is not what we wrote; logs */

/* Logs why @what failed: the error of @result, or else of @conn. */
void pg_log_failure(const char *what, const PGresult *result, const PGconn *conn);
/* The same without either. */
void pg_log_text(const char *what, const char *text);
