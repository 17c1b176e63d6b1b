/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/secret.h"

#include "common/base/xalloc.h"

#include <openssl/crypto.h>

struct secret secret_of(struct str s)
{
	return (struct secret){str_dup(s), s.n};
}

void secret_done(struct secret *s)
{
	if (s->p)
		secret_wipe(s->p, s->n);
	free(s->p);
	*s = (struct secret){NULL, 0};
}

bool secret_eq(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || CRYPTO_memcmp(a.p, b.p, a.n) == 0);
}

void secret_wipe(void *p, size_t n)
{
	OPENSSL_cleanse(p, n);
}

void secret_free(char *text)
{
	if (text)
		secret_wipe(text, strlen(text));
	free(text);
}
