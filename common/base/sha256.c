/* SPDX-License-Identifier: Apache-2.0 */
/* OpenSSL 3 declares the low-level functions deprecated, yet its SHA256() and EVP interfaces look
 * the algorithm up in the library context each time: 260 ns and a shared lock around a hash of
 * 50 ns. A pre-fetched EVP_MD with a context per thread would do without them as well. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "common/base/sha256.h"

#include <openssl/sha.h>

void sha256(struct str text, uint8_t ret[SHA256_BYTES])
{
	SHA256_CTX context;
	SHA256_Init(&context);
	SHA256_Update(&context, text.p, text.n);
	SHA256_Final(ret, &context);
}
