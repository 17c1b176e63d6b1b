/* SPDX-License-Identifier: Apache-2.0 */
#include "service/app/token_change.h"

#include "common/base/buf.h"
#include "service/app/token_rules.h"

#include <inttypes.h>
#include <stdio.h>

enum {
	MAX_TRIES = 64 /* of so many at once, one gets through in each round */
};

/* A change under way; in the arena. */
struct work {
	const struct token_app *app;
	const struct principal *by;
	enum token_kind kind;
	struct str owner, name;
	/* What becomes of @fields, which are those of the token that was read. */
	struct status (*edit)(struct work *work, struct token_fields *fields);
	const void *edit_arg;
	struct arena *arena;
	struct store_request_id request_id;
	struct status late;   /* what to say if the request is not known */
	struct secret secret; /* of a rotation */
	int tries;
	struct store_waiter waiter;
	token_set_fn *done_rotate;
	token_change_fn *done_update;
	void *arg;
};

static void finish(struct work *work, const struct status *status, struct token *token)
{
	/* Ours from here on: the answer lets the call go, and its arena, @work too, with it. */
	_cleanup_secret_ struct secret secret = work->secret;
	work->secret = (struct secret){NULL, 0};
	if (work->done_rotate)
		work->done_rotate(work->arg, status, token, token ? secret_str(&secret) : STR(""));
	else
		work->done_update(work->arg, status, token);
}

static void fail(struct work *work, struct status status)
{
	if (status.code == STATUS_NOT_FOUND && !work->request_id.id.n)
		status = token_rules_missing(work->kind, work->name);
	finish(work, &status, NULL);
}

static void read_token(struct work *work);

static void on_replaced(
	void *arg, const struct status *status, const struct store_insert_result *result)
{
	struct work *work = arg;
	if (status->code == STATUS_ABORTED && work->tries < MAX_TRIES) {
		read_token(work);
	} else if (status->code == STATUS_FAILED_PRECONDITION && work->request_id.only_again) {
		finish(work, &work->late, NULL);
	} else if (status->code != STATUS_OK) {
		fail(work, *status);
	} else {
		struct status told = *status;
		if (result->replayed) {
			secret_done(&work->secret);
			told = token_rules_secret_again(
				work->app, result->token, result->salt, &work->secret);
		}
		finish(work, &told, status_is_ok(&told) ? result->token : NULL);
	}
}

/* A token that had expired and lives again is one more of its owner's. */
static struct store_token_limit limit_of(
	const struct work *work, const struct token_fields *from, const struct token_fields *to)
{
	const struct date today = date_of(clock_now(work->app->clock));
	bool lives_again = from->expires.days <= today.days && to->expires.days > today.days;
	return (struct store_token_limit){
		lives_again && work->kind == TOKEN_USER ? work->app->max_tokens_per_user : 0,
		today};
}

static void on_read(void *arg, const struct status *status, struct token *token)
{
	struct work *work = arg;
	if (status->code == STATUS_NOT_FOUND) {
		fail(work, token_rules_missing(work->kind, work->name));
		return;
	}
	if (status->code != STATUS_OK) {
		fail(work, *status);
		return;
	}
	struct token_fields fields = token->fields;
	struct status edited = work->edit(work, &fields);
	if (edited.code != STATUS_OK) {
		finish(work, &edited, NULL);
		return;
	}
	work->request_id.only_again = !status_is_ok(&work->late);
	_cleanup_(token_unrefp) struct token *to = token_new(&fields);
	const struct store_token_limit limit = limit_of(work, &token->fields, &fields);
	store_token_replace(
		work->app->store, token, to, &work->request_id, &limit, work->waiter, on_replaced);
}

static void read_token(struct work *work)
{
	work->tries++;
	store_token_by_name(
		work->app->store, work->kind, work->owner, work->name, work->waiter, on_read);
}

/* NOT_FOUND for tokens that @by cannot have. */
static struct status check_may_own(
	const struct principal *by, enum token_kind kind, struct str name)
{
	return token_rules_may_own(by, kind) ? status_ok() : token_rules_missing(kind, name);
}

static struct work *begin(const struct token_app *app, const struct principal *by,
	enum token_kind kind, struct str name, struct arena *arena, struct store_waiter waiter)
{
	struct work *work = arena_calloc(arena, 1, sizeof *work);
	*work = (struct work){.app = app, .by = by, .kind = kind, .arena = arena, .waiter = waiter};
	work->name = arena_str(arena, name);
	work->owner = token_rules_owner(by, kind, work->name);
	work->waiter.arg = work;
	work->arg = waiter.arg;
	return work;
}

/* --- Update --- */

static struct status check_update(
	const struct token_app *app, const struct token_update_request *r, struct arena *arena)
{
	if (!r->set_description && !r->set_roles)
		return status_invalid("update_mask",
			"nothing is to be changed: description or roles is expected");
	if (r->set_roles && r->kind == TOKEN_USER)
		return status_invalid("roles", "Roles are not supported for personal tokens.");
	if (r->set_roles && !r->n_roles)
		return status_invalid("roles", "Roles are required for service tokens.");
	if (r->set_roles)
		TRY(token_rules_check_roles(app, r->by, r->roles, r->n_roles, arena));
	return r->set_description ? token_description_check(r->description) : status_ok();
}

static struct status edit_update(struct work *work, struct token_fields *fields)
{
	const struct token_update_request *r = work->edit_arg;
	if (r->set_description)
		fields->description = r->description;
	if (r->set_roles) {
		fields->roles = r->roles;
		fields->n_roles = r->n_roles;
	}
	return status_ok();
}

struct status token_change_update(const struct token_app *app, const struct token_update_request *r,
	struct arena *arena, struct store_waiter waiter, token_change_fn *done)
{
	TRY(token_rules_check_owner(r->by, r->kind));
	TRY(check_update(app, r, arena));
	TRY(check_may_own(r->by, r->kind, r->name));
	struct work *work = begin(app, r->by, r->kind, r->name, arena, waiter);
	struct token_update_request *copy = arena_alloc(arena, sizeof *copy);
	struct str *roles = arena_calloc(arena, r->n_roles, sizeof *roles);
	*copy = *r;
	copy->description = arena_str(arena, r->description);
	for (size_t i = 0; i < r->n_roles; i++)
		roles[i] = arena_str(arena, r->roles[i]);
	copy->roles = roles;
	work->edit = edit_update;
	work->edit_arg = copy;
	work->done_update = done;
	read_token(work);
	return status_ok();
}

/* --- Rotate --- */

/* What is decided before the token is read. */
struct rotation {
	int64_t overlap_s;
	bool set_expires;
	struct date expires;
	struct status late;
};

static struct status check_rotate(
	const struct token_app *app, const struct token_rotate_request *r, struct rotation *ret)
{
	if (r->overlap_s < 0 || r->overlap_s > TOKEN_CHANGE_MAX_OVERLAP_S)
		return status_invalid("overlap",
			"overlap must be 0 to %d seconds (30 days), got %" PRId64,
			TOKEN_CHANGE_MAX_OVERLAP_S, r->overlap_s);
	ret->overlap_s = r->overlap_s;
	ret->set_expires = r->expire_date.n > 0;
	if (ret->set_expires)
		TRY(token_rules_expiry(app, "expire_date", r->expire_date, r->request_id,
			&ret->expires, &ret->late));
	return token_rules_check_request_id(r->request_id);
}

static struct status edit_rotate(struct work *work, struct token_fields *fields)
{
	const struct rotation *r = work->edit_arg;
	struct unix_time now = clock_now(work->app->clock);
	/* Who gets the secret gets the roles. */
	if (work->kind == TOKEN_SERVICE)
		TRY(token_rules_check_grant(
			work->app, work->by, fields->roles, fields->n_roles, work->arena));
	work->late = r->late;
	if (r->set_expires)
		fields->expires = r->expires;
	else if (now.us >= date_start(fields->expires).us)
		work->late = status_error(STATUS_FAILED_PRECONDITION,
			"Access token %.*s has expired: give it a new expiration date",
			STR_ARG(work->name));
	if (!status_is_ok(&work->late) && !work->request_id.id.n)
		return work->late;
	fields->old_hash = fields->hash;
	fields->old_until.us = r->overlap_s ? now.us + r->overlap_s * US_PER_S : 0;
	fields->hash = token_secret_hash(secret_str(&work->secret));
	return status_ok();
}

static void add_content(const struct token_rotate_request *r, struct buf *content)
{
	char overlap[32];
	snprintf(overlap, sizeof overlap, "%" PRId64, r->overlap_s);
	token_rules_add_text(content, STR("rotate"));
	token_rules_add_text(content, str_of(token_kind_name(r->kind)));
	token_rules_add_text(content, r->name);
	token_rules_add_text(content, str_of(overlap));
	token_rules_add_text(content, r->expire_date);
}

struct status token_change_rotate(const struct token_app *app, const struct token_rotate_request *r,
	struct arena *arena, struct store_waiter waiter, token_set_fn *done)
{
	struct rotation *rotation = arena_calloc(arena, 1, sizeof *rotation);
	TRY(token_rules_check_owner(r->by, r->kind));
	TRY(check_rotate(app, r, rotation));
	TRY(check_may_own(r->by, r->kind, r->name));
	struct work *work = begin(app, r->by, r->kind, r->name, arena, waiter);
	_cleanup_buf_ struct buf content;
	buf_init(&content, TOKEN_RULES_HASHED_MAX_BYTES);
	add_content(r, &content);
	work->secret =
		token_rules_secret(app, r->by, r->request_id, &content, arena, &work->request_id);
	work->edit = edit_rotate;
	work->edit_arg = rotation;
	work->done_rotate = done;
	read_token(work);
	return status_ok();
}
