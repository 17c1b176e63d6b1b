/* SPDX-License-Identifier: Apache-2.0 */
#include "service/app/token_rules.h"

#include "common/base/sha256.h"
#include "service/app/access.h"

#include <stdlib.h>

struct status token_rules_check_owner(const struct principal *by, enum token_kind kind)
{
	if (kind == TOKEN_SERVICE)
		return status_ok();
	if (by->kind == PRINCIPAL_ANONYMOUS || !by->name.n)
		return status_error(STATUS_UNAUTHENTICATED, "authentication is required");
	return status_ok();
}

struct str token_rules_owner(const struct principal *by, enum token_kind kind, struct str name)
{
	return kind == TOKEN_SERVICE ? name : by->name;
}

bool token_rules_may_own(const struct principal *by, enum token_kind kind)
{
	return kind == TOKEN_SERVICE || by->kind != PRINCIPAL_SERVICE;
}

struct status token_rules_check_grant(const struct token_app *app, const struct principal *by,
	const struct str *roles, size_t n_roles, struct arena *arena)
{
	if (access_decide(app->access, by, STR("/api/configs/role"), STR("Put"), arena).allowed)
		return status_ok();
	for (size_t i = 0; i < n_roles; i++)
		if (!principal_has_role(by, roles[i]))
			return status_error(STATUS_PERMISSION_DENIED,
				"you may not grant the role %.*s: you neither have it nor may you "
				"change roles (http:/api/configs/role:Put)",
				STR_ARG(roles[i]));
	return status_ok();
}

struct status token_rules_check_roles(const struct token_app *app, const struct principal *by,
	const struct str *roles, size_t n_roles, struct arena *arena)
{
	_cleanup_(role_set_unrefp) struct role_set *known =
		app->access->roles(app->access->roles_arg);
	if (n_roles > TOKEN_MAX_ROLES)
		return status_invalid(
			"roles", "A token has at most %d roles, got %zu", TOKEN_MAX_ROLES, n_roles);
	for (size_t i = 0; i < n_roles; i++) {
		if (!role_set_find(known, roles[i])) {
			const char *field = arena_printf(arena, "roles[%zu]", i);
			return status_invalid(field, "Invalid role: %.*s", STR_ARG(roles[i]));
		}
	}
	return token_rules_check_grant(app, by, roles, n_roles, arena);
}

struct status token_rules_missing(enum token_kind kind, struct str name)
{
	return status_error(STATUS_NOT_FOUND, "%s access token %.*s does not exist.",
		kind == TOKEN_SERVICE ? "Service" : "User", STR_ARG(name));
}

/* --- Requests that may be sent again --- */

struct status token_rules_check_request_id(struct str id)
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

struct status token_rules_expiry(const struct token_app *app, const char *field, struct str text,
	struct str request_id, struct date *ret, struct status *ret_late)
{
	struct status status = token_expiry_parse(field, text, clock_now(app->clock),
		app->max_lifetime_days, app->max_lifetime_text, ret);
	if (status_is_ok(&status) || !request_id.n || !date_parse(text, ret))
		return status;
	*ret_late = status;
	return status_ok();
}

void token_rules_add_text(struct buf *content, struct str text)
{
	uint64_t n = text.n;
	buf_append(content, &n, sizeof n);
	buf_append_str(content, text);
}

static bool derive(
	const struct token_app *app, size_t which, const uint8_t salt[32], struct secret *ret)
{
	uint8_t bytes[TOKEN_SECRET_BYTES];
	if (!app->derive(app->derive_arg, which, salt, bytes))
		return false;
	*ret = token_secret_of_bytes(bytes);
	secret_wipe(bytes, sizeof bytes);
	return true;
}

/* While an overlap lasts, both are the token's. */
static bool is_secret_of(const struct token *t, const struct secret *secret)
{
	const struct token_hash hash = token_secret_hash(secret_str(secret));
	return token_hash_eq(&hash, &t->fields.hash) ||
	       (t->fields.old_until.us && token_hash_eq(&hash, &t->fields.old_hash));
}

struct status token_rules_secret_again(const struct token_app *app, const struct token *token,
	const uint8_t salt[32], struct secret *ret)
{
	_cleanup_secret_ struct secret secret = {NULL, 0};
	for (size_t which = 0; derive(app, which, salt, &secret); which++) {
		if (is_secret_of(token, &secret)) {
			*ret = secret;
			secret = (struct secret){NULL, 0};
			return status_ok();
		}
		secret_done(&secret);
	}
	return status_error(STATUS_FAILED_PRECONDITION,
		"the secret of token '%.*s' cannot be told again: the server's key that it derives "
		"from was replaced since; rotate the token or delete it",
		STR_ARG(token->fields.name));
}

struct secret token_rules_secret(const struct token_app *app, const struct principal *by,
	struct str id, const struct buf *content, struct arena *arena,
	struct store_request_id *ret_request)
{
	*ret_request = (struct store_request_id){.id = STR("")};
	if (!id.n)
		return token_secret_mint(app->random);
	const char *kind = by->kind == PRINCIPAL_SERVICE ? "service" : "user";
	ret_request->principal = str_of(arena_printf(arena, "%s:%.*s", kind, STR_ARG(by->name)));
	ret_request->id = arena_str(arena, id);
	sha256((struct str){content->p, content->n}, ret_request->fingerprint);
	random_bytes(app->random, ret_request->salt, sizeof ret_request->salt);
	struct secret secret = {NULL, 0};
	if (!derive(app, 0, ret_request->salt, &secret))
		abort(); /* there is always a first key */
	return secret;
}
