/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/postgres/pg_read.h"

#include "common/base/arena.h"
#include "common/base/xalloc.h"
#include "service/store/postgres/pg_error.h"
#include "service/store/postgres/pg_row.h"
#include "service/store/row_codec.h"

#include <string.h>

/* --- Questions --- */

static void add_by_name(struct pg_connection *c, const struct store_op *op, struct pg_params *p)
{
	pg_params_int(p, op->in.by_name.kind);
	pg_params_text(p, op->in.by_name.owner);
	pg_params_text(p, op->in.by_name.name);
	pg_connection_add(c, PG_TOKEN_BY_NAME, p);
}

static void add_list(struct pg_connection *c, const struct store_op *op, struct pg_params *p)
{
	const struct store_token_query *q = &op->in.query;
	_cleanup_buf_ struct buf memory;
	buf_init(&memory, SIZE_MAX);
	struct str from = store_query_first_name(q);
	bool at_after = q->has_after && str_cmp(q->after_name, from) == 0;
	const struct str none = {NULL, 0};
	pg_params_int(p, q->kind);
	if (q->any_owner) {
		/* Behind this owner; no owner is empty, so the empty text leaves out none. */
		pg_params_text(p, from);
		pg_params_text(p, at_after ? q->after_owner : none);
	} else {
		pg_params_text(p, q->owner);
		pg_params_text(p, from);
		pg_params_text(p, at_after ? q->after_name : none);
	}
	pg_params_text(p, store_query_last_name(q, &memory));
	pg_params_int(p, q->limit > INT64_MAX ? INT64_MAX : (int64_t)q->limit);
	if (store_query_is_search(q)) {
		pg_params_int(p, (int64_t)store_query_reach(q));
		pg_params_int(p, q->has_expires_from ? q->expires_from.days : INT64_MIN);
		pg_params_int(p, q->has_expires_until ? q->expires_until.days : INT64_MAX);
		pg_connection_add(
			c, q->any_owner ? PG_TOKENS_SEARCH_ALL : PG_TOKENS_SEARCH_OWNER, p);
	} else {
		pg_connection_add(c, q->any_owner ? PG_TOKENS_OF_ALL : PG_TOKENS_OF_OWNER, p);
	}
}

static void add_resolve(struct pg_connection *c, const struct store_op *op, struct pg_params *p,
	struct unix_time now)
{
	const struct store_request_id *request = &op->in.insert.request;
	const struct token_fields *f = &op->in.insert.token->fields;
	pg_params_text(p, request->principal);
	pg_params_text(p, request->id);
	pg_params_int(p, now.us);
	pg_params_bytes(p, f->hash.bytes, sizeof f->hash.bytes);
	pg_params_int(p, f->kind);
	pg_params_text(p, f->owner);
	pg_params_text(p, f->name);
	const struct token *old = op->in.insert.old;
	pg_params_bytes(p, old ? old->fields.hash.bytes : NULL, old ? TOKEN_HASH_BYTES : 0);
	pg_connection_add(c, PG_REQUEST_RESOLVE, p);
}

void pg_read_add(struct pg_connection *c, const struct store_op *op, struct unix_time now)
{
	_cleanup_pg_params_ struct pg_params p;
	pg_params_init(&p);
	switch (op->type) {
	case STORE_OP_TOKEN_INSERT:
	case STORE_OP_TOKEN_REPLACE:
		add_resolve(c, op, &p, now);
		break;
	case STORE_OP_TOKEN_BY_HASH:
		pg_params_bytes(&p, op->in.hash.bytes, sizeof op->in.hash.bytes);
		pg_connection_add(c, PG_TOKEN_BY_HASH, &p);
		break;
	case STORE_OP_TOKEN_BY_NAME:
		add_by_name(c, op, &p);
		break;
	case STORE_OP_TOKEN_LIST:
		add_list(c, op, &p);
		break;
	case STORE_OP_PROFILE_GET:
		pg_params_text(&p, op->in.profile.user);
		pg_connection_add(c, PG_PROFILE_GET, &p);
		break;
	case STORE_OP_ROLES_LOAD:
		pg_connection_add(c, PG_ROLES, &p);
		break;
	case STORE_OP_SETTING_GET:
	case STORE_OP_SETTING_INIT:
		pg_params_text(&p, op->in.setting.name);
		pg_connection_add(c, PG_SETTING_GET, &p);
		break;
	case STORE_OP_CHECK:
	case STORE_OP_TOKEN_DELETE:
	case STORE_OP_TOKENS_DELETE:
	case STORE_OP_TOKENS_PURGE:
	case STORE_OP_TOKENS_USED:
	case STORE_OP_PROFILE_CHANGE:
	case STORE_OP_ROLE_PUT:
	case STORE_OP_ROLE_DELETE:
	case STORE_OP_SETTING_PUT:
	case STORE_OP_SETTING_REPLACE:
	case STORE_OP_COUNT:
		pg_connection_add(c, PG_PROBE, &p);
		break;
	}
}

/* --- Answers --- */

/* The one token of a result that has one at most; NULL if there is none. */
static struct status take_token(const PGresult *result, struct token **ret)
{
	*ret = NULL;
	return PQntuples(result) > 0 ? pg_row_token(pg_row(result, 0), 0, ret) : status_ok();
}

static struct status take_by_hash(struct store_op *op, const PGresult *result)
{
	_cleanup_(token_unrefp) struct token *t = NULL;
	TRY(take_token(result, &t));
	if (!t)
		return status_error(STATUS_NOT_FOUND, "the token is not known");
	/* The index compared it in whatever time; this is against an index that is damaged. */
	if (!token_hash_eq(&t->fields.hash, &op->in.hash) &&
		!token_hash_eq(&t->fields.old_hash, &op->in.hash))
		return pg_status_damaged();
	op->out.token = TAKE_PTR(t);
	return status_ok();
}

static struct status take_by_name(struct store_op *op, const PGresult *result)
{
	TRY(take_token(result, &op->out.token));
	return op->out.token ? status_ok()
			     : status_error(STATUS_NOT_FOUND, "token '%.*s' does not exist",
				       STR_ARG(op->in.by_name.name));
}

static struct status take_list(struct store_op *op, const PGresult *result)
{
	enum {
		PLACE = 12 /* the column behind a token's: in how far it is */
	};
	const struct store_token_query *q = &op->in.query;
	bool is_search = store_query_is_search(q);
	for (int i = 0; i < PQntuples(result); i++) {
		_cleanup_(token_unrefp) struct token *token = NULL;
		struct pg_row row = pg_row(result, i);
		TRY(pg_row_token(row, 0, &token));
		const struct token_fields *f = &token->fields;
		if (is_search && pg_row_int(row, PLACE) == (int64_t)store_query_reach(q))
			store_op_set_rest(op, f->name, f->owner);
		if (!is_search || store_query_takes_day(q, f->expires))
			store_op_add_token(op, TAKE_PTR(token));
	}
	return status_ok();
}

/* Why an insert did nothing. */
static struct status why_not_inserted(const struct store_op *op, bool name_is_there, bool hash_is)
{
	const struct token_fields *f = &op->in.insert.token->fields;
	if (!name_is_there && hash_is)
		return status_error(
			STATUS_ALREADY_EXISTS, "another token has the same secret already");
	if (!name_is_there && op->in.insert.limit.max)
		return store_limit_reached(f->owner, &op->in.insert.limit);
	return status_error(STATUS_ALREADY_EXISTS, "token '%.*s' already exists", STR_ARG(f->name));
}

static struct status why_not_replaced(
	const struct store_op *op, bool name_is_there, bool hash_is, bool old_is)
{
	const struct token_fields *f = &op->in.insert.token->fields;
	if (!name_is_there)
		return status_error(
			STATUS_NOT_FOUND, "token '%.*s' does not exist", STR_ARG(f->name));
	if (hash_is && !token_hash_eq(&f->hash, &op->in.insert.old->fields.hash))
		return status_error(
			STATUS_ALREADY_EXISTS, "another token has the same secret already");
	if (old_is && op->in.insert.limit.max) /* nobody else rotated it */
		return store_limit_reached(f->owner, &op->in.insert.limit);
	return status_error(
		STATUS_ABORTED, "token '%.*s' was changed at the same time", STR_ARG(f->name));
}

static struct status take_resolve(struct store_op *op, const PGresult *result)
{
	const struct store_request_id *request = &op->in.insert.request;
	enum {
		TOKEN = 5 /* its first column */
	};
	struct pg_row row = pg_row(result, 0);
	if (PQntuples(result) != 1)
		return pg_status_damaged();
	struct str fingerprint = pg_row_text(row, 0), salt = pg_row_text(row, 1);
	bool name_is_there = pg_row_bool(row, 2), hash_is = pg_row_bool(row, 3),
	     old_is = pg_row_bool(row, 4);
	if (!fingerprint.p && request->only_again)
		return store_request_not_known(request);
	if (!fingerprint.p)
		return op->type == STORE_OP_TOKEN_INSERT
			       ? why_not_inserted(op, name_is_there, hash_is)
			       : why_not_replaced(op, name_is_there, hash_is, old_is);
	if (salt.n != sizeof op->out.salt)
		return pg_status_damaged();
	if (!str_eq(fingerprint,
		    (struct str){(const char *)request->fingerprint, sizeof request->fingerprint}))
		return store_request_reused(request);
	if (PQgetisnull(result, 0, TOKEN))
		return store_request_outdated(request);
	memcpy(op->out.salt, salt.p, sizeof op->out.salt);
	op->out.replayed = true;
	return pg_row_token(row, TOKEN, &op->out.token);
}

static struct status take_profile(struct store_op *op, const PGresult *result)
{
	struct store_profile *p = &op->out.profile;
	*p = (struct store_profile){.user = store_op_keep(op, op->in.profile.user)};
	if (PQntuples(result) == 0)
		return status_ok();
	struct pg_row row = pg_row(result, 0);
	p->email_notification = pg_row_int(row, 0) != 0;
	p->slack_notification = pg_row_int(row, 1) != 0;
	p->bucket = store_op_keep(op, pg_row_text(row, 2));
	p->pool = store_op_keep(op, pg_row_text(row, 3));
	return status_ok();
}

static struct status take_roles(struct store_op *op, const PGresult *result)
{
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	op->out.roles = role_set_new();
	for (int i = 0; i < PQntuples(result); i++) {
		struct pg_row row = pg_row(result, i);
		struct role role = {.name = pg_row_text(row, 0),
			.description = pg_row_text(row, 1),
			.immutable = pg_row_int(row, 3) != 0};
		struct status policies = row_policies_parse(pg_row_text(row, 2), arena, &role);
		if (!status_is_ok(&policies))
			return pg_status_damaged();
		role_set_add(op->out.roles, &role);
		arena_reset(arena);
	}
	return status_ok();
}

static struct status take_setting(struct store_op *op, const PGresult *result)
{
	if (PQntuples(result) == 0)
		return status_error(STATUS_NOT_FOUND, "setting '%.*s' is not set",
			STR_ARG(op->in.setting.name));
	op->out.value = store_op_keep(op, pg_row_text(pg_row(result, 0), 0));
	return status_ok();
}

struct status pg_read_take(struct store_op *op, const PGresult *result)
{
	switch (op->type) {
	case STORE_OP_TOKEN_INSERT:
	case STORE_OP_TOKEN_REPLACE:
		return take_resolve(op, result);
	case STORE_OP_TOKEN_BY_HASH:
		return take_by_hash(op, result);
	case STORE_OP_TOKEN_BY_NAME:
		return take_by_name(op, result);
	case STORE_OP_TOKEN_LIST:
		return take_list(op, result);
	case STORE_OP_PROFILE_GET:
		return take_profile(op, result);
	case STORE_OP_ROLES_LOAD:
		return take_roles(op, result);
	case STORE_OP_SETTING_GET:
	case STORE_OP_SETTING_INIT:
		return take_setting(op, result);
	case STORE_OP_CHECK:
	case STORE_OP_TOKEN_DELETE:
	case STORE_OP_TOKENS_DELETE:
	case STORE_OP_TOKENS_PURGE:
	case STORE_OP_TOKENS_USED:
	case STORE_OP_PROFILE_CHANGE:
	case STORE_OP_ROLE_PUT:
	case STORE_OP_ROLE_DELETE:
	case STORE_OP_SETTING_PUT:
	case STORE_OP_SETTING_REPLACE:
	case STORE_OP_COUNT:
		break;
	}
	return status_ok();
}
