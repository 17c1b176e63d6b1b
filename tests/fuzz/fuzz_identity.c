/* SPDX-License-Identifier: Apache-2.0 */
/* What --tls-identity takes names a certificate and a principal that may stand in logs. */
#include "common/base/arena.h"
#include "service/interceptor/authn.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new();
	struct authn_identity i = {.identity = STR("untouched")};
	struct status s = authn_identity_parse((struct str){(const char *)data, size}, arena, &i);
	if (status_is_ok(&s)) {
		MUST(i.identity.n && i.identity.p == (const char *)data);
		MUST(principal_name_is_valid(i.principal.name));
		MUST(i.principal.n_roles <= AUTHN_MAX_ROLES);
		for (size_t k = 0; k < i.principal.n_roles; k++)
			MUST(principal_name_is_valid(i.principal.roles[k]));
	} else {
		MUST(s.code == STATUS_INVALID_ARGUMENT && s.message[0]);
		MUST(str_eq(i.identity, STR("untouched")));
	}
	arena_free(arena);
	return 0;
}
