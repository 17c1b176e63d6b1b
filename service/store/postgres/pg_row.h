/* SPDX-License-Identifier: Apache-2.0 */
/* Reading binary results. Threads: that of the result. */
#pragma once

#include "common/base/status.h"
#include "common/base/str.h"
#include "service/domain/token.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

/* A row of a result; columns from 0. */
struct pg_row {
	const PGresult *result;
	int at;
};

static inline struct pg_row pg_row(const PGresult *result, int at)
{
	return (struct pg_row){result, at};
}

/* bigint; NULL and anything of another size reads as 0. */
int64_t pg_row_int(struct pg_row row, int column);
/* text or bytea, valid as long as the result; p == NULL: NULL. */
struct str pg_row_text(struct pg_row row, int column);
bool pg_row_bool(struct pg_row row, int column);

/* The columns of a token, in this order, for every statement that gives one. */
#define PG_TOKEN_COLUMNS(t)                                                                        \
	t "hash, " t "kind, " t "owner, " t "name, " t "description, " t "roles, " t               \
	  "expires_day, " t "created_us, " t "last_used_us, " t "last_used_from, " t               \
	  "old_hash, " t "old_until_us"
/* From column @first on. UNAVAILABLE if the row is damaged. */
struct status pg_row_token(struct pg_row row, int first, struct token **ret);
