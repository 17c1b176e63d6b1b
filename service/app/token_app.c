/* SPDX-License-Identifier: Apache-2.0 */
#include "service/app/token_app.h"

#include "common/base/arena.h"
#include "common/base/base64.h"
#include "service/app/token_filter.h"
#include "service/app/token_rules.h"

#include <openssl/sha.h>
#include <string.h>

/* *@ret_late is what to say unless the request was done before: time has passed. */
static struct status check_set(const struct token_app *app, const struct token_set_request *r,
	struct arena *arena, struct date *ret_expires, struct status *ret_late)
{
	TRY(token_rules_check_owner(r->by, r->kind));
	if (r->kind == TOKEN_SERVICE) {
		if (!r->n_roles && r->needs_roles)
			return status_invalid("roles", "Roles are required for service tokens.");
		TRY(token_rules_check_roles(app, r->by, r->roles, r->n_roles, arena));
	} else {
		if (r->n_roles)
			return status_invalid(
				"roles", "Roles are not supported for personal tokens.");
		if (r->by->kind == PRINCIPAL_SERVICE)
			return status_error(STATUS_PERMISSION_DENIED,
				"personal tokens belong to users; %.*s is a service",
				STR_ARG(r->by->name));
	}
	TRY(token_name_check(r->name));
	struct unix_time now = clock_now(app->clock);
	if (!r->expire_date.n && !r->needs_expire_date)
		*ret_expires = date_add_days(
			date_of(now), app->max_lifetime_days < TOKEN_DEFAULT_LIFETIME_DAYS
					      ? app->max_lifetime_days
					      : TOKEN_DEFAULT_LIFETIME_DAYS);
	else
		TRY(token_rules_expiry(app, r->expire_date_field, r->expire_date, r->request_id,
			ret_expires, ret_late));
	TRY(token_description_check(r->description));
	return token_rules_check_request_id(r->request_id);
}

/* What must be the same when a request is sent again. */
static void add_content(const struct token_set_request *r, struct buf *content)
{
	token_rules_add_text(content, str_of(token_kind_name(r->kind)));
	token_rules_add_text(content, r->name);
	token_rules_add_text(content, r->description);
	token_rules_add_text(content, r->expire_date);
	for (size_t i = 0; i < r->n_roles; i++)
		token_rules_add_text(content, r->roles[i]);
}

struct set_work {
	const struct token_app *app;
	struct store_request_id request_id;
	struct secret secret;
	struct str name;
	struct status late; /* if the request is not known */
	token_set_fn *done;
	void *arg;
};

static void on_inserted(
	void *arg, const struct status *status, const struct store_insert_result *result)
{
	struct set_work *work = arg;
	/* Ours from here on: the answer lets the call go, and its arena, @work too, with it. */
	_cleanup_secret_ struct secret secret = work->secret;
	work->secret = (struct secret){NULL, 0};
	if (status->code == STATUS_ALREADY_EXISTS) {
		struct status exists = status_error(STATUS_ALREADY_EXISTS,
			"Token name %.*s already exists.", STR_ARG(work->name));
		work->done(work->arg, &exists, NULL, STR(""));
		return;
	}
	if (status->code != STATUS_OK) {
		bool late =
			status->code == STATUS_FAILED_PRECONDITION && work->request_id.only_again;
		work->done(work->arg, late ? &work->late : status, NULL, STR(""));
		return;
	}
	struct status told = *status;
	if (result->replayed) {
		secret_done(&secret);
		told = token_rules_secret_again(work->app, result->token, result->salt, &secret);
	}
	work->done(work->arg, &told, status_is_ok(&told) ? result->token : NULL,
		status_is_ok(&told) ? secret_str(&secret) : STR(""));
}

struct status token_app_set(const struct token_app *app, const struct token_set_request *r,
	struct arena *arena, struct store_waiter waiter, token_set_fn *done)
{
	struct date expires;
	struct status late = status_ok();
	TRY(check_set(app, r, arena, &expires, &late));

	struct set_work *work = arena_calloc(arena, 1, sizeof *work);
	*work = (struct set_work){
		.app = app, .name = arena_str(arena, r->name), .done = done, .arg = waiter.arg};
	_cleanup_buf_ struct buf content;
	buf_init(&content, TOKEN_RULES_HASHED_MAX_BYTES);
	add_content(r, &content);
	work->secret =
		token_rules_secret(app, r->by, r->request_id, &content, arena, &work->request_id);
	work->late = late;
	work->request_id.only_again = !status_is_ok(&late);

	bool personal = r->kind == TOKEN_USER;
	_cleanup_(token_unrefp) struct token *token = token_new(&(struct token_fields){
		.kind = r->kind,
		.owner = token_rules_owner(r->by, r->kind, r->name),
		.name = r->name,
		.description = r->description,
		.roles = personal ? app->default_roles : r->roles,
		.n_roles = personal ? app->n_default_roles : r->n_roles,
		.expires = expires,
		.created = clock_now(app->clock),
		.hash = token_secret_hash(secret_str(&work->secret)),
	});
	waiter.arg = work;
	const struct store_token_limit limit = {
		personal ? app->max_tokens_per_user : 0, date_of(clock_now(app->clock))};
	store_token_insert(app->store, token, &work->request_id, &limit, waiter, on_inserted);
	return status_ok();
}

struct delete_work {
	const struct token_app *app;
	enum token_kind kind;
	struct str name;
	token_done_fn *done;
	void *arg;
};

static void on_deleted(void *arg, const struct status *status, struct token *token)
{
	struct delete_work *work = arg;
	if (status->code == STATUS_NOT_FOUND) {
		struct status missing = token_rules_missing(work->kind, work->name);
		work->done(work->arg, &missing);
		return;
	}
	(void)token;
	work->done(work->arg, status);
}

struct status token_app_delete(const struct token_app *app, const struct principal *by,
	enum token_kind kind, struct str name, struct arena *arena, struct store_waiter waiter,
	token_done_fn *done)
{
	TRY(token_rules_check_owner(by, kind));
	if (!token_rules_may_own(by, kind))
		return token_rules_missing(kind, name);
	struct delete_work *work = arena_calloc(arena, 1, sizeof *work);
	*work = (struct delete_work){app, kind, arena_str(arena, name), done, waiter.arg};
	waiter.arg = work;
	store_token_delete(app->store, kind, token_rules_owner(by, kind, work->name), work->name,
		waiter, on_deleted);
	return status_ok();
}

/* --- All of a user --- */

enum {
	DELETE_BATCH = 100
};

struct delete_all_work {
	const struct token_app *app;
	struct str user;
	size_t deleted;
	struct store_waiter waiter;
	token_count_fn *done;
	void *arg;
};

static void on_some_deleted(
	void *arg, const struct status *status, struct token *const *tokens, size_t n)
{
	(void)tokens;
	struct delete_all_work *work = arg;
	work->deleted += n;
	if (status->code == STATUS_OK && n >= DELETE_BATCH)
		store_tokens_delete(work->app->store, TOKEN_USER, work->user, DELETE_BATCH,
			work->waiter, on_some_deleted);
	else
		work->done(work->arg, status, work->deleted);
}

struct status token_app_delete_all(const struct token_app *app, struct str user,
	struct arena *arena, struct store_waiter waiter, token_count_fn *done)
{
	if (!principal_name_is_valid(user))
		return status_invalid("user", "user must be the name of a user, 1 to %d bytes",
			PRINCIPAL_NAME_MAX_BYTES);
	struct delete_all_work *work = arena_calloc(arena, 1, sizeof *work);
	*work = (struct delete_all_work){.app = app,
		.user = arena_str(arena, user),
		.waiter = waiter,
		.done = done,
		.arg = waiter.arg};
	work->waiter.arg = work;
	store_tokens_delete(
		app->store, TOKEN_USER, work->user, DELETE_BATCH, work->waiter, on_some_deleted);
	return status_ok();
}

/* --- Lists --- */

/* A page token: base64url of a version byte, 8 bytes of the SHA-256 of what was listed, then name,
 * NUL, owner of the last token. It gives nothing away and opens nothing: the query is made of the
 * caller's own identity each time. */
enum {
	PAGE_TOKEN_VERSION = 1,
	PAGE_TOKEN_HEAD = 9,
	PAGE_TOKEN_MAX_BYTES = 4096
};

static void page_token_head(const struct token_list_request *r, char ret[PAGE_TOKEN_HEAD])
{
	uint8_t hash[SHA256_DIGEST_LENGTH];
	_cleanup_buf_ struct buf content;
	buf_init(&content, TOKEN_RULES_HASHED_MAX_BYTES);
	token_rules_add_text(&content, str_of(token_kind_name(r->kind)));
	token_rules_add_text(&content, r->filter);
	token_rules_add_text(&content, r->user);
	SHA256((const unsigned char *)content.p, content.n, hash);
	ret[0] = PAGE_TOKEN_VERSION;
	memcpy(ret + 1, hash, PAGE_TOKEN_HEAD - 1);
}

/* What goes on behind @name of @owner. */
static struct str page_token_format(
	const struct token_list_request *r, struct str name, struct str owner, struct arena *arena)
{
	char head[PAGE_TOKEN_HEAD];
	page_token_head(r, head);
	_cleanup_buf_ struct buf raw, text;
	buf_init(&raw, PAGE_TOKEN_MAX_BYTES);
	buf_init(&text, 2 * PAGE_TOKEN_MAX_BYTES);
	buf_append(&raw, head, sizeof head);
	buf_append_str(&raw, name);
	buf_append_char(&raw, '\0');
	buf_append_str(&raw, owner);
	base64_encode(&text, BASE64_URL, raw.p, raw.n);
	return arena_str(arena, buf_str(&text));
}

static struct status page_token_parse(
	const struct token_list_request *r, struct arena *arena, struct store_token_query *query)
{
	if (!r->page_token.n)
		return status_ok();
	char head[PAGE_TOKEN_HEAD];
	page_token_head(r, head);
	_cleanup_buf_ struct buf raw;
	buf_init(&raw, PAGE_TOKEN_MAX_BYTES);
	bool ok = base64_decode(&raw, r->page_token) && raw.n > sizeof head &&
		  memcmp(raw.p, head, sizeof head) == 0;
	struct str rest = ok ? str_sub(buf_str(&raw), sizeof head, raw.n) : STR("");
	size_t nul = str_index(rest, '\0');
	if (!ok || nul == rest.n || !str_is_utf8(rest))
		return status_invalid("page_token",
			"page_token must be the next_page_token of an answer to the same kind, "
			"user and filter");
	query->has_after = true;
	query->after_name = arena_str(arena, str_sub(rest, 0, nul));
	query->after_owner = arena_str(arena, str_sub(rest, nul + 1, rest.n));
	return status_ok();
}

/* Whose tokens the list is of. */
static struct status set_owner(const struct token_list_request *r, struct store_token_query *query)
{
	query->any_owner = r->kind == TOKEN_SERVICE;
	query->owner = token_rules_may_own(r->by, r->kind) ? r->by->name : STR("");
	if (!r->user.n)
		return status_ok();
	if (r->kind == TOKEN_SERVICE)
		return status_invalid("user",
			"user is for personal tokens: service tokens are listed for all alike");
	query->any_owner = str_eq(r->user, STR("-"));
	query->owner = r->user;
	return status_ok();
}

struct list_work {
	struct token_list_request request;
	struct arena *arena;
	size_t page_size;
	token_list_fn *done;
	void *arg;
};

/* How many tokens a page has; fewer than asked for where they are large. */
static size_t fill_page(const struct list_work *work, const struct store_token_page *page)
{
	size_t fit = 0, bytes = 0;
	while (fit < page->n && fit < work->page_size && bytes < TOKEN_LIST_MAX_PAGE_BYTES)
		bytes += page->tokens[fit++]->bytes;
	return fit;
}

static void on_listed(void *arg, const struct status *status, const struct store_token_page *page)
{
	struct list_work *work = arg;
	struct str next = STR("");
	const size_t fit = fill_page(work, page);
	if (fit < page->n) { /* one more was asked for, to know whether this is the end */
		const struct token_fields *last = &page->tokens[fit - 1]->fields;
		next = page_token_format(&work->request, last->name, last->owner, work->arena);
	} else if (page->has_rest) {
		next = page_token_format(
			&work->request, page->rest_name, page->rest_owner, work->arena);
	}
	work->done(work->arg, status, page->tokens, fit, next);
}

struct status token_app_list(const struct token_app *app, const struct token_list_request *r,
	struct arena *arena, struct store_waiter waiter, token_list_fn *done)
{
	TRY(token_rules_check_owner(r->by, r->kind));
	if (r->page_size < 0)
		return status_invalid(
			"page_size", "page_size must not be negative, got %d", r->page_size);
	struct list_work *work = arena_calloc(arena, 1, sizeof *work);
	*work = (struct list_work){.request = *r, .arena = arena, .done = done, .arg = waiter.arg};
	work->request.filter = arena_str(arena, r->filter);
	work->request.user = arena_str(arena, r->user);
	work->page_size = r->page_size == 0                    ? TOKEN_LIST_DEFAULT_PAGE
			  : r->page_size > TOKEN_LIST_MAX_PAGE ? TOKEN_LIST_MAX_PAGE
							       : (size_t)r->page_size;

	struct store_token_query query = {
		.kind = r->kind,
		.limit = work->page_size + 1,
	};
	TRY(set_owner(r, &query));
	TRY(token_filter_parse(r->filter, date_of(clock_now(app->clock)), arena, &query));
	TRY(page_token_parse(r, arena, &query));
	waiter.arg = work;
	store_token_list(app->store, &query, waiter, on_listed);
	return status_ok();
}
