/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/postgres/pg_session.h"

#include "common/base/clock.h"
#include "service/store/postgres/pg_error.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

static struct status told_to_stop(void)
{
	return status_error(STATUS_CANCELLED, "the token store is shut down");
}

static struct mono_time in_ms(int ms)
{
	return mono_time_add_ms(clock_mono(&clock_system), ms);
}

static int left_ms(struct mono_time until)
{
	int64_t us = until.us - clock_mono(&clock_system).us;
	return us <= 0 ? 0 : (int)(us / US_PER_MS) + 1;
}

/* @events: of poll(2). */
static enum pg_wait wait_for(struct pg_session *s, short events, struct mono_time until)
{
	for (;;) {
		struct pollfd fds[2] = {{.fd = s->wake_fd, .events = POLLIN},
			{.fd = s->conn ? PQsocket(s->conn) : -1, .events = events}};
		int n = poll(fds, 2, left_ms(until));
		if (n < 0 && errno == EINTR)
			continue;
		if (fds[0].revents)
			return PG_WAIT_STOP;
		return n > 0 ? PG_WAIT_READABLE : PG_WAIT_TIMEOUT;
	}
}

enum pg_wait pg_session_wait(struct pg_session *s, int timeout_ms)
{
	return wait_for(s, POLLIN, in_ms(timeout_ms));
}

/* As status of a wait that must not end otherwise. */
static struct status must_wait(struct pg_session *s, short events, struct mono_time until)
{
	switch (wait_for(s, events, until)) {
	case PG_WAIT_READABLE:
		return status_ok();
	case PG_WAIT_STOP:
		return told_to_stop();
	case PG_WAIT_TIMEOUT:
		break;
	}
	pg_log_text("session", "the server did not answer in time");
	return pg_status_away();
}

/* --- Connect --- */

static struct status finish_connect(struct pg_session *s, int timeout_ms)
{
	struct mono_time until = in_ms(timeout_ms);
	PostgresPollingStatusType poll_status = PGRES_POLLING_WRITING;
	while (poll_status != PGRES_POLLING_OK) {
		TRY(must_wait(s, poll_status == PGRES_POLLING_READING ? POLLIN : POLLOUT, until));
		poll_status = s->shared->pq->connect_poll(s->conn);
		if (poll_status == PGRES_POLLING_FAILED) {
			pg_log_failure("connect", NULL, s->conn);
			return pg_status_away();
		}
	}
	return s->shared->pq->set_nonblocking(s->conn) ? status_ok() : pg_status_away();
}

static void ignore_notice(void *arg, const PGresult *result)
{
	(void)arg;
	(void)result;
}

static struct status try_candidate(struct pg_session *s, const struct pg_target *target,
	const struct pg_candidates *candidates, size_t i)
{
	s->conn = pg_target_connect(target, s->shared->pq, candidates, i);
	if (!s->conn || PQstatus(s->conn) == CONNECTION_BAD) {
		pg_log_failure("connect", NULL, s->conn);
		return pg_status_away();
	}
	PQsetNoticeReceiver(s->conn, ignore_notice, NULL);
	return finish_connect(s, pg_target_connect_timeout_ms(target));
}

struct status pg_session_open(
	struct pg_session *s, struct pg_shared *shared, const struct pg_target *target, int wake_fd)
{
	struct pg_candidates candidates;
	*s = (struct pg_session){.shared = shared, .wake_fd = wake_fd};
	struct status status = pg_target_resolve(target, &candidates);
	if (!status_is_ok(&status)) {
		pg_log_text("resolve", status.message);
		return pg_status_away();
	}
	status = pg_status_away();
	for (size_t i = 0; i < candidates.n && status.code == STATUS_UNAVAILABLE; i++) {
		pg_session_close(s);
		status = try_candidate(s, target, &candidates, i);
	}
	pg_candidates_done(&candidates);
	if (!status_is_ok(&status))
		pg_session_close(s);
	return status;
}

void pg_session_close(struct pg_session *s)
{
	PQfinish(s->conn);
	s->conn = NULL;
}

/* --- Run --- */

static struct status flush(struct pg_session *s, struct mono_time until)
{
	for (;;) {
		int left = s->shared->pq->flush(s->conn);
		if (left == 0)
			return status_ok();
		if (left < 0)
			return pg_session_consume(s);
		TRY(must_wait(s, POLLIN | POLLOUT, until));
		TRY(pg_session_consume(s));
	}
}

struct status pg_session_consume(struct pg_session *s)
{
	if (s->shared->pq->consume(s->conn) && PQstatus(s->conn) == CONNECTION_OK)
		return status_ok();
	pg_log_failure("session", NULL, s->conn);
	return pg_status_away();
}

static struct status note_result(PGresult *result, char ret_sqlstate[6])
{
	ExecStatusType type = PQresultStatus(result);
	if (type == PGRES_COMMAND_OK || type == PGRES_TUPLES_OK)
		return status_ok();
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	if (ret_sqlstate && sqlstate)
		snprintf(ret_sqlstate, 6, "%s", sqlstate);
	pg_log_failure("session", result, NULL);
	return pg_status(sqlstate);
}

struct status pg_session_run(
	struct pg_session *s, const char *sql, int timeout_ms, PGresult **ret, char ret_sqlstate[6])
{
	struct mono_time until = in_ms(timeout_ms);
	struct status status = status_ok();
	PGresult *last = NULL;
	if (ret_sqlstate)
		ret_sqlstate[0] = '\0';
	if (!s->shared->pq->send_text(s->conn, sql)) {
		pg_log_failure("session", NULL, s->conn);
		return pg_status_away();
	}
	TRY(flush(s, until));
	for (;;) {
		while (status_is_ok(&status) && PQisBusy(s->conn)) {
			status = must_wait(s, POLLIN, until);
			if (status_is_ok(&status))
				status = pg_session_consume(s);
		}
		PGresult *result =
			status_is_ok(&status) ? s->shared->pq->get_result(s->conn) : NULL;
		if (!result)
			break;
		PQclear(last);
		last = result;
		status = note_result(result, ret_sqlstate);
		if (!status_is_ok(&status))
			break; /* the caller closes the connection */
	}
	if (status_is_ok(&status) && ret && last)
		*ret = TAKE_PTR(last);
	else if (status_is_ok(&status) && !last)
		status = pg_status_away();
	PQclear(last);
	return status;
}
