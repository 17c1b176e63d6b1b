/* SPDX-License-Identifier: Apache-2.0 */
/* The handlers of our RPCs: wire messages in, a use case, wire messages out; a few lines each.
 *
 * One struct api is the self of every handler. It borrows everything and must outlive the chain. */
#pragma once

#include "common/base/status.h"
#include "service/interceptor/chain.h"

#include <stdatomic.h>
#include <stddef.h>

struct access_policy;
struct auth_failures;
struct authenticator;
struct client_version_config;
struct exchange_app;
struct keyring;
struct profile_app;
struct role_app;
struct schema;
struct token_app;
struct token_use;

/* What LoginInfo tells; NULL: there is none. */
struct login_info {
	const char *device_endpoint, *device_client_id;
	const char *browser_endpoint, *browser_client_id;
	const char *token_endpoint, *logout_endpoint;
};

struct api {
	const struct token_app *tokens;
	const struct profile_app *profiles;
	const struct role_app *roles;
	struct exchange_app *exchange;
	struct keyring *keyring;
	struct authenticator *authenticator;
	const struct access_policy *access;
	const struct token_use *use;    /* told of each use of a token; NULL: nobody */
	struct auth_failures *failures; /* told of credentials that are refused; NULL: nobody */
	struct login_info login;
	const char *version; /* of the service, as clients are told: "6.0.0" */
	/* What all lists of /api, which have no pages, hold at the moment (compat_list.c). */
	atomic_size_t *listed_bytes;
};

/* The RPCs of a schema: what each needs, and who handles it. */
struct method_table;

/* INTERNAL  a method states no access, a wrong one, or has no handler: the message names it */
struct status method_table_new(
	const struct schema *schema, const struct api *api, struct method_table **ret);
void method_table_free(struct method_table *t);
DEFINE_CLEANUP(struct method_table *, method_table_free);

/* The last step of the chain; self: a struct method_table. */
struct call_step method_table_run(void *self, struct call *c);

struct permission;
/* For authz; @arg: a struct method_table. */
void method_table_permission(void *arg, struct call *c, struct permission *ret);
