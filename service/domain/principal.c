/* SPDX-License-Identifier: Apache-2.0 */
#include "service/domain/principal.h"

const struct principal principal_anonymous = {.kind = PRINCIPAL_ANONYMOUS, .method = AUTH_NONE};

const char *auth_method_name(enum auth_method method)
{
	switch (method) {
	case AUTH_NONE:
		return "";
	case AUTH_ACCESS_TOKEN:
		return "access_token";
	case AUTH_JWT:
		return "jwt";
	case AUTH_MTLS:
		return "mtls";
	case AUTH_TRUSTED_PROXY:
		return "trusted_proxy";
	case AUTH_DEV_LOGIN:
		return "dev_login";
	}
	return "";
}

bool principal_is_personal_token(const struct principal *p)
{
	return p->token && p->token->fields.kind == TOKEN_USER;
}

bool principal_has_role(const struct principal *p, struct str role)
{
	for (size_t i = 0; i < p->n_roles; i++)
		if (str_eq(p->roles[i], role))
			return true;
	return false;
}
