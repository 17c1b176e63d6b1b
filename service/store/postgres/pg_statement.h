/* SPDX-License-Identifier: Apache-2.0 */
/* The statements, and the parameters that go with them.
 *
 * Many writes of one kind are one statement: it takes arrays, and says which of them it did. So no
 * statement fails for a reason that is an answer (a name that is taken), no savepoints are needed,
 * and a transaction has a handful of statements, however many callers wait for it.
 * Threads: one at a time. */
#pragma once

#include "common/base/buf.h"
#include "common/base/str.h"
#include "service/store/postgres/pq.h"

#include <stddef.h>
#include <stdint.h>

enum pg_statement {
	PG_BEGIN,
	PG_DURABLE,
	PG_COMMIT,
	PG_ROLLBACK,
	PG_PROBE,
	PG_TOUCH,
	PG_TOKEN_INSERT,
	PG_OWNERS_LOCK,
	PG_TOKEN_INSERT_LIMITED,
	PG_TOKEN_REPLACE,
	PG_TOKEN_DELETE,
	PG_TOKENS_DELETE,
	PG_TOKENS_PURGE,
	PG_TOKENS_USED,
	PG_TOKEN_BY_HASH,
	PG_TOKEN_BY_NAME,
	PG_TOKENS_OF_OWNER,
	PG_TOKENS_OF_ALL,
	PG_TOKENS_SEARCH_OWNER,
	PG_TOKENS_SEARCH_ALL,
	PG_REQUEST_RESERVE,
	PG_REQUEST_CLEAN,
	PG_REQUEST_RESOLVE,
	PG_PROFILE_GET,
	PG_PROFILE_CHANGE,
	PG_ROLES,
	PG_ROLE_PUT,
	PG_ROLE_DELETE,
	PG_SETTING_GET,
	PG_SETTING_INIT,
	PG_SETTING_PUT,
	PG_SETTING_REPLACE,
	PG_STATEMENT_COUNT,
};

const char *pg_statement_text(enum pg_statement id);
/* "token_insert": as which it is prepared. */
const char *pg_statement_name(enum pg_statement id);

/* The channel of NOTIFY. */
#define PG_CHANNEL "token_service"

/* Values in the binary format. Texts and bytes are borrowed until the statement was sent. */
enum {
	PG_PARAMS_MAX = 20
};
struct pg_params {
	int n;
	const char *values[PG_PARAMS_MAX];
	int lengths[PG_PARAMS_MAX];
	uint64_t ints[PG_PARAMS_MAX];
	struct buf arrays[PG_PARAMS_MAX];
};
void pg_params_init(struct pg_params *p);
void pg_params_done(struct pg_params *p);
#define _cleanup_pg_params_ _cleanup_(pg_params_done)

void pg_params_int(struct pg_params *p, int64_t value);
void pg_params_bool(struct pg_params *p, bool value);
void pg_params_bytes(struct pg_params *p, const void *bytes, size_t n);
void pg_params_text(struct pg_params *p, struct str text); /* p == NULL: the empty text */
void pg_params_text_or_null(struct pg_params *p, struct str text);

/* Arrays: begun with the number of their items, which follow. */
enum pg_array {
	PG_ARRAY_BYTES = 17, /* the type of the items, as pg_type.oid */
	PG_ARRAY_INT = 20,
	PG_ARRAY_TEXT = 25
};
struct buf *pg_params_array(struct pg_params *p, enum pg_array type, size_t n);
void pg_array_int(struct buf *array, int64_t value);
void pg_array_bytes(struct buf *array, const void *bytes, size_t n);
void pg_array_text(struct buf *array, struct str text);
