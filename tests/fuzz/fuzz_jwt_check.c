/* SPDX-License-Identifier: Apache-2.0 */
/* A JWT from the network. An input that begins with '{' is a header, a newline and claims, which
 * are signed with a trusted key on the way in: without that, nothing behind the signature is
 * reached. Any other input is the compact form. */
#include "common/base/xalloc.h"
#include "service/auth/jwt.h"
#include "service/domain/principal.h"
#include "tests/lib/forge.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define NOW 1800000000

static struct forge_key *key;
static struct jwt_keys keys;
static struct jwt_issuer issuers[2];

static void setup(void)
{
	key = forge_key_new(JWT_ES256);
	char *pem = forge_key_pem(key, false);
	struct status status = jwt_keys_parse(str_of(pem), &keys);
	assert(status_is_ok(&status));
	free(pem);
	issuers[0] = (struct jwt_issuer){.issuer = STR("osmo"),
		.audience = STR("osmo"),
		.user_claim = STR("unique_name"),
		.keys = &keys,
		.leeway_s = 300,
		.ours = true};
	issuers[1] = (struct jwt_issuer){.issuer = STR("ext"),
		.audience = STR("us"),
		.user_claim = STR("sub"),
		.roles_claim = STR("realm_access.roles"),
		.keys = &keys,
		.leeway_s = 60};
}

static void check_valid(const struct jwt *jwt)
{
	assert(principal_name_is_valid(jwt->user));
	assert(jwt->n_roles <= JWT_MAX_ROLES);
	for (size_t i = 0; i < jwt->n_roles; i++)
		assert(principal_name_is_valid(jwt->roles[i]));
	assert(!jwt->ours || principal_name_is_valid(jwt->token_name));
	assert(jwt_check_time(jwt, unix_time_from_s(NOW)) == JWT_VALID);
	assert(jwt_check_time(jwt, jwt->expires) == JWT_EXPIRED);
}

static void check(struct str compact, bool is_signed)
{
	_cleanup_(jwt_unrefp) struct jwt *jwt = NULL;
	enum jwt_fault fault = jwt_check(compact, issuers, 2, unix_time_from_s(NOW), &jwt);
	assert((fault == JWT_VALID) == (jwt != NULL));
	assert(fault == JWT_MALFORMED || jwt_is_well_formed(compact));
	if (!jwt)
		return;
	assert(is_signed); /* or the input has guessed a signature */
	check_valid(jwt);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!key)
		setup();
	const char *text = (const char *)data;
	if (!size || text[0] != '{') {
		check((struct str){text, size}, false);
		return 0;
	}
	char *parts = xstrndup(text, size);
	char *claims = strchr(parts, '\n');
	if (claims)
		*claims++ = '\0';
	char *compact = forge_jwt(key, parts, claims ? claims : "");
	check(str_of(compact), true);
	free(compact);
	free(parts);
	return 0;
}
