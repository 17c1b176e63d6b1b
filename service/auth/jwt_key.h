/* SPDX-License-Identifier: Apache-2.0 */
/* Keys that sign or check JWTs: a thin layer over cjose that pins each key to one algorithm.
 *
 * EC P-256 is ES256 and RSA is RS256, and a key is never used for anything else: an algorithm is
 * chosen by the key, not by the text that is checked (RFC 8725, 3.1). Symmetric keys do not exist
 * here.
 *
 * A key is immutable once made and counted by reference. Threads: any. */
#pragma once

#include "common/base/cleanup.h"
#include "common/base/secret.h"
#include "common/base/status.h"
#include "common/base/str.h"

#include <stdbool.h>
#include <stddef.h>

enum jwt_algorithm {
	JWT_ES256,
	JWT_RS256
};

/* "ES256", "RS256" */
const char *jwt_algorithm_name(enum jwt_algorithm algorithm);
bool jwt_algorithm_from_name(struct str name, enum jwt_algorithm *ret);

enum {
	JWT_KEY_ID_MAX_BYTES = 256,
	JWT_RSA_BITS = 3072,     /* of a key that is made here */
	JWT_RSA_MIN_BITS = 2048, /* RFC 7518, 3.3 */
	JWT_RSA_MAX_BITS = 8192,
	JWT_KEYS_MAX = 64, /* of one file */
};

/* What the world may know of a key: the members of its public JWK (RFC 7517). */
struct jwt_public_key {
	struct str kid, kty, alg;
	struct str crv, x, y; /* of an EC key, else empty */
	struct str n, e;      /* of an RSA key, else empty */
};

struct jwt_key;

/* A new private key; its id is its thumbprint (RFC 7638). ES256 takes 30 us, RS256 the better part
 * of a second. Aborts if the library cannot, because nothing safe can follow. */
struct jwt_key *jwt_key_generate(enum jwt_algorithm algorithm);
struct jwt_key *jwt_key_ref(struct jwt_key *key);
void jwt_key_unref(struct jwt_key *key);
DEFINE_CLEANUP(struct jwt_key *, jwt_key_unref);

enum jwt_algorithm jwt_key_algorithm(const struct jwt_key *key);
bool jwt_key_is_private(const struct jwt_key *key);
/* Lives as long as the key. */
const struct jwt_public_key *jwt_key_public(const struct jwt_key *key);
/* The id alone. */
struct str jwt_key_id(const struct jwt_key *key);
/* The same id and public key, and both private or neither. */
bool jwt_key_eq(const struct jwt_key *a, const struct jwt_key *b);
/* The JWK, for jwt_keys_parse, with its private members if @private. */
struct secret jwt_key_export(const struct jwt_key *key, bool private);

/* Several keys, in order. */
struct jwt_keys {
	struct jwt_key *keys[JWT_KEYS_MAX];
	size_t n;
};

/* Reads a PEM file of one or more keys, a JWK, or a JWK Set. Keys of a set that we have no use for
 * (another type, curve, algorithm, or "use": "enc") are passed over; symmetric ones too. A key
 * without "kid" is known by its thumbprint. jwt_keys_done releases *@ret.
 *
 * INVALID_ARGUMENT  @text is neither, or malformed, or holds no key of use, or two of one id; the
 * message quotes nothing of it */
struct status jwt_keys_parse(struct str text, struct jwt_keys *ret);
/* Takes a reference. False when the list is full or has a key of this id. */
bool jwt_keys_add(struct jwt_keys *keys, struct jwt_key *key);
void jwt_keys_done(struct jwt_keys *keys);
#define _cleanup_jwt_keys_ _cleanup_(jwt_keys_done)
/* The key of this id, or NULL. */
struct jwt_key *jwt_keys_find(const struct jwt_keys *keys, struct str kid);

/* Of a signature with it: 64, or the length of the modulus. */
size_t jwt_key_signature_bytes(const struct jwt_key *key);
/* cjose's own object, for jwt.c. */
struct _cjose_jwk_int;
const struct _cjose_jwk_int *jwt_key_cjose(const struct jwt_key *key);
