/* SPDX-License-Identifier: Apache-2.0 */
/* Use cases of access tokens: make, list, delete. How one is changed: token_change.h.
 *
 * Rules of the domain plus the store; transport-free. Every function checks its request first and
 * returns an error at once without calling back; after status OK the callback comes, later, once,
 * on the waiter's loop; it may release @arena. Threads: the waiter's loop. */
#pragma once

#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/base/status.h"
#include "common/base/str.h"
#include "service/domain/principal.h"
#include "service/domain/role.h"
#include "service/domain/token.h"
#include "service/store/store.h"

#include <stdbool.h>
#include <stddef.h>

struct access_policy;

struct token_app {
	struct store *store;
	const struct clock *clock;
	const struct random *random;
	const struct access_policy *access; /* roles of the moment, and who may grant any */
	const struct str *default_roles;    /* of personal tokens */
	size_t n_default_roles;
	int32_t max_lifetime_days;
	const char *max_lifetime_text; /* as configured: "365d" */
	size_t max_tokens_per_user;    /* personal ones that are not expired; 0: any number */
	/* 256 bits that are a function of @salt and of the @which-th key of the server's: 0 is for
	 * new secrets, the others were that before; false: there is no such key. */
	bool (*derive)(void *arg, size_t which, const uint8_t salt[32], uint8_t ret[32]);
	void *derive_arg;
};

struct token_set_request {
	const struct principal *by;
	enum token_kind kind;
	struct str name, description;
	const struct str *roles;
	size_t n_roles;
	struct str expire_date;
	const char *expire_date_field; /* its name in the caller's request, for errors */
	bool needs_expire_date;        /* else empty is 31 days from today */
	bool needs_roles;              /* a service token without roles is an error */
	struct str request_id;         /* empty: not repeatable */
};

/* @token and @secret are borrowed for the callback. */
typedef void(token_set_fn)(
	void *arg, const struct status *status, struct token *token, struct str secret);

/* UNAUTHENTICATED     nobody to own a personal token
 * INVALID_ARGUMENT    a role that does not exist, then name, date, description
 * PERMISSION_DENIED   a role that @by may not grant; a service principal has no personal tokens
 * ALREADY_EXISTS      (later) and what store_token_insert says, as RESOURCE_EXHAUSTED */
struct status token_app_set(const struct token_app *app, const struct token_set_request *request,
	struct arena *arena, struct store_waiter waiter, token_set_fn *done);

typedef void(token_done_fn)(void *arg, const struct status *status);
/* NOT_FOUND  "User access token N does not exist." */
struct status token_app_delete(const struct token_app *app, const struct principal *by,
	enum token_kind kind, struct str name, struct arena *arena, struct store_waiter waiter,
	token_done_fn *done);

typedef void(token_count_fn)(void *arg, const struct status *status, size_t n);
/* All personal tokens of @user; @n is how many there were, of which some may be gone also after an
 * error. INVALID_ARGUMENT  on "user" */
struct status token_app_delete_all(const struct token_app *app, struct str user,
	struct arena *arena, struct store_waiter waiter, token_count_fn *done);

struct token_list_request {
	const struct principal *by;
	enum token_kind kind;
	int32_t page_size; /* 0: TOKEN_LIST_DEFAULT_PAGE */
	struct str page_token;
	struct str filter;
	struct str
		user; /* empty: the caller; "-": all; any other needs to be allowed by the caller */
};
enum {
	TOKEN_LIST_DEFAULT_PAGE = 100,
	TOKEN_LIST_MAX_PAGE = 1000,
	/* In memory, and less as a message: a client of gRPC takes 4 MiB by default. A page ends
	 * with the token that passes it. */
	TOKEN_LIST_MAX_PAGE_BYTES = 2 << 20
};

/* @next_page_token is empty on the last page; all borrowed for the callback. */
typedef void(token_list_fn)(void *arg, const struct status *status, struct token *const *tokens,
	size_t n, struct str next_page_token);
/* INVALID_ARGUMENT  page_size, page_token, filter, user */
struct status token_app_list(const struct token_app *app, const struct token_list_request *request,
	struct arena *arena, struct store_waiter waiter, token_list_fn *done);
