/* SPDX-License-Identifier: Apache-2.0 */
/* Use cases about a token that is sent along as data: exchange it for a JWT, or describe it.
 *
 * Whoever sends the right secret of an expired token has proved possession, so that "expired" is no
 * oracle; a deleted token is as unknown as one that never was. A JWT is not exchanged.
 * Threads: any. */
#pragma once

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/base/secret.h"
#include "common/base/status.h"
#include "common/base/str.h"
#include "service/domain/token.h"
#include "service/store/store.h"

#include <stdbool.h>

struct keyring;
struct token_lookup;

/* Everything is borrowed and must outlive the app. */
struct exchange_app_config {
	struct token_lookup *tokens;
	struct keyring *keyring;
	const struct clock *clock;
	const struct random *random;
	struct str issuer, audience; /* of our JWTs */
};

struct exchange_app;

struct exchange_app *exchange_app_new(const struct exchange_app_config *config);
void exchange_app_free(struct exchange_app *app);
DEFINE_CLEANUP(struct exchange_app *, exchange_app_free);

enum exchange_wish {
	EXCHANGE_FOR_JWT,
	EXCHANGE_FOR_INFO
};

enum exchange_outcome {
	EXCHANGE_VALID,
	EXCHANGE_UNKNOWN,
	EXCHANGE_EXPIRED
};

/* What came out. exchange_answer_done releases it. */
struct exchange_answer {
	/* OK, or why there is no answer: what store.h says of reads, and what jwt_make does. */
	struct status status;
	enum exchange_outcome outcome; /* if the status is OK */
	struct token *token;           /* a reference, unless unknown */
	struct secret jwt;             /* of a valid one, if that was wished for ... */
	struct unix_time expires;      /* ... and its "exp" */
};
void exchange_answer_done(struct exchange_answer *a);
#define _cleanup_exchange_answer_ _cleanup_(exchange_answer_done)

/* What the caller is told when the outcome is not EXCHANGE_VALID: one UNAUTHENTICATED for both. */
struct status exchange_refusal(void);
/* And what existing clients are told: INVALID_ARGUMENT, "Access Token is invalid" or "Access Token
 * has expired". */
struct status exchange_legacy_refusal(enum exchange_outcome outcome);

/* Answers with what is in memory: true, and *@ret is the caller's; false if the store must be
 * asked, for which exchange_app_ask is. */
bool exchange_app_try(struct exchange_app *app, struct str secret, enum exchange_wish wish,
	struct exchange_answer *ret);
/* @answer is borrowed; the callee may take what it holds and leave NULL behind. */
typedef void(exchange_fn)(void *arg, struct exchange_answer *answer);
/* The same with the store; @done runs on the waiter's loop, later, once. @secret is not kept. */
void exchange_app_ask(struct exchange_app *app, struct str secret, enum exchange_wish wish,
	struct store_waiter waiter, exchange_fn *done);
