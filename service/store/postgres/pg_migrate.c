/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/postgres/pg_migrate.h"

#include "common/base/buf.h"
#include "common/base/log.h"
#include "service/store/migration.h"
#include "service/store/postgres/postgres_store.h"

#include <libpq-fe.h>

enum {
	MIGRATE_TIMEOUT_MS = 120000, /* another program may be at it */
};

/* "osmo-tok" as a number: what the lock is known by. */
#define LOCK "8028075845146111851"

static const struct migration_dialect dialect = {
	.text_type = "TEXT COLLATE \"C\"",
	.bytes_type = "BYTEA",
	.int_type = "BIGINT",
	.table_suffix = "",
};

static struct status read_version(struct pg_session *s, int *ret)
{
	PGresult *result = NULL;
	int64_t version = 0;
	TRY(pg_session_run(s, "SELECT to_regclass('schema_version') IS NOT NULL",
		s->shared->statement_timeout_ms, &result, NULL));
	bool has_table = PQgetvalue(result, 0, 0)[0] == 't';
	PQclear(result);
	*ret = 0;
	if (!has_table)
		return status_ok();
	TRY(pg_session_run(s, "SELECT coalesce(max(version), 0) FROM schema_version",
		s->shared->statement_timeout_ms, &result, NULL));
	(void)str_to_i64(str_of(PQgetvalue(result, 0, 0)), &version);
	PQclear(result);
	*ret = (int)version;
	return status_ok();
}

static struct status run(struct pg_session *s, const char *sql)
{
	return pg_session_run(s, sql, MIGRATE_TIMEOUT_MS, NULL, NULL);
}

static struct status apply(struct pg_session *s, const struct migration *m)
{
	_cleanup_buf_ struct buf sql;
	buf_init(&sql, 1 << 20);
	TRY(migration_render(m, &dialect, &sql));
	buf_printf(&sql,
		"INSERT INTO schema_version (version, name, applied_us) VALUES (%d, '%s', %lld)",
		m->version, m->name, (long long)clock_now(s->shared->clock).us);
	return run(s, buf_str(&sql).p);
}

static struct status apply_missing(struct pg_session *s)
{
	int version;
	TRY(run(s, "BEGIN; SELECT pg_advisory_xact_lock(" LOCK ")"));
	TRY(run(s,
		"CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL PRIMARY KEY, "
		"name TEXT NOT NULL, applied_us BIGINT NOT NULL)"));
	TRY(read_version(s, &version));
	for (size_t i = 0; i < migrations_count; i++)
		if (migrations[i].version > version &&
			migration_is_for(&migrations[i], POSTGRES_STORE_NAME))
			TRY(apply(s, &migrations[i]));
	TRY(run(s, "COMMIT"));
	if (version < migrations_latest(POSTGRES_STORE_NAME))
		log_info("store.migrated", LOG_I64("from", version),
			LOG_I64("to", migrations_latest(POSTGRES_STORE_NAME)));
	return status_ok();
}

struct status pg_migrate(struct pg_session *s, bool accept_newer)
{
	int version;
	TRY(read_version(s, &version));
	if (version > migrations_latest(POSTGRES_STORE_NAME) && !accept_newer)
		return status_error(STATUS_FAILED_PRECONDITION,
			"the database has schema version %d, this program knows versions up to %d: "
			"start the newer program that wrote it",
			version, migrations_latest(POSTGRES_STORE_NAME));
	return version >= migrations_latest(POSTGRES_STORE_NAME) ? status_ok() : apply_missing(s);
}
