/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/fault_pq.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/socket.h>

static _Atomic int64_t calls, first, last, injected;
static _Atomic int kind; /* enum fault_pq_kind */

void fault_pq_fail(enum fault_pq_kind how, int64_t n, int64_t count)
{
	atomic_store(&kind, (int)how);
	atomic_store(&injected, 0);
	atomic_store(&last, 0);
	atomic_store(&calls, 0);
	atomic_store(&first, n);
	atomic_store(&last, n + count - 1);
}

void fault_pq_heal(void)
{
	atomic_store(&last, 0);
}

int64_t fault_pq_injected(void)
{
	return atomic_load(&injected);
}

static bool strikes(void)
{
	int64_t n = atomic_fetch_add(&calls, 1) + 1;
	bool now = n >= atomic_load(&first) && n <= atomic_load(&last);
	if (now)
		atomic_fetch_add(&injected, 1);
	return now;
}

static void cut(const PGconn *conn)
{
	int fd = conn ? PQsocket(conn) : -1;
	if (fd >= 0)
		shutdown(fd, SHUT_RDWR);
}

/* The value of @call, or @failure instead of it; or the call, and then nothing more. */
#define MAYBE(conn, call, failure)                                                                 \
	({                                                                                         \
		bool now = strikes();                                                              \
		bool refuse = now && atomic_load(&kind) == FAULT_PQ_REFUSE;                        \
		__typeof__(call) result = refuse ? (failure) : (call);                             \
		if (now && !refuse)                                                                \
			cut(conn);                                                                 \
		result;                                                                            \
	})

static PGconn *connect_start(const char *const *keywords, const char *const *values)
{
	return MAYBE(NULL, pq_libpq.connect_start(keywords, values), NULL);
}

static PostgresPollingStatusType connect_poll(PGconn *conn)
{
	return MAYBE(conn, pq_libpq.connect_poll(conn), PGRES_POLLING_FAILED);
}

static int set_nonblocking(PGconn *conn)
{
	return MAYBE(conn, pq_libpq.set_nonblocking(conn), 0);
}

static int enter_pipeline(PGconn *conn)
{
	return MAYBE(conn, pq_libpq.enter_pipeline(conn), 0);
}

static int send_prepare(PGconn *conn, const char *name, const char *sql)
{
	return MAYBE(conn, pq_libpq.send_prepare(conn, name, sql), 0);
}

static int send_statement(PGconn *conn, const char *name, const char *sql, int n,
	const char *const *values, const int *lengths)
{
	return MAYBE(conn, pq_libpq.send(conn, name, sql, n, values, lengths), 0);
}

static int send_text(PGconn *conn, const char *sql)
{
	return MAYBE(conn, pq_libpq.send_text(conn, sql), 0);
}

static int sync_pipeline(PGconn *conn)
{
	return MAYBE(conn, pq_libpq.sync(conn), 0);
}

static int flush(PGconn *conn)
{
	return MAYBE(conn, pq_libpq.flush(conn), -1);
}

static int consume(PGconn *conn)
{
	return MAYBE(conn, pq_libpq.consume(conn), 0);
}

static PGresult *get_result(PGconn *conn)
{
	return MAYBE(conn, pq_libpq.get_result(conn), NULL);
}

const struct pq fault_pq = {
	.connect_start = connect_start,
	.connect_poll = connect_poll,
	.set_nonblocking = set_nonblocking,
	.enter_pipeline = enter_pipeline,
	.send_prepare = send_prepare,
	.send = send_statement,
	.send_text = send_text,
	.sync = sync_pipeline,
	.flush = flush,
	.consume = consume,
	.get_result = get_result,
};
