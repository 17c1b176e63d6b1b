/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/postgres/pg_row.h"

#include "common/base/arena.h"
#include "service/store/postgres/pg_error.h"
#include "service/store/row_codec.h"

#include <endian.h>
#include <string.h>

int64_t pg_row_int(struct pg_row row, int column)
{
	uint64_t value;
	if (PQgetlength(row.result, row.at, column) != sizeof value)
		return 0;
	memcpy(&value, PQgetvalue(row.result, row.at, column), sizeof value);
	return (int64_t)be64toh(value);
}

struct str pg_row_text(struct pg_row row, int column)
{
	if (PQgetisnull(row.result, row.at, column))
		return (struct str){NULL, 0};
	return (struct str){PQgetvalue(row.result, row.at, column),
		(size_t)PQgetlength(row.result, row.at, column)};
}

bool pg_row_bool(struct pg_row row, int column)
{
	struct str text = pg_row_text(row, column);
	return text.n == 1 && text.p[0] == 1;
}

struct status pg_row_token(struct pg_row row, int first, struct token **ret)
{
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	struct token_fields f = {
		.kind = pg_row_int(row, first + 1) == TOKEN_SERVICE ? TOKEN_SERVICE : TOKEN_USER,
		.owner = pg_row_text(row, first + 2),
		.name = pg_row_text(row, first + 3),
		.description = pg_row_text(row, first + 4),
		.expires = {(int32_t)pg_row_int(row, first + 6)},
		.created = {pg_row_int(row, first + 7)},
		.last_used = {pg_row_int(row, first + 8)},
		.last_used_from = pg_row_text(row, first + 9),
		.old_until = {pg_row_int(row, first + 11)},
	};
	struct str hash = pg_row_text(row, first), old_hash = pg_row_text(row, first + 10);
	if (hash.n != sizeof f.hash.bytes || (old_hash.p && old_hash.n != sizeof f.hash.bytes))
		return pg_status_damaged();
	memcpy(f.hash.bytes, hash.p, sizeof f.hash.bytes);
	if (old_hash.p)
		memcpy(f.old_hash.bytes, old_hash.p, sizeof f.old_hash.bytes);
	struct status roles =
		row_roles_parse(pg_row_text(row, first + 5), arena, &f.roles, &f.n_roles);
	if (!status_is_ok(&roles))
		return pg_status_damaged();
	*ret = token_new(&f);
	return status_ok();
}
