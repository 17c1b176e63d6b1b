/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/postgres/pg_error.h"

#include "common/base/log.h"

#include <pthread.h>
#include <string.h>

static bool is(const char *sqlstate, const char *code)
{
	return strcmp(sqlstate, code) == 0;
}

static bool is_class(const char *sqlstate, const char *class)
{
	return strncmp(sqlstate, class, 2) == 0;
}

enum pg_error pg_error_of(const char *sqlstate)
{
	if (!sqlstate || !*sqlstate)
		return PG_ERROR_LOST;
	if (is(sqlstate, "25006")) /* read_only_sql_transaction */
		return PG_ERROR_READ_ONLY;
	if (is(sqlstate, "53300")) /* too_many_connections */
		return PG_ERROR_CAP;
	if (is(sqlstate, "40001") || is(sqlstate, "40P01") || is(sqlstate, "55P03"))
		return PG_ERROR_RETRY; /* serialization, deadlock, lock_timeout */
	/* 57P: the server is told to stop, starts, or recovers. 08: the protocol. 25: a transaction
	 * that we know nothing of. 26: the prepared statement has gone (a pooler between us). 42: a
	 * table has. XX: its internal errors. */
	static const char *const classes[] = {"57", "08", "25", "26", "42", "XX", "0A"};
	for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++)
		if (is_class(sqlstate, classes[i]))
			return PG_ERROR_LOST;
	return PG_ERROR_OTHER;
}

struct status pg_status(const char *sqlstate)
{
	if (sqlstate && is(sqlstate, "22021")) /* a NUL inside; no UTF-8 */
		return status_error(STATUS_INVALID_ARGUMENT, "a text cannot be stored as it is");
	if (sqlstate && is(sqlstate, "23505")) /* all else asks for conflicts beforehand */
		return status_error(
			STATUS_ALREADY_EXISTS, "another token has the same secret already");
	if (sqlstate && is(sqlstate, "53100"))
		return status_error(STATUS_UNAVAILABLE, "the token store has no room left");
	return status_error(STATUS_UNAVAILABLE, "the token store cannot do it now");
}

struct status pg_status_unknown(void)
{
	return status_error(STATUS_UNAVAILABLE,
		"the token store went away before it answered: whether it was done is not known");
}

struct status pg_status_away(void)
{
	return status_error(STATUS_UNAVAILABLE, "the token store is away");
}

struct status pg_status_late(void)
{
	return status_error(
		STATUS_DEADLINE_EXCEEDED, "the deadline passed while waiting for the store");
}

/* --- The log --- */

static struct rate_limit limit;

static void init_limit(void)
{
	rate_limit_init(&limit, 1, 5);
}

static struct rate_limit *log_limit(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, init_limit);
	return &limit;
}

void pg_log_text(const char *what, const char *text)
{
	log_limited(log_limit(), LOG_WARNING, "store.failed", LOG_TEXT("what", what),
		LOG_STR("error", str_trim(str_of(text))));
}

void pg_log_failure(const char *what, const PGresult *result, const PGconn *conn)
{
	const char *sqlstate = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
	const char *text = result ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
	if (!text)
		text = conn ? PQerrorMessage(conn) : "out of memory";
	log_limited(log_limit(), LOG_WARNING, "store.failed", LOG_TEXT("what", what),
		LOG_TEXT("sqlstate", sqlstate ? sqlstate : "none"),
		LOG_STR("error", str_trim(str_of(text))));
}

struct status pg_status_damaged(void)
{
	pg_log_text("row", "a damaged row");
	return status_error(STATUS_UNAVAILABLE, "the token store cannot be read now");
}
