/* SPDX-License-Identifier: Apache-2.0 */
/* What the use cases of tokens have in common. Internal to app/. */
#pragma once

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/secret.h"
#include "service/app/token_app.h"

/* UNAUTHENTICATED  nobody to own a personal token */
struct status token_rules_check_owner(const struct principal *by, enum token_kind kind);
/* Who owns the token @name of @by: a service token owns itself. */
struct str token_rules_owner(const struct principal *by, enum token_kind kind, struct str name);
/* False for personal tokens of a service principal, which owns none; a user of its name might. */
bool token_rules_may_own(const struct principal *by, enum token_kind kind);

/* INVALID_ARGUMENT   one that does not exist, too many
 * PERMISSION_DENIED  one that @by may not grant: who neither has it nor may change roles */
struct status token_rules_check_roles(const struct token_app *app, const struct principal *by,
	const struct str *roles, size_t n_roles, struct arena *arena);
/* The second half alone. */
struct status token_rules_check_grant(const struct token_app *app, const struct principal *by,
	const struct str *roles, size_t n_roles, struct arena *arena);

/* "User access token N does not exist." */
struct status token_rules_missing(enum token_kind kind, struct str name);

/* --- Requests that may be sent again --- */

enum {
	TOKEN_RULES_HASHED_MAX_BYTES = 64 * 1024
};
/* A length before each text, so that no two lists of texts read the same. */
void token_rules_add_text(struct buf *content, struct str text);
/* The secret of a request, and if @id is not empty what the store needs to recognise it: then the
 * secret is derived, so that it can be told again. @content is all of the request, as it was sent;
 * texts are in @arena. */
struct secret token_rules_secret(const struct token_app *app, const struct principal *by,
	struct str id, const struct buf *content, struct arena *arena,
	struct store_request_id *ret_request);
/* The secret that the first request made, if it is @token's: never another one.
 *
 * FAILED_PRECONDITION  it derives from a key that is gone */
struct status token_rules_secret_again(const struct token_app *app, const struct token *token,
	const uint8_t salt[32], struct secret *ret);
/* INVALID_ARGUMENT on "request_id" */
struct status token_rules_check_request_id(struct str id);
/* As token_expiry_parse. But what was right when a request came first may not be when it comes
 * again, a midnight later: if there is a @request_id, *@ret_late is what to say unless the store
 * knows it (store_request_id.only_again). */
struct status token_rules_expiry(const struct token_app *app, const char *field, struct str text,
	struct str request_id, struct date *ret, struct status *ret_late);
