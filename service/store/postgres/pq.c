/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/postgres/pq.h"

#include "common/base/cleanup.h"

#include <assert.h>

enum {
	BINARY = 1,
};

static PGconn *connect_start(const char *const *keywords, const char *const *values)
{
	return PQconnectStartParams(keywords, values, 0);
}

static int set_nonblocking(PGconn *conn)
{
	return PQsetnonblocking(conn, 1) == 0;
}

static int send_prepare(PGconn *conn, const char *name, const char *sql)
{
	return PQsendPrepare(conn, name, sql, 0, NULL);
}

static int send(PGconn *conn, const char *name, const char *sql, int n, const char *const *values,
	const int *lengths)
{
	/* PG_PARAMS_MAX of them */
	static const int formats[] = {BINARY, BINARY, BINARY, BINARY, BINARY, BINARY, BINARY,
		BINARY, BINARY, BINARY, BINARY, BINARY, BINARY, BINARY, BINARY, BINARY, BINARY,
		BINARY, BINARY, BINARY};
	assert(n <= (int)ARRAY_SIZE(formats));
	if (name)
		return PQsendQueryPrepared(conn, name, n, values, lengths, formats, BINARY);
	return PQsendQueryParams(conn, sql, n, NULL, values, lengths, formats, BINARY);
}

const struct pq pq_libpq = {
	.connect_start = connect_start,
	.connect_poll = PQconnectPoll,
	.set_nonblocking = set_nonblocking,
	.enter_pipeline = PQenterPipelineMode,
	.send_prepare = send_prepare,
	.send = send,
	.send_text = PQsendQuery,
	.sync = PQpipelineSync,
	.flush = PQflush,
	.consume = PQconsumeInput,
	.get_result = PQgetResult,
};
