/* SPDX-License-Identifier: Apache-2.0 */
#include "service/app/exchange_app.h"

#include "common/base/xalloc.h"
#include "service/auth/authenticator.h" /* AUTH_INVALID_CREDENTIAL */
#include "service/auth/jwt.h"
#include "service/auth/keyring.h"
#include "service/store/token_lookup.h"

struct exchange_app {
	struct exchange_app_config config;
};

struct exchange_app *exchange_app_new(const struct exchange_app_config *config)
{
	struct exchange_app *app = xnew(struct exchange_app);
	app->config = *config;
	return app;
}

void exchange_app_free(struct exchange_app *app)
{
	free(app);
}

void exchange_answer_done(struct exchange_answer *a)
{
	token_unref(a->token);
	a->token = NULL;
	secret_done(&a->jwt);
}

struct status exchange_refusal(void)
{
	return status_error(STATUS_UNAUTHENTICATED, AUTH_INVALID_CREDENTIAL);
}

struct status exchange_legacy_refusal(enum exchange_outcome outcome)
{
	return status_error(STATUS_INVALID_ARGUMENT, outcome == EXCHANGE_EXPIRED
							     ? "Access Token has expired"
							     : "Access Token is invalid");
}

static struct status make_jwt(struct exchange_app *app, const struct token *token,
	const struct token_hash *hash, struct exchange_answer *a)
{
	const struct exchange_app_config *c = &app->config;
	_cleanup_(keyring_state_unrefp) struct keyring_state *keys = keyring_get(c->keyring);
	if (!keys)
		return status_error(STATUS_UNAVAILABLE, "the signing keys are not there yet");
	struct jwt_made made;
	TRY(jwt_make(keys->current, c->issuer, c->audience, token, hash, clock_now(c->clock),
		c->random, &made));
	a->jwt = made.text;
	a->expires = made.expires;
	return status_ok();
}

/* @token is NULL if there is none. */
static void fill_answer(struct exchange_app *app, const struct token_hash *hash,
	enum exchange_wish wish, struct token *token, struct exchange_answer *a)
{
	*a = (struct exchange_answer){.outcome = EXCHANGE_UNKNOWN};
	struct unix_time now = clock_now(app->config.clock);
	if (!token || !token_opens_with(token, hash, now))
		return;
	a->token = token_ref(token);
	a->outcome = token_expired(token, now) ? EXCHANGE_EXPIRED : EXCHANGE_VALID;
	if (a->outcome == EXCHANGE_VALID && wish == EXCHANGE_FOR_JWT)
		a->status = make_jwt(app, token, hash, a);
}

bool exchange_app_try(struct exchange_app *app, struct str secret, enum exchange_wish wish,
	struct exchange_answer *ret)
{
	if (!token_secret_is_well_formed(secret)) {
		*ret = (struct exchange_answer){.outcome = EXCHANGE_UNKNOWN};
		return true;
	}
	struct token_hash hash = token_secret_hash(secret);
	_cleanup_(token_unrefp) struct token *token = NULL;
	if (token_lookup_try_hash(app->config.tokens, &hash, &token) == CACHE_MISS)
		return false;
	fill_answer(app, &hash, wish, token, ret);
	return true;
}

/* --- With the store --- */

struct question {
	struct exchange_app *app;
	struct token_hash hash;
	enum exchange_wish wish;
	exchange_fn *done;
	void *arg;
	struct loop_task task;
};

static void finish(struct question *q, struct exchange_answer *a)
{
	q->done(q->arg, a);
	exchange_answer_done(a);
	free(q);
}

static void run_malformed(struct loop_task *task)
{
	struct exchange_answer a = {.outcome = EXCHANGE_UNKNOWN};
	finish(container_of(task, struct question, task), &a);
}

static void on_found(void *arg, const struct status *status, struct token *token)
{
	struct question *q = arg;
	struct exchange_answer a = {.outcome = EXCHANGE_UNKNOWN};
	if (status_is_ok(status))
		fill_answer(q->app, &q->hash, q->wish, token, &a);
	else if (status->code != STATUS_NOT_FOUND)
		a.status = *status;
	finish(q, &a);
}

void exchange_app_ask(struct exchange_app *app, struct str secret, enum exchange_wish wish,
	struct store_waiter waiter, exchange_fn *done)
{
	struct question *q = xnew(struct question);
	*q = (struct question){.app = app, .wish = wish, .done = done, .arg = waiter.arg};
	if (!token_secret_is_well_formed(secret)) {
		q->task.run = run_malformed;
		loop_post(waiter.home, &q->task);
		return;
	}
	q->hash = token_secret_hash(secret);
	waiter.arg = q;
	token_lookup_by_hash(app->config.tokens, &q->hash, waiter, on_found);
}
