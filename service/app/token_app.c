/* SPDX-License-Identifier: Apache-2.0 */
#include "service/app/token_app.h"

#include "common/base/arena.h"
#include "common/base/base64.h"
#include "service/app/access.h"
#include "service/app/token_filter.h"

#include <openssl/sha.h>
#include <string.h>

/* Who a principal is to the store. */
static struct status check_owner(const struct principal *by, enum token_kind kind)
{
	if (kind == TOKEN_SERVICE)
		return status_ok();
	if (by->kind == PRINCIPAL_ANONYMOUS || !by->name.n)
		return status_error(STATUS_UNAUTHENTICATED, "authentication is required");
	return status_ok();
}

static struct str owner_of(const struct principal *by, enum token_kind kind, struct str name)
{
	return kind == TOKEN_SERVICE ? name : by->name;
}

static bool may_grant_any(
	const struct token_app *app, const struct principal *by, struct arena *arena)
{
	return access_decide(app->access, by, STR("/api/configs/role"), STR("Put"), arena).allowed;
}

static struct status check_roles(
	const struct token_app *app, const struct token_set_request *r, struct arena *arena)
{
	_cleanup_(role_set_unrefp) struct role_set *known =
		app->access->roles(app->access->roles_arg);
	if (r->n_roles > TOKEN_MAX_ROLES)
		return status_invalid("roles", "A token has at most %d roles, got %zu",
			TOKEN_MAX_ROLES, r->n_roles);
	for (size_t i = 0; i < r->n_roles; i++) {
		if (!role_set_find(known, r->roles[i])) {
			const char *field = arena_printf(arena, "roles[%zu]", i);
			return status_invalid(field, "Invalid role: %.*s", STR_ARG(r->roles[i]));
		}
	}
	if (may_grant_any(app, r->by, arena))
		return status_ok();
	for (size_t i = 0; i < r->n_roles; i++)
		if (!principal_has_role(r->by, r->roles[i]))
			return status_error(STATUS_PERMISSION_DENIED,
				"you may not grant the role %.*s: you neither have it nor may you "
				"change roles (http:/api/configs/role:Put)",
				STR_ARG(r->roles[i]));
	return status_ok();
}

static struct status check_request_id(struct str id)
{
	enum {
		REQUEST_ID_MAX_BYTES = 128
	};
	bool ok = id.n <= REQUEST_ID_MAX_BYTES;
	for (size_t i = 0; ok && i < id.n; i++)
		ok = id.p[i] > ' ' && id.p[i] <= '~';
	return ok ? status_ok()
		  : status_invalid("request_id",
			    "request_id must be 1 to %d printable ASCII characters without spaces",
			    REQUEST_ID_MAX_BYTES);
}

static struct status check_set(const struct token_app *app, const struct token_set_request *r,
	struct arena *arena, struct date *ret_expires)
{
	TRY(check_owner(r->by, r->kind));
	if (r->kind == TOKEN_SERVICE) {
		if (!r->n_roles && r->needs_roles)
			return status_invalid("roles", "Roles are required for service tokens.");
		TRY(check_roles(app, r, arena));
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
		TRY(token_expiry_parse(r->expire_date_field, r->expire_date, now,
			app->max_lifetime_days, app->max_lifetime_text, ret_expires));
	TRY(token_description_check(r->description));
	return check_request_id(r->request_id);
}

enum {
	HASHED_TEXT_MAX_BYTES = 64 * 1024
};

/* A length before each text, so that no two lists of texts read the same. */
static void add_text(struct buf *b, struct str s)
{
	uint64_t n = s.n;
	buf_append(b, &n, sizeof n);
	buf_append_str(b, s);
}

/* What must be the same when a request is sent again: all of its content, as it was sent. */
static void fingerprint(const struct token_set_request *r, uint8_t ret[32])
{
	_cleanup_buf_ struct buf content;
	buf_init(&content, HASHED_TEXT_MAX_BYTES);
	add_text(&content, str_of(token_kind_name(r->kind)));
	add_text(&content, r->name);
	add_text(&content, r->description);
	add_text(&content, r->expire_date);
	for (size_t i = 0; i < r->n_roles; i++)
		add_text(&content, r->roles[i]);
	SHA256((const unsigned char *)content.p, content.n, ret);
}

struct set_work {
	const struct token_app *app;
	struct store_request_id request_id;
	struct secret secret;
	struct str name;
	token_set_fn *done;
	void *arg;
};

static struct secret derived_secret(const struct token_app *app, const uint8_t salt[32])
{
	uint8_t bytes[TOKEN_SECRET_BYTES];
	app->derive(app->derive_arg, salt, bytes);
	struct secret secret = token_secret_of_bytes(bytes);
	secret_wipe(bytes, sizeof bytes);
	return secret;
}

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
		work->done(work->arg, status, NULL, STR(""));
		return;
	}
	if (result->replayed) {
		secret_done(&secret);
		secret = derived_secret(work->app, result->salt);
	}
	work->done(work->arg, status, result->token, secret_str(&secret));
}

struct status token_app_set(const struct token_app *app, const struct token_set_request *r,
	struct arena *arena, struct store_waiter waiter, token_set_fn *done)
{
	struct date expires;
	TRY(check_set(app, r, arena, &expires));

	struct set_work *work = arena_calloc(arena, 1, sizeof *work);
	*work = (struct set_work){
		.app = app, .name = arena_str(arena, r->name), .done = done, .arg = waiter.arg};
	if (r->request_id.n) {
		const char *principal = arena_printf(arena, "%s:%.*s",
			r->by->kind == PRINCIPAL_SERVICE ? "service" : "user",
			STR_ARG(r->by->name));
		work->request_id.principal = str_of(principal);
		work->request_id.id = arena_str(arena, r->request_id);
		fingerprint(r, work->request_id.fingerprint);
		random_bytes(app->random, work->request_id.salt, sizeof work->request_id.salt);
		work->secret = derived_secret(app, work->request_id.salt);
	} else {
		work->secret = token_secret_mint(app->random);
	}

	bool personal = r->kind == TOKEN_USER;
	_cleanup_(token_unrefp) struct token *token = token_new(&(struct token_fields){
		.kind = r->kind,
		.owner = owner_of(r->by, r->kind, r->name),
		.name = r->name,
		.description = r->description,
		.roles = personal ? app->default_roles : r->roles,
		.n_roles = personal ? app->n_default_roles : r->n_roles,
		.expires = expires,
		.created = clock_now(app->clock),
		.hash = token_secret_hash(secret_str(&work->secret)),
	});
	waiter.arg = work;
	store_token_insert(app->store, token, &work->request_id, NULL, waiter, on_inserted);
	return status_ok();
}

struct delete_work {
	const struct token_app *app;
	enum token_kind kind;
	struct str name;
	token_done_fn *done;
	void *arg;
};

static struct status no_such_token(enum token_kind kind, struct str name)
{
	return status_error(STATUS_NOT_FOUND, "%s access token %.*s does not exist.",
		kind == TOKEN_SERVICE ? "Service" : "User", STR_ARG(name));
}

static void on_deleted(void *arg, const struct status *status, struct token *token)
{
	struct delete_work *work = arg;
	if (status->code == STATUS_NOT_FOUND) {
		struct status missing = no_such_token(work->kind, work->name);
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
	TRY(check_owner(by, kind));
	/* A service principal owns no personal tokens; a user of its name might. */
	if (kind == TOKEN_USER && by->kind == PRINCIPAL_SERVICE)
		return no_such_token(kind, name);
	struct delete_work *work = arena_calloc(arena, 1, sizeof *work);
	*work = (struct delete_work){app, kind, arena_str(arena, name), done, waiter.arg};
	waiter.arg = work;
	store_token_delete(
		app->store, kind, owner_of(by, kind, work->name), work->name, waiter, on_deleted);
	return status_ok();
}

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
	buf_init(&content, HASHED_TEXT_MAX_BYTES);
	add_text(&content, str_of(token_kind_name(r->kind)));
	add_text(&content, r->filter);
	SHA256((const unsigned char *)content.p, content.n, hash);
	ret[0] = PAGE_TOKEN_VERSION;
	memcpy(ret + 1, hash, PAGE_TOKEN_HEAD - 1);
}

static struct str page_token_format(
	const struct token_list_request *r, const struct token *last, struct arena *arena)
{
	char head[PAGE_TOKEN_HEAD];
	page_token_head(r, head);
	_cleanup_buf_ struct buf raw, text;
	buf_init(&raw, PAGE_TOKEN_MAX_BYTES);
	buf_init(&text, 2 * PAGE_TOKEN_MAX_BYTES);
	buf_append(&raw, head, sizeof head);
	buf_append_str(&raw, last->fields.name);
	buf_append_char(&raw, '\0');
	buf_append_str(&raw, last->fields.owner);
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
			"page_token must be the next_page_token of an answer to the same kind and "
			"filter");
	query->has_after = true;
	query->after_name = arena_str(arena, str_sub(rest, 0, nul));
	query->after_owner = arena_str(arena, str_sub(rest, nul + 1, rest.n));
	return status_ok();
}

struct list_work {
	struct token_list_request request;
	struct arena *arena;
	size_t page_size;
	token_list_fn *done;
	void *arg;
};

static void on_listed(void *arg, const struct status *status, struct token *const *tokens, size_t n)
{
	struct list_work *work = arg;
	struct str next = STR("");
	if (status->code == STATUS_OK && n > work->page_size) {
		n = work->page_size; /* one more was asked for, to know whether this is the end */
		next = page_token_format(&work->request, tokens[n - 1], work->arena);
	}
	work->done(work->arg, status, tokens, n, next);
}

struct status token_app_list(const struct token_app *app, const struct token_list_request *r,
	struct arena *arena, struct store_waiter waiter, token_list_fn *done)
{
	TRY(check_owner(r->by, r->kind));
	if (r->page_size < 0)
		return status_invalid(
			"page_size", "page_size must not be negative, got %d", r->page_size);
	struct list_work *work = arena_calloc(arena, 1, sizeof *work);
	*work = (struct list_work){.request = *r, .arena = arena, .done = done, .arg = waiter.arg};
	work->request.filter = arena_str(arena, r->filter);
	work->page_size = r->page_size == 0                    ? TOKEN_LIST_DEFAULT_PAGE
			  : r->page_size > TOKEN_LIST_MAX_PAGE ? TOKEN_LIST_MAX_PAGE
							       : (size_t)r->page_size;

	struct store_token_query query = {
		.kind = r->kind,
		.any_owner = r->kind == TOKEN_SERVICE,
		.owner = r->by->name,
		.limit = work->page_size + 1,
	};
	/* A service principal owns no personal tokens; a user of its name might. */
	if (r->kind == TOKEN_USER && r->by->kind == PRINCIPAL_SERVICE)
		query.owner = STR("");
	TRY(token_filter_parse(r->filter, date_of(clock_now(app->clock)), arena, &query));
	TRY(page_token_parse(r, arena, &query));
	waiter.arg = work;
	store_token_list(app->store, &query, waiter, on_listed);
	return status_ok();
}
