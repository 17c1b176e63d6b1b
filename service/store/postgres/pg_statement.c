/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/postgres/pg_statement.h"

#include "common/base/cleanup.h"
#include "service/store/postgres/pg_row.h"

#include <assert.h>
#include <endian.h>
#include <stdbool.h>

#define COLUMNS PG_TOKEN_COLUMNS("")
#define COLUMNS_OF_T PG_TOKEN_COLUMNS("t.")

/* What other replicas hear of a token that was made or deleted (pg_news.h); $1 begins each payload
 * with who sends it. A payload has 8,000 bytes at most. */
#define NOTIFY_TOKEN                                                                               \
	"pg_notify('" PG_CHANNEL "', $1::text || CASE "                                            \
	"WHEN octet_length(owner) + octet_length(name) > 7000 THEN 'a' ELSE "                      \
	"'t' || kind || encode(hash, 'hex') || old_until_us || ' ' || "                            \
	"CASE WHEN old_until_us <> 0 THEN encode(old_hash, 'hex') ELSE '' END || "                 \
	"octet_length(owner) || ' ' || owner || name END)"
#define NOTIFIED "hash, kind, owner, name, old_hash, old_until_us"
#define NOTIFY_ROLES "pg_notify('" PG_CHANNEL "', $1::text || 'r')"

/* Adds to the counters, in the row of this connection ($2, ":7"), so that transactions do not wait
 * for each other's commit; a count is the sum of its rows. */
#define COUNT(rows, sign)                                                                          \
	"counted AS (INSERT INTO counter (name, value) "                                           \
	"SELECT CASE kind WHEN 1 THEN 'service_tokens' ELSE 'user_tokens' END || $2::text, " sign  \
	"count(*) FROM " rows " GROUP BY 1 "                                                       \
	"ON CONFLICT (name) DO UPDATE SET value = counter.value + excluded.value) "

/* Tokens as arrays: the columns, and the request that each belongs to. */
#define INSERT_ARRAYS                                                                              \
	"$3::bytea[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[], "              \
	"$9::bigint[], $10::bigint[], $11::bigint[], $12::text[], $13::bytea[], $14::bigint[], "   \
	"$15::text[], $16::text[]"
#define INSERT_NAMES COLUMNS ", principal, request"
/* In an array no old hash is an empty one. */
#define INSERT_VALUES                                                                              \
	"hash, kind, owner, name, description, roles, expires_day, created_us, last_used_us, "     \
	"last_used_from, NULLIF(old_hash, ''::bytea), old_until_us"
/* A row whose request belongs to another try is left out: see pg_group.c. */
#define REQUEST_IS_OURS                                                                            \
	"(i.request = '' OR EXISTS (SELECT FROM request r WHERE r.principal = i.principal "        \
	"AND r.id = i.request AND r.token_hash = i.hash))"

static const struct {
	const char *name, *text;
} statements[PG_STATEMENT_COUNT] = {
	/* clang-format off */
	[PG_BEGIN] = {"begin", "BEGIN ISOLATION LEVEL READ COMMITTED"},
	/* Of this transaction only: what a session is told, a pooler's next client would inherit. */
	[PG_DURABLE] = {"durable",
		"SELECT set_config('synchronous_commit', 'on', true) "
		"WHERE current_setting('synchronous_commit') = 'off'"},
	[PG_COMMIT] = {"commit", "COMMIT"},
	[PG_ROLLBACK] = {"rollback", "ROLLBACK"},
	[PG_PROBE] = {"probe", "SELECT current_setting('transaction_read_only') = 'on'"},
	[PG_TOUCH] = {"touch", "UPDATE counter SET value = value + 1 WHERE name = 'write_probes'"},
	[PG_TOKEN_INSERT] = {"token_insert",
		"WITH i AS (SELECT * FROM unnest(" INSERT_ARRAYS ") AS i(" INSERT_NAMES ")), "
		"new AS (INSERT INTO token (" COLUMNS ") "
		"SELECT " INSERT_VALUES " FROM i WHERE " REQUEST_IS_OURS " "
		"ON CONFLICT DO NOTHING RETURNING " NOTIFIED "), "
		COUNT("new", "")
		"SELECT hash, " NOTIFY_TOKEN " FROM new"},
	/* Nobody else inserts for these owners until we commit. A lock of its own statement, so that
	 * the next one sees what was committed while we waited. */
	[PG_OWNERS_LOCK] = {"owners_lock",
		"SELECT pg_advisory_xact_lock(7061, k::int) FROM unnest($1::bigint[]) AS k"},
	/* $17: how many an owner may have (0: any number) that live beyond the day $18. */
	[PG_TOKEN_INSERT_LIMITED] = {"token_insert_limited",
		"WITH i AS (SELECT * FROM unnest(" INSERT_ARRAYS ", $17::bigint[], $18::bigint[]) "
		"AS i(" INSERT_NAMES ", most, today)), "
		"wanted AS (SELECT i.*, dense_rank() OVER (PARTITION BY kind, owner ORDER BY name) "
		"AS place FROM i WHERE " REQUEST_IS_OURS " AND NOT EXISTS (SELECT FROM token t "
		"WHERE t.kind = i.kind AND t.owner = i.owner AND t.name = i.name)), "
		"new AS (INSERT INTO token (" COLUMNS ") SELECT " INSERT_VALUES " FROM wanted w "
		"WHERE most = 0 OR place + (SELECT count(*) FROM (SELECT FROM token t "
		"WHERE t.kind = w.kind AND t.owner = w.owner AND t.expires_day > w.today "
		"LIMIT w.most) AS living) <= most "
		"ON CONFLICT DO NOTHING RETURNING " NOTIFIED "), "
		COUNT("new", "")
		"SELECT hash, " NOTIFY_TOKEN " FROM new"},
	/* $10 .. $13 are what it must still be, $14 and $15 the request, $16 its salt; $17 and $18 are
	 * payloads, of what was and what is; $19 and $20 as above. A reservation that led to nothing goes again. */
	[PG_TOKEN_REPLACE] = {"token_replace",
		"WITH done AS (UPDATE token SET hash = $4, description = $5, roles = $6, "
		"expires_day = $7, old_hash = NULLIF($8::bytea, ''::bytea), old_until_us = $9 "
		"WHERE kind = $1 AND owner = $2 AND name = $3 AND hash = $10 AND description = $11 "
		"AND roles::jsonb = $12::text::jsonb AND expires_day = $13 "
		"AND ($15 = '' OR EXISTS (SELECT FROM request r WHERE r.principal = $14 "
		"AND r.id = $15 AND r.token_hash = $4 AND r.salt = $16)) "
		"AND ($4 = $10 OR NOT EXISTS (SELECT FROM token t WHERE t.hash = $4)) "
		"AND ($19::bigint = 0 OR (SELECT count(*) FROM (SELECT FROM token t "
		"WHERE t.kind = $1 AND t.owner = $2 AND t.expires_day > $20 "
		"LIMIT $19) AS living) < $19) "
		"RETURNING 1), "
		"cleaned AS (DELETE FROM request WHERE principal = $14 AND id = $15 "
		"AND token_hash = $4 AND salt = $16 AND NOT EXISTS (SELECT FROM done)) "
		"SELECT pg_notify('" PG_CHANNEL "', $17), pg_notify('" PG_CHANNEL "', $18) FROM done"},
	[PG_TOKEN_DELETE] = {"token_delete",
		"WITH i AS (SELECT * FROM unnest($3::bigint[], $4::text[], $5::text[]) "
		"AS i(kind, owner, name)), gone AS (DELETE FROM token t USING i "
		"WHERE t.kind = i.kind AND t.owner = i.owner AND t.name = i.name "
		"RETURNING " COLUMNS_OF_T "), "
		COUNT("gone", "-")
		"SELECT " COLUMNS ", " NOTIFY_TOKEN " FROM gone"},
	[PG_TOKENS_DELETE] = {"tokens_delete",
		"WITH i AS (SELECT kind, owner, name FROM token "
		"WHERE kind = $3 AND owner >= $4 AND owner <= $4 "
		"ORDER BY owner, name LIMIT $5 FOR UPDATE), gone AS (DELETE FROM token t USING i "
		"WHERE t.kind = i.kind AND t.owner = i.owner AND t.name = i.name "
		"RETURNING " COLUMNS_OF_T "), "
		COUNT("gone", "-")
		"SELECT " COLUMNS ", " NOTIFY_TOKEN " FROM gone"},
	/* Several replicas may be at it; none waits for another. */
	[PG_TOKENS_PURGE] = {"tokens_purge",
		"WITH i AS (SELECT kind, owner, name FROM token WHERE expires_day <= $3 "
		"ORDER BY expires_day LIMIT $4 FOR UPDATE SKIP LOCKED), "
		"gone AS (DELETE FROM token t USING i "
		"WHERE t.kind = i.kind AND t.owner = i.owner AND t.name = i.name RETURNING t.kind), "
		COUNT("gone", "-")
		"SELECT kind, count(*) FROM gone WHERE $1::text <> '' GROUP BY kind"},
	/* A row that somebody is changing is passed over: its use is told again in a minute, and
	 * nobody waits for so little. */
	[PG_TOKENS_USED] = {"tokens_used",
		"WITH u AS (SELECT t.hash, i.at, i.place FROM "
		"unnest($1::bytea[], $2::bigint[], $3::text[]) AS i(hash, at, place) "
		"JOIN token t ON t.hash = i.hash AND t.last_used_us <= i.at - $4::bigint "
		"FOR UPDATE OF t SKIP LOCKED) "
		"UPDATE token t SET last_used_us = u.at, last_used_from = u.place "
		"FROM u WHERE t.hash = u.hash"},
	[PG_TOKEN_BY_HASH] = {"token_by_hash",
		"SELECT " COLUMNS " FROM token WHERE hash = $1 UNION ALL "
		"SELECT " COLUMNS " FROM token WHERE old_hash = $1 LIMIT 1"},
	[PG_TOKEN_BY_NAME] = {"token_by_name",
		"SELECT " COLUMNS " FROM token WHERE kind = $1 AND owner = $2 AND name = $3"},
	/* $3 is the place of the page: where it begins; $4 is the name that is behind us. The owner
	 * is in the order, so that no plan walks through all owners' names. */
	[PG_TOKENS_OF_OWNER] = {"tokens_of_owner",
		"SELECT " COLUMNS " FROM token "
		"WHERE kind = $1 AND (owner, name) >= ($2, $3) AND (owner, name) <= ($2, $5) "
		"AND name <> $4 ORDER BY owner, name LIMIT $6"},
	[PG_TOKENS_OF_ALL] = {"tokens_of_all",
		"SELECT " COLUMNS " FROM token "
		"WHERE kind = $1 AND (name, owner) > ($2, $3) AND name <= $4 "
		"ORDER BY name, owner LIMIT $5"},
	/* By days, which no index of these is in the order of: as many are looked at as are in
	 * reach, and the last of those is given whether it is wanted or not, with its place. */
	[PG_TOKENS_SEARCH_OWNER] = {"tokens_search_owner",
		"SELECT " COLUMNS ", place FROM (SELECT *, row_number() OVER (ORDER BY owner, name) AS place "
		"FROM (SELECT " COLUMNS " FROM token "
		"WHERE kind = $1 AND (owner, name) >= ($2, $3) AND (owner, name) <= ($2, $5) "
		"AND name <> $4 ORDER BY owner, name LIMIT $7) AS near) AS near "
		"WHERE expires_day BETWEEN $8 AND $9 OR place = $7 ORDER BY owner, name LIMIT $6"},
	/* The index alone says which of them are wanted. */
	[PG_TOKENS_SEARCH_ALL] = {"tokens_search_all",
		"SELECT " COLUMNS_OF_T ", near.place FROM (SELECT *, "
		"row_number() OVER (ORDER BY name, owner) AS place "
		"FROM (SELECT name, owner, expires_day FROM token "
		"WHERE kind = $1 AND (name, owner) > ($2, $3) AND name <= $4 "
		"ORDER BY name, owner LIMIT $6) AS near) AS near "
		"JOIN token t ON t.kind = $1 AND t.owner = near.owner AND t.name = near.name "
		"WHERE near.expires_day BETWEEN $7 AND $8 OR near.place = $6 "
		"ORDER BY near.name, near.owner LIMIT $5"},
	[PG_REQUEST_RESERVE] = {"request_reserve",
		"INSERT INTO request (principal, id, fingerprint, salt, token_hash, expires_us) "
		"SELECT i.*, $6::bigint FROM "
		"unnest($1::text[], $2::text[], $3::bytea[], $4::bytea[], $5::bytea[]) AS i "
		"ON CONFLICT (principal, id) DO UPDATE SET "
		"fingerprint = excluded.fingerprint, salt = excluded.salt, "
		"token_hash = excluded.token_hash, expires_us = excluded.expires_us "
		"WHERE request.expires_us <= $7::bigint"},
	[PG_REQUEST_CLEAN] = {"request_clean",
		"DELETE FROM request r USING unnest($1::text[], $2::text[], $3::bytea[]) "
		"AS i(principal, id, hash) WHERE r.principal = i.principal AND r.id = i.id "
		"AND r.token_hash = i.hash "
		"AND NOT EXISTS (SELECT FROM token t WHERE t.hash = i.hash)"},
	[PG_REQUEST_RESOLVE] = {"request_resolve",
		"SELECT r.fingerprint, r.salt, "
		"EXISTS (SELECT FROM token WHERE kind = $5 AND owner = $6 AND name = $7), "
		"EXISTS (SELECT FROM token WHERE hash = $4), "
		"EXISTS (SELECT FROM token WHERE kind = $5 AND owner = $6 AND name = $7 AND hash = $8), "
		COLUMNS_OF_T " FROM (SELECT) AS one "
		"LEFT JOIN request r ON r.principal = $1 AND r.id = $2 AND r.expires_us > $3 "
		"LEFT JOIN LATERAL (SELECT " COLUMNS " FROM token WHERE hash = r.token_hash "
		"UNION ALL SELECT " COLUMNS " FROM token WHERE old_hash = r.token_hash "
		"AND old_until_us > $3 LIMIT 1) t ON true"},
	[PG_PROFILE_GET] = {"profile_get",
		"SELECT email_notification, slack_notification, bucket, pool FROM profile "
		"WHERE user_name = $1"},
	[PG_PROFILE_CHANGE] = {"profile_change",
		"INSERT INTO profile AS p "
		"(user_name, email_notification, slack_notification, bucket, pool) "
		"VALUES ($1, CASE WHEN $6 THEN $2::bigint ELSE 0 END, "
		"CASE WHEN $7 THEN $3::bigint ELSE 0 END, "
		"CASE WHEN $8 THEN $4::text END, CASE WHEN $9 THEN $5::text END) "
		"ON CONFLICT (user_name) DO UPDATE SET "
		"email_notification = CASE WHEN $6 THEN $2 ELSE p.email_notification END, "
		"slack_notification = CASE WHEN $7 THEN $3 ELSE p.slack_notification END, "
		"bucket = CASE WHEN $8 THEN $4::text ELSE p.bucket END, "
		"pool = CASE WHEN $9 THEN $5::text ELSE p.pool END"},
	[PG_ROLES] = {"roles",
		"SELECT name, description, policies, immutable FROM role ORDER BY name"},
	[PG_ROLE_PUT] = {"role_put",
		"WITH put AS (INSERT INTO role (name, description, policies, immutable) "
		"VALUES ($2, $3, $4, $5) ON CONFLICT (name) DO UPDATE SET "
		"description = excluded.description, policies = excluded.policies, "
		"immutable = excluded.immutable) SELECT " NOTIFY_ROLES},
	[PG_ROLE_DELETE] = {"role_delete",
		"WITH gone AS (DELETE FROM role WHERE name = $2) SELECT " NOTIFY_ROLES},
	[PG_SETTING_GET] = {"setting_get", "SELECT value FROM setting WHERE name = $1"},
	[PG_SETTING_INIT] = {"setting_init",
		"INSERT INTO setting (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING"},
	[PG_SETTING_PUT] = {"setting_put",
		"INSERT INTO setting (name, value) VALUES ($1, $2) "
		"ON CONFLICT (name) DO UPDATE SET value = excluded.value"},
	[PG_SETTING_REPLACE] = {"setting_replace",
		"UPDATE setting SET value = $2 WHERE name = $1 AND value = $3 RETURNING 1"},
	/* clang-format on */
};

const char *pg_statement_text(enum pg_statement id)
{
	return statements[id].text;
}

const char *pg_statement_name(enum pg_statement id)
{
	return statements[id].name;
}

/* --- Parameters --- */

void pg_params_init(struct pg_params *p)
{
	p->n = 0;
}

void pg_params_done(struct pg_params *p)
{
	for (int i = 0; i < p->n; i++)
		if (p->lengths[i] < 0)
			buf_done(&p->arrays[i]);
}

static int next(struct pg_params *p)
{
	assert(p->n < PG_PARAMS_MAX);
	return p->n++;
}

void pg_params_int(struct pg_params *p, int64_t value)
{
	int i = next(p);
	p->ints[i] = htobe64((uint64_t)value);
	p->values[i] = (const char *)&p->ints[i];
	p->lengths[i] = sizeof p->ints[i];
}

void pg_params_bool(struct pg_params *p, bool value)
{
	int i = next(p);
	p->values[i] = value ? "\1" : "\0";
	p->lengths[i] = 1;
}

void pg_params_bytes(struct pg_params *p, const void *bytes, size_t n)
{
	int i = next(p);
	p->values[i] = bytes ? bytes : "";
	p->lengths[i] = (int)n;
}

void pg_params_text(struct pg_params *p, struct str text)
{
	pg_params_bytes(p, text.p, text.n);
}

void pg_params_text_or_null(struct pg_params *p, struct str text)
{
	pg_params_bytes(p, text.p, text.n);
	if (!text.p)
		p->values[p->n - 1] = NULL;
}

static void add_int32(struct buf *b, uint32_t value)
{
	uint32_t wire = htobe32(value);
	buf_append(b, &wire, sizeof wire);
}

struct buf *pg_params_array(struct pg_params *p, enum pg_array type, size_t n)
{
	int i = next(p);
	struct buf *b = &p->arrays[i];
	buf_init(b, INT32_MAX);
	p->values[i] = NULL;
	p->lengths[i] = -1; /* until it is sent */
	add_int32(b, 1);    /* dimensions */
	add_int32(b, 0);    /* no NULLs */
	add_int32(b, type);
	add_int32(b, (uint32_t)n);
	add_int32(b, 1); /* where it begins */
	return b;
}

void pg_array_int(struct buf *array, int64_t value)
{
	uint64_t wire = htobe64((uint64_t)value);
	pg_array_bytes(array, &wire, sizeof wire);
}

void pg_array_bytes(struct buf *array, const void *bytes, size_t n)
{
	add_int32(array, (uint32_t)n);
	buf_append(array, bytes ? bytes : "", n);
}

void pg_array_text(struct buf *array, struct str text)
{
	pg_array_bytes(array, text.p, text.n);
}
