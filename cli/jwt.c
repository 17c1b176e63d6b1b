/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/jwt.h"

#include "common/base/base64.h"
#include "common/base/secret.h"
#include "common/base/xalloc.h"

#include <jansson.h>

enum {
	JWT_MAX_BYTES = 64 * 1024,
	EXPIRY_MARGIN_S = 3
};

static char *claim_text(const json_t *claims, const char *name)
{
	const json_t *value = json_object_get(claims, name);
	return json_is_string(value) ? xstrndup(json_string_value(value), json_string_length(value))
				     : NULL;
}

struct status jwt_parse(struct str text, struct jwt *ret)
{
	struct str rest = text;
	struct str header, payload, signature;
	if (text.n > JWT_MAX_BYTES || !str_split(&rest, '.', &header) ||
		!str_split(&rest, '.', &payload) || !str_split(&rest, '.', &signature) || rest.p)
		return status_error(STATUS_INVALID_ARGUMENT,
			"a JWT has three parts, separated by '.', this token has not");
	_cleanup_buf_ struct buf decoded;
	buf_init(&decoded, JWT_MAX_BYTES);
	if (!base64_decode(&decoded, payload))
		return status_error(
			STATUS_INVALID_ARGUMENT, "the second part of the JWT is not base64url");
	json_error_t error;
	json_t *claims = json_loadb(decoded.p ? decoded.p : "", decoded.n, 0, &error);
	if (!json_is_object(claims)) {
		json_decref(claims);
		return status_error(
			STATUS_INVALID_ARGUMENT, "the claims of the JWT are not a JSON object");
	}
	const json_t *expiry = json_object_get(claims, "exp");
	*ret = (struct jwt){.has_expiry = json_is_number(expiry),
		.expiry_s = json_number_value(expiry),
		.name = claim_text(claims, "name"),
		.unique_name = claim_text(claims, "unique_name"),
		.token_name = claim_text(claims, "osmo_token_name"),
		.token_kind = claim_text(claims, "osmo_token_kind")};
	json_decref(claims);
	return status_ok();
}

void jwt_done(struct jwt *j)
{
	free(j->name);
	free(j->unique_name);
	free(j->token_name);
	free(j->token_kind);
	*j = (struct jwt){.has_expiry = false};
}

bool jwt_expired(const struct jwt *j, struct unix_time now)
{
	return j->has_expiry && j->expiry_s - EXPIRY_MARGIN_S < (double)now.us / US_PER_S;
}
