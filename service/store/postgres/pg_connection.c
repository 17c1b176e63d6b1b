/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/postgres/pg_connection.h"

#include "common/base/log.h"

#include <assert.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

static void lose(struct pg_connection *c);

static struct mono_time now(void)
{
	return clock_mono(&clock_system);
}

static void changed(struct pg_connection *c)
{
	c->options.on_change(c->options.arg);
}

/* --- Events --- */

static void on_io(evutil_socket_t fd, short what, void *arg);

/* libpq may close its socket and open another at any call, so the event is made anew when it is
 * another one; before a call that may do so it is taken away (unwatch). */
static void watch(struct pg_connection *c, short what)
{
	if (c->io && c->io_what == what && event_get_fd(c->io) == PQsocket(c->conn))
		return;
	if (c->io)
		event_free(c->io);
	c->io_what = what;
	c->io = event_new(loop_base(c->options.loop), PQsocket(c->conn), (short)(what | EV_PERSIST),
		on_io, c);
	event_add(c->io, NULL);
}

static void unwatch(struct pg_connection *c)
{
	if (c->io)
		event_free(c->io);
	c->io = NULL;
}

static void set_timer(struct pg_connection *c, int64_t ms)
{
	if (ms < 1)
		ms = 1;
	struct timeval after = {ms / 1000, (ms % 1000) * 1000};
	event_add(c->timer, &after);
}

/* The oldest unit's time. */
static void set_unit_timer(struct pg_connection *c)
{
	if (list_empty(&c->units)) {
		event_del(c->timer);
		return;
	}
	const struct pg_unit *oldest = container_of(c->units.next, struct pg_unit, link);
	struct mono_time until = mono_time_add_ms(oldest->begun, c->options.statement_timeout_ms);
	set_timer(c, (until.us - now().us) / US_PER_MS);
}

/* --- Send --- */

void pg_connection_begin(struct pg_connection *c, struct pg_unit *u)
{
	assert(c->state == PG_READY || c->state == PG_PREPARING);
	u->begun = now();
	u->sent = u->answered = 0;
	list_add_tail(&c->units, &u->link);
	c->n_units++;
}

static struct pg_unit *newest(struct pg_connection *c)
{
	return container_of(c->units.prev, struct pg_unit, link);
}

static void must(struct pg_connection *c, int ok)
{
	if (!ok && !c->broken) {
		pg_log_failure("send", NULL, c->conn);
		c->broken = true;
	}
}

void pg_connection_add(struct pg_connection *c, enum pg_statement id, struct pg_params *params)
{
	const char *values[PG_PARAMS_MAX];
	int lengths[PG_PARAMS_MAX];
	int n = params ? params->n : 0;
	for (int i = 0; i < n; i++) {
		bool is_array = params->lengths[i] < 0;
		values[i] = is_array ? params->arrays[i].p : params->values[i];
		lengths[i] = is_array ? (int)params->arrays[i].n : params->lengths[i];
	}
	newest(c)->sent++;
	if (c->broken)
		return;
	bool named = !pg_target_is_pooler(c->options.target);
	must(c, c->options.pq->send(c->conn, named ? pg_statement_name(id) : NULL,
			pg_statement_text(id), n, values, lengths));
}

static void flush(struct pg_connection *c)
{
	int left = c->broken ? -1 : c->options.pq->flush(c->conn);
	if (left < 0)
		must(c, 0);
	else
		watch(c, left ? EV_READ | EV_WRITE : EV_READ);
}

void pg_connection_end(struct pg_connection *c)
{
	if (!c->broken)
		must(c, c->options.pq->sync(c->conn));
	flush(c);
	if (c->broken)
		set_timer(c, 0); /* it is closed from the loop */
	else if (c->n_units == 1)
		set_unit_timer(c);
}

/* --- Receive --- */

static void end_oldest(struct pg_connection *c)
{
	struct pg_unit *u = container_of(list_pop(&c->units), struct pg_unit, link);
	c->n_units--;
	u->on_end(u, PG_UNIT_ANSWERED);
	c->has_warning = false;
}

/* One result, or the end of a statement's results. False: there is nothing more to expect. */
static bool take_result(struct pg_connection *c, bool *in_statement)
{
	struct pg_unit *u = container_of(c->units.next, struct pg_unit, link);
	PGresult *result = c->options.pq->get_result(c->conn);
	if (!result) {
		if (!*in_statement)
			return false;
		*in_statement = false;
		u->answered++;
		return true;
	}
	if (PQresultStatus(result) == PGRES_PIPELINE_SYNC) {
		PQclear(result);
		if (u->answered != u->sent) /* a fault: the answers and we disagree */
			c->broken = true;
		else
			end_oldest(c);
		return true;
	}
	*in_statement = true;
	if (u->answered < u->sent)
		u->on_result(u, u->answered, result);
	if (PQresultStatus(result) == PGRES_FATAL_ERROR && PQstatus(c->conn) == CONNECTION_BAD)
		c->broken = true;
	PQclear(result);
	return true;
}

static void receive(struct pg_connection *c)
{
	if (!c->options.pq->consume(c->conn)) {
		/* What came before the end is still told: an error says that nothing was done. */
		pg_log_failure("connection", NULL, c->conn);
		c->broken = true;
	}
	bool in_statement = c->in_statement;
	while (!list_empty(&c->units) && !PQisBusy(c->conn))
		if (!take_result(c, &in_statement)) {
			c->broken = true;
			break;
		}
	c->in_statement = in_statement;
	if (PQstatus(c->conn) == CONNECTION_BAD)
		c->broken = true;
}

/* --- Set-up: what a fresh connection does before it is used --- */

/* Every statement has an index, and what it gives is already in order; a plan made while the tables
 * were small must not be a scan when they have grown. So one plan does for all values: the server
 * would make a new one for every page of a large table. And an acknowledged write is on disk. */
static const char set_up_sql[] =
	"SELECT set_config('enable_seqscan', 'off', false), "
	"set_config('enable_bitmapscan', 'off', false), set_config('enable_sort', 'off', false), "
	"set_config('enable_hashjoin', 'off', false), set_config('enable_mergejoin', 'off', "
	"false), "
	"set_config('plan_cache_mode', 'force_generic_plan', false), "
	"set_config('jit', 'off', false), set_config('synchronous_commit', "
	"CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' "
	"ELSE current_setting('synchronous_commit') END, false)";

const char *pg_connection_settings_sql(void)
{
	return set_up_sql;
}

static void on_set_up_result(struct pg_unit *u, int statement, const PGresult *result)
{
	struct pg_connection *c = container_of(u, struct pg_connection, set_up);
	ExecStatusType type = PQresultStatus(result);
	if (type == PGRES_COMMAND_OK || type == PGRES_TUPLES_OK || c->set_up_failed)
		return;
	c->set_up_failed = true;
	c->why = pg_error_of(PQresultErrorField(result, PG_DIAG_SQLSTATE));
	pg_log_failure(statement == 0 ? "set-up" : "prepare", result, c->conn);
}

static void on_set_up_end(struct pg_unit *u, enum pg_unit_end end)
{
	struct pg_connection *c = container_of(u, struct pg_connection, set_up);
	if (end == PG_UNIT_LOST)
		return;
	if (c->set_up_failed) {
		c->broken = true;
		return;
	}
	c->state = PG_READY;
}

static void set_up(struct pg_connection *c)
{
	const struct pq *pq = c->options.pq;
	c->state = PG_PREPARING;
	c->set_up_failed = false;
	const char *encoding = PQparameterStatus(c->conn, "server_encoding");
	if (encoding && strcmp(encoding, "UTF8") != 0) {
		pg_log_text("set-up", "the database must have the encoding UTF8");
		c->broken = true;
		return;
	}
	must(c, pq->set_nonblocking(c->conn) && pq->enter_pipeline(c->conn));
	pg_connection_begin(c, &c->set_up);
	if (pg_target_is_pooler(c->options.target)) {
		pg_connection_add(c, PG_PROBE, NULL);
	} else {
		c->set_up.sent++;
		if (!c->broken)
			must(c, pq->send(c->conn, NULL, set_up_sql, 0, NULL, NULL));
		for (int id = 0; id < PG_STATEMENT_COUNT && !c->broken; id++) {
			c->set_up.sent++;
			must(c, pq->send_prepare(c->conn, pg_statement_name((enum pg_statement)id),
					pg_statement_text((enum pg_statement)id)));
		}
	}
	pg_connection_end(c);
}

/* --- Connect --- */

/* A WARNING at a commit says that it was not replicated, though it counts as done: the wait for the
 * standby was cut short. */
static void on_notice(void *arg, const PGresult *result)
{
	struct pg_connection *c = arg;
	const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
	if (severity && strcmp(severity, "WARNING") == 0) {
		c->has_warning = true;
		pg_log_failure("warning", result, NULL);
	}
}

static void connect_next(struct pg_connection *c);

static void close_conn(struct pg_connection *c)
{
	unwatch(c);
	event_del(c->timer);
	PQfinish(c->conn);
	c->conn = NULL;
}

static void connect_failed(struct pg_connection *c, const char *reason)
{
	const struct pg_candidate *to = &c->candidates.items[c->candidate];
	const char *text = reason ? reason : c->conn ? PQerrorMessage(c->conn) : "out of memory";
	log_debug("store.connect_failed", LOG_TEXT("host", to->host ? to->host : "local"),
		LOG_STR("error", str_trim(str_of(text))));
	pg_log_text("connect", text);
	if (strstr(text, "too many") || strstr(text, "remaining connection slots"))
		c->why = PG_ERROR_CAP;
	close_conn(c);
	c->candidate++;
	connect_next(c);
}

static void poll_connect(struct pg_connection *c)
{
	unwatch(c);
	switch (c->options.pq->connect_poll(c->conn)) {
	case PGRES_POLLING_READING:
		watch(c, EV_READ);
		break;
	case PGRES_POLLING_WRITING:
		watch(c, EV_WRITE);
		break;
	case PGRES_POLLING_OK:
		set_up(c);
		if (c->broken)
			lose(c);
		break;
	case PGRES_POLLING_FAILED:
	case PGRES_POLLING_ACTIVE:
	default:
		connect_failed(c, NULL);
		break;
	}
}

static void connect_next(struct pg_connection *c)
{
	if (c->candidate >= c->candidates.n) {
		lose(c);
		return;
	}
	c->conn = pg_target_connect(c->options.target, c->options.pq, &c->candidates, c->candidate);
	if (!c->conn || PQstatus(c->conn) == CONNECTION_BAD) {
		connect_failed(c, NULL);
		return;
	}
	PQsetNoticeReceiver(c->conn, on_notice, c);
	c->state = PG_CONNECTING;
	set_timer(c, pg_target_connect_timeout_ms(c->options.target));
	watch(c, EV_WRITE); /* as if the last poll had said so */
}

/* --- Resolve --- */

static void resolve(struct worker_task *task)
{
	struct pg_connection *c = container_of(task, struct pg_connection, resolve.task);
	c->resolve.status = pg_target_resolve(c->options.target, &c->resolve.candidates);
}

static void on_resolved(struct worker_task *task)
{
	struct pg_connection *c = container_of(task, struct pg_connection, resolve.task);
	struct pg_candidates found = c->resolve.candidates;
	memset(&c->resolve.candidates, 0, sizeof found);
	c->resolve.runs = false;
	if (c->state != PG_RESOLVING) { /* closed in the meantime */
		pg_candidates_done(&found);
		changed(c);
		return;
	}
	c->candidates = found;
	c->candidate = 0;
	if (status_is_ok(&c->resolve.status)) {
		connect_next(c);
		return;
	}
	pg_log_text("resolve", c->resolve.status.message);
	lose(c);
}

void pg_connection_open(struct pg_connection *c)
{
	assert(c->state == PG_CLOSED && !c->resolve.runs);
	c->state = PG_RESOLVING;
	c->why = PG_ERROR_LOST;
	c->resolve.runs = true;
	c->resolve.task.work = resolve;
	c->resolve.task.done = on_resolved;
	struct status status =
		worker_pool_submit(c->options.workers, c->options.loop, &c->resolve.task);
	if (status_is_ok(&status))
		return;
	c->resolve.runs = false;
	c->state = PG_CLOSED;
}

/* --- The loop calls --- */

static void after_work(struct pg_connection *c)
{
	if (c->broken) {
		lose(c);
		return;
	}
	set_unit_timer(c);
	changed(c);
}

static void on_io(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	struct pg_connection *c = arg;
	if (c->state == PG_CONNECTING) {
		poll_connect(c);
		return;
	}
	if (what & EV_READ)
		receive(c);
	if (!c->broken)
		flush(c);
	after_work(c);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct pg_connection *c = arg;
	if (c->state == PG_CONNECTING) {
		connect_failed(c, "no answer in time");
		return;
	}
	if (!c->broken)
		pg_log_text("statement", "the server did not answer in time");
	lose(c);
}

/* --- End --- */

static void release(struct pg_connection *c)
{
	c->state = PG_CLOSED;
	c->broken = false;
	c->in_statement = false;
	close_conn(c);
	pg_candidates_done(&c->candidates);
	struct list lost;
	list_init(&lost);
	list_move_all(&lost, &c->units);
	c->n_units = 0;
	for (struct list *node; (node = list_pop(&lost));) {
		struct pg_unit *u = container_of(node, struct pg_unit, link);
		u->on_end(u, PG_UNIT_LOST);
	}
}

static void lose(struct pg_connection *c)
{
	release(c);
	changed(c);
}

void pg_connection_close(struct pg_connection *c)
{
	release(c);
}

void pg_connection_break(struct pg_connection *c)
{
	c->broken = true;
}

bool pg_connection_is_quiet(const struct pg_connection *c)
{
	return !c->resolve.runs;
}

void pg_connection_init(struct pg_connection *c, const struct pg_connection_options *options)
{
	memset(c, 0, sizeof *c);
	c->options = *options;
	c->set_up.on_result = on_set_up_result;
	c->set_up.on_end = on_set_up_end;
	list_init(&c->units);
	c->timer = event_new(loop_base(options->loop), -1, 0, on_timer, c);
}

void pg_connection_done(struct pg_connection *c)
{
	event_free(c->timer);
}
