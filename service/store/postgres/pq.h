/* SPDX-License-Identifier: Apache-2.0 */
/* The calls of libpq that can fail, as a table: tests put one in its place whose calls fail in
 * turn. What cannot fail (reading a result, PQfinish) is called directly. */
#pragma once

#include <libpq-fe.h>

struct pq {
	PGconn *(*connect_start)(const char *const *keywords, const char *const *values);
	PostgresPollingStatusType (*connect_poll)(PGconn *conn);
	int (*set_nonblocking)(PGconn *conn);
	int (*enter_pipeline)(PGconn *conn);
	int (*send_prepare)(PGconn *conn, const char *name, const char *sql);
	/* Parameters and results are binary. @name: a prepared statement; NULL: @sql, unnamed. */
	int (*send)(PGconn *conn, const char *name, const char *sql, int n,
		const char *const *values, const int *lengths);
	/* The simple protocol: several statements, no parameters; not in a pipeline. */
	int (*send_text)(PGconn *conn, const char *sql);
	int (*sync)(PGconn *conn);
	int (*flush)(PGconn *conn);
	int (*consume)(PGconn *conn);
	PGresult *(*get_result)(PGconn *conn);
};

/* libpq itself. */
extern const struct pq pq_libpq;
