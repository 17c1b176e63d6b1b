/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/postgres/pg_shard.h"

#include "common/base/random.h"
#include "common/base/xalloc.h"
#include "service/store/postgres/pg_connection.h"
#include "service/store/postgres/pg_error.h"
#include "service/store/postgres/pg_group.h"
#include "service/store/postgres/pg_read.h"
#include "service/store/postgres/pg_row.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

enum {
	READS_MAX = 64, /* in a connection's pipeline */
	TRIES_MAX = 4,
	BACKOFF_LEAST_MS = 20,
	BACKOFF_MOST_MS = 500,
	BACKOFF_CAP_MS = 2000, /* when the server has too many connections already */
	TICK_MS = 50,
};

struct slot {
	struct pg_connection connection;
	struct pg_shard *shard;
	struct event *retry;
	unsigned stripe;
	int backoff_ms;
	bool is_up, failed;
	bool needs_rollback;    /* a failed transaction is still open */
	struct pg_group *group; /* its transaction */
};

/* One read under way. */
struct read {
	struct pg_unit unit;
	struct slot *slot;
	struct store_op *op;
	bool answered;
};

enum life {
	NEW, /* its loop has not run yet */
	ALIVE,
	DEAD
};

struct pg_shard {
	struct pg_shared *shared;
	struct loop *loop;
	struct slot *slots;
	size_t n_slots, n_up, n_groups;

	struct list reads, writes;
	struct list alone; /* writes whose group failed: one by one */
	struct event *tick;
	bool ticks, begun, stopping;

	_Atomic int life; /* enum life */
	atomic_bool up;
	struct {
		pthread_mutex_t lock;
		struct list ops;
		bool closed;
	} inbox;
	struct loop_task start_task, inbox_task, look_task, stop_task;
	atomic_bool look_posted;
	void (*stopped)(void *arg);
	void *stopped_arg;
};

static void dispatch(struct pg_shard *s);

/* --- Queues --- */

bool pg_shard_is_write(const struct pg_shared *shared, const struct store_op *op)
{
	if (op->type == STORE_OP_CHECK) /* tries a write if the last one failed */
		return atomic_load(&shared->writes_fail);
	if ((op->type == STORE_OP_TOKEN_INSERT || op->type == STORE_OP_TOKEN_REPLACE) &&
		op->in.insert.request.only_again)
		return false;
	return store_op_is_write(op->type);
}

static void fail_all(struct list *ops, atomic_size_t *waiting, struct status status)
{
	for (struct list *node; (node = list_pop(ops));) {
		atomic_fetch_sub(waiting, 1);
		store_op_finish(container_of(node, struct store_op, link), status);
	}
}

static void fail_queues(struct pg_shard *s, struct status status)
{
	fail_all(&s->reads, &s->shared->waiting_reads, status);
	fail_all(&s->writes, &s->shared->waiting_writes, status);
	fail_all(&s->alone, &s->shared->waiting_writes, status);
}

static void drop_late_ones(struct list *ops, atomic_size_t *waiting, struct mono_time now)
{
	list_for_each (node, ops) {
		struct store_op *op = container_of(node, struct store_op, link);
		if (!store_op_is_late(op, now))
			continue;
		list_remove(node);
		atomic_fetch_sub(waiting, 1);
		store_op_finish(op, pg_status_late());
	}
}

static void wait_again(struct list *queue, atomic_size_t *waiting, struct store_op *op)
{
	atomic_fetch_add(waiting, 1);
	list_add_tail(queue, &op->link);
}

static bool has_waiting(const struct pg_shard *s)
{
	return !list_empty(&s->reads) || !list_empty(&s->writes) || !list_empty(&s->alone);
}

/* --- Reads --- */

static void on_read_result(struct pg_unit *u, int statement, const PGresult *result)
{
	struct read *r = container_of(u, struct read, unit);
	(void)statement;
	ExecStatusType type = PQresultStatus(result);
	if (type == PGRES_TUPLES_OK) {
		bool is_check = r->op->type == STORE_OP_CHECK;
		r->answered = true;
		if (is_check && PQntuples(result) > 0 && pg_row_bool(pg_row(result, 0), 0)) {
			pg_log_text("check", "the server is read-only");
			r->op->status = pg_status_away();
			pg_connection_break(&r->slot->connection);
			return;
		}
		r->op->status = pg_read_take(r->op, result);
		return;
	}
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	enum pg_error error = pg_error_of(sqlstate);
	pg_log_failure(store_op_name(r->op->type), result, NULL);
	r->op->status = pg_status(sqlstate);
	r->answered = error == PG_ERROR_OTHER;
	if (error != PG_ERROR_OTHER && error != PG_ERROR_RETRY)
		pg_connection_break(&r->slot->connection);
}

/* A read may be done twice. */
static void on_read_end(struct pg_unit *u, enum pg_unit_end end)
{
	(void)end;
	struct read *r = container_of(u, struct read, unit);
	struct pg_shard *s = r->slot->shard;
	struct store_op *op = r->op;
	if (r->answered) {
		store_op_finish(op, op->status);
	} else if (op->tries < TRIES_MAX) {
		store_op_clear(op);
		wait_again(&s->reads, &s->shared->waiting_reads, op);
	} else {
		store_op_finish(op, pg_status_away());
	}
	free(r);
}

static struct slot *slot_for_read(struct pg_shard *s)
{
	struct slot *best = NULL;
	for (size_t i = 0; i < s->n_slots; i++) {
		struct slot *slot = &s->slots[i];
		if (slot->connection.state != PG_READY || slot->connection.broken || slot->group ||
			slot->connection.n_units >= READS_MAX)
			continue;
		if (!best || slot->connection.n_units < best->connection.n_units)
			best = slot;
	}
	return best;
}

static void begin_reads(struct pg_shard *s)
{
	while (!list_empty(&s->reads)) {
		struct slot *slot = slot_for_read(s);
		if (!slot)
			return;
		struct store_op *op = container_of(list_pop(&s->reads), struct store_op, link);
		atomic_fetch_sub(&s->shared->waiting_reads, 1);
		struct read *r = xnew(struct read);
		r->unit.on_result = on_read_result;
		r->unit.on_end = on_read_end;
		r->slot = slot;
		r->op = op;
		op->tries++;
		pg_connection_begin(&slot->connection, &r->unit);
		pg_read_add(&slot->connection, op, clock_now(s->shared->clock));
		pg_connection_end(&slot->connection);
	}
}

/* --- Groups --- */

static void after_commit(struct pg_shard *s, struct pg_group *g)
{
	struct list members, unclear;
	struct pg_group_effect effect = pg_group_effect(g);
	list_init(&members);
	list_init(&unclear);
	pg_group_take(g, &members, &unclear);
	atomic_fetch_add(&s->shared->user_tokens, effect.user_tokens);
	atomic_fetch_add(&s->shared->service_tokens, effect.service_tokens);
	atomic_fetch_add(&s->shared->commits, 1);
	atomic_store(&s->shared->writes_fail, false);
	list_for_each (node, &members) {
		const struct store_op *op = container_of(node, struct store_op, link);
		if (!status_is_ok(&op->status))
			continue;
		atomic_fetch_add(&s->shared->written, 1);
		store_tell(s->shared->store, op);
	}
	store_op_finish_all(&members);
	for (struct list *node; (node = list_pop(&unclear));) {
		struct store_op *op = container_of(node, struct store_op, link);
		op->tries = 0;
		wait_again(&s->reads, &s->shared->waiting_reads, op);
	}
}

static void finish_members(struct list *members, struct status status)
{
	list_for_each (node, members)
		container_of(node, struct store_op, link)->status = status;
	store_op_finish_all(members);
}

/* Nothing was done. It is done again: at once and together if the cause was not in it, else one by
 * one, so that what cannot be done takes no other with it. */
static void after_failure(struct pg_shard *s, struct pg_group *g)
{
	enum pg_error error = pg_error_of(pg_group_sqlstate(g));
	struct status status = pg_status(pg_group_sqlstate(g));
	bool is_single = pg_group_count(g) == 1;
	struct list members;
	list_init(&members);
	pg_group_take(g, &members, NULL);
	if (status.code == STATUS_UNAVAILABLE && error != PG_ERROR_RETRY)
		atomic_store(&s->shared->writes_fail, true);
	if (is_single && error == PG_ERROR_OTHER) {
		finish_members(&members, status);
		return;
	}
	struct list *queue = error == PG_ERROR_OTHER ? &s->alone : &s->writes;
	for (struct list *node; (node = list_pop(&members));) {
		struct store_op *op = container_of(node, struct store_op, link);
		store_op_clear(op);
		if (op->tries < TRIES_MAX)
			wait_again(queue, &s->shared->waiting_writes, op);
		else
			store_op_finish(op, status);
	}
}

struct rollback {
	struct pg_unit unit;
	struct slot *slot;
};

static void on_rollback_result(struct pg_unit *u, int statement, const PGresult *result)
{
	(void)statement;
	struct rollback *r = container_of(u, struct rollback, unit);
	if (PQresultStatus(result) != PGRES_COMMAND_OK)
		pg_connection_break(&r->slot->connection);
}

static void on_rollback_end(struct pg_unit *u, enum pg_unit_end end)
{
	(void)end;
	free(container_of(u, struct rollback, unit));
}

/* The failed transaction is still open. */
static void roll_back(struct slot *slot)
{
	struct rollback *r = xnew(struct rollback);
	r->unit.on_result = on_rollback_result;
	r->unit.on_end = on_rollback_end;
	r->slot = slot;
	pg_connection_begin(&slot->connection, &r->unit);
	pg_connection_add(&slot->connection, PG_ROLLBACK, NULL);
	pg_connection_end(&slot->connection);
}

static void on_group(void *arg, struct pg_group *g, enum pg_group_end end)
{
	struct slot *slot = arg;
	struct pg_shard *s = slot->shard;
	slot->group = NULL;
	s->n_groups--;
	switch (end) {
	case PG_GROUP_COMMITTED:
		after_commit(s, g);
		break;
	case PG_GROUP_FAILED:
		after_failure(s, g);
		break;
	case PG_GROUP_UNKNOWN: {
		struct list members;
		list_init(&members);
		pg_group_take(g, &members, NULL);
		atomic_store(&s->shared->writes_fail, true);
		finish_members(&members, pg_status_unknown());
		break;
	}
	}
	if (end != PG_GROUP_COMMITTED && slot->connection.state == PG_READY) {
		enum pg_error error = pg_error_of(pg_group_sqlstate(g));
		if (end == PG_GROUP_FAILED && (error == PG_ERROR_OTHER || error == PG_ERROR_RETRY))
			slot->needs_rollback = true;
		else
			pg_connection_break(&slot->connection);
	}
	pg_group_free(g);
}

/* The first connection is for reads, if there are others. */
static struct slot *slot_for_group(struct pg_shard *s)
{
	bool has_other = false;
	for (size_t i = s->n_slots; i-- > 0;) {
		struct slot *slot = &s->slots[i];
		if (slot->connection.state != PG_READY || slot->connection.broken)
			continue;
		has_other = has_other || i > 0;
		if (!slot->group && (i > 0 || !has_other))
			return slot;
	}
	return NULL;
}

static bool move_one(struct pg_shard *s, struct list *queue, struct pg_group *g)
{
	list_for_each (node, queue) {
		struct store_op *op = container_of(node, struct store_op, link);
		if (pg_group_count(g) == PG_GROUP_MAX)
			return false;
		list_remove(node);
		if (pg_group_add(g, op)) {
			atomic_fetch_sub(&s->shared->waiting_writes, 1);
			return true;
		}
		list_add_tail(node_next, node); /* back to its place */
	}
	return false;
}

static void begin_groups(struct pg_shard *s)
{
	while (!list_empty(&s->alone) || !list_empty(&s->writes)) {
		struct slot *slot = slot_for_group(s);
		if (!slot)
			return;
		struct pg_group *g = pg_group_new(s->shared, on_group, slot);
		if (!list_empty(&s->alone))
			move_one(s, &s->alone, g);
		else
			while (move_one(s, &s->writes, g))
				;
		slot->group = g;
		s->n_groups++;
		pg_group_send(g, &slot->connection, slot->stripe);
	}
}

/* --- Connections --- */

static int jitter(int ms)
{
	uint32_t bits;
	random_bytes(&random_system, &bits, sizeof bits);
	return ms / 2 + (int)(bits % (uint32_t)ms);
}

static void plan_retry(struct slot *slot)
{
	int most = slot->connection.why == PG_ERROR_CAP ? BACKOFF_CAP_MS : BACKOFF_MOST_MS;
	int ms = slot->backoff_ms ? slot->backoff_ms * 2 : BACKOFF_LEAST_MS;
	slot->backoff_ms = ms < most ? ms : most;
	ms = jitter(slot->backoff_ms);
	struct timeval after = {ms / 1000, (ms % 1000) * 1000};
	event_add(slot->retry, &after);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct slot *slot = arg;
	pg_connection_open(&slot->connection);
	if (slot->connection.state == PG_CLOSED)
		plan_retry(slot);
}

/* What has become of a connection. */
static void look_at(struct slot *slot)
{
	struct pg_shard *s = slot->shard;
	const struct pg_connection *c = &slot->connection;
	if (c->state == PG_READY && !slot->is_up) {
		slot->is_up = true;
		slot->failed = slot->needs_rollback = false;
		slot->backoff_ms = 0;
		s->n_up++;
		atomic_fetch_add(&s->shared->connections, 1);
	} else if (c->state == PG_CLOSED) {
		if (slot->is_up) {
			s->n_up--;
			atomic_fetch_sub(&s->shared->connections, 1);
			atomic_fetch_add(&s->shared->reconnects, 1);
		} else {
			slot->failed = true;
		}
		slot->is_up = false;
		if (!s->stopping && !event_pending(slot->retry, EV_TIMEOUT, NULL))
			plan_retry(slot);
	}
}

static void on_change(void *arg)
{
	struct slot *slot = arg;
	look_at(slot);
	dispatch(slot->shard);
}

static void open_slots(struct pg_shard *s)
{
	s->begun = true;
	for (size_t i = 0; i < s->n_slots; i++)
		on_retry(-1, 0, &s->slots[i]);
}

/* --- Dispatch --- */

/* No use to wait: *@ret tells why. */
static bool is_hopeless(struct pg_shard *s, struct status *ret)
{
	switch (pg_shared_schema(s->shared, ret)) {
	case PG_SCHEMA_AWAITED:
		*ret = pg_status_away();
		return s->stopping;
	case PG_SCHEMA_AWAY:
		*ret = pg_status_away();
		return true;
	case PG_SCHEMA_REFUSED:
		return true;
	case PG_SCHEMA_READY:
		break;
	}
	if (s->n_up)
		return false;
	*ret = pg_status_away();
	for (size_t i = 0; i < s->n_slots && !s->stopping; i++)
		if (!s->slots[i].failed)
			return false;
	return true;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct pg_shard *s = arg;
	s->ticks = false;
	dispatch(s);
}

static void stop_if_idle(struct pg_shard *s);

static void dispatch(struct pg_shard *s)
{
	struct mono_time now = clock_mono(s->shared->clock);
	struct status status;
	for (size_t i = 0; i < s->n_slots; i++)
		if (s->slots[i].needs_rollback) {
			s->slots[i].needs_rollback = false;
			if (s->slots[i].connection.state == PG_READY)
				roll_back(&s->slots[i]);
		}
	drop_late_ones(&s->reads, &s->shared->waiting_reads, now);
	drop_late_ones(&s->writes, &s->shared->waiting_writes, now);
	drop_late_ones(&s->alone, &s->shared->waiting_writes, now);
	if (is_hopeless(s, &status)) {
		fail_queues(s, status);
	} else {
		begin_groups(s);
		begin_reads(s);
	}
	atomic_store(&s->up, s->n_up > 0);
	if (has_waiting(s) && !s->ticks) {
		static const struct timeval after = {0, TICK_MS * 1000};
		s->ticks = true;
		event_add(s->tick, &after);
	}
	stop_if_idle(s);
}

/* --- From other threads --- */

static void on_inbox(struct loop_task *task)
{
	struct pg_shard *s = container_of(task, struct pg_shard, inbox_task);
	struct list ops;
	list_init(&ops);
	pthread_mutex_lock(&s->inbox.lock);
	list_move_all(&ops, &s->inbox.ops);
	pthread_mutex_unlock(&s->inbox.lock);
	for (struct list *node; (node = list_pop(&ops));) {
		struct store_op *op = container_of(node, struct store_op, link);
		list_add_tail(op->is_write ? &s->writes : &s->reads, node);
	}
	dispatch(s);
}

bool pg_shard_submit(struct pg_shard *s, struct store_op *op)
{
	pthread_mutex_lock(&s->inbox.lock);
	bool closed = s->inbox.closed;
	bool was_empty = list_empty(&s->inbox.ops);
	if (!closed)
		list_add_tail(&s->inbox.ops, &op->link);
	pthread_mutex_unlock(&s->inbox.lock);
	if (!closed && was_empty)
		loop_post(s->loop, &s->inbox_task);
	return !closed;
}

static void on_look(struct loop_task *task)
{
	struct pg_shard *s = container_of(task, struct pg_shard, look_task);
	struct status refusal;
	atomic_store(&s->look_posted, false);
	if (!s->begun && !s->stopping && pg_shared_schema(s->shared, &refusal) == PG_SCHEMA_READY)
		open_slots(s);
	dispatch(s);
}

void pg_shard_look(struct pg_shard *s)
{
	if (!atomic_exchange(&s->look_posted, true))
		loop_post(s->loop, &s->look_task);
}

static void on_start(struct loop_task *task)
{
	struct pg_shard *s = container_of(task, struct pg_shard, start_task);
	int expected = NEW;
	atomic_compare_exchange_strong(&s->life, &expected, ALIVE);
}

/* --- Stop --- */

static bool is_idle(const struct pg_shard *s)
{
	if (has_waiting(s))
		return false;
	for (size_t i = 0; i < s->n_slots; i++)
		if (s->slots[i].connection.n_units || s->slots[i].needs_rollback)
			return false;
	return true;
}

static void close_slots(struct pg_shard *s)
{
	for (size_t i = 0; i < s->n_slots; i++) {
		struct slot *slot = &s->slots[i];
		event_del(slot->retry);
		if (slot->is_up)
			atomic_fetch_sub(&s->shared->connections, 1);
		slot->is_up = false;
		pg_connection_close(&slot->connection);
	}
	s->n_up = 0;
}

static void stop_if_idle(struct pg_shard *s)
{
	if (!s->stopping || atomic_load(&s->life) == DEAD || !is_idle(s))
		return;
	close_slots(s);
	for (size_t i = 0; i < s->n_slots; i++)
		if (!pg_connection_is_quiet(&s->slots[i].connection))
			return; /* on_change comes when it is */
	event_del(s->tick);
	atomic_store(&s->life, DEAD);
	s->stopped(s->stopped_arg);
}

static void on_stop(struct loop_task *task)
{
	struct pg_shard *s = container_of(task, struct pg_shard, stop_task);
	s->stopping = true;
	dispatch(s);
}

bool pg_shard_stop(struct pg_shard *s, void (*stopped)(void *arg), void *arg)
{
	s->stopped = stopped;
	s->stopped_arg = arg;
	pthread_mutex_lock(&s->inbox.lock);
	s->inbox.closed = true;
	pthread_mutex_unlock(&s->inbox.lock);
	int expected = NEW;
	if (atomic_compare_exchange_strong(&s->life, &expected, DEAD))
		return false;
	loop_post(s->loop, &s->stop_task);
	return true;
}

/* --- Life --- */

bool pg_shard_is_alive(const struct pg_shard *s)
{
	return atomic_load(&s->life) == ALIVE;
}

bool pg_shard_is_up(const struct pg_shard *s)
{
	return atomic_load(&s->up);
}

struct loop *pg_shard_loop(const struct pg_shard *s)
{
	return s->loop;
}

static void init_slot(struct pg_shard *s, struct slot *slot)
{
	uint32_t stripe;
	random_bytes(&random_system, &stripe, sizeof stripe);
	slot->shard = s;
	slot->stripe = stripe;
	slot->retry = event_new(loop_base(s->loop), -1, 0, on_retry, slot);
	const struct pg_connection_options options = {
		.pq = s->shared->pq,
		.loop = s->loop,
		.workers = s->shared->workers,
		.target = s->shared->target,
		.statement_timeout_ms = s->shared->statement_timeout_ms,
		.on_change = on_change,
		.arg = slot,
	};
	pg_connection_init(&slot->connection, &options);
}

struct pg_shard *pg_shard_new(struct pg_shared *shared, struct loop *loop, size_t n_connections)
{
	struct pg_shard *s = xnew(struct pg_shard);
	s->shared = shared;
	s->loop = loop;
	s->n_slots = n_connections ? n_connections : 1;
	s->slots = xcalloc(s->n_slots, sizeof *s->slots);
	for (size_t i = 0; i < s->n_slots; i++)
		init_slot(s, &s->slots[i]);
	list_init(&s->reads);
	list_init(&s->writes);
	list_init(&s->alone);
	list_init(&s->inbox.ops);
	pthread_mutex_init(&s->inbox.lock, NULL);
	s->tick = event_new(loop_base(loop), -1, 0, on_tick, s);
	s->start_task.run = on_start;
	s->inbox_task.run = on_inbox;
	s->look_task.run = on_look;
	s->stop_task.run = on_stop;
	loop_post(loop, &s->start_task);
	return s;
}

void pg_shard_free(struct pg_shard *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n_slots; i++) {
		pg_connection_done(&s->slots[i].connection);
		event_free(s->slots[i].retry);
	}
	event_free(s->tick);
	pthread_mutex_destroy(&s->inbox.lock);
	free(s->slots);
	free(s);
}
