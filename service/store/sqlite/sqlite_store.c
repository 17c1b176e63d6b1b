/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/sqlite/sqlite_store.h"

#include "common/base/log.h"
#include "common/base/xalloc.h"
#include "service/store/sqlite/checkpointer.h"
#include "service/store/sqlite/connection.h"
#include "service/store/sqlite/data_dir.h"
#include "service/store/sqlite/link.h"
#include "service/store/sqlite/migrate.h"
#include "service/store/sqlite/op_queue.h"
#include "service/store/sqlite/operations.h"
#include "service/store/store_ops.h"

#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
	/* As many as one transaction takes in: a bound on what a failed commit has to do again. */
	GROUP_MAX = 512,
	READERS_MAX = 16,
	WRITER_CACHE_KIB = 2048,
	READER_CACHE_KIB = 1024,
	CHECKPOINTER_CACHE_KIB = 64,
	PURGE_BATCH = 200,
	FIRST_BUSY_TIMEOUT_MS = 200,
	/* A database up to this size is looked at as a whole when it is opened: 0.1 s at most. */
	VERIFY_MAX_BYTES = 32 << 20,
	/* Between two looks at a damaged one; and as many times as long as it took. */
	VERIFY_PAUSE_US = 500000,
	VERIFY_PAUSE_TIMES = 10,
	/* Between two tries to bring the schema up to date, as many times as long as it took. */
	MIGRATE_PAUSE_TIMES = 10,
	/* Between two tries to make room on a full disk. */
	ROOM_PAUSE_MS = 1000,
};

struct sqlite_store {
	struct store store;
	struct sqlite_store_options options;
	struct data_dir dir;
	struct op_queue writes, reads;
	struct checkpointer checkpointer;
	pthread_t writer, checkpoints, readers[READERS_MAX];
	int n_readers;

	struct {
		struct link link;
		struct mono_time purge_at;
		struct mono_time room_at;    /* when to try again to make room */
		bool was_full;               /* and has not been found to have room since */
		bool has_time;               /* nobody waits for what it does now */
		bool is_to_migrate;          /* as soon as it has time */
		struct status migrated;      /* how the last try to do so ended */
		struct mono_time migrate_at; /* not to be tried again before */
	} writing;                           /* writer thread only, once it runs */

	_Atomic int64_t user_tokens, service_tokens;
	_Atomic uint64_t commits, written;
	struct link_group links;
	/* The last write failed for a reason of the file; the next check tries one. */
	atomic_bool writes_fail;
	_Atomic int64_t verify_at_us; /* when a damaged file may be looked at again */

	struct {
		struct loop_task task;
		struct loop *home;
		void (*stopped)(void *arg);
		void *arg;
	} stop;
};

static struct sqlite_store *of_store(const struct store *s)
{
	return (struct sqlite_store *)(uintptr_t)s; /* its first member */
}

/* --- Connections --- */

/* The probe reads through all that a lookup needs: header, log, schema. */
static struct status prepare_to_read(void *arg, struct connection *c)
{
	(void)arg;
	struct store_counts counts;
	return operation_read_counters(c, &counts);
}

/* While the schema is brought up to date, on the thread that does it: who wants to write hears so
 * at once. */
static bool refuse_while_migrating(void *arg)
{
	struct sqlite_store *s = arg;
	struct list ops;
	list_init(&ops);
	bool open = op_queue_take(&s->writes, GROUP_MAX, 0, &ops);
	list_for_each (node, &ops)
		container_of(node, struct store_op, link)->status =
			status_error(STATUS_UNAVAILABLE, MIGRATE_TEXT);
	store_op_finish_all(&ops);
	return open;
}

/* One that failed may do so each time, and each time after minutes: the pause grows with them. */
static struct status bring_up_to_date(struct sqlite_store *s, struct connection *c)
{
	struct mono_time begun = clock_mono(s->options.clock);
	bool is_time = s->writing.has_time && begun.us >= s->writing.migrate_at.us, left = false;
	const struct migrate_options options = {
		.connection = &s->writing.link.options,
		.clock = s->options.clock,
		.ret_later = s->options.migrates_later && !is_time ? &left : NULL,
		.go_on = refuse_while_migrating,
		.arg = s,
	};
	struct status status = migrate(c, &options);
	if (left) {
		s->writing.is_to_migrate = true;
		return status_is_ok(&s->writing.migrated) ? status : s->writing.migrated;
	}
	s->writing.migrated = status;
	int64_t took_us = clock_mono(s->options.clock).us - begun.us;
	s->writing.migrate_at = (struct mono_time){begun.us + took_us * (1 + MIGRATE_PAUSE_TIMES)};
	return status;
}

static struct status prepare_to_write(void *arg, struct connection *c)
{
	struct sqlite_store *s = arg;
	struct store_counts counts;
	if (s->options.beside_service)
		TRY(migrate_check(c, s->dir.database));
	else
		TRY(bring_up_to_date(s, c));
	TRY(operation_read_counters(c, &counts));
	atomic_store(&s->user_tokens, counts.user_tokens);
	atomic_store(&s->service_tokens, counts.service_tokens);
	return status_ok();
}

static void init_link(struct sqlite_store *s, struct link *l, bool read_only, int cache_kib)
{
	const struct connection_options options = {
		.path = s->dir.database,
		.vfs = s->options.vfs,
		.read_only = read_only,
		.cache_kib = cache_kib,
		.busy_timeout_ms = s->options.busy_timeout_ms,
	};
	link_init(l, &options, s->options.clock, &s->links,
		read_only ? prepare_to_read : prepare_to_write, s);
}

/* --- Damage --- */

static struct status damage_status(void)
{
	return status_error(STATUS_UNAVAILABLE, "the token store is damaged");
}

/* One thread at a time may look, and not all the time. */
static bool may_verify(struct sqlite_store *s)
{
	int64_t now_us = clock_mono(s->options.clock).us;
	int64_t at_us = atomic_load(&s->verify_at_us);
	return now_us >= at_us &&
	       atomic_compare_exchange_strong(&s->verify_at_us, &at_us, INT64_MAX);
}

static struct status verify(struct sqlite_store *s, struct link *l)
{
	if (!may_verify(s))
		return damage_status();
	struct mono_time begun = clock_mono(s->options.clock);
	link_close(l); /* with what it remembers of pages */
	struct status status = link_use(l, NULL);
	if (status_is_ok(&status))
		status = connection_verify(&l->connection);
	if (status_is_ok(&status)) {
		atomic_fetch_add(&s->links.epoch, 1);
		atomic_store(&s->links.damaged, false);
		store_tell_all(&s->store);
		log_warning("store.whole_again", LOG_TEXT("path", s->dir.database));
	}
	struct mono_time now = clock_mono(s->options.clock);
	int64_t pause_us = VERIFY_PAUSE_TIMES * (now.us - begun.us);
	atomic_store(&s->verify_at_us,
		now.us + (pause_us > VERIFY_PAUSE_US ? pause_us : VERIFY_PAUSE_US));
	return status_is_ok(&status) ? status : damage_status();
}

/* --- The writer --- */

static struct status run_plain(struct connection *c, enum statement_id id)
{
	_cleanup_statement_ struct statement s = statement_begin(c, id);
	return statement_run(&s);
}

/* Undoes all since BEGIN, if SQLite has not done it. */
static void abandon(struct connection *c)
{
	if (connection_is_idle(c))
		return;
	struct status status = run_plain(c, STATEMENT_ROLLBACK);
	if (!status_is_ok(&status) || !connection_is_idle(c))
		c->broken = true;
}

/* Does one member of a group inside its own savepoint. Its result is in op->status; an error of
 * this function is the end of the group. */
static struct status run_member(
	struct sqlite_store *s, struct store_op *op, struct operation_effect *effect)
{
	struct connection *c = &s->writing.link.connection;
	struct operation_effect own = {0};
	/* A try before this one may have deleted for good what it found. */
	bool remembers = op->type == STORE_OP_TOKEN_DELETE || op->type == STORE_OP_TOKENS_DELETE;
	if (!op->maybe_done || !remembers)
		store_op_clear(op);
	TRY(run_plain(c, STATEMENT_SAVEPOINT));
	op->status = operation_run(c, op, clock_now(s->options.clock), &own);
	if (connection_is_idle(c)) /* the error rolled back everybody's work */
		return status_is_ok(&op->status) ? status_error(STATUS_UNAVAILABLE,
							   "the token store cannot be written now")
						 : op->status;
	if (status_is_ok(&op->status)) {
		effect->user_tokens += own.user_tokens;
		effect->service_tokens += own.service_tokens;
	} else {
		TRY(run_plain(c, STATEMENT_UNDO));
	}
	return run_plain(c, STATEMENT_RELEASE);
}

static struct status run_members(
	struct sqlite_store *s, struct list *group, struct operation_effect *effect)
{
	struct connection *c = &s->writing.link.connection;
	list_for_each (node, group)
		TRY(run_member(s, container_of(node, struct store_op, link), effect));
	TRY(operation_count(c, effect));
	struct status status = run_plain(c, STATEMENT_COMMIT);
	if (!status_is_ok(&status)) {
		/* The log may hold it all the same. */
		list_for_each (node, group)
			container_of(node, struct store_op, link)->maybe_done = true;
	}
	return status;
}

/* All of the log is in the database, so that the next commit begins it anew, in the room it has. */
static bool log_can_begin_anew(struct connection *c)
{
	int copied = 0, pages = 0;
	struct status status = connection_checkpoint(c, &copied, &pages);
	return status_is_ok(&status) && copied == pages;
}

/* After a commit. On a disk that was full it may have taken the last room there was, a probe of a
 * few bytes even more so. */
static void note_written(struct sqlite_store *s)
{
	struct connection *c = &s->writing.link.connection;
	atomic_fetch_add(&s->commits, 1);
	if (s->writing.was_full && !log_can_begin_anew(c))
		return;
	s->writing.was_full = false;
	atomic_store(&s->writes_fail, false);
}

static void after_commit(
	struct sqlite_store *s, struct list *group, const struct operation_effect *effect)
{
	atomic_fetch_add(&s->user_tokens, effect->user_tokens);
	atomic_fetch_add(&s->service_tokens, effect->service_tokens);
	if (s->writing.link.connection.has_written)
		note_written(s);
	list_for_each (node, group) {
		const struct store_op *op = container_of(node, struct store_op, link);
		if (!status_is_ok(&op->status))
			continue;
		atomic_fetch_add(&s->written, 1);
		store_tell(&s->store, op);
	}
}

/* One transaction with all of @group. *@ret_began: it failed after its beginning, so its members
 * may fare better alone. */
static struct status run_group(struct sqlite_store *s, struct list *group, bool *ret_began)
{
	struct connection *c = &s->writing.link.connection;
	struct operation_effect effect = {0};
	*ret_began = false;
	if (atomic_load(&s->links.damaged))
		return damage_status();
	if (s->writing.is_to_migrate)
		return s->writing.link.refusal;
	bool anew;
	TRY(link_use(&s->writing.link, &anew));
	if (anew)
		store_tell_all(&s->store); /* who knows what happened to the file */
	if (connection_file_is_gone(c)) {
		log_error("store.file_is_gone", LOG_TEXT("path", s->dir.database));
		return status_error(STATUS_UNAVAILABLE, "the token store cannot be written now");
	}
	struct status status = run_plain(c, STATEMENT_BEGIN);
	*ret_began = status_is_ok(&status);
	c->has_written = c->full = false;
	if (*ret_began)
		status = run_members(s, group, &effect);
	if (status_is_ok(&status))
		after_commit(s, group, &effect);
	else
		abandon(c);
	link_note_damage(&s->writing.link);
	return status;
}

/* The disk is full. The log lets go of its room only when it begins anew, so most of it may be of
 * what is in the database already, and for the rest the database has grown ahead of its pages.
 * True: the next transaction may find room. */
static bool make_room(struct sqlite_store *s)
{
	struct connection *c = &s->writing.link.connection;
	struct mono_time now = clock_mono(s->options.clock);
	if (!c->full || now.us < s->writing.room_at.us)
		return false;
	if (log_can_begin_anew(c))
		return true;
	s->writing.room_at = mono_time_add_ms(now, ROOM_PAUSE_MS);
	return false;
}

static void fail_all(struct sqlite_store *s, struct list *group, struct status status)
{
	atomic_store(&s->writes_fail, true);
	s->writing.was_full = s->writing.was_full || s->writing.link.connection.full;
	list_for_each (node, group)
		container_of(node, struct store_op, link)->status = status;
}

/* Leaves its result in each member of @group. */
static void write_group(struct sqlite_store *s, struct list *group)
{
	bool began;
	struct status status = run_group(s, group, &began);
	if (!status_is_ok(&status) && began && make_room(s))
		status = run_group(s, group, &began);
	if (status_is_ok(&status))
		return;
	bool is_single = group->next == group->prev;
	if (!began || is_single) {
		fail_all(s, group, status);
		return;
	}
	/* One that cannot be done took the others with it. */
	list_for_each (node, group) {
		struct list alone;
		list_remove(node);
		list_init(&alone);
		list_add_tail(&alone, node);
		status = run_group(s, &alone, &began);
		if (!status_is_ok(&status))
			fail_all(s, &alone, status);
		list_remove(node);
		list_add_tail(node_next, node);
	}
}

static void answer_late_ones(struct sqlite_store *s, struct list *ops)
{
	struct mono_time now = clock_mono(s->options.clock);
	list_for_each (node, ops) {
		struct store_op *op = container_of(node, struct store_op, link);
		if (!store_op_is_late(op, now))
			continue;
		list_remove(node);
		store_op_finish(op, status_error(STATUS_DEADLINE_EXCEEDED,
					    "the deadline passed while waiting for the store"));
	}
}

static void purge(struct sqlite_store *s)
{
	struct mono_time now = clock_mono(s->options.clock);
	if (now.us < s->writing.purge_at.us)
		return;
	struct connection *c = &s->writing.link.connection;
	int purged = 0;
	struct status status =
		operation_purge_requests(c, clock_now(s->options.clock), PURGE_BATCH, &purged);
	bool has_more = status_is_ok(&status) && purged == PURGE_BATCH;
	s->writing.purge_at = has_more ? now : mono_time_add_ms(now, s->options.purge_interval_ms);
}

/* What has time: after the answers are on their way. */
static void upkeep(struct sqlite_store *s)
{
	struct connection *c = &s->writing.link.connection;
	/* Readers may wait for it: a database that has just come is made by the writer. */
	if (atomic_load(&s->links.damaged))
		return;
	bool anew;
	s->writing.has_time = true;
	struct status status = link_use(&s->writing.link, &anew);
	s->writing.has_time = false;
	if (!status_is_ok(&status))
		return;
	s->writing.is_to_migrate = false;
	if (anew)
		store_tell_all(&s->store);
	purge(s);
	checkpointer_look(&s->checkpointer, c);
}

static int until_upkeep_ms(const struct sqlite_store *s)
{
	enum {
		MOST_MS = 60000
	};
	const struct link *l = &s->writing.link;
	if (atomic_load(&s->links.damaged))
		return MOST_MS;
	struct mono_time at = link_is_open(l) ? s->writing.purge_at : l->retry_at;
	int64_t us = at.us - clock_mono(s->options.clock).us;
	return us <= 0 ? 0 : us > MOST_MS * INT64_C(1000) ? MOST_MS : (int)(us / US_PER_MS) + 1;
}

static void *writer_main(void *arg)
{
	struct sqlite_store *s = arg;
	struct list group;
	list_init(&group);
	while (op_queue_take(&s->writes, GROUP_MAX, until_upkeep_ms(s), &group)) {
		answer_late_ones(s, &group);
		if (!list_empty(&group))
			write_group(s, &group);
		store_op_finish_all(&group);
		upkeep(s);
	}
	/* The last connection to close empties the log, and those that only read cannot. */
	pthread_join(s->checkpoints, NULL);
	for (int i = 0; i < s->n_readers; i++)
		pthread_join(s->readers[i], NULL);
	link_close(&s->writing.link);
	loop_post(s->stop.home, &s->stop.task);
	return NULL;
}

/* --- Readers --- */

static struct status read_one(struct sqlite_store *s, struct link *l, struct store_op *op)
{
	if (store_op_is_late(op, clock_mono(s->options.clock)))
		return status_error(STATUS_DEADLINE_EXCEEDED,
			"the deadline passed while waiting for the store");
	if (atomic_load(&s->links.damaged))
		TRY(op->type == STORE_OP_CHECK ? verify(s, l) : damage_status());
	struct operation_effect effect = {0};
	TRY(link_use(l, NULL));
	struct status status =
		operation_run(&l->connection, op, clock_now(s->options.clock), &effect);
	link_note_damage(l);
	return status;
}

static void *reader_main(void *arg)
{
	struct sqlite_store *s = arg;
	struct link link;
	struct list ops;
	init_link(s, &link, true, READER_CACHE_KIB);
	list_init(&ops);
	while (op_queue_take(&s->reads, 1, -1, &ops)) {
		struct list *node = list_pop(&ops);
		if (!node)
			continue;
		struct store_op *op = container_of(node, struct store_op, link);
		struct status status = read_one(s, &link, op);
		bool try_write = op->type == STORE_OP_CHECK && status_is_ok(&status) &&
				 atomic_load(&s->writes_fail) &&
				 op_queue_push(&s->writes, op) == OP_QUEUE_OK;
		if (!try_write)
			store_op_finish(op, status);
	}
	link_close(&link);
	return NULL;
}

static void *checkpointer_main(void *arg)
{
	struct sqlite_store *s = arg;
	checkpointer_run(&s->checkpointer);
	return NULL;
}

/* --- The port --- */

static void submit(struct store *store, struct store_op *op)
{
	struct sqlite_store *s = of_store(store);
	struct op_queue *queue = store_op_is_write(op->type) ? &s->writes : &s->reads;
	switch (op_queue_push(queue, op)) {
	case OP_QUEUE_OK:
		break;
	case OP_QUEUE_FULL:
		store_op_refuse(op, STORE_FULL);
		break;
	case OP_QUEUE_CLOSED:
		store_op_refuse(op, STORE_SHUT_DOWN);
		break;
	}
}

static struct store_counts counts(const struct store *store)
{
	const struct sqlite_store *s = of_store(store);
	return (struct store_counts){atomic_load(&s->user_tokens), atomic_load(&s->service_tokens)};
}

static struct store_stats stats(const struct store *store)
{
	const struct sqlite_store *s = of_store(store);
	return (struct store_stats){
		.commits = atomic_load(&s->commits),
		.writes = atomic_load(&s->written),
		.waiting_reads = op_queue_length(&s->reads),
		.waiting_writes = op_queue_length(&s->writes),
		.can_write = !atomic_load(&s->writes_fail),
	};
}

static void release(struct sqlite_store *s)
{
	op_queue_done(&s->writes);
	op_queue_done(&s->reads);
	checkpointer_done(&s->checkpointer);
	data_dir_close(&s->dir);
	store_done(&s->store);
	free(s);
}

static void on_writer_ended(struct loop_task *task)
{
	struct sqlite_store *s = container_of(task, struct sqlite_store, stop.task);
	void (*stopped)(void *arg) = s->stop.stopped;
	void *arg = s->stop.arg;
	pthread_join(s->writer, NULL);
	release(s);
	stopped(arg);
}

static void stop(struct store *store, struct loop *home, void (*stopped)(void *arg), void *arg)
{
	struct sqlite_store *s = of_store(store);
	s->stop.home = home;
	s->stop.stopped = stopped;
	s->stop.arg = arg;
	s->stop.task.run = on_writer_ended;
	op_queue_close(&s->writes);
	op_queue_close(&s->reads);
	checkpointer_close(&s->checkpointer);
}

static const struct store_ops sqlite_ops = {
	.name = SQLITE_STORE_NAME,
	.submit = submit,
	.counts = counts,
	.stats = stats,
	.stop = stop,
};

/* --- Start --- */

static void set_up_library(void)
{
	/* Counting memory takes a lock of the whole process at every allocation. */
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

static void start_thread(pthread_t *ret, void *(*run)(void *), void *arg, const char *name)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_create(ret, NULL, run, arg) != 0) {
		log_error("fatal", LOG_TEXT("error", "cannot start a thread"));
		abort();
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_setname_np(*ret, name);
}

static void start_threads(struct sqlite_store *s)
{
	start_thread(&s->writer, writer_main, s, "store-writer");
	start_thread(&s->checkpoints, checkpointer_main, s, "store-log");
	for (int i = 0; i < s->n_readers; i++)
		start_thread(&s->readers[i], reader_main, s, "store-reader");
}

static void set_options(struct sqlite_store *s, const struct sqlite_store_options *options)
{
	struct sqlite_store_options *o = &s->options;
	*o = *options;
	o->data_dir = NULL; /* borrowed; dir has a copy */
	o->busy_timeout_ms = o->busy_timeout_ms ? o->busy_timeout_ms : 5000;
	o->purge_interval_ms = o->purge_interval_ms ? o->purge_interval_ms : 60000;
	o->max_waiting = o->max_waiting ? o->max_waiting : 4096;
	s->n_readers = o->n_readers ? o->n_readers : 2;
	if (s->n_readers > READERS_MAX)
		s->n_readers = READERS_MAX;
}

/* Just to see what does not mend by itself: a database that another program has locked is not
 * waited for here. */
static struct status open_first(struct sqlite_store *s)
{
	struct link *l = &s->writing.link;
	l->options.busy_timeout_ms = FIRST_BUSY_TIMEOUT_MS;
	struct status status = link_open(l);
	l->options.busy_timeout_ms = s->options.busy_timeout_ms;
	if (!status_is_ok(&status))
		return status;
	connection_set_busy_timeout(&l->connection, s->options.busy_timeout_ms);
	int64_t size;
	status = connection_size(&l->connection, &size);
	if (status_is_ok(&status) && size <= VERIFY_MAX_BYTES)
		status = connection_verify(&l->connection);
	link_note_damage(l);
	return status;
}

struct status sqlite_store_open(const struct sqlite_store_options *options, struct store **ret)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, set_up_library);

	struct data_dir dir;
	TRY(options->beside_service ? data_dir_join(options->data_dir, &dir)
				    : data_dir_open(options->data_dir, &dir));
	struct sqlite_store *s = xnew(struct sqlite_store);
	s->store.ops = &sqlite_ops;
	s->dir = dir;
	set_options(s, options);
	op_queue_init(&s->writes, s->options.max_waiting);
	op_queue_init(&s->reads, s->options.max_waiting);
	checkpointer_init(&s->checkpointer);
	init_link(s, &s->writing.link, false, WRITER_CACHE_KIB);
	init_link(s, &s->checkpointer.link, true, CHECKPOINTER_CACHE_KIB);

	struct status status = open_first(s);
	if (!status_is_ok(&status) && status.code != STATUS_UNAVAILABLE) {
		release(s);
		return status;
	}
	atomic_store(&s->writes_fail, !status_is_ok(&status));
	start_threads(s);
	*ret = &s->store;
	return status_ok();
}
