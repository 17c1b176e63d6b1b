/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/forge.h"

#include "common/base/base64.h"
#include "common/base/buf.h"
#include "common/base/xalloc.h"

#include <assert.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <string.h>

enum {
	TEXT_MAX_BYTES = 1 << 20
};

struct forge_key {
	EVP_PKEY *pkey;
	bool rsa;
};

struct forge_key *forge_key_new(enum jwt_algorithm algorithm)
{
	struct forge_key *key = xnew(struct forge_key);
	key->rsa = algorithm == JWT_RS256;
	key->pkey = key->rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
	assert(key->pkey);
	return key;
}

void forge_key_free(struct forge_key *key)
{
	if (key)
		EVP_PKEY_free(key->pkey);
	free(key);
}

char *forge_key_pem(const struct forge_key *key, bool private)
{
	BIO *bio = BIO_new(BIO_s_mem());
	if (private)
		PEM_write_bio_PrivateKey(bio, key->pkey, NULL, NULL, 0, NULL, NULL);
	else
		PEM_write_bio_PUBKEY(bio, key->pkey);
	char *p;
	long n = BIO_get_mem_data(bio, &p);
	char *text = xstrndup(p, (size_t)n);
	BIO_free(bio);
	return text;
}

static void signing_input(struct buf *out, const char *header, const char *claims)
{
	buf_init(out, TEXT_MAX_BYTES);
	base64_encode(out, BASE64_URL, header, strlen(header));
	buf_append_char(out, '.');
	base64_encode(out, BASE64_URL, claims, strlen(claims));
}

static char *finish(struct buf *text, const void *signature, size_t n)
{
	buf_append_char(text, '.');
	base64_encode(text, BASE64_URL, signature, n);
	return buf_steal(text);
}

/* ASN.1 to r and s of 32 bytes each. */
static void flatten(const uint8_t *der, size_t n, uint8_t ret[64])
{
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)n);
	BN_bn2binpad(ECDSA_SIG_get0_r(sig), ret, 32);
	BN_bn2binpad(ECDSA_SIG_get0_s(sig), ret + 32, 32);
	ECDSA_SIG_free(sig);
}

char *forge_jwt(const struct forge_key *key, const char *header, const char *claims)
{
	struct buf text;
	signing_input(&text, header, claims);
	uint8_t signature[1024];
	size_t n = sizeof signature;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int ok = EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key->pkey) == 1 &&
		 EVP_DigestSign(ctx, signature, &n, (const uint8_t *)text.p, text.n) == 1;
	EVP_MD_CTX_free(ctx);
	if (!ok)
		abort();
	if (key->rsa)
		return finish(&text, signature, n);
	uint8_t flat[64];
	flatten(signature, n, flat);
	return finish(&text, flat, sizeof flat);
}

char *forge_hmac_jwt(struct str secret, const char *header, const char *claims)
{
	struct buf text;
	signing_input(&text, header, claims);
	uint8_t mac[32];
	unsigned n = sizeof mac;
	HMAC(EVP_sha256(), secret.p, (int)secret.n, (const uint8_t *)text.p, text.n, mac, &n);
	return finish(&text, mac, n);
}

char *forge_raw_jwt(const char *header, const char *claims, const char *signature)
{
	struct buf text;
	signing_input(&text, header, claims);
	buf_append_char(&text, '.');
	buf_append_str(&text, str_of(signature));
	return buf_steal(&text);
}
