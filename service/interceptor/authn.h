/* SPDX-License-Identifier: Apache-2.0 */
/* The step that turns what a call carries into a principal. The first of these decides:
 *
 *   1. `Authorization: Bearer C` or `x-osmo-auth: C`: an access token or a JWT. If both are sent
 *      they must be the same.
 *   2. The identity of a verified client certificate, if configuration maps it to a principal.
 *   3. `x-osmo-user` and `x-osmo-roles` from a trusted proxy; anybody else's are not looked at.
 *   4. With dev login, `x-osmo-user` from anybody: that user with the default roles and those of
 *      `x-osmo-roles`.
 *   5. Nothing: the anonymous principal.
 *
 * A credential that is sent and bad ends the call, on methods that need none too. Errors:
 * INVALID_ARGUMENT for what is ambiguous (a header twice, two different credentials),
 * UNAUTHENTICATED for a bad credential, whatever is wrong with it, UNAVAILABLE if the store is away
 * and the token is not in memory.
 *
 * Answered on the thread that read the call if memory has the token, else on the call's loop. */
#pragma once

#include "common/base/status.h"
#include "common/base/str.h"
#include "common/net/cidr.h"
#include "common/rpc/call.h"
#include "service/domain/principal.h"
#include "service/interceptor/chain.h"

#include <stdbool.h>
#include <stddef.h>

struct auth_failures;
struct authenticator;
struct token_use;

/* A client certificate that stands for a principal. */
struct authn_identity {
	struct str identity; /* as in call_peer.tls_identity, exactly */
	struct principal principal;
};
/* Parses "IDENTITY=USER:ROLE+ROLE...", or "IDENTITY=service/NAME:ROLE+ROLE..." for one that is a
 * service; the last '=' counts. Texts point into @text, the roles are allocated in @arena.
 *
 * INVALID_ARGUMENT  what is wrong with which part */
struct status authn_identity_parse(
	struct str text, struct arena *arena, struct authn_identity *ret);

/* Everything is borrowed. */
struct authn_config {
	struct authenticator *authenticator;
	const struct cidr_list *trusted_proxies;
	const struct authn_identity *identities;
	size_t n_identities;
	bool dev_login;
	const struct str *default_roles; /* of a user of dev login */
	size_t n_default_roles;
	const struct token_use *use;    /* told of each use of a token; NULL: nobody */
	struct auth_failures *failures; /* told of those; NULL: nobody */
};

struct authn {
	struct authn_config config;
};

void authn_init(struct authn *a, const struct authn_config *config);

/* self: a struct authn. */
struct call_step authn_run(void *self, struct call *c);

enum {
	AUTHN_MAX_ROLES = 256 /* in x-osmo-roles */
};

/* The credential in the value of an Authorization header: "Bearer", in any case, spaces, and one
 * token68 (RFC 9110, 11.4). False for anything else. */
bool authn_bearer_parse(struct str value, struct str *ret);
