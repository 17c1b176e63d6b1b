/* SPDX-License-Identifier: Apache-2.0 */
/* Who a call comes from. Pure; lives in the arena of its call. */
#pragma once

#include "common/base/arena.h"
#include "common/base/date.h"
#include "common/base/str.h"
#include "service/domain/token.h"

#include <stdbool.h>
#include <stddef.h>

enum {
	PRINCIPAL_NAME_MAX_BYTES = 255
};

enum principal_kind {
	PRINCIPAL_ANONYMOUS,
	PRINCIPAL_USER,
	PRINCIPAL_SERVICE
};

enum auth_method {
	AUTH_NONE,
	AUTH_ACCESS_TOKEN,
	AUTH_JWT,
	AUTH_MTLS,
	AUTH_TRUSTED_PROXY,
	AUTH_DEV_LOGIN,
};

/* "access_token", "jwt", "mtls", "trusted_proxy", "dev_login", "" */
const char *auth_method_name(enum auth_method method);

struct principal {
	enum principal_kind kind;
	struct str name; /* of the user or the service; empty for the anonymous one */
	const struct str *roles;
	size_t n_roles;
	enum auth_method method;
	/* The access token behind the credential, or NULL; a reference is held for the call. */
	struct token *token;
};

/* The one without a credential. */
extern const struct principal principal_anonymous;

/* True when the credential is, or was made from, a personal access token. */
bool principal_is_personal_token(const struct principal *p);
/* A name of a user, a service or a role as it may come from outside: 1 to 255 bytes of UTF-8
 * without control characters, so that it can stand in logs and headers. */
bool principal_name_is_valid(struct str name);
bool principal_has_role(const struct principal *p, struct str role);
