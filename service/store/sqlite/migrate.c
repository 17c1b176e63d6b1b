/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/sqlite/migrate.h"

#include "common/base/buf.h"
#include "common/base/log.h"
#include "service/store/migration.h"

#include <sqlite3.h>
#include <stdio.h>

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

static struct status apply(struct connection *c, const struct migration *m, struct unix_time now)
{
	_cleanup_buf_ struct buf sql;
	buf_init(&sql, 1 << 20);
	TRY(migration_render(m, &dialect, &sql));
	buf_printf(&sql,
		"INSERT INTO schema_version (version, name, applied_us) "
		"VALUES (%d, '%s', %lld);",
		m->version, m->name, (long long)now.us);
	return connection_run(c, buf_str(&sql).p);
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
		if (migrations[i].version > version)
			TRY(apply(c, &migrations[i], now));
	return connection_run(c, "COMMIT");
}

static struct status read_known_version(struct connection *c, const char *path, int *ret)
{
	TRY(read_version(c, ret));
	if (*ret > migrations_latest())
		return status_error(STATUS_FAILED_PRECONDITION,
			"'%s' has schema version %d, this program knows versions up to %d: start "
			"the newer program that wrote it",
			path, *ret, migrations_latest());
	return status_ok();
}

struct status migrate_check(struct connection *c, const char *path)
{
	int version;
	TRY(read_known_version(c, path, &version));
	if (version < migrations_latest())
		return status_error(STATUS_FAILED_PRECONDITION,
			"'%s' has schema version %d, this program needs version %d: start the "
			"service with it first, or use the program that the service runs",
			path, version, migrations_latest());
	return status_ok();
}

struct status migrate(struct connection *c, const char *path, struct unix_time now)
{
	int version;
	TRY(read_known_version(c, path, &version));
	if (version == migrations_latest())
		return status_ok();

	TRY(connection_run(c, "BEGIN IMMEDIATE"));
	struct status status = apply_missing(c, version, now);
	if (!status_is_ok(&status)) {
		(void)sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
		return status;
	}
	log_info("store.migrated", LOG_I64("from", version), LOG_I64("to", migrations_latest()));
	/* Gives a new file its room; one that fails was logged, and is done again later. */
	(void)connection_checkpoint(c, NULL, NULL).code;
	return status_ok();
}
