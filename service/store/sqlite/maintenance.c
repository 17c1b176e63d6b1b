/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/sqlite/maintenance.h"

#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/base/xalloc.h"
#include "service/store/migration.h"
#include "service/store/sqlite/connection.h"
#include "service/store/sqlite/operations.h"
#include "service/store/sqlite/sqlite_store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	CACHE_KIB = 8192,
	BUSY_TIMEOUT_MS = 5000,
	PROBLEMS_MAX = 100,
};

static void close_connection(struct connection *c)
{
	connection_close(c);
}

static struct status open_database(const char *data_dir, struct connection *ret)
{
	_cleanup_free_ char *path = xasprintf("%s/tokens.db", data_dir);
	if (access(path, F_OK) != 0 && errno == ENOENT)
		return status_error(STATUS_NOT_FOUND, "there is no database '%s'", path);
	const struct connection_options options = {.path = path,
		.read_only = true,
		.cache_kib = CACHE_KIB,
		.busy_timeout_ms = BUSY_TIMEOUT_MS};
	struct status status = connection_open(&options, ret);
	if (status.code == STATUS_UNAVAILABLE)
		return status_error(STATUS_UNAVAILABLE, "'%s' cannot be read", path);
	return status;
}

/* --- Statements that are run once --- */

struct query {
	struct connection *c;
	sqlite3_stmt *stmt;
};

static void query_done(struct query *q)
{
	sqlite3_finalize(q->stmt);
}

static struct status query_step(struct query *q, bool *ret_row)
{
	int code = sqlite3_step(q->stmt);
	*ret_row = code == SQLITE_ROW;
	return code == SQLITE_ROW || code == SQLITE_DONE
		       ? status_ok()
		       : connection_failed(q->c, sqlite3_sql(q->stmt), code);
}

static struct status query_int(struct connection *c, const char *sql, int64_t *ret)
{
	_cleanup_(query_done) struct query q = {c, NULL};
	bool row;
	int code = sqlite3_prepare_v2(c->db, sql, -1, &q.stmt, NULL);
	if (code != SQLITE_OK)
		return connection_failed(c, sql, code);
	TRY(query_step(&q, &row));
	*ret = row ? sqlite3_column_int64(q.stmt, 0) : 0;
	return status_ok();
}

/* --- Backup --- */

/* The file that becomes @to once it is whole. */
struct target {
	char *path;
	sqlite3 *db;
};

static void target_done(struct target *t)
{
	sqlite3_close_v2(t->db);
	if (t->path) {
		static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
		for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
			_cleanup_free_ char *path = xasprintf("%s%s", t->path, suffixes[i]);
			unlink(path);
		}
	}
	free(t->path);
}

static struct status target_failed(const struct target *t, const char *to)
{
	return status_error(STATUS_UNAVAILABLE, "cannot write '%s': %s", to, sqlite3_errmsg(t->db));
}

static struct status target_open(const char *to, struct target *ret)
{
	if (access(to, F_OK) == 0)
		return status_error(STATUS_ALREADY_EXISTS,
			"'%s' is there already: give a file that is not", to);
	_cleanup_free_ char *path = xasprintf("%s.XXXXXX", to);
	_cleanup_close_ int fd = mkostemp(path, O_CLOEXEC); /* 0600 */
	if (fd < 0)
		return file_status(errno, "make", to);
	ret->path = TAKE_PTR(path);
	/* No journal: what is not whole is never looked at. */
	if (sqlite3_open_v2(ret->path, &ret->db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK ||
		sqlite3_exec(ret->db, "PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF", NULL,
			NULL, NULL) != SQLITE_OK)
		return target_failed(ret, to);
	return status_ok();
}

/* In one step: so it is of one moment, and need not begin again when the service writes. */
static struct status copy_pages(struct connection *from, struct target *t, const char *to)
{
	sqlite3_backup *b = sqlite3_backup_init(t->db, "main", from->db, "main");
	if (!b)
		return target_failed(t, to);
	int code = sqlite3_backup_step(b, -1);
	int end = sqlite3_backup_finish(b);
	if (code == SQLITE_DONE && end == SQLITE_OK)
		return status_ok();
	if ((code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB)
		return status_error(
			STATUS_DATA_LOSS, "the database is damaged: %s", sqlite3_errstr(code));
	return status_error(STATUS_UNAVAILABLE, "cannot copy to '%s': %s", to,
		sqlite3_errstr(code == SQLITE_DONE ? end : code));
}

/* What cannot be read when it is needed is no backup. */
static struct status verify(struct target *t, struct sqlite_backup_result *ret)
{
	struct connection c = {.db = t->db};
	_cleanup_(query_done) struct query q = {&c, NULL};
	bool row = false;
	if (sqlite3_prepare_v2(t->db, "PRAGMA quick_check(1)", -1, &q.stmt, NULL) == SQLITE_OK &&
		sqlite3_step(q.stmt) == SQLITE_ROW)
		row = true;
	const char *text = row ? (const char *)sqlite3_column_text(q.stmt, 0) : NULL;
	if (!text || strcmp(text, "ok") != 0)
		return status_error(STATUS_DATA_LOSS, "the database is damaged: %s",
			text ? text : sqlite3_errmsg(t->db));
	return query_int(&c,
		"SELECT sum(value) FROM counter WHERE name LIKE '%\\_tokens' ESCAPE '\\'",
		&ret->tokens);
}

/* The name is taken only now, and nobody's file is written over. */
static struct status target_publish(
	struct target *t, const char *to, struct sqlite_backup_result *ret)
{
	if (sqlite3_close(t->db) != SQLITE_OK)
		return target_failed(t, to);
	t->db = NULL;
	assert(t->path);
	_cleanup_free_ char *copy = xstrdup(to);
	_cleanup_close_ int fd = open(t->path, O_RDONLY | O_CLOEXEC);
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): of a copy, so its own buffer is not used */
	_cleanup_close_ int folder = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	if (fd < 0 || folder < 0 || fsync(fd) != 0 || fstat(fd, &st) != 0)
		return file_status(errno, "write", to);
	if (link(t->path, to) != 0)
		return errno == EEXIST
			       ? status_error(STATUS_ALREADY_EXISTS,
					 "'%s' is there already: give a file that is not", to)
			       : file_status(errno, "make", to);
	unlink(t->path);
	if (fsync(folder) != 0)
		return file_status(errno, "sync the folder of", to);
	ret->bytes = st.st_size;
	return status_ok();
}

struct status sqlite_backup(const char *data_dir, const char *to, struct sqlite_backup_result *ret)
{
	_cleanup_(close_connection) struct connection from = {.db = NULL};
	_cleanup_(target_done) struct target t = {.path = NULL};
	struct sqlite_backup_result result = {.bytes = 0};
	TRY(open_database(data_dir, &from));
	TRY(target_open(to, &t));
	TRY(copy_pages(&from, &t, to));
	TRY(verify(&t, &result));
	TRY(target_publish(&t, to, &result));
	*ret = result;
	return status_ok();
}

/* --- Check --- */

struct check {
	struct connection *c;
	void (*problem)(void *arg, const char *text);
	void *arg;
	struct sqlite_check_result result;
};

static void report(struct check *check, const char *text)
{
	if (check->problem && check->result.problems < PROBLEMS_MAX)
		check->problem(check->arg, text);
	check->result.problems++;
}

/* The structure, and that each index has the rows of its table. */
static struct status check_structure(struct check *check)
{
	_cleanup_(query_done) struct query q = {check->c, NULL};
	bool row;
	int code = sqlite3_prepare_v2(check->c->db, "PRAGMA integrity_check", -1, &q.stmt, NULL);
	if (code != SQLITE_OK)
		return connection_failed(check->c, "integrity_check", code);
	for (;;) {
		TRY(query_step(&q, &row));
		if (!row)
			return status_ok();
		const char *text = (const char *)sqlite3_column_text(q.stmt, 0);
		if (text && strcmp(text, "ok") != 0)
			report(check, text);
	}
}

static struct status check_version(struct check *check)
{
	int64_t version = 0;
	TRY(query_int(check->c, "SELECT max(version) FROM schema_version", &version));
	check->result.schema_version = (int)version;
	if (version > migrations_latest(SQLITE_STORE_NAME)) {
		char text[128];
		snprintf(text, sizeof text,
			"the schema has version %lld, this program knows versions up to %d",
			(long long)version, migrations_latest(SQLITE_STORE_NAME));
		report(check, text);
	}
	return status_ok();
}

static struct status check_counter(
	struct check *check, enum token_kind kind, const char *name, int64_t *ret)
{
	char sql[128];
	int64_t counted = 0;
	snprintf(sql, sizeof sql, "SELECT count(*) FROM token WHERE kind = %d", (int)kind);
	TRY(query_int(check->c, sql, ret));
	snprintf(sql, sizeof sql, "SELECT value FROM counter WHERE name = '%s'", name);
	TRY(query_int(check->c, sql, &counted));
	if (counted != *ret) {
		snprintf(sql, sizeof sql, "counter %s is %lld, but there are %lld", name,
			(long long)counted, (long long)*ret);
		report(check, sql);
	}
	return status_ok();
}

/* As the service would read them. */
static struct status check_rows(struct check *check)
{
	int64_t bad = 0;
	TRY(query_int(check->c,
		"SELECT count(*) FROM token WHERE length(hash) <> 32 OR kind NOT IN (0, 1) "
		"OR (old_hash IS NOT NULL AND length(old_hash) <> 32) OR NOT json_valid(roles)",
		&bad));
	if (bad) {
		char text[128];
		snprintf(text, sizeof text, "%lld rows of token cannot be understood",
			(long long)bad);
		report(check, text);
	}
	struct store_op op = {.type = STORE_OP_ROLES_LOAD};
	struct operation_effect effect = {0};
	struct status roles = operation_run(check->c, &op, (struct unix_time){0}, &effect);
	store_op_clear(&op);
	if (!status_is_ok(&roles))
		report(check, "a row of role cannot be understood");
	return status_ok();
}

static struct status check_all(struct check *check)
{
	int64_t pages = 0, page_bytes = 0;
	TRY(connection_run(check->c, "BEGIN")); /* all of it at one moment */
	TRY(check_structure(check));
	TRY(check_version(check));
	TRY(check_counter(check, TOKEN_USER, "user_tokens", &check->result.user_tokens));
	TRY(check_counter(check, TOKEN_SERVICE, "service_tokens", &check->result.service_tokens));
	TRY(query_int(check->c, "PRAGMA page_count", &pages));
	TRY(query_int(check->c, "PRAGMA page_size", &page_bytes));
	check->result.bytes = pages * page_bytes;
	return check->result.schema_version >= 2 ? check_rows(check) : status_ok();
}

struct status sqlite_check(const char *data_dir, void (*problem)(void *arg, const char *text),
	void *arg, struct sqlite_check_result *ret)
{
	_cleanup_(close_connection) struct connection c = {.db = NULL};
	struct check check = {.c = &c, .problem = problem, .arg = arg};
	TRY(open_database(data_dir, &c));
	struct status status = check_all(&check);
	/* Damage may end a look through it. */
	if (!status_is_ok(&status))
		report(&check, "it is damaged too much to be read to the end");
	*ret = check.result;
	return status_ok();
}
