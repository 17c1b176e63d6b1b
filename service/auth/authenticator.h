/* SPDX-License-Identifier: Apache-2.0 */
/* Who does a credential stand for? An access token, a JWT of ours, or one of a configured issuer.
 *
 * For the authn step (the caller's own credential) and for Authorize (somebody else's). What is
 * wrong with a credential is for the log alone: whoever sent it gets one answer for malformed,
 * unknown, deleted and expired ones.
 *
 * Threads: any. */
#pragma once

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/base/str.h"
#include "service/auth/jwt.h"
#include "service/auth/keyring.h"
#include "service/domain/principal.h"
#include "service/store/store.h"
#include "service/store/token_lookup.h"

#include <stdbool.h>
#include <stddef.h>

enum {
	AUTHENTICATOR_MAX_ISSUERS = 16
};

/* Somebody else whose JWTs are believed, by the keys that the ring has at the moment. */
struct authenticator_issuer {
	struct jwt_issuer issuer; /* its keys are not looked at */
	struct keyring *keys;
};

/* Everything is borrowed and must outlive the authenticator. */
struct authenticator_config {
	struct token_lookup *tokens;
	struct keyring *keyring;
	const struct clock *clock;
	struct str issuer, audience;                 /* of our own JWTs */
	const struct authenticator_issuer *external; /* at most AUTHENTICATOR_MAX_ISSUERS */
	size_t n_external;
	size_t jwt_cache_entries; /* 0: 4096 */
};

struct authenticator;

struct authenticator *authenticator_new(const struct authenticator_config *config);
void authenticator_free(struct authenticator *a);
DEFINE_CLEANUP(struct authenticator *, authenticator_free);

/* What came out. */
struct auth_outcome {
	/* OK; UNAUTHENTICATED, always with AUTH_INVALID_CREDENTIAL; or why the store could not say:
	 * UNAVAILABLE, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED. */
	struct status status;
	/* What is wrong with it, for logs and metrics: one of a few constant words. */
	const char *reason;
	/* If the status is OK. Its texts live in its token or in @jwt. */
	struct principal principal;
	struct jwt *jwt;
};
#define AUTH_INVALID_CREDENTIAL "invalid credential"

/* Drops the references. */
void auth_outcome_done(struct auth_outcome *o);
#define _cleanup_auth_outcome_ _cleanup_(auth_outcome_done)

/* Decides with what is in memory: true, and *@ret is the caller's (auth_outcome_done); false if the
 * store must be asked, for which authenticator_check is. */
bool authenticator_try(struct authenticator *a, struct str credential, struct auth_outcome *ret);

/* @outcome is borrowed; the callee may take its references and set them to NULL. */
typedef void(auth_done_fn)(void *arg, struct auth_outcome *outcome);
/* The same with the store; @done runs on the waiter's loop, later, once. @credential is not kept.
 */
void authenticator_check(struct authenticator *a, struct str credential, struct store_waiter waiter,
	auth_done_fn *done);
