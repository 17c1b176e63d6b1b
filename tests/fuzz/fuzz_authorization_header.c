/* SPDX-License-Identifier: Apache-2.0 */
/* The value of an Authorization header, and what is looked at first of the credential in it. */
#include "service/auth/jwt.h"
#include "service/domain/token.h"
#include "service/interceptor/authn.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str value = {(const char *)data, size}, credential = {NULL, 0};
	if (!authn_bearer_parse(value, &credential)) {
		assert(credential.p == NULL);
		return 0;
	}
	/* It is the end of the value, behind the scheme and a space, and one word. */
	assert(credential.n && credential.p + credential.n == value.p + value.n);
	assert(credential.p >= value.p + 7 && credential.p[-1] == ' ');
	for (size_t i = 0; i < credential.n; i++)
		assert(credential.p[i] > ' ' && credential.p[i] < 0x7F && credential.p[i] != ',');
	bool token = token_secret_is_well_formed(credential);
	assert(!token || !jwt_is_well_formed(credential)); /* never both */
	return 0;
}
