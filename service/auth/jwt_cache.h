/* SPDX-License-Identifier: Apache-2.0 */
/* JWTs that were checked, by the SHA-256 of their text: the second call with a JWT costs a hash and
 * not the check of a signature.
 *
 * A fixed table of sets of four; a set that is full gives up the JWT that expires first. What is
 * remembered is the signature and the claims, never that the JWT is valid: time, and for ours the
 * token, are checked on every use. Each JWT belongs to a generation of the trusted keys, and one of
 * an older generation is not found. Threads: any. */
#pragma once

#include "common/base/cleanup.h"
#include "common/base/sha256.h"
#include "service/auth/jwt.h"

#include <stddef.h>
#include <stdint.h>

struct jwt_cache;

struct jwt_cache_key {
	uint8_t hash[SHA256_BYTES];
};
struct jwt_cache_key jwt_cache_key_of(struct str compact);

enum {
	JWT_CACHE_MAX_ENTRY_BYTES = 4096
};

/* Room for @entries JWTs, rounded up to a power of two; what is larger than
 * JWT_CACHE_MAX_ENTRY_BYTES is not kept. */
struct jwt_cache *jwt_cache_new(size_t entries);
void jwt_cache_free(struct jwt_cache *c);
DEFINE_CLEANUP(struct jwt_cache *, jwt_cache_free);

/* NULL, or a reference for the caller. */
struct jwt *jwt_cache_get(
	struct jwt_cache *c, const struct jwt_cache_key *key, uint64_t generation);
void jwt_cache_put(
	struct jwt_cache *c, const struct jwt_cache_key *key, uint64_t generation, struct jwt *jwt);
