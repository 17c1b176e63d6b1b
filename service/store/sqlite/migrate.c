/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/sqlite/migrate.h"

#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/log.h"
#include "common/base/xalloc.h"
#include "service/store/migration.h"
#include "service/store/sqlite/sqlite_store.h"

#include <libgen.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

enum {
	/* A database up to this size is done in a second or two. */
	SHORT_MAX_BYTES = 16 << 20,
	/* Also of what is sorted at a time: ten million tokens are merged in two passes. */
	CACHE_KIB = 8192,
	/* Of free disk, in sizes of the database: the new one, which is at most twice as large, is
	 * in the log until it is copied, and the old one grows. */
	ROOM_TIMES = 3,
	/* A row is twice in the new one; what does not fit with others on a page takes one of its
	 * own, also twice while it is in the log. */
	LONG_ROW_BYTES = 600,
	LONG_ROW_ROOM = 4 * 4096,
	/* Instructions of SQLite's machine between two looks at whether to go on; one may write
	 * pages. */
	LOOK_INSTRUCTIONS = 1000,
	TELL_US = 10 * US_PER_S,
};

static const struct migration_dialect dialect = {
	.text_type = "TEXT",
	.bytes_type = "BLOB",
	.int_type = "INTEGER",
	.table_suffix = "STRICT",
};

static struct status read_int(struct connection *c, const char *sql, int *ret)
{
	sqlite3_stmt *stmt = NULL;
	int code = sqlite3_prepare_v2(c->db, sql, -1, &stmt, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_step(stmt);
	if (code == SQLITE_ROW)
		*ret = sqlite3_column_int(stmt, 0);
	int end = sqlite3_finalize(stmt);
	if (code == SQLITE_ROW && end == SQLITE_OK)
		return status_ok();
	return connection_failed(c, "schema version", end != SQLITE_OK ? end : SQLITE_CORRUPT);
}

static struct status read_version(struct connection *c, int *ret)
{
	int has_table = 0;
	TRY(read_int(
		c, "SELECT count(*) FROM sqlite_schema WHERE name = 'schema_version'", &has_table));
	*ret = 0;
	return has_table ? read_int(c, "SELECT coalesce(max(version), 0) FROM schema_version", ret)
			 : status_ok();
}

/* --- While it lasts --- */

struct progress {
	const struct migrate_options *options;
	struct mono_time begun, told;
	int from;
};

/* For sqlite3_progress_handler: other than 0 ends the statement with SQLITE_INTERRUPT. */
static int on_progress(void *arg)
{
	struct progress *p = arg;
	const struct migrate_options *o = p->options;
	struct mono_time now = clock_mono(o->clock);
	if (now.us - p->told.us >= TELL_US) {
		p->told = now;
		log_info("store.migrating", LOG_I64("from", p->from),
			LOG_I64("to", migrations_latest(SQLITE_STORE_NAME)),
			LOG_I64("seconds", (now.us - p->begun.us) / US_PER_S));
	}
	return o->go_on && !o->go_on(o->arg);
}

/* A stop is no failure. A row that may not be twice is in an index that differs from its table. */
static struct status run_step(struct connection *c, const struct migration *m, const char *sql)
{
	int code = sqlite3_exec(c->db, sql, NULL, NULL, NULL);
	switch (code & 0xff) {
	case SQLITE_OK:
		return status_ok();
	case SQLITE_INTERRUPT:
		return status_error(STATUS_UNAVAILABLE, MIGRATE_TEXT);
	case SQLITE_CONSTRAINT:
		return status_error(STATUS_DATA_LOSS,
			"the schema cannot be brought to version %d, an index differs from its "
			"table (%s): restore a backup",
			m->version, sqlite3_errmsg(c->db));
	default:
		return connection_failed(c, "migration", code);
	}
}

static struct status apply(struct connection *c, const struct migration *m, struct unix_time now)
{
	_cleanup_buf_ struct buf sql;
	buf_init(&sql, 1 << 20);
	TRY(migration_render(m, &dialect, &sql));
	buf_printf(&sql,
		"INSERT INTO schema_version (version, name, applied_us) "
		"VALUES (%d, '%s', %lld);",
		m->version, m->name, (long long)now.us);
	return run_step(c, m, buf_str(&sql).p);
}

static struct status apply_missing(struct connection *c, int version, struct unix_time now)
{
	char sql[512];
	snprintf(sql, sizeof sql,
		"PRAGMA application_id = %d; "
		"CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL PRIMARY KEY, "
		"name TEXT NOT NULL, applied_us INTEGER NOT NULL) STRICT",
		CONNECTION_APPLICATION_ID);
	TRY(connection_run(c, sql));
	for (size_t i = 0; i < migrations_count; i++)
		if (migrations[i].version > version &&
			migration_is_for(&migrations[i], SQLITE_STORE_NAME))
			TRY(apply(c, &migrations[i], now));
	return connection_run(c, "COMMIT");
}

static struct status apply_in_transaction(
	struct connection *c, int version, const struct migrate_options *o)
{
	struct mono_time now = clock_mono(o->clock);
	struct progress progress = {.options = o, .begun = now, .told = now, .from = version};
	TRY(connection_run(c, "BEGIN IMMEDIATE"));
	sqlite3_progress_handler(c->db, LOOK_INSTRUCTIONS, on_progress, &progress);
	struct status status = apply_missing(c, version, clock_now(o->clock));
	sqlite3_progress_handler(c->db, 0, NULL, NULL);
	if (!status_is_ok(&status)) {
		(void)sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
		return status;
	}
	log_info("store.migrated", LOG_I64("from", version),
		LOG_I64("to", migrations_latest(SQLITE_STORE_NAME)),
		LOG_I64("seconds", (clock_mono(o->clock).us - now.us) / US_PER_S));
	/* Gives a new file its room; one that fails was logged, and is done again later. */
	(void)connection_checkpoint(c, NULL, NULL).code;
	return status_ok();
}

/* --- A database that has something in it --- */

/* What is free, with the log that a try before this one left: its room is used again. */
static int64_t room_beside(const char *path, const char *folder)
{
	struct statvfs fs;
	struct stat log;
	if (statvfs(folder, &fs) != 0)
		return INT64_MAX; /* it will be seen */
	_cleanup_free_ char *log_path = xasprintf("%s-wal", path);
	int64_t of_log = stat(log_path, &log) == 0 ? (int64_t)log.st_blocks * 512 : 0;
	return (int64_t)fs.f_bavail * (int64_t)fs.f_frsize + of_log;
}

static struct status has_room(
	struct connection *c, const char *path, const char *folder, int version, int64_t size)
{
	char sql[256];
	int long_rows = 0;
	snprintf(sql, sizeof sql,
		"SELECT count(*) FROM token WHERE length(CAST(description AS BLOB)) + "
		"length(CAST(roles AS BLOB)) + length(CAST(owner AS BLOB)) > %d",
		LONG_ROW_BYTES);
	TRY(read_int(c, sql, &long_rows));
	int64_t needed = ROOM_TIMES * size + (int64_t)long_rows * LONG_ROW_ROOM;
	int64_t room = room_beside(path, folder);
	if (room >= needed)
		return status_ok();
	return status_error(STATUS_FAILED_PRECONDITION,
		"'%s' has schema version %d, and to bring it to version %d takes %lld MB of free "
		"disk beside it: there are %lld MB",
		path, version, migrations_latest(SQLITE_STORE_NAME),
		(long long)(needed / 1000000 + 1), (long long)(room / 1000000));
}

/* With a connection of its own: one for the day has memory for a few pages, and would sort in it.
 */
static struct status migrate_filled(
	struct connection *c, const struct migrate_options *o, const char *folder, int version)
{
	/* The folder is the library's, for all connections; none but these have files of that kind.
	 */
	static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
	struct connection_options options = *o->connection;
	options.cache_kib = CACHE_KIB;
	options.sorts_on_disk = true;
	struct connection own;
	pthread_mutex_lock(&one_at_a_time);
	sqlite3_temp_directory = sqlite3_mprintf("%s", folder);
	struct status status = connection_open(&options, &own);
	if (status_is_ok(&status))
		status = apply_in_transaction(&own, version, o);
	c->damaged = c->damaged || own.damaged;
	connection_close(&own);
	sqlite3_free(sqlite3_temp_directory);
	sqlite3_temp_directory = NULL;
	pthread_mutex_unlock(&one_at_a_time);
	return status;
}

/* --- Versions --- */

static struct status read_known_version(struct connection *c, const char *path, int *ret)
{
	int latest = migrations_latest(SQLITE_STORE_NAME);
	TRY(read_version(c, ret));
	if (*ret > latest)
		return status_error(STATUS_FAILED_PRECONDITION,
			"'%s' has schema version %d, this program knows versions up to %d: start "
			"the newer program that wrote it",
			path, *ret, latest);
	return status_ok();
}

struct status migrate_check(struct connection *c, const char *path)
{
	int version, latest = migrations_latest(SQLITE_STORE_NAME);
	TRY(read_known_version(c, path, &version));
	if (version < latest)
		return status_error(STATUS_FAILED_PRECONDITION,
			"'%s' has schema version %d, this program needs version %d: start the "
			"service with it first, or use the program that the service runs",
			path, version, latest);
	return status_ok();
}

struct status migrate(struct connection *c, const struct migrate_options *o)
{
	const char *database = o->connection->path;
	int version;
	int64_t size;
	TRY(read_known_version(c, database, &version));
	if (version == migrations_latest(SQLITE_STORE_NAME))
		return status_ok();
	if (!version)
		return apply_in_transaction(c, version, o);

	_cleanup_free_ char *path = xstrdup(database);
	const char *folder = dirname(path);
	TRY(connection_size(c, &size));
	if (o->ret_later && size > SHORT_MAX_BYTES) {
		*o->ret_later = true;
		return status_error(STATUS_UNAVAILABLE, MIGRATE_TEXT);
	}
	TRY(has_room(c, database, folder, version, size));
	return migrate_filled(c, o, folder, version);
}
