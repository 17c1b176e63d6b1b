/* SPDX-License-Identifier: Apache-2.0 */
/* JSON Web Tokens (RFC 7519) in the compact form: making ours, and checking ours and those of
 * configured issuers by the rules of RFC 8725.
 *
 * What is checked is never asked how to check it: the algorithm is the key's, the key is one of the
 * issuer's, and jku, jwk, x5u and x5c in a header are not looked at. Base64url is strict, JSON has
 * no duplicate names, and an unknown "crit" is refused.
 *
 * Pure: keys and time come in as arguments. Threads: any; a struct jwt is immutable and counted by
 * reference. */
#pragma once

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/base/secret.h"
#include "common/base/status.h"
#include "common/base/str.h"
#include "service/auth/jwt_key.h"
#include "service/domain/token.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	JWT_MAX_BYTES = 8192, /* of the compact form, made or checked */
	JWT_LIFETIME_S = 300,
	JWT_MAX_ROLES = 256,
	JWT_TOKEN_REF_BYTES = 16,
};

/* Names the very token that a JWT was made from, not just its name: a token that is deleted and
 * made again is another one. */
struct jwt_token_ref {
	uint8_t bytes[JWT_TOKEN_REF_BYTES];
};
struct jwt_token_ref jwt_token_ref_of(const struct token_hash *hash);
bool jwt_token_ref_eq(const struct jwt_token_ref *a, const struct jwt_token_ref *b);
/* @ref is that of the token's secret, or of the one before while that is still good. */
bool jwt_token_ref_is_good(
	const struct jwt_token_ref *ref, const struct token *token, struct unix_time now);

/* --- Making --- */

struct jwt_made {
	struct secret text;
	struct unix_time expires; /* whole seconds */
};

/* A JWT for the holder of @token: iss, aud, iat, nbf, exp, unique_name, roles, jti,
 * osmo_token_name, osmo_token_kind, in this order, signed by @key, which is private. It lives for
 * JWT_LIFETIME_S, at most as long as the token. @secret is the hash of the secret that it is made
 * for: with the old one of the token it ends when that does; NULL: the token's own.
 *
 * FAILED_PRECONDITION  the roles of the token do not fit into JWT_MAX_BYTES */
struct status jwt_make(const struct jwt_key *key, struct str issuer, struct str audience,
	const struct token *token, const struct token_hash *secret, struct unix_time now,
	const struct random *random, struct jwt_made *ret);

/* --- Checking --- */

/* Whose JWTs are believed, and where in them it stands who the caller is. Borrowed. */
struct jwt_issuer {
	struct str issuer, audience; /* exact texts of "iss" and (one of) "aud" */
	struct str user_claim;       /* "unique_name"; a dot leads into an object: "a.b" */
	struct str roles_claim;      /* "roles"; an array of texts or one text with spaces between;
				      * empty: no roles */
	const struct jwt_keys *keys;
	int32_t leeway_s; /* how far "nbf" and "iat" may lie ahead, for clocks that differ */
	bool ours;        /* it names an access token: jti, osmo_token_name, osmo_token_kind */
};

/* Why a JWT was refused: for logs; a caller is told "invalid credential" only. */
enum jwt_fault {
	JWT_VALID,
	JWT_MALFORMED,
	JWT_UNKNOWN_ISSUER,
	JWT_UNKNOWN_KEY, /* no such "kid", or not with this "alg" */
	JWT_BAD_SIGNATURE,
	JWT_WRONG_AUDIENCE,
	JWT_NOT_YET_VALID,
	JWT_EXPIRED,
	JWT_BAD_CLAIMS, /* a claim is missing or of the wrong type */
};
/* "malformed", "unknown_issuer", ... */
const char *jwt_fault_name(enum jwt_fault fault);

/* A JWT that was checked. */
struct jwt {
	bool ours;
	struct str user;
	const struct str *roles; /* empty if ours: those of the token hold */
	size_t n_roles;
	struct unix_time valid_from, expires;
	/* Of ours only. */
	enum token_kind token_kind;
	struct str token_name;
	struct jwt_token_ref token_ref;

	size_t bytes; /* memory that it takes, for a cache that counts */
	atomic_uint refs_;
};

/* @compact is signed by one of @issuers for its audience and valid at @now: then *@ret is the
 * caller's (jwt_unref). Otherwise *@ret is untouched. */
enum jwt_fault jwt_check(struct str compact, const struct jwt_issuer *issuers, size_t n_issuers,
	struct unix_time now, struct jwt **ret);
/* Is one that was checked before still valid? JWT_VALID, JWT_NOT_YET_VALID or JWT_EXPIRED. */
enum jwt_fault jwt_check_time(const struct jwt *jwt, struct unix_time now);
struct jwt *jwt_ref(struct jwt *jwt);
void jwt_unref(struct jwt *jwt);
DEFINE_CLEANUP(struct jwt *, jwt_unref);

/* Three parts of base64url with two dots between: what is worth checking at all. */
bool jwt_is_well_formed(struct str compact);
