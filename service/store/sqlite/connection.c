/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/sqlite/connection.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/rate_limit.h"

#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum {
	/* The file has room for what the log holds, also when nobody else has any left. */
	GROWTH_BYTES = 1 << 20,
};

#define TOKEN_COLUMNS                                                                              \
	"hash, kind, owner, name, description, roles, expires_day, created_us, last_used_us, "     \
	"last_used_from, old_hash, old_until_us"

static const char *const statement_texts[STATEMENT_ID_COUNT] = {
	/* IMMEDIATE: a transaction that starts as a reader may be refused when it begins to write.
	 */
	[STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
	[STATEMENT_COMMIT] = "COMMIT",
	[STATEMENT_ROLLBACK] = "ROLLBACK",
	[STATEMENT_SAVEPOINT] = "SAVEPOINT member",
	[STATEMENT_RELEASE] = "RELEASE member",
	[STATEMENT_UNDO] = "ROLLBACK TO member",
	[STATEMENT_PROBE] = "SELECT value FROM counter WHERE name = 'user_tokens'",
	[STATEMENT_TOUCH] = "UPDATE counter SET value = value + 1 WHERE name = 'write_probes'",
	[STATEMENT_COUNTERS] = "SELECT (SELECT value FROM counter WHERE name = 'user_tokens'), "
			       "(SELECT value FROM counter WHERE name = 'service_tokens')",
	[STATEMENT_COUNT_BY] = "UPDATE counter SET value = value + ?2 WHERE name = ?1",
	[STATEMENT_TOKEN_INSERT] = "INSERT INTO token (" TOKEN_COLUMNS ") "
				   "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) "
				   "ON CONFLICT (kind, owner, name) DO NOTHING",
	[STATEMENT_TOKEN_REPLACE] =
		"UPDATE token SET hash = ?4, description = ?5, roles = ?6, expires_day = ?7, "
		"old_hash = ?8, old_until_us = ?9 WHERE kind = ?1 AND owner = ?2 AND name = ?3",
	[STATEMENT_TOKEN_DELETE] = "DELETE FROM token WHERE kind = ?1 AND owner = ?2 AND name = ?3",
	[STATEMENT_TOKEN_USED] = "UPDATE token SET last_used_us = ?2, last_used_from = ?3 "
				 "WHERE hash = ?1 AND last_used_us <= ?4",
	/* The first reads no column of the row and is nearly always enough. */
	[STATEMENT_TOKENS_COUNT] = "SELECT count(*) FROM (SELECT 1 FROM token "
				   "WHERE kind = ?1 AND owner = ?2 LIMIT ?3)",
	[STATEMENT_TOKENS_COUNT_LIVE] =
		"SELECT count(*) FROM (SELECT 1 FROM token "
		"WHERE kind = ?1 AND owner = ?2 AND +expires_day > ?4 LIMIT ?3)",
	[STATEMENT_TOKENS_DELETE] =
		"DELETE FROM token WHERE kind = ?1 AND owner = ?2 AND name IN "
		"(SELECT name FROM token WHERE kind = ?1 AND owner = ?2 LIMIT ?3) "
		"RETURNING " TOKEN_COLUMNS,
	[STATEMENT_TOKENS_PURGE] =
		"DELETE FROM token WHERE hash IN (SELECT hash FROM token WHERE expires_day <= ?1 "
		"ORDER BY expires_day LIMIT ?2) RETURNING kind",
	[STATEMENT_TOKEN_BY_HASH] = "SELECT " TOKEN_COLUMNS " FROM token WHERE hash = ?1",
	[STATEMENT_TOKEN_BY_OLD_HASH] = "SELECT " TOKEN_COLUMNS " FROM token WHERE old_hash = ?1",
	[STATEMENT_TOKEN_BY_NAME] = "SELECT " TOKEN_COLUMNS " FROM token "
				    "WHERE kind = ?1 AND owner = ?2 AND name = ?3",
	/* ?3 is the place of the page: where it begins; ?4 is the name that is behind us. */
	[STATEMENT_TOKENS_OF_OWNER] =
		"SELECT " TOKEN_COLUMNS " FROM token "
		"WHERE kind = ?1 AND owner = ?2 AND name >= ?3 AND name <> ?4 AND name <= ?5 "
		"ORDER BY name LIMIT ?6",
	[STATEMENT_TOKENS_OF_ALL] = "SELECT " TOKEN_COLUMNS " FROM token "
				    "WHERE kind = ?1 AND (name, owner) > (?3, ?4) AND name <= ?5 "
				    "ORDER BY name, owner LIMIT ?6",
	/* The index alone says which of them are wanted. */
	[STATEMENT_TOKENS_SEARCH] =
		"SELECT name, owner, expires_day FROM token INDEXED BY token_by_name "
		"WHERE kind = ?1 AND (name, owner) > (?3, ?4) AND name <= ?5 "
		"ORDER BY name, owner LIMIT ?6",
	/* Of a row of the search: it is beside its key, and in the table it is anywhere. */
	[STATEMENT_TOKEN_OF_KEY] = "SELECT " TOKEN_COLUMNS " FROM token INDEXED BY token_by_name "
				   "WHERE kind = ?1 AND owner = ?2 AND name = ?3",
	[STATEMENT_REQUEST_GET] = "SELECT fingerprint, salt, token_hash FROM request "
				  "WHERE principal = ?1 AND id = ?2 AND expires_us > ?3",
	[STATEMENT_REQUEST_PUT] =
		"INSERT INTO request (principal, id, fingerprint, salt, token_hash, expires_us) "
		"VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (principal, id) DO UPDATE SET "
		"fingerprint = excluded.fingerprint, salt = excluded.salt, "
		"token_hash = excluded.token_hash, expires_us = excluded.expires_us",
	[STATEMENT_REQUEST_PURGE] = "DELETE FROM request WHERE (principal, id) IN "
				    "(SELECT principal, id FROM request WHERE expires_us <= ?1 "
				    "ORDER BY expires_us LIMIT ?2)",
	[STATEMENT_PROFILE_GET] =
		"SELECT email_notification, slack_notification, bucket, pool FROM profile "
		"WHERE user_name = ?1",
	[STATEMENT_PROFILE_PUT] =
		"INSERT INTO profile "
		"(user_name, email_notification, slack_notification, bucket, pool) "
		"VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (user_name) DO UPDATE SET "
		"email_notification = excluded.email_notification, "
		"slack_notification = excluded.slack_notification, "
		"bucket = excluded.bucket, pool = excluded.pool",
	[STATEMENT_ROLES] = "SELECT name, description, policies, immutable FROM role ORDER BY name",
	[STATEMENT_ROLE_PUT] = "INSERT INTO role (name, description, policies, immutable) "
			       "VALUES (?1, ?2, ?3, ?4) ON CONFLICT (name) DO UPDATE SET "
			       "description = excluded.description, policies = excluded.policies, "
			       "immutable = excluded.immutable",
	[STATEMENT_ROLE_DELETE] = "DELETE FROM role WHERE name = ?1",
	[STATEMENT_SETTING_GET] = "SELECT value FROM setting WHERE name = ?1",
	[STATEMENT_SETTING_INIT] = "INSERT INTO setting (name, value) VALUES (?1, ?2) "
				   "ON CONFLICT (name) DO NOTHING",
	[STATEMENT_SETTING_PUT] = "INSERT INTO setting (name, value) VALUES (?1, ?2) "
				  "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
	/* That it is the new one already is what a commit did that was said to have failed. */
	[STATEMENT_SETTING_REPLACE] =
		"UPDATE setting SET value = ?2 WHERE name = ?1 AND value IN (?2, ?3)",
};

const char *connection_statement_text(enum statement_id id)
{
	return statement_texts[id];
}

/* --- The border --- */

/* Many operations fail for one cause, and go on failing: a line a second tells it as well, and a
 * line a minute while it stays the same. */
static void log_failure(const char *what, int code, const char *text)
{
	/* For all connections. */
	static struct rate_limit any = {.interval_us = US_PER_S, .burst_us = US_PER_S};
	static struct rate_limit same = {.interval_us = 60 * US_PER_S, .burst_us = 60 * US_PER_S};
	static atomic_int last_code;
	struct mono_time now = clock_mono(&clock_system);
	uint64_t held_back, held_back_too = 0;
	bool repeats = atomic_load(&last_code) == code;
	bool is_due = rate_limit_pass(&same, now, &held_back_too);
	if ((repeats && !is_due) || !rate_limit_pass(&any, now, &held_back))
		return;
	atomic_store(&last_code, code);
	log_warning("store.failed", LOG_TEXT("what", what), LOG_I64("sqlite_code", code),
		LOG_TEXT("error", text),
		LOG_I64("held_back", (int64_t)(held_back + (is_due ? held_back_too : 0))));
}

/* Errors after which a new connection may do what this one cannot. */
static bool is_breaking(int code)
{
	switch (code & 0xff) {
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
	case SQLITE_PROTOCOL:
	case SQLITE_READONLY:
	case SQLITE_ERROR: /* no such table: somebody changed the file */
		return true;
	default:
		return false;
	}
}

/* A page that SQLite found to be none; not a row of ours that makes no sense. */
static bool is_damage(struct connection *c, int code)
{
	return c->db && sqlite3_extended_errcode(c->db) == code &&
	       ((code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB);
}

static struct status translate(int code)
{
	switch (code & 0xff) {
	case SQLITE_CONSTRAINT:
		return status_error(STATUS_ALREADY_EXISTS, "the row exists already");
	case SQLITE_FULL:
		return status_error(STATUS_UNAVAILABLE, "the token store has no room left");
	case SQLITE_READONLY:
		return status_error(STATUS_UNAVAILABLE, "the token store cannot be written now");
	case SQLITE_NOMEM:
		return status_error(STATUS_UNAVAILABLE, "the token store is out of memory");
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
	case SQLITE_PROTOCOL:
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_INTERRUPT:
	case SQLITE_SCHEMA:
	case SQLITE_ERROR:
		return status_error(STATUS_UNAVAILABLE, "the token store cannot be read now");
	default:
		return status_error(STATUS_INTERNAL, "the token store failed");
	}
}

struct status connection_failed(struct connection *c, const char *what, int code)
{
	if ((code & 0xff) != SQLITE_CONSTRAINT) {
		const char *detail = c->db && sqlite3_extended_errcode(c->db) == code
					     ? sqlite3_errmsg(c->db)
					     : sqlite3_errstr(code);
		log_failure(what, code, detail);
		c->broken = c->broken || is_breaking(code);
		c->damaged = c->damaged || is_damage(c, code);
		c->full = c->full || (code & 0xff) == SQLITE_FULL;
	}
	return translate(code);
}

/* --- Open and close --- */

struct status connection_run(struct connection *c, const char *sql)
{
	int code = sqlite3_exec(c->db, sql, NULL, NULL, NULL);
	return code == SQLITE_OK ? status_ok() : connection_failed(c, "set-up", code);
}

static struct status pragma_int(struct connection *c, const char *sql, int64_t *ret)
{
	sqlite3_stmt *stmt = NULL;
	int code = sqlite3_prepare_v2(c->db, sql, -1, &stmt, NULL);
	if (code == SQLITE_OK) {
		code = sqlite3_step(stmt);
		if (code == SQLITE_ROW) {
			*ret = sqlite3_column_int64(stmt, 0);
			code = SQLITE_OK;
		} else if (code == SQLITE_DONE) {
			code = SQLITE_CORRUPT;
		}
	}
	sqlite3_finalize(stmt);
	return code == SQLITE_OK ? status_ok() : connection_failed(c, "set-up", code);
}

/* Ours, or empty. This is also the first read: a file that is no database, or whose
 * log cannot be recovered, fails here. */
static struct status check_identity(struct connection *c, const struct connection_options *o)
{
	int64_t id = 0, tables = 0;
	TRY(pragma_int(c, "PRAGMA application_id", &id));
	TRY(pragma_int(c, "SELECT count(*) FROM sqlite_schema", &tables));
	if (id == CONNECTION_APPLICATION_ID)
		return status_ok();
	if (id != 0 || tables != 0)
		return status_error(STATUS_FAILED_PRECONDITION,
			"'%s' is a database of another program", o->path);
	return o->read_only ? connection_failed(c, "an empty database", SQLITE_NOTADB)
			    : status_ok();
}

static struct status use_log(struct connection *c, const struct connection_options *o)
{
	sqlite3_stmt *stmt = NULL;
	int code = sqlite3_prepare_v2(c->db, "PRAGMA journal_mode = WAL", -1, &stmt, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_step(stmt);
	bool is_wal = code == SQLITE_ROW &&
		      str_eq_nocase(str_of((const char *)sqlite3_column_text(stmt, 0)), STR("wal"));
	int end = sqlite3_finalize(stmt);
	if (code != SQLITE_ROW || end != SQLITE_OK)
		return connection_failed(c, "journal_mode", code == SQLITE_ROW ? end : code);
	if (!is_wal)
		return status_error(STATUS_FAILED_PRECONDITION,
			"'%s' is on a file system without shared memory, which the write-ahead log "
			"needs",
			o->path);
	return connection_run(c, "PRAGMA journal_size_limit = 16777216");
}

static int on_commit(void *arg, sqlite3 *db, const char *name, int pages)
{
	(void)db;
	(void)name;
	struct connection *c = arg;
	c->wal_pages = pages;
	c->has_written = true;
	return SQLITE_OK;
}

static struct status set_up(struct connection *c, const struct connection_options *o)
{
	/* Not with ATTACH, not with functions of a schema that somebody prepared for us. */
	sqlite3_db_config(c->db, SQLITE_DBCONFIG_DEFENSIVE, 1, (int *)NULL);
	sqlite3_db_config(c->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, (int *)NULL);
	sqlite3_extended_result_codes(c->db, 1);
	connection_set_busy_timeout(c, o->busy_timeout_ms);
	sqlite3_wal_hook(c->db, on_commit, c); /* instead of SQLite's own checkpoints */

	int growth = GROWTH_BYTES;
	sqlite3_file_control(c->db, "main", SQLITE_FCNTL_CHUNK_SIZE, &growth);

	char sql[256];
	/* A negative cache_size is in KiB. Savepoints keep what they undo in memory. Memory-mapped
	 * reads would turn a bad sector into a signal. What is deleted is overwritten: the salts of
	 * requests, which secrets derive from, are to be gone. */
	snprintf(sql, sizeof sql,
		"PRAGMA cache_size = -%d; PRAGMA temp_store = %s; PRAGMA mmap_size = 0; "
		"PRAGMA synchronous = FULL; PRAGMA secure_delete = ON",
		o->cache_kib, o->sorts_on_disk ? "FILE" : "MEMORY");
	TRY(connection_run(c, sql));
	TRY(check_identity(c, o));
	return o->read_only ? connection_run(c, "PRAGMA query_only = ON") : use_log(c, o);
}

struct status connection_open(const struct connection_options *o, struct connection *ret)
{
	struct connection *c = ret;
	memset(c, 0, sizeof *c);
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
	int code = sqlite3_open_v2(o->path, &c->db, flags, o->vfs);
	struct status status =
		code == SQLITE_OK ? set_up(c, o) : connection_failed(c, "open", code);
	if (!status_is_ok(&status)) {
		bool damaged = c->damaged;
		connection_close(c);
		c->damaged = damaged;
	}
	return status;
}

void connection_close(struct connection *c)
{
	for (size_t i = 0; i < STATEMENT_ID_COUNT; i++)
		sqlite3_finalize(c->statements[i]);
	if (c->db && c->damaged) /* what is good in the log stays there */
		sqlite3_db_config(c->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)NULL);
	if (c->db)
		sqlite3_close_v2(c->db);
	memset(c, 0, sizeof *c);
}

void connection_set_busy_timeout(struct connection *c, int ms)
{
	sqlite3_busy_timeout(c->db, ms);
}

bool connection_is_idle(const struct connection *c)
{
	return !c->db || sqlite3_get_autocommit(c->db);
}

bool connection_file_is_gone(struct connection *c)
{
	int gone = 0;
	return sqlite3_file_control(c->db, "main", SQLITE_FCNTL_HAS_MOVED, &gone) == SQLITE_OK &&
	       gone;
}

/* The first finding, or "ok". */
struct status connection_verify(struct connection *c)
{
	sqlite3_stmt *stmt = NULL;
	int code = sqlite3_prepare_v2(c->db, "PRAGMA quick_check(1)", -1, &stmt, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_step(stmt);
	bool is_whole = code == SQLITE_ROW &&
			str_eq(str_of((const char *)sqlite3_column_text(stmt, 0)), STR("ok"));
	sqlite3_finalize(stmt);
	if (is_whole)
		return status_ok();
	c->damaged = c->damaged || code == SQLITE_ROW;
	return connection_failed(c, "quick_check", code == SQLITE_ROW ? SQLITE_CORRUPT : code);
}

struct status connection_size(struct connection *c, int64_t *ret)
{
	int64_t pages = 0, bytes = 0;
	TRY(pragma_int(c, "PRAGMA page_count", &pages));
	TRY(pragma_int(c, "PRAGMA page_size", &bytes));
	*ret = pages * bytes;
	return status_ok();
}

struct status connection_checkpoint(struct connection *c, int *ret_copied, int *ret_pages)
{
	int log_pages = 0, copied_pages = 0;
	int code = sqlite3_wal_checkpoint_v2(
		c->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &log_pages, &copied_pages);
	if (code != SQLITE_OK && code != SQLITE_BUSY)
		return connection_failed(c, "checkpoint", code);
	if (ret_copied)
		*ret_copied = copied_pages;
	if (ret_pages)
		*ret_pages = log_pages;
	return status_ok();
}

int connection_changes(const struct connection *c)
{
	return sqlite3_changes(c->db);
}

/* --- Statements --- */

struct statement statement_begin(struct connection *c, enum statement_id id)
{
	struct statement s = {.c = c};
	if (!c->statements[id])
		s.code = sqlite3_prepare_v3(c->db, statement_texts[id], -1,
			SQLITE_PREPARE_PERSISTENT, &c->statements[id], NULL);
	s.stmt = c->statements[id];
	return s;
}

void statement_done(struct statement *s)
{
	if (!s->stmt)
		return;
	(void)sqlite3_reset(s->stmt); /* tells again how the last step failed */
	sqlite3_clear_bindings(s->stmt);
	s->stmt = NULL;
}

static void note(struct statement *s, int code)
{
	if (s->code == SQLITE_OK)
		s->code = code;
}

/* The values live longer than the statement is in use: they are the operation's. */

void bind_text(struct statement *s, int at, struct str text)
{
	if (s->code == SQLITE_OK)
		note(s, text.p ? sqlite3_bind_text64(
					 s->stmt, at, text.p, text.n, SQLITE_STATIC, SQLITE_UTF8)
			       : sqlite3_bind_null(s->stmt, at));
}

void bind_blob(struct statement *s, int at, const void *p, size_t n)
{
	if (s->code == SQLITE_OK)
		note(s, sqlite3_bind_blob64(s->stmt, at, p ? p : "", n, SQLITE_STATIC));
}

void bind_int(struct statement *s, int at, int64_t value)
{
	if (s->code == SQLITE_OK)
		note(s, sqlite3_bind_int64(s->stmt, at, value));
}

struct status statement_step(struct statement *s, bool *ret_row)
{
	int code = s->code == SQLITE_OK ? sqlite3_step(s->stmt) : s->code;
	if (code != SQLITE_ROW && code != SQLITE_DONE) {
		struct status status =
			connection_failed(s->c, s->stmt ? sqlite3_sql(s->stmt) : "prepare", code);
		return status;
	}
	*ret_row = code == SQLITE_ROW;
	return status_ok();
}

struct status statement_run(struct statement *s)
{
	bool row;
	return statement_step(s, &row);
}

void statement_again(struct statement *s)
{
	note(s, sqlite3_reset(s->stmt));
}

int64_t column_int(const struct statement *s, int at)
{
	return sqlite3_column_int64(s->stmt, at);
}

struct str column_text(const struct statement *s, int at)
{
	if (sqlite3_column_type(s->stmt, at) == SQLITE_NULL)
		return (struct str){NULL, 0};
	const char *p = sqlite3_column_blob(s->stmt, at);
	return p ? (struct str){p, (size_t)sqlite3_column_bytes(s->stmt, at)} : STR("");
}
