/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/sqlite/operations.h"

#include "common/base/arena.h"
#include "service/store/row_codec.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

/* --- Tokens --- */

static struct status damaged(struct connection *c)
{
	return connection_failed(c, "a damaged row", 11 /* SQLITE_CORRUPT */);
}

/* From a row of TOKEN_COLUMNS. */
static struct status token_of_row(struct statement *s, struct token **ret)
{
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	struct token_fields f = {
		.kind = column_int(s, 1) == TOKEN_SERVICE ? TOKEN_SERVICE : TOKEN_USER,
		.owner = column_text(s, 2),
		.name = column_text(s, 3),
		.description = column_text(s, 4),
		.expires = {(int32_t)column_int(s, 6)},
		.created = {column_int(s, 7)},
		.last_used = {column_int(s, 8)},
		.last_used_from = column_text(s, 9),
		.old_until = {column_int(s, 11)},
	};
	struct str hash = column_text(s, 0), old_hash = column_text(s, 10);
	if (hash.n != sizeof f.hash.bytes || (old_hash.p && old_hash.n != sizeof f.hash.bytes))
		return damaged(s->c);
	memcpy(f.hash.bytes, hash.p, sizeof f.hash.bytes);
	if (old_hash.p)
		memcpy(f.old_hash.bytes, old_hash.p, sizeof f.old_hash.bytes);
	struct status roles = row_roles_parse(column_text(s, 5), arena, &f.roles, &f.n_roles);
	if (!status_is_ok(&roles))
		return damaged(s->c);
	*ret = token_new(&f);
	return status_ok();
}

/* The one row of a statement that has one at most; NULL if there is none. */
static struct status find_token(struct statement *s, struct token **ret)
{
	bool row;
	*ret = NULL;
	TRY(statement_step(s, &row));
	return row ? token_of_row(s, ret) : status_ok();
}

static struct status find_by_index(struct connection *c, enum statement_id id,
	const struct token_hash *hash, struct token **ret)
{
	_cleanup_statement_ struct statement s = statement_begin(c, id);
	bind_blob(&s, 1, hash->bytes, sizeof hash->bytes);
	_cleanup_(token_unrefp) struct token *t = NULL;
	TRY(find_token(&s, &t));
	/* The index compared it in whatever time; this is against an index that is damaged. */
	const struct token_fields *f = t ? &t->fields : NULL;
	if (t && !token_hash_eq(id == STATEMENT_TOKEN_BY_HASH ? &f->hash : &f->old_hash, hash))
		return damaged(c);
	*ret = TAKE_PTR(t);
	return status_ok();
}

static struct status find_by_hash(
	struct connection *c, const struct token_hash *hash, struct token **ret)
{
	TRY(find_by_index(c, STATEMENT_TOKEN_BY_HASH, hash, ret));
	return *ret ? status_ok() : find_by_index(c, STATEMENT_TOKEN_BY_OLD_HASH, hash, ret);
}

static struct status find_by_name(struct connection *c, enum token_kind kind, struct str owner,
	struct str name, struct token **ret)
{
	_cleanup_statement_ struct statement s = statement_begin(c, STATEMENT_TOKEN_BY_NAME);
	bind_int(&s, 1, kind);
	bind_text(&s, 2, owner.p ? owner : STR(""));
	bind_text(&s, 3, name.p ? name : STR(""));
	return find_token(&s, ret);
}

static struct status not_found(const struct store_op *op)
{
	return status_error(
		STATUS_NOT_FOUND, "token '%.*s' does not exist", STR_ARG(op->in.by_name.name));
}

static struct status token_by_hash(struct connection *c, struct store_op *op)
{
	TRY(find_by_hash(c, &op->in.hash, &op->out.token));
	return op->out.token ? status_ok()
			     : status_error(STATUS_NOT_FOUND, "the token is not known");
}

static struct status token_by_name(struct connection *c, struct store_op *op)
{
	TRY(find_by_name(
		c, op->in.by_name.kind, op->in.by_name.owner, op->in.by_name.name, &op->out.token));
	return op->out.token ? status_ok() : not_found(op);
}

static void count_token(struct operation_effect *effect, enum token_kind kind, int by)
{
	*(kind == TOKEN_SERVICE ? &effect->service_tokens : &effect->user_tokens) += by;
}

/* An id that is known: the first result, or what is wrong with it. *@ret_known: it was. */
static struct status replay(
	struct connection *c, struct store_op *op, struct unix_time now, bool *ret_known)
{
	const struct store_request_id *request = &op->in.insert.request;
	_cleanup_statement_ struct statement s = statement_begin(c, STATEMENT_REQUEST_GET);
	bind_text(&s, 1, request->principal.p ? request->principal : STR(""));
	bind_text(&s, 2, request->id);
	bind_int(&s, 3, now.us);
	TRY(statement_step(&s, ret_known));
	if (!*ret_known)
		return status_ok();

	struct str fingerprint = column_text(&s, 0), salt = column_text(&s, 1);
	struct str hash = column_text(&s, 2);
	struct token_hash made;
	if (salt.n != sizeof op->out.salt || hash.n != sizeof made.bytes)
		return damaged(c);
	if (!str_eq(fingerprint,
		    (struct str){(const char *)request->fingerprint, sizeof request->fingerprint}))
		return store_request_reused(request);
	memcpy(made.bytes, hash.p, sizeof made.bytes);
	memcpy(op->out.salt, salt.p, sizeof op->out.salt);
	op->out.replayed = true;
	TRY(find_by_hash(c, &made, &op->out.token));
	bool is_good = op->out.token && token_opens_with(op->out.token, &made, now);
	return is_good ? status_ok() : store_request_outdated(request);
}

static struct status remember_request(
	struct connection *c, struct store_op *op, struct unix_time now)
{
	const struct store_request_id *request = &op->in.insert.request;
	_cleanup_statement_ struct statement s = statement_begin(c, STATEMENT_REQUEST_PUT);
	bind_text(&s, 1, request->principal.p ? request->principal : STR(""));
	bind_text(&s, 2, request->id);
	bind_blob(&s, 3, request->fingerprint, sizeof request->fingerprint);
	bind_blob(&s, 4, request->salt, sizeof request->salt);
	bind_blob(&s, 5, op->in.insert.token->fields.hash.bytes, TOKEN_HASH_BYTES);
	bind_int(&s, 6, now.us + (int64_t)REQUEST_LIFETIME_S * US_PER_S);
	return statement_run(&s);
}

static void bind_old_hash(struct statement *s, int at, const struct token_fields *f)
{
	if (f->old_until.us)
		bind_blob(s, at, f->old_hash.bytes, sizeof f->old_hash.bytes);
	else
		bind_text(s, at, (struct str){NULL, 0});
}

static struct status insert_row(struct connection *c, struct store_op *op, bool *ret_new)
{
	const struct token_fields *f = &op->in.insert.token->fields;
	_cleanup_statement_ struct statement s = statement_begin(c, STATEMENT_TOKEN_INSERT);
	bind_blob(&s, 1, f->hash.bytes, sizeof f->hash.bytes);
	bind_int(&s, 2, f->kind);
	bind_text(&s, 3, f->owner);
	bind_text(&s, 4, f->name);
	bind_text(&s, 5, f->description);
	bind_text(&s, 6, op->in.insert.roles);
	bind_int(&s, 7, f->expires.days);
	bind_int(&s, 8, f->created.us);
	bind_int(&s, 9, f->last_used.us);
	bind_text(&s, 10, f->last_used_from);
	bind_old_hash(&s, 11, f);
	bind_int(&s, 12, f->old_until.us);
	TRY(statement_run(&s));
	*ret_new = connection_changes(c) > 0;
	return status_ok();
}

static struct status count_up_to(struct connection *c, enum statement_id id,
	const struct token_fields *of, const struct store_token_limit *limit, bool *ret_beyond)
{
	_cleanup_statement_ struct statement s = statement_begin(c, id);
	bool row;
	bind_int(&s, 1, of->kind);
	bind_text(&s, 2, of->owner);
	bind_int(&s, 3, limit->max > INT32_MAX ? INT32_MAX : (int64_t)limit->max + 1);
	if (id == STATEMENT_TOKENS_COUNT_LIVE)
		bind_int(&s, 4, limit->today.days);
	TRY(statement_step(&s, &row));
	*ret_beyond = row && (uint64_t)column_int(&s, 0) > limit->max;
	return status_ok();
}

/* With the row there as it is to be. The writer is the only one, so nobody gets in between. */
static struct status check_limit(struct connection *c, const struct store_op *op)
{
	const struct token_fields *f = &op->in.insert.token->fields;
	const struct store_token_limit *limit = &op->in.insert.limit;
	bool beyond;
	if (!limit->max)
		return status_ok();
	TRY(count_up_to(c, STATEMENT_TOKENS_COUNT, f, limit, &beyond));
	if (beyond)
		TRY(count_up_to(c, STATEMENT_TOKENS_COUNT_LIVE, f, limit, &beyond));
	return beyond ? store_limit_reached(f->owner, limit) : status_ok();
}

static struct status token_insert(struct connection *c, struct store_op *op, struct unix_time now,
	struct operation_effect *effect)
{
	struct token *token = op->in.insert.token;
	const struct store_request_id *request = &op->in.insert.request;
	bool known = false, new_row;
	memcpy(op->out.salt, request->salt, sizeof op->out.salt);
	if (request->id.n) {
		TRY(replay(c, op, now, &known));
		if (known)
			return status_ok();
		if (request->only_again)
			return store_request_not_known(request);
	}
	/* Before the limit, so that a name that is taken is what is said. */
	struct status status = insert_row(c, op, &new_row);
	if (status.code == STATUS_ALREADY_EXISTS)
		return status_error(
			STATUS_ALREADY_EXISTS, "another token has the same secret already");
	TRY(status);
	if (!new_row) {
		_cleanup_(token_unrefp) struct token *there = NULL;
		if (op->maybe_done)
			TRY(find_by_hash(c, &token->fields.hash, &there));
		/* A commit that was said to have failed had not. */
		if (!there)
			return status_error(STATUS_ALREADY_EXISTS, "token '%.*s' already exists",
				STR_ARG(token->fields.name));
	} else {
		TRY(check_limit(c, op));
		count_token(effect, token->fields.kind, 1);
		if (request->id.n)
			TRY(remember_request(c, op, now));
	}
	op->out.token = token_ref(token);
	return status_ok();
}

static struct status write_replacement(struct connection *c, const struct store_op *op)
{
	const struct token_fields *f = &op->in.insert.token->fields;
	_cleanup_statement_ struct statement s = statement_begin(c, STATEMENT_TOKEN_REPLACE);
	bind_int(&s, 1, f->kind);
	bind_text(&s, 2, f->owner);
	bind_text(&s, 3, f->name);
	bind_blob(&s, 4, f->hash.bytes, sizeof f->hash.bytes);
	bind_text(&s, 5, f->description);
	bind_text(&s, 6, op->in.insert.roles);
	bind_int(&s, 7, f->expires.days);
	bind_old_hash(&s, 8, f);
	bind_int(&s, 9, f->old_until.us);
	TRY(statement_run(&s));
	return connection_changes(c) == 1 ? status_ok() : damaged(c);
}

static struct status token_replace(struct connection *c, struct store_op *op, struct unix_time now)
{
	const struct token_fields *to = &op->in.insert.token->fields;
	const struct store_request_id *request = &op->in.insert.request;
	bool known = false;
	memcpy(op->out.salt, request->salt, sizeof op->out.salt);
	if (request->id.n) {
		TRY(replay(c, op, now, &known));
		if (known)
			return status_ok();
		if (request->only_again)
			return store_request_not_known(request);
	}
	_cleanup_(token_unrefp) struct token *there = NULL;
	TRY(find_by_name(c, to->kind, to->owner, to->name, &there));
	if (!there)
		return status_error(
			STATUS_NOT_FOUND, "token '%.*s' does not exist", STR_ARG(to->name));
	/* A commit that was said to have failed had not. */
	bool done = op->maybe_done && token_is_unchanged(&there->fields, to);
	if (!done && !token_is_unchanged(&there->fields, &op->in.insert.old->fields))
		return status_error(STATUS_ABORTED, "token '%.*s' was changed at the same time",
			STR_ARG(to->name));
	if (!done) {
		struct status status = write_replacement(c, op);
		if (status.code == STATUS_ALREADY_EXISTS)
			return status_error(
				STATUS_ALREADY_EXISTS, "another token has the same secret already");
		TRY(status);
		TRY(check_limit(c, op));
		if (request->id.n)
			TRY(remember_request(c, op, now));
	}
	op->out.token = token_ref(op->in.insert.token);
	return status_ok();
}

static struct status token_delete(
	struct connection *c, struct store_op *op, struct operation_effect *effect)
{
	/* What an earlier try deleted, if its commit failed in a way that may have succeeded. */
	_cleanup_(token_unrefp) struct token *before = TAKE_PTR(op->out.token);
	TRY(find_by_name(
		c, op->in.by_name.kind, op->in.by_name.owner, op->in.by_name.name, &op->out.token));
	if (!op->out.token) {
		if (!before)
			return not_found(op);
		op->out.token = TAKE_PTR(before);
		return status_ok();
	}
	_cleanup_statement_ struct statement s = statement_begin(c, STATEMENT_TOKEN_DELETE);
	bind_int(&s, 1, op->in.by_name.kind);
	bind_text(&s, 2, op->in.by_name.owner);
	bind_text(&s, 3, op->in.by_name.name);
	TRY(statement_run(&s));
	if (connection_changes(c) != 1)
		return damaged(c);
	count_token(effect, op->in.by_name.kind, -1);
	return status_ok();
}

static bool has_token(const struct store_op *op, const struct token *token, size_t among)
{
	for (size_t i = 0; i < among; i++)
		if (token_hash_eq(&op->out.tokens[i]->fields.hash, &token->fields.hash))
			return true;
	return false;
}

/* Adds to what an earlier try deleted, if its commit failed in a way that may have succeeded; if it
 * did not, the same ones are found again. */
static struct status tokens_delete(
	struct connection *c, struct store_op *op, struct operation_effect *effect)
{
	_cleanup_statement_ struct statement s = statement_begin(c, STATEMENT_TOKENS_DELETE);
	bind_int(&s, 1, op->in.of_owner.kind);
	bind_text(&s, 2, op->in.of_owner.owner.p ? op->in.of_owner.owner : STR(""));
	bind_int(&s, 3,
		op->in.of_owner.limit > INT32_MAX ? INT32_MAX : (int64_t)op->in.of_owner.limit);
	const size_t before = op->out.n_tokens;
	for (;;) {
		bool row;
		TRY(statement_step(&s, &row));
		if (!row)
			return status_ok();
		_cleanup_(token_unrefp) struct token *token = NULL;
		TRY(token_of_row(&s, &token));
		if (!has_token(op, token, before))
			store_op_add_token(op, TAKE_PTR(token));
		count_token(effect, op->in.of_owner.kind, -1);
	}
}

static struct status tokens_purge(
	struct connection *c, struct store_op *op, struct operation_effect *effect)
{
	_cleanup_statement_ struct statement s = statement_begin(c, STATEMENT_TOKENS_PURGE);
	bind_int(&s, 1, op->in.purge.day.days);
	bind_int(&s, 2, op->in.purge.limit > INT32_MAX ? INT32_MAX : (int64_t)op->in.purge.limit);
	for (;;) {
		bool row;
		TRY(statement_step(&s, &row));
		if (!row)
			return status_ok();
		op->out.count++;
		count_token(effect, column_int(&s, 0) == TOKEN_SERVICE ? TOKEN_SERVICE : TOKEN_USER,
			-1);
	}
}

static struct status tokens_used(struct connection *c, const struct store_op *op)
{
	_cleanup_statement_ struct statement s = statement_begin(c, STATEMENT_TOKEN_USED);
	for (size_t i = 0; i < op->in.used.n; i++) {
		const struct store_token_use *use = &op->in.used.uses[i];
		bind_blob(&s, 1, use->hash.bytes, sizeof use->hash.bytes);
		bind_int(&s, 2, use->at.us);
		bind_text(&s, 3, use->from);
		bind_int(&s, 4, use->at.us - op->in.used.apart_us);
		TRY(statement_run(&s));
		statement_again(&s);
	}
	return status_ok();
}

/* --- Lists --- */

/* @most: how many rows. */
static void bind_query(
	struct statement *s, const struct store_token_query *q, size_t most, struct buf *memory)
{
	bool at_after = q->has_after && str_cmp(q->after_name, store_query_first_name(q)) == 0;
	bind_int(s, 1, q->kind);
	if (!q->any_owner)
		bind_text(s, 2, q->owner.p ? q->owner : STR(""));
	bind_text(s, 3, store_query_first_name(q));
	/* Of one owner: the name to leave out. Of all: the owner behind whom to go on. No name and
	 * no owner is empty, so the empty text leaves out none. */
	struct str after = q->any_owner ? q->after_owner : q->after_name;
	bind_text(s, 4, at_after && after.p ? after : STR(""));
	bind_text(s, 5, store_query_last_name(q, memory));
	bind_int(s, 6, most > INT64_MAX ? INT64_MAX : (int64_t)most);
}

/* A row of a search of all owners' tokens is a key of the index; the token is read if it is wanted:
 * *@ret, or NULL. */
static struct status wanted_of_key(struct connection *c, const struct store_token_query *q,
	const struct statement *key, struct token **ret)
{
	const struct date expires = {(int32_t)column_int(key, 2)};
	if (!store_query_takes_day(q, expires))
		return status_ok();
	_cleanup_statement_ struct statement s = statement_begin(c, STATEMENT_TOKEN_OF_KEY);
	bool row;
	bind_int(&s, 1, q->kind);
	bind_text(&s, 2, column_text(key, 1));
	bind_text(&s, 3, column_text(key, 0));
	TRY(statement_step(&s, &row));
	return row ? token_of_row(&s, ret) : status_ok();
}

static struct status wanted_of_row(
	const struct store_token_query *q, struct statement *s, struct token **ret)
{
	_cleanup_(token_unrefp) struct token *token = NULL;
	TRY(token_of_row(s, &token));
	assert(token);
	if (store_query_takes_day(q, token->fields.expires))
		*ret = TAKE_PTR(token);
	return status_ok();
}

/* Looks at what is in reach, until there are enough. */
static struct status token_search(struct connection *c, struct store_op *op)
{
	const struct store_token_query *q = &op->in.query;
	size_t reach = store_query_reach(q);
	_cleanup_buf_ struct buf memory;
	buf_init(&memory, SIZE_MAX);
	_cleanup_statement_ struct statement s = statement_begin(
		c, q->any_owner ? STATEMENT_TOKENS_SEARCH : STATEMENT_TOKENS_OF_OWNER);
	bind_query(&s, q, reach, &memory);
	for (size_t n = 1; op->out.n_tokens < q->limit; n++) {
		struct token *token = NULL;
		bool row;
		TRY(statement_step(&s, &row));
		if (!row)
			return status_ok();
		TRY(q->any_owner ? wanted_of_key(c, q, &s, &token) : wanted_of_row(q, &s, &token));
		if (token)
			store_op_add_token(op, token);
		if (n == reach) {
			store_op_set_rest(op, column_text(&s, q->any_owner ? 0 : 3),
				q->any_owner ? column_text(&s, 1) : q->owner);
			return status_ok();
		}
	}
	return status_ok();
}

static struct status token_list(struct connection *c, struct store_op *op)
{
	const struct store_token_query *q = &op->in.query;
	if (store_query_is_search(q))
		return token_search(c, op);
	_cleanup_buf_ struct buf memory; /* before the statement: it outlives what is bound */
	buf_init(&memory, SIZE_MAX);
	_cleanup_statement_ struct statement s = statement_begin(
		c, q->any_owner ? STATEMENT_TOKENS_OF_ALL : STATEMENT_TOKENS_OF_OWNER);
	bind_query(&s, q, q->limit, &memory);
	for (;;) {
		bool row;
		TRY(statement_step(&s, &row));
		if (!row)
			return status_ok();
		struct token *token = NULL;
		TRY(token_of_row(&s, &token));
		store_op_add_token(op, token);
	}
}

/* --- Profiles --- */

static struct status read_profile(struct connection *c, struct store_op *op)
{
	_cleanup_statement_ struct statement s = statement_begin(c, STATEMENT_PROFILE_GET);
	bind_text(&s, 1, op->in.profile.user);
	bool row;
	TRY(statement_step(&s, &row));
	struct store_profile *p = &op->out.profile;
	*p = (struct store_profile){.user = store_op_keep(op, op->in.profile.user)};
	if (row) {
		p->email_notification = column_int(&s, 0) != 0;
		p->slack_notification = column_int(&s, 1) != 0;
		p->bucket = store_op_keep(op, column_text(&s, 2));
		p->pool = store_op_keep(op, column_text(&s, 3));
	}
	return status_ok();
}

static struct status profile_change(struct connection *c, struct store_op *op)
{
	TRY(read_profile(c, op));
	const struct store_profile_change *change = &op->in.profile.change;
	const struct store_profile *old = &op->out.profile, *to = &change->to;
	_cleanup_statement_ struct statement s = statement_begin(c, STATEMENT_PROFILE_PUT);
	bind_text(&s, 1, op->in.profile.user);
	bind_int(&s, 2, (change->set_email ? to : old)->email_notification);
	bind_int(&s, 3, (change->set_slack ? to : old)->slack_notification);
	bind_text(&s, 4, (change->set_bucket ? to : old)->bucket);
	bind_text(&s, 5, (change->set_pool ? to : old)->pool);
	return statement_run(&s);
}

/* --- Roles --- */

static struct status roles_load(struct connection *c, struct store_op *op)
{
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	op->out.roles = role_set_new();
	_cleanup_statement_ struct statement s = statement_begin(c, STATEMENT_ROLES);
	for (;;) {
		bool row;
		TRY(statement_step(&s, &row));
		if (!row)
			return status_ok();
		struct role role = {.name = column_text(&s, 0),
			.description = column_text(&s, 1),
			.immutable = column_int(&s, 3) != 0};
		struct status policies = row_policies_parse(column_text(&s, 2), arena, &role);
		if (!status_is_ok(&policies))
			return damaged(c);
		role_set_add(op->out.roles, &role);
		arena_reset(arena);
	}
}

static struct status role_put(struct connection *c, struct store_op *op)
{
	_cleanup_statement_ struct statement s = statement_begin(c, STATEMENT_ROLE_PUT);
	bind_text(&s, 1, op->in.role.name);
	bind_text(&s, 2, op->in.role.description.p ? op->in.role.description : STR(""));
	bind_text(&s, 3, op->in.role.policies);
	bind_int(&s, 4, op->in.role.immutable);
	return statement_run(&s);
}

static struct status role_delete(struct connection *c, struct store_op *op)
{
	_cleanup_statement_ struct statement s = statement_begin(c, STATEMENT_ROLE_DELETE);
	bind_text(&s, 1, op->in.role.name);
	return statement_run(&s);
}

/* --- Settings --- */

static struct status setting_get(struct connection *c, struct store_op *op)
{
	_cleanup_statement_ struct statement s = statement_begin(c, STATEMENT_SETTING_GET);
	bind_text(&s, 1, op->in.setting.name);
	bool row;
	TRY(statement_step(&s, &row));
	if (!row)
		return status_error(STATUS_NOT_FOUND, "setting '%.*s' is not set",
			STR_ARG(op->in.setting.name));
	op->out.value = store_op_keep(op, column_text(&s, 0));
	return status_ok();
}

static struct status write_setting(
	struct connection *c, const struct store_op *op, enum statement_id id)
{
	_cleanup_statement_ struct statement s = statement_begin(c, id);
	bind_text(&s, 1, op->in.setting.name);
	bind_blob(&s, 2, op->in.setting.value.p, op->in.setting.value.n);
	return statement_run(&s);
}

static struct status setting_init(struct connection *c, struct store_op *op)
{
	TRY(write_setting(c, op, STATEMENT_SETTING_INIT));
	return setting_get(c, op);
}

static struct status setting_replace(struct connection *c, const struct store_op *op)
{
	_cleanup_statement_ struct statement s = statement_begin(c, STATEMENT_SETTING_REPLACE);
	bind_text(&s, 1, op->in.setting.name);
	bind_blob(&s, 2, op->in.setting.value.p, op->in.setting.value.n);
	bind_blob(&s, 3, op->in.setting.old.p, op->in.setting.old.n);
	TRY(statement_run(&s));
	return connection_changes(c) > 0 ? status_ok() : store_setting_changed(op->in.setting.name);
}

/* --- Health and upkeep --- */

static struct status run_plain(struct connection *c, enum statement_id id)
{
	_cleanup_statement_ struct statement s = statement_begin(c, id);
	return statement_run(&s);
}

/* Which of the two a check is depends on where it runs: see sqlite_store.c. */
static struct status check(struct connection *c)
{
	return run_plain(c, connection_is_idle(c) ? STATEMENT_PROBE : STATEMENT_TOUCH);
}

static struct status add_to_counter(struct connection *c, const char *name, int64_t by)
{
	if (by == 0)
		return status_ok();
	_cleanup_statement_ struct statement s = statement_begin(c, STATEMENT_COUNT_BY);
	bind_text(&s, 1, str_of(name));
	bind_int(&s, 2, by);
	return statement_run(&s);
}

struct status operation_count(struct connection *c, const struct operation_effect *effect)
{
	TRY(add_to_counter(c, "user_tokens", effect->user_tokens));
	return add_to_counter(c, "service_tokens", effect->service_tokens);
}

struct status operation_read_counters(struct connection *c, struct store_counts *ret)
{
	_cleanup_statement_ struct statement s = statement_begin(c, STATEMENT_COUNTERS);
	bool row;
	TRY(statement_step(&s, &row));
	if (!row)
		return damaged(c);
	*ret = (struct store_counts){column_int(&s, 0), column_int(&s, 1)};
	return status_ok();
}

struct status operation_purge_requests(
	struct connection *c, struct unix_time now, int limit, int *ret)
{
	_cleanup_statement_ struct statement s = statement_begin(c, STATEMENT_REQUEST_PURGE);
	bind_int(&s, 1, now.us);
	bind_int(&s, 2, limit);
	TRY(statement_run(&s));
	*ret = connection_changes(c);
	return status_ok();
}

/* --- All of them --- */

struct status operation_run(struct connection *c, struct store_op *op, struct unix_time now,
	struct operation_effect *effect)
{
	switch (op->type) {
	case STORE_OP_TOKEN_INSERT:
		return token_insert(c, op, now, effect);
	case STORE_OP_TOKEN_REPLACE:
		return token_replace(c, op, now);
	case STORE_OP_TOKEN_DELETE:
		return token_delete(c, op, effect);
	case STORE_OP_TOKENS_DELETE:
		return tokens_delete(c, op, effect);
	case STORE_OP_TOKENS_PURGE:
		return tokens_purge(c, op, effect);
	case STORE_OP_TOKENS_USED:
		return tokens_used(c, op);
	case STORE_OP_TOKEN_BY_HASH:
		return token_by_hash(c, op);
	case STORE_OP_TOKEN_BY_NAME:
		return token_by_name(c, op);
	case STORE_OP_TOKEN_LIST:
		return token_list(c, op);
	case STORE_OP_PROFILE_GET:
		return read_profile(c, op);
	case STORE_OP_PROFILE_CHANGE:
		return profile_change(c, op);
	case STORE_OP_ROLES_LOAD:
		return roles_load(c, op);
	case STORE_OP_ROLE_PUT:
		return role_put(c, op);
	case STORE_OP_ROLE_DELETE:
		return role_delete(c, op);
	case STORE_OP_SETTING_GET:
		return setting_get(c, op);
	case STORE_OP_SETTING_INIT:
		return setting_init(c, op);
	case STORE_OP_SETTING_PUT:
		return write_setting(c, op, STATEMENT_SETTING_PUT);
	case STORE_OP_SETTING_REPLACE:
		return setting_replace(c, op);
	case STORE_OP_CHECK:
		return check(c);
	case STORE_OP_COUNT:
		break;
	}
	return status_error(STATUS_INTERNAL, "an unknown operation");
}
