/* SPDX-License-Identifier: Apache-2.0 */
/* Use cases that change a token which is there: its description and roles, or its secret.
 *
 * A token is read, what becomes of it is decided by the rules, and it is replaced if nobody changed
 * it meanwhile; else all of that is done again. As in token_app.h, an error of the request is
 * returned at once without calling back. Threads: the waiter's loop. */
#pragma once

#include "common/base/arena.h"
#include "service/app/token_app.h"

enum {
	TOKEN_CHANGE_MAX_OVERLAP_S = 30 * 24 * 3600
};

struct token_update_request {
	const struct principal *by;
	enum token_kind kind;
	struct str name;
	bool set_description, set_roles; /* the others stay */
	struct str description;
	const struct str *roles;
	size_t n_roles;
};

/* @token is borrowed for the callback. */
typedef void(token_change_fn)(void *arg, const struct status *status, struct token *token);

/* INVALID_ARGUMENT   roles, description; nothing is to be changed
 * PERMISSION_DENIED  a role that @by may not grant
 * NOT_FOUND          (later) "User access token N does not exist."
 * ABORTED            (later) others change it all the time */
struct status token_change_update(const struct token_app *app,
	const struct token_update_request *request, struct arena *arena, struct store_waiter waiter,
	token_change_fn *done);

struct token_rotate_request {
	const struct principal *by;
	enum token_kind kind;
	struct str name;
	int64_t overlap_s;      /* how long the old secret stays good */
	struct str expire_date; /* empty: it stays */
	struct str request_id;  /* empty: not repeatable */
};

/* INVALID_ARGUMENT     overlap, expire_date, request_id
 * FAILED_PRECONDITION  (later) the token has expired, and there is no new date
 * PERMISSION_DENIED    (later) a service token with a role that @by may not grant
 * NOT_FOUND, ABORTED   (later) as above */
struct status token_change_rotate(const struct token_app *app,
	const struct token_rotate_request *request, struct arena *arena, struct store_waiter waiter,
	token_set_fn *done);
