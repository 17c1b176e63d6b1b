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

bool principal_name_is_valid(struct str name)
{
	if (!name.n || name.n > PRINCIPAL_NAME_MAX_BYTES || !str_is_utf8(name))
		return false;
	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = (unsigned char)name.p[i];
		unsigned char next = i + 1 < name.n ? (unsigned char)name.p[i + 1] : 0;
		if (c < 0x20 || c == 0x7F || (c == 0xC2 && next < 0xA0)) /* C0, DEL, C1 */
			return false;
	}
	return true;
}

bool principal_has_role(const struct principal *p, struct str role)
{
	for (size_t i = 0; i < p->n_roles; i++)
		if (str_eq(p->roles[i], role))
			return true;
	return false;
}
