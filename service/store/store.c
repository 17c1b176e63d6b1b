/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/store.h"

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/xalloc.h"
#include "service/store/row_codec.h"
#include "service/store/store_ops.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	LIST_MAX_BYTES = 1 << 20
};

/* The last code point: no name is behind a prefix with it. */
#define LAST_CHARACTER "\xF4\x8F\xBF\xBF"

const char *store_op_name(enum store_op_type type)
{
	static const char *const names[STORE_OP_COUNT] = {
		[STORE_OP_TOKEN_INSERT] = "token_insert",
		[STORE_OP_TOKEN_REPLACE] = "token_replace",
		[STORE_OP_TOKEN_DELETE] = "token_delete",
		[STORE_OP_TOKENS_DELETE] = "tokens_delete",
		[STORE_OP_TOKENS_PURGE] = "tokens_purge",
		[STORE_OP_TOKENS_USED] = "tokens_used",
		[STORE_OP_TOKEN_BY_HASH] = "token_by_hash",
		[STORE_OP_TOKEN_BY_NAME] = "token_by_name",
		[STORE_OP_TOKEN_LIST] = "token_list",
		[STORE_OP_PROFILE_GET] = "profile_get",
		[STORE_OP_PROFILE_CHANGE] = "profile_change",
		[STORE_OP_ROLES_LOAD] = "roles_load",
		[STORE_OP_ROLE_PUT] = "role_put",
		[STORE_OP_ROLE_DELETE] = "role_delete",
		[STORE_OP_SETTING_GET] = "setting_get",
		[STORE_OP_SETTING_INIT] = "setting_init",
		[STORE_OP_SETTING_PUT] = "setting_put",
		[STORE_OP_SETTING_REPLACE] = "setting_replace",
		[STORE_OP_CHECK] = "check",
	};
	return names[type];
}

bool store_op_is_write(enum store_op_type type)
{
	switch (type) {
	case STORE_OP_TOKEN_INSERT:
	case STORE_OP_TOKEN_REPLACE:
	case STORE_OP_TOKEN_DELETE:
	case STORE_OP_TOKENS_DELETE:
	case STORE_OP_TOKENS_PURGE:
	case STORE_OP_TOKENS_USED:
	case STORE_OP_PROFILE_CHANGE:
	case STORE_OP_ROLE_PUT:
	case STORE_OP_ROLE_DELETE:
	case STORE_OP_SETTING_INIT:
	case STORE_OP_SETTING_PUT:
	case STORE_OP_SETTING_REPLACE:
		return true;
	case STORE_OP_TOKEN_BY_HASH:
	case STORE_OP_TOKEN_BY_NAME:
	case STORE_OP_TOKEN_LIST:
	case STORE_OP_PROFILE_GET:
	case STORE_OP_ROLES_LOAD:
	case STORE_OP_SETTING_GET:
	case STORE_OP_CHECK:
	case STORE_OP_COUNT:
		return false;
	}
	return false;
}

/* --- The life of an operation --- */

/* With room for texts of @n_bytes in @n_texts pieces. */
static struct store_op *op_new(
	enum store_op_type type, struct store_waiter waiter, size_t n_texts, size_t n_bytes)
{
	size_t size = sizeof(struct store_op) + n_texts + n_bytes;
	struct store_op *op = xmalloc(size);
	memset(op, 0, sizeof *op);
	list_init(&op->link);
	op->type = type;
	op->waiter = waiter;
	return op;
}

/* Puts a NUL-terminated copy of @s at *@at and moves it on. No text stays no text. */
static struct str pack(char **at, struct str s)
{
	if (!s.p)
		return (struct str){NULL, 0};
	struct str copy = {*at, s.n};
	memcpy(*at, s.p, s.n);
	(*at)[s.n] = '\0';
	*at += s.n + 1;
	return copy;
}

void store_op_clear(struct store_op *op)
{
	token_unref(op->out.token);
	for (size_t i = 0; i < op->out.n_tokens; i++)
		token_unref(op->out.tokens[i]);
	free(op->out.tokens);
	role_set_unref(op->out.roles);
	arena_free(op->out.memory);
	memset(&op->out, 0, sizeof op->out);
}

void store_op_add_token(struct store_op *op, struct token *_takes_token)
{
	size_t n = op->out.n_tokens;
	if (n == 0 || (n >= 16 && (n & (n - 1)) == 0)) /* 16, 32, 64, ... were filled */
		op->out.tokens =
			xreallocarray(op->out.tokens, n ? 2 * n : 16, sizeof *op->out.tokens);
	op->out.tokens[op->out.n_tokens++] = _takes_token;
}

struct str store_op_keep(struct store_op *op, struct str text)
{
	if (!op->out.memory)
		op->out.memory = arena_new();
	return text.p ? arena_str(op->out.memory, text) : text;
}

void store_op_set_rest(struct store_op *op, struct str name, struct str owner)
{
	op->out.has_rest = true;
	op->out.rest_name = store_op_keep(op, name);
	op->out.rest_owner = store_op_keep(op, owner);
}

struct str store_query_first_name(const struct store_token_query *q)
{
	struct str from = q->name.n ? q->name : q->name_prefix;
	if (q->has_after && str_cmp(q->after_name, from) >= 0)
		from = q->after_name;
	return from.p ? from : STR("");
}

struct str store_query_last_name(const struct store_token_query *q, struct buf *memory)
{
	if (q->name.n)
		return q->name;
	buf_append_str(memory, q->name_prefix);
	buf_append_str(memory, STR(LAST_CHARACTER));
	return buf_str(memory);
}

bool store_query_is_search(const struct store_token_query *q)
{
	return q->has_expires_from || q->has_expires_until;
}

size_t store_query_reach(const struct store_token_query *q)
{
	return q->reach ? q->reach : STORE_REACH;
}

bool store_query_takes_day(const struct store_token_query *q, struct date expires)
{
	return !(q->has_expires_from && expires.days < q->expires_from.days) &&
	       !(q->has_expires_until && expires.days > q->expires_until.days);
}

static void op_free(struct store_op *op)
{
	store_op_clear(op);
	if (op->type == STORE_OP_TOKEN_INSERT || op->type == STORE_OP_TOKEN_REPLACE) {
		token_unref(op->in.insert.token);
		token_unref(op->in.insert.old);
	}
	free(op);
}

bool store_op_is_late(const struct store_op *op, struct mono_time now)
{
	return now.us >= op->waiter.deadline.us;
}

static void answer_insert(const struct store_op *op)
{
	struct store_insert_result result = {.replayed = op->out.replayed, .token = op->out.token};
	memcpy(result.salt, op->out.salt, sizeof result.salt);
	op->done.insert(op->waiter.arg, &op->status, &result);
}

static void answer_list(const struct store_op *op)
{
	const struct store_token_page page = {
		.tokens = op->out.tokens,
		.n = op->out.n_tokens,
		.has_rest = op->out.has_rest,
		.rest_name = op->out.rest_name,
		.rest_owner = op->out.rest_owner,
	};
	op->done.page(op->waiter.arg, &op->status, &page);
}

static void answer(const struct store_op *op)
{
	switch (op->type) {
	case STORE_OP_TOKEN_INSERT:
	case STORE_OP_TOKEN_REPLACE:
		answer_insert(op);
		break;
	case STORE_OP_TOKEN_DELETE:
	case STORE_OP_TOKEN_BY_HASH:
	case STORE_OP_TOKEN_BY_NAME:
		op->done.token(op->waiter.arg, &op->status, op->out.token);
		break;
	case STORE_OP_TOKENS_PURGE:
		op->done.count(op->waiter.arg, &op->status, op->out.count);
		break;
	case STORE_OP_TOKENS_DELETE:
		op->done.tokens(op->waiter.arg, &op->status, op->out.tokens, op->out.n_tokens);
		break;
	case STORE_OP_TOKEN_LIST:
		answer_list(op);
		break;
	case STORE_OP_PROFILE_GET:
		op->done.profile(op->waiter.arg, &op->status, &op->out.profile);
		break;
	case STORE_OP_ROLES_LOAD:
		op->done.roles(op->waiter.arg, &op->status, op->out.roles);
		break;
	case STORE_OP_SETTING_GET:
	case STORE_OP_SETTING_INIT:
		op->done.setting(op->waiter.arg, &op->status, op->out.value);
		break;
	case STORE_OP_TOKENS_USED:
	case STORE_OP_PROFILE_CHANGE:
	case STORE_OP_ROLE_PUT:
	case STORE_OP_ROLE_DELETE:
	case STORE_OP_SETTING_PUT:
	case STORE_OP_SETTING_REPLACE:
	case STORE_OP_CHECK:
		op->done.plain(op->waiter.arg, &op->status);
		break;
	case STORE_OP_COUNT:
		break;
	}
}

static void deliver(struct loop_task *task)
{
	struct store_op *op = container_of(task, struct store_op, task);
	answer(op);
	op_free(op);
}

void store_op_finish(struct store_op *op, struct status status)
{
	op->status = status;
	if (op->store && op->store->ended)
		op->store->ended(op->store->ended_arg, op);
	if (!status_is_ok(&status))
		store_op_clear(op);
	op->task.run = deliver;
	loop_post(op->waiter.home, &op->task);
}

void store_op_refuse(struct store_op *op, enum store_refusal why)
{
	if (why == STORE_FULL)
		store_op_finish(op, status_error(STATUS_RESOURCE_EXHAUSTED,
					    "too many operations wait for the token store"));
	else
		store_op_finish(
			op, status_error(STATUS_UNAVAILABLE, "the token store is shut down"));
}

void store_op_finish_all(struct list *ops)
{
	for (struct list *node; (node = list_pop(ops));) {
		struct store_op *op = container_of(node, struct store_op, link);
		store_op_finish(op, op->status);
	}
}

static void submit(struct store *s, struct store_op *op)
{
	op->store = s;
	if (s->ended)
		op->begun = clock_mono(&clock_system);
	s->ops->submit(s, op);
}

void store_done(struct store *s)
{
	free(s->ended_arg);
}

/* --- Listeners --- */

void store_add_listener(struct store *s, const struct store_listener *listener)
{
	assert(s->n_listeners < STORE_MAX_LISTENERS);
	s->listeners[s->n_listeners++] = *listener;
}

void store_tell_fields(const struct store *s, const struct token_fields *token)
{
	for (size_t i = 0; i < s->n_listeners; i++)
		if (s->listeners[i].token_changed)
			s->listeners[i].token_changed(s->listeners[i].arg, token);
}

void store_tell_token(const struct store *s, const struct token *token)
{
	store_tell_fields(s, &token->fields);
}

void store_tell_roles(const struct store *s)
{
	for (size_t i = 0; i < s->n_listeners; i++)
		if (s->listeners[i].roles_changed)
			s->listeners[i].roles_changed(s->listeners[i].arg);
}

void store_tell_all(const struct store *s)
{
	for (size_t i = 0; i < s->n_listeners; i++)
		if (s->listeners[i].all_changed)
			s->listeners[i].all_changed(s->listeners[i].arg);
}

static void tell_of_tokens(const struct store *s, const struct store_op *op)
{
	if (op->out.replayed)
		return;
	if (op->type == STORE_OP_TOKEN_REPLACE)
		store_tell_token(s, op->in.insert.old);
	if (op->out.token)
		store_tell_token(s, op->out.token);
	for (size_t i = 0; i < op->out.n_tokens; i++)
		store_tell_token(s, op->out.tokens[i]);
}

void store_tell(const struct store *s, const struct store_op *op)
{
	switch (op->type) {
	case STORE_OP_TOKEN_INSERT:
	case STORE_OP_TOKEN_REPLACE:
	case STORE_OP_TOKEN_DELETE:
	case STORE_OP_TOKENS_DELETE:
		tell_of_tokens(s, op);
		break;
	case STORE_OP_ROLE_PUT:
	case STORE_OP_ROLE_DELETE:
		store_tell_roles(s);
		break;
	case STORE_OP_TOKENS_PURGE:
	case STORE_OP_TOKENS_USED:
	case STORE_OP_TOKEN_BY_HASH:
	case STORE_OP_TOKEN_BY_NAME:
	case STORE_OP_TOKEN_LIST:
	case STORE_OP_PROFILE_GET:
	case STORE_OP_PROFILE_CHANGE:
	case STORE_OP_ROLES_LOAD:
	case STORE_OP_SETTING_GET:
	case STORE_OP_SETTING_INIT:
	case STORE_OP_SETTING_PUT:
	case STORE_OP_SETTING_REPLACE:
	case STORE_OP_CHECK:
	case STORE_OP_COUNT:
		break;
	}
}

/* --- Tokens --- */

/* An insert; with @old a replace. */
static void submit_token(struct store *s, struct token *old, struct token *token,
	const struct store_request_id *request_id, const struct store_token_limit *limit,
	struct store_waiter waiter, store_insert_fn *done)
{
	static const struct store_request_id no_request;
	const struct store_request_id *request = request_id ? request_id : &no_request;
	_cleanup_buf_ struct buf roles, old_roles;
	buf_init(&roles, LIST_MAX_BYTES);
	buf_init(&old_roles, LIST_MAX_BYTES);
	struct status status = row_roles_format(token->fields.roles, token->fields.n_roles, &roles);
	if (old && status_is_ok(&status))
		status = row_roles_format(old->fields.roles, old->fields.n_roles, &old_roles);

	struct store_op *op = op_new(old ? STORE_OP_TOKEN_REPLACE : STORE_OP_TOKEN_INSERT, waiter,
		4, roles.n + old_roles.n + request->principal.n + request->id.n);
	char *at = op->texts;
	op->in.insert.token = token_ref(token);
	op->in.insert.old = old ? token_ref(old) : NULL;
	op->in.insert.roles = pack(&at, buf_str(&roles));
	op->in.insert.old_roles = pack(&at, buf_str(&old_roles));
	op->in.insert.request = *request;
	op->in.insert.request.principal = pack(&at, request->principal);
	op->in.insert.request.id = pack(&at, request->id);
	if (limit)
		op->in.insert.limit = *limit;
	op->done.insert = done;
	if (status_is_ok(&status))
		submit(s, op);
	else
		store_op_finish(op, status);
}

struct status store_request_not_known(const struct store_request_id *request)
{
	return status_error(
		STATUS_FAILED_PRECONDITION, "request_id '%.*s' is not known", STR_ARG(request->id));
}

struct status store_limit_reached(struct str owner, const struct store_token_limit *limit)
{
	char subject[64];
	snprintf(subject, sizeof subject, "user:%.*s", STR_ARG(owner));
	return status_quota(subject,
		"%.*s has %zu access tokens, which is the most a user may have: delete one first",
		STR_ARG(owner), limit->max);
}

struct status store_request_reused(const struct store_request_id *request)
{
	return status_invalid("request_id",
		"request_id '%.*s' was used for a request with other content",
		STR_ARG(request->id));
}

struct status store_request_outdated(const struct store_request_id *request)
{
	return status_error(STATUS_NOT_FOUND,
		"the token that request_id '%.*s' made was deleted or rotated since",
		STR_ARG(request->id));
}

void store_token_insert(struct store *s, struct token *token,
	const struct store_request_id *request_id, const struct store_token_limit *limit,
	struct store_waiter waiter, store_insert_fn *done)
{
	submit_token(s, NULL, token, request_id, limit, waiter, done);
}

void store_token_replace(struct store *s, struct token *old, struct token *token,
	const struct store_request_id *request_id, const struct store_token_limit *limit,
	struct store_waiter waiter, store_insert_fn *done)
{
	submit_token(s, old, token, request_id, limit, waiter, done);
}

void store_tokens_delete(struct store *s, enum token_kind kind, struct str owner, size_t limit,
	struct store_waiter waiter, store_tokens_fn *done)
{
	struct store_op *op = op_new(STORE_OP_TOKENS_DELETE, waiter, 1, owner.n);
	char *at = op->texts;
	op->in.of_owner.kind = kind;
	op->in.of_owner.owner = pack(&at, owner);
	op->in.of_owner.limit = limit;
	op->done.tokens = done;
	submit(s, op);
}

void store_tokens_purge(struct store *s, struct date day, size_t limit, struct store_waiter waiter,
	store_count_fn *done)
{
	struct store_op *op = op_new(STORE_OP_TOKENS_PURGE, waiter, 0, 0);
	op->in.purge.day = day;
	op->in.purge.limit = limit;
	op->done.count = done;
	submit(s, op);
}

void store_tokens_used(struct store *s, const struct store_token_use *uses, size_t n,
	int64_t apart_us, struct store_waiter waiter, store_done_fn *done)
{
	size_t bytes = n * sizeof *uses;
	for (size_t i = 0; i < n; i++)
		bytes += uses[i].from.n;
	struct store_op *op = op_new(STORE_OP_TOKENS_USED, waiter, n, bytes);
	struct store_token_use *copies = (struct store_token_use *)(void *)op->texts;
	char *at = (char *)(copies + n);
	for (size_t i = 0; i < n; i++) {
		copies[i] = uses[i];
		copies[i].from = pack(&at, uses[i].from.p ? uses[i].from : STR(""));
	}
	op->in.used.uses = copies;
	op->in.used.n = n;
	op->in.used.apart_us = apart_us;
	op->done.plain = done;
	submit(s, op);
}

static void submit_by_name(struct store *s, enum store_op_type type, enum token_kind kind,
	struct str owner, struct str name, struct store_waiter waiter, store_token_fn *done)
{
	struct store_op *op = op_new(type, waiter, 2, owner.n + name.n);
	char *at = op->texts;
	op->in.by_name.kind = kind;
	op->in.by_name.owner = pack(&at, owner);
	op->in.by_name.name = pack(&at, name);
	op->done.token = done;
	submit(s, op);
}

void store_token_delete(struct store *s, enum token_kind kind, struct str owner, struct str name,
	struct store_waiter waiter, store_token_fn *done)
{
	submit_by_name(s, STORE_OP_TOKEN_DELETE, kind, owner, name, waiter, done);
}

void store_token_by_name(struct store *s, enum token_kind kind, struct str owner, struct str name,
	struct store_waiter waiter, store_token_fn *done)
{
	submit_by_name(s, STORE_OP_TOKEN_BY_NAME, kind, owner, name, waiter, done);
}

void store_token_by_hash(struct store *s, const struct token_hash *hash, struct store_waiter waiter,
	store_token_fn *done)
{
	struct store_op *op = op_new(STORE_OP_TOKEN_BY_HASH, waiter, 0, 0);
	op->in.hash = *hash;
	op->done.token = done;
	submit(s, op);
}

void store_token_list(struct store *s, const struct store_token_query *query,
	struct store_waiter waiter, store_page_fn *done)
{
	struct store_op *op = op_new(STORE_OP_TOKEN_LIST, waiter, 5,
		query->owner.n + query->name_prefix.n + query->name.n + query->after_name.n +
			query->after_owner.n);
	char *at = op->texts;
	struct store_token_query *q = &op->in.query;
	*q = *query;
	q->owner = pack(&at, query->owner);
	q->name_prefix = pack(&at, query->name_prefix);
	q->name = pack(&at, query->name);
	q->after_name = pack(&at, query->after_name);
	q->after_owner = pack(&at, query->after_owner);
	op->done.page = done;
	submit(s, op);
}

struct store_counts store_token_counts(const struct store *s)
{
	return s->ops->counts(s);
}

struct store_stats store_stats(const struct store *s)
{
	return s->ops->stats(s);
}

/* --- Profiles --- */

void store_profile_get(
	struct store *s, struct str user, struct store_waiter waiter, store_profile_fn *done)
{
	struct store_op *op = op_new(STORE_OP_PROFILE_GET, waiter, 1, user.n);
	char *at = op->texts;
	op->in.profile.user = pack(&at, user);
	op->done.profile = done;
	submit(s, op);
}

void store_profile_change(struct store *s, struct str user,
	const struct store_profile_change *change, struct store_waiter waiter, store_done_fn *done)
{
	const struct store_profile *to = &change->to;
	struct store_op *op =
		op_new(STORE_OP_PROFILE_CHANGE, waiter, 3, user.n + to->bucket.n + to->pool.n);
	char *at = op->texts;
	op->in.profile.change = *change;
	op->in.profile.user = pack(&at, user);
	op->in.profile.change.to.user = op->in.profile.user;
	op->in.profile.change.to.bucket = pack(&at, to->bucket);
	op->in.profile.change.to.pool = pack(&at, to->pool);
	op->done.plain = done;
	submit(s, op);
}

/* --- Roles --- */

void store_roles_load(struct store *s, struct store_waiter waiter, store_roles_fn *done)
{
	struct store_op *op = op_new(STORE_OP_ROLES_LOAD, waiter, 0, 0);
	op->done.roles = done;
	submit(s, op);
}

void store_role_put(
	struct store *s, const struct role *role, struct store_waiter waiter, store_done_fn *done)
{
	_cleanup_buf_ struct buf policies;
	buf_init(&policies, LIST_MAX_BYTES);
	struct status status = row_policies_format(role, &policies);

	struct store_op *op = op_new(
		STORE_OP_ROLE_PUT, waiter, 3, role->name.n + role->description.n + policies.n);
	char *at = op->texts;
	op->in.role.name = pack(&at, role->name);
	op->in.role.description = pack(&at, role->description);
	op->in.role.policies = pack(&at, buf_str(&policies));
	op->in.role.immutable = role->immutable;
	op->done.plain = done;
	if (status_is_ok(&status))
		submit(s, op);
	else
		store_op_finish(op, status);
}

void store_role_delete(
	struct store *s, struct str name, struct store_waiter waiter, store_done_fn *done)
{
	struct store_op *op = op_new(STORE_OP_ROLE_DELETE, waiter, 1, name.n);
	char *at = op->texts;
	op->in.role.name = pack(&at, name);
	op->done.plain = done;
	submit(s, op);
}

/* --- Settings --- */

static const struct str no_text = {NULL, 0};

static struct store_op *setting_op(enum store_op_type type, struct str name, struct str old,
	struct str value, struct store_waiter waiter)
{
	struct store_op *op = op_new(type, waiter, 3, name.n + old.n + value.n);
	char *at = op->texts;
	op->in.setting.name = pack(&at, name);
	op->in.setting.old = pack(&at, old);
	op->in.setting.value = pack(&at, value);
	return op;
}

void store_setting_get(
	struct store *s, struct str name, struct store_waiter waiter, store_setting_fn *done)
{
	struct store_op *op = setting_op(STORE_OP_SETTING_GET, name, no_text, no_text, waiter);
	op->done.setting = done;
	submit(s, op);
}

void store_setting_init(struct store *s, struct str name, struct str value,
	struct store_waiter waiter, store_setting_fn *done)
{
	struct store_op *op = setting_op(STORE_OP_SETTING_INIT, name, no_text, value, waiter);
	op->done.setting = done;
	submit(s, op);
}

void store_setting_put(struct store *s, struct str name, struct str value,
	struct store_waiter waiter, store_done_fn *done)
{
	struct store_op *op = setting_op(STORE_OP_SETTING_PUT, name, no_text, value, waiter);
	op->done.plain = done;
	submit(s, op);
}

void store_setting_replace(struct store *s, struct str name, struct str old, struct str value,
	struct store_waiter waiter, store_done_fn *done)
{
	struct store_op *op = setting_op(STORE_OP_SETTING_REPLACE, name, old, value, waiter);
	op->done.plain = done;
	submit(s, op);
}

struct status store_setting_changed(struct str name)
{
	return status_error(
		STATUS_ABORTED, "setting '%.*s' was changed at the same time", STR_ARG(name));
}

/* --- Health, end --- */

const char *store_name(const struct store *s)
{
	return s->ops->name;
}

void store_check(struct store *s, struct store_waiter waiter, store_done_fn *done)
{
	struct store_op *op = op_new(STORE_OP_CHECK, waiter, 0, 0);
	op->done.plain = done;
	submit(s, op);
}

void store_stop(struct store *s, struct loop *home, void (*stopped)(void *arg), void *arg)
{
	s->ops->stop(s, home, stopped, arg);
}
