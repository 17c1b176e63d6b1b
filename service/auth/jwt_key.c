/* SPDX-License-Identifier: Apache-2.0 */
#include "service/auth/jwt_key.h"

#include "common/base/base64.h"
#include "common/base/buf.h"
#include "common/base/sha256.h"
#include "common/base/xalloc.h"

#include <cjose/cjose.h>
#include <jansson.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

struct jwt_key {
	cjose_jwk_t *cjose; /* never changed, so any thread may sign and check with it */
	enum jwt_algorithm algorithm;
	bool is_private;
	size_t signature_bytes;
	struct jwt_public_key public; /* texts in @json and @thumbprint */
	json_t *json;
	char thumbprint[48];
	atomic_uint refs;
};

const char *jwt_algorithm_name(enum jwt_algorithm algorithm)
{
	return algorithm == JWT_RS256 ? "RS256" : "ES256";
}

bool jwt_algorithm_from_name(struct str name, enum jwt_algorithm *ret)
{
	if (str_eq(name, STR("ES256")))
		*ret = JWT_ES256;
	else if (str_eq(name, STR("RS256")))
		*ret = JWT_RS256;
	else
		return false;
	return true;
}

static struct str member(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);
	return (struct str){json_string_value(value), json_string_length(value)};
}

/* RFC 7638: the SHA-256 of the required members in the order of their names. */
static void thumbprint(const struct jwt_public_key *key, char *ret, size_t ret_bytes)
{
	_cleanup_buf_ struct buf text;
	buf_init(&text, 8192);
	if (key->crv.n)
		buf_printf(&text, "{\"crv\":\"%.*s\",\"kty\":\"EC\",\"x\":\"%.*s\",\"y\":\"%.*s\"}",
			STR_ARG(key->crv), STR_ARG(key->x), STR_ARG(key->y));
	else
		buf_printf(&text, "{\"e\":\"%.*s\",\"kty\":\"RSA\",\"n\":\"%.*s\"}",
			STR_ARG(key->e), STR_ARG(key->n));
	uint8_t hash[SHA256_BYTES];
	sha256(buf_str(&text), hash);
	buf_reset(&text);
	base64_encode(&text, BASE64_URL, hash, sizeof hash);
	memcpy(ret, text.p, text.n + 1 < ret_bytes ? text.n + 1 : ret_bytes);
}

/* A key that we have a use for, from a cjose key that is taken over whatever happens; NULL if it is
 * none. */
static struct jwt_key *key_new(cjose_jwk_t *_takes_jwk, bool is_private)
{
	cjose_err error;
	struct jwt_key *key = xnew(struct jwt_key);
	atomic_init(&key->refs, 1);
	key->cjose = _takes_jwk;
	key->is_private = is_private;
	size_t bits = cjose_jwk_get_keysize(key->cjose, &error);
	switch (cjose_jwk_get_kty(key->cjose, &error)) {
	case CJOSE_JWK_KTY_EC:
		key->algorithm = JWT_ES256;
		key->signature_bytes = 64;
		if (cjose_jwk_EC_get_curve(key->cjose, &error) != CJOSE_JWK_EC_P_256)
			goto useless;
		break;
	case CJOSE_JWK_KTY_RSA:
		key->algorithm = JWT_RS256;
		key->signature_bytes = (bits + 7) / 8;
		if (bits < JWT_RSA_MIN_BITS || bits > JWT_RSA_MAX_BITS)
			goto useless;
		break;
	case CJOSE_JWK_KTY_OCT:
	default:
		goto useless;
	}
	char *text = cjose_jwk_to_json(key->cjose, false, &error);
	key->json = text ? json_loads(text, 0, NULL) : NULL;
	cjose_get_dealloc()(text);
	if (!key->json)
		goto useless;
	key->public = (struct jwt_public_key){
		.kid = member(key->json, "kid"),
		.kty = member(key->json, "kty"),
		.alg = str_of(jwt_algorithm_name(key->algorithm)),
		.crv = member(key->json, "crv"),
		.x = member(key->json, "x"),
		.y = member(key->json, "y"),
		.n = member(key->json, "n"),
		.e = member(key->json, "e"),
	};
	if (!key->public.kid.n) {
		thumbprint(&key->public, key->thumbprint, sizeof key->thumbprint);
		key->public.kid = str_of(key->thumbprint);
	}
	return key;
useless:
	jwt_key_unref(key);
	return NULL;
}

struct jwt_key *jwt_key_generate(enum jwt_algorithm algorithm)
{
	cjose_err error;
	cjose_jwk_t *jwk = algorithm == JWT_RS256
				   ? cjose_jwk_create_RSA_random(JWT_RSA_BITS, NULL, 0, &error)
				   : cjose_jwk_create_EC_random(CJOSE_JWK_EC_P_256, &error);
	struct jwt_key *key = jwk ? key_new(jwk, true) : NULL;
	if (!key)
		abort();
	return key;
}

struct jwt_key *jwt_key_ref(struct jwt_key *key)
{
	atomic_fetch_add_explicit(&key->refs, 1, memory_order_relaxed);
	return key;
}

void jwt_key_unref(struct jwt_key *key)
{
	if (!key || atomic_fetch_sub_explicit(&key->refs, 1, memory_order_acq_rel) != 1)
		return;
	cjose_jwk_release(key->cjose);
	json_decref(key->json);
	free(key);
}

enum jwt_algorithm jwt_key_algorithm(const struct jwt_key *key)
{
	return key->algorithm;
}

bool jwt_key_is_private(const struct jwt_key *key)
{
	return key->is_private;
}

const struct jwt_public_key *jwt_key_public(const struct jwt_key *key)
{
	return &key->public;
}

struct str jwt_key_id(const struct jwt_key *key)
{
	return key->public.kid;
}

bool jwt_key_eq(const struct jwt_key *a, const struct jwt_key *b)
{
	const struct jwt_public_key *x = &a->public, *y = &b->public;
	return a->is_private == b->is_private && str_eq(x->kid, y->kid) && str_eq(x->kty, y->kty) &&
	       str_eq(x->crv, y->crv) && str_eq(x->x, y->x) && str_eq(x->y, y->y) &&
	       str_eq(x->n, y->n) && str_eq(x->e, y->e);
}

size_t jwt_key_signature_bytes(const struct jwt_key *key)
{
	return key->signature_bytes;
}

const struct _cjose_jwk_int *jwt_key_cjose(const struct jwt_key *key)
{
	return key->cjose;
}

struct secret jwt_key_export(const struct jwt_key *key, bool private)
{
	cjose_err error;
	char *text = cjose_jwk_to_json(key->cjose, private, &error);
	if (!text)
		abort();
	struct secret secret = secret_of(str_of(text));
	secret_wipe(text, strlen(text));
	cjose_get_dealloc()(text);
	return secret;
}

bool jwt_keys_add(struct jwt_keys *keys, struct jwt_key *key)
{
	if (keys->n == JWT_KEYS_MAX || jwt_keys_find(keys, jwt_key_id(key)))
		return false;
	keys->keys[keys->n++] = jwt_key_ref(key);
	return true;
}

void jwt_keys_done(struct jwt_keys *keys)
{
	for (size_t i = 0; i < keys->n; i++)
		jwt_key_unref(keys->keys[i]);
	keys->n = 0;
}

struct jwt_key *jwt_keys_find(const struct jwt_keys *keys, struct str kid)
{
	for (size_t i = 0; i < keys->n; i++)
		if (str_eq(jwt_key_id(keys->keys[i]), kid))
			return keys->keys[i];
	return NULL;
}

/* --- JWK --- */

/* Does the JWK say itself that it is for something else than what we would use it for? */
static bool jwk_is_for_signatures(const json_t *jwk)
{
	struct str kty = member(jwk, "kty");
	bool ec = str_eq(kty, STR("EC"));
	if (!ec && !str_eq(kty, STR("RSA")))
		return false;
	const json_t *use = json_object_get(jwk, "use"), *alg = json_object_get(jwk, "alg");
	if (use && !str_eq(member(jwk, "use"), STR("sig")))
		return false;
	return !alg || str_eq(member(jwk, "alg"), ec ? STR("ES256") : STR("RS256"));
}

/* NULL if the key is of no use or malformed: one bad key must not hide the good ones of a set. */
static struct jwt_key *key_of_jwk(const json_t *jwk)
{
	if (!json_is_object(jwk) || !jwk_is_for_signatures(jwk))
		return NULL;
	const json_t *kid = json_object_get(jwk, "kid");
	if (kid && (!json_string_length(kid) || json_string_length(kid) > JWT_KEY_ID_MAX_BYTES))
		return NULL;
	cjose_err error;
	char *text = json_dumps(jwk, JSON_COMPACT);
	if (!text)
		return NULL;
	cjose_jwk_t *key = cjose_jwk_import(text, strlen(text), &error);
	secret_free(text);
	return key ? key_new(key, json_object_get(jwk, "d") != NULL) : NULL;
}

static struct status add_jwk(struct jwt_keys *keys, const json_t *jwk)
{
	_cleanup_(jwt_key_unrefp) struct jwt_key *key = key_of_jwk(jwk);
	if (!key)
		return status_ok();
	if (!jwt_keys_add(keys, key))
		return status_error(STATUS_INVALID_ARGUMENT,
			"two keys have one id, or there are more than %d", JWT_KEYS_MAX);
	return status_ok();
}

static struct status add_jwks(struct jwt_keys *keys, const json_t *root)
{
	if (!json_is_object(root))
		return status_error(STATUS_INVALID_ARGUMENT,
			"the keys must be in PEM, a JSON Web Key or a JSON Web Key Set");
	const json_t *array = json_object_get(root, "keys");
	if (!array)
		return add_jwk(keys, root);
	if (!json_is_array(array))
		return status_error(STATUS_INVALID_ARGUMENT, "\"keys\" must be an array");
	for (size_t i = 0; i < json_array_size(array); i++)
		TRY(add_jwk(keys, json_array_get(array, i)));
	return status_ok();
}

static struct status parse_json(struct str text, struct jwt_keys *keys)
{
	json_error_t where;
	json_t *root = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, &where);
	if (!root)
		return status_error(STATUS_INVALID_ARGUMENT,
			"the keys are no valid JSON: line %d, column %d", where.line, where.column);
	struct status status = add_jwks(keys, root);
	json_decref(root);
	return status;
}

/* --- PEM --- */

/* A number of a key as big-endian bytes; empty if the key has none of this name. */
struct number {
	uint8_t bytes[JWT_RSA_MAX_BITS / 8];
	size_t n;
};

static bool get_number(const EVP_PKEY *key, const char *name, struct number *ret)
{
	BIGNUM *number = NULL;
	ret->n = 0;
	if (EVP_PKEY_get_bn_param(key, name, &number) != 1)
		return false;
	int n = BN_num_bytes(number);
	bool fits = n > 0 && (size_t)n <= sizeof ret->bytes;
	if (fits)
		ret->n = (size_t)BN_bn2bin(number, ret->bytes);
	BN_clear_free(number);
	return fits;
}

static cjose_jwk_t *ec_of_pkey(const EVP_PKEY *pkey, bool *ret_private)
{
	char group[32];
	size_t n;
	if (EVP_PKEY_get_group_name(pkey, group, sizeof group, &n) != 1 ||
		strcmp(group, "prime256v1") != 0)
		return NULL;
	struct number x, y, d;
	if (!get_number(pkey, OSSL_PKEY_PARAM_EC_PUB_X, &x) ||
		!get_number(pkey, OSSL_PKEY_PARAM_EC_PUB_Y, &y))
		return NULL;
	*ret_private = get_number(pkey, OSSL_PKEY_PARAM_PRIV_KEY, &d);
	cjose_jwk_ec_keyspec spec = {
		.crv = CJOSE_JWK_EC_P_256,
		.d = *ret_private ? d.bytes : NULL,
		.dlen = d.n,
		.x = x.bytes,
		.xlen = x.n,
		.y = y.bytes,
		.ylen = y.n,
	};
	cjose_err error;
	cjose_jwk_t *jwk = cjose_jwk_create_EC_spec(&spec, &error);
	secret_wipe(&d, sizeof d);
	return jwk;
}

static cjose_jwk_t *rsa_of_pkey(const EVP_PKEY *pkey, bool *ret_private)
{
	struct number n, e, private[6];
	if (!get_number(pkey, OSSL_PKEY_PARAM_RSA_N, &n) ||
		!get_number(pkey, OSSL_PKEY_PARAM_RSA_E, &e))
		return NULL;
	static const char *const names[] = {OSSL_PKEY_PARAM_RSA_D, OSSL_PKEY_PARAM_RSA_FACTOR1,
		OSSL_PKEY_PARAM_RSA_FACTOR2, OSSL_PKEY_PARAM_RSA_EXPONENT1,
		OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1};
	bool all = true;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		all = get_number(pkey, names[i], &private[i]) && all;
	cjose_jwk_rsa_keyspec spec = {.n = n.bytes, .nlen = n.n, .e = e.bytes, .elen = e.n};
	if (all) {
		spec.d = private[0].bytes, spec.dlen = private[0].n;
		spec.p = private[1].bytes, spec.plen = private[1].n;
		spec.q = private[2].bytes, spec.qlen = private[2].n;
		spec.dp = private[3].bytes, spec.dplen = private[3].n;
		spec.dq = private[4].bytes, spec.dqlen = private[4].n;
		spec.qi = private[5].bytes, spec.qilen = private[5].n;
	}
	*ret_private = all;
	cjose_err error;
	cjose_jwk_t *jwk = cjose_jwk_create_RSA_spec(&spec, &error);
	secret_wipe(private, sizeof private);
	return jwk;
}

static struct status add_pkey(struct jwt_keys *keys, const EVP_PKEY *pkey)
{
	bool is_private = false;
	cjose_jwk_t *jwk = NULL;
	if (EVP_PKEY_is_a(pkey, "EC"))
		jwk = ec_of_pkey(pkey, &is_private);
	else if (EVP_PKEY_is_a(pkey, "RSA"))
		jwk = rsa_of_pkey(pkey, &is_private);
	_cleanup_(jwt_key_unrefp) struct jwt_key *key = jwk ? key_new(jwk, is_private) : NULL;
	if (!key)
		return status_error(STATUS_INVALID_ARGUMENT,
			"a key must be of type EC on curve P-256 or of type RSA with %d to %d bits",
			JWT_RSA_MIN_BITS, JWT_RSA_MAX_BITS);
	if (!jwt_keys_add(keys, key))
		return status_error(STATUS_INVALID_ARGUMENT,
			"a key is there twice, or there are more than %d", JWT_KEYS_MAX);
	return status_ok();
}

static struct status add_pem_block(
	struct jwt_keys *keys, const char *name, const char *header, const uint8_t *der, long n)
{
	if (!strcmp(name, "EC PARAMETERS"))
		return status_ok(); /* `openssl ecparam -genkey` writes them before the key */
	if (strstr(name, "ENCRYPTED") || strstr(header, "ENCRYPTED"))
		return status_error(STATUS_INVALID_ARGUMENT,
			"a key is encrypted with a passphrase; one without is expected");
	EVP_PKEY *pkey = NULL;
	if (str_ends_with(str_of(name), STR("PRIVATE KEY")))
		pkey = d2i_AutoPrivateKey(NULL, &der, n);
	else if (!strcmp(name, "PUBLIC KEY"))
		pkey = d2i_PUBKEY(NULL, &der, n);
	if (!pkey) {
		ERR_clear_error();
		return status_error(
			STATUS_INVALID_ARGUMENT, "\"BEGIN %.40s\" begins no valid key", name);
	}
	struct status status = add_pkey(keys, pkey);
	EVP_PKEY_free(pkey);
	return status;
}

static struct status parse_pem(struct str text, struct jwt_keys *keys)
{
	BIO *bio = BIO_new_mem_buf(text.p, (int)text.n);
	char *name, *header;
	unsigned char *der;
	long n;
	struct status status = status_ok();
	while (status_is_ok(&status) && PEM_read_bio(bio, &name, &header, &der, &n) == 1) {
		status = add_pem_block(keys, name, header, der, n);
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_clear_free(der, (size_t)n);
	}
	if (status_is_ok(&status) && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		status = status_error(STATUS_INVALID_ARGUMENT, "a block of the PEM is malformed");
	ERR_clear_error();
	BIO_free(bio);
	return status;
}

struct status jwt_keys_parse(struct str text, struct jwt_keys *ret)
{
	enum {
		MAX_BYTES = 1 << 20
	};
	if (text.n > MAX_BYTES)
		return status_error(STATUS_INVALID_ARGUMENT, "keys take 1 MiB at most");
	_cleanup_jwt_keys_ struct jwt_keys keys = {.n = 0};
	if (memmem(text.p ? text.p : "", text.n, "-----BEGIN ", 11))
		TRY(parse_pem(text, &keys));
	else
		TRY(parse_json(text, &keys));
	if (!keys.n)
		return status_error(STATUS_INVALID_ARGUMENT,
			"there is no key for ES256 (EC, P-256) or RS256 (RSA, %d to %d bits)",
			JWT_RSA_MIN_BITS, JWT_RSA_MAX_BITS);
	*ret = keys;
	keys.n = 0;
	return status_ok();
}
