/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/log.h"
#include "common/base/xalloc.h"
#include "service/app/exchange_app.h"
#include "service/auth/jwt.h"
#include "service/auth/keyring.h"
#include "tests/lib/fake_tokens.h"
#include "tests/lib/test.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#define NOW 1800000000
#define TODAY (NOW / 86400)

struct fixture {
	struct clock clock;
	int64_t now_s;
	struct loop *loop;
	struct fake_tokens *tokens;
	struct jwt_keys keys;
	struct keyring *keyring;
	struct exchange_app *app;
	struct secret secret;
	struct token *token;
};

static struct unix_time fixture_now(const struct clock *c)
{
	const struct fixture *f = (const void *)((const char *)c - offsetof(struct fixture, clock));
	return unix_time_from_s(f->now_s);
}

static struct mono_time fixture_mono(const struct clock *c)
{
	(void)c;
	return (struct mono_time){0};
}

static int setup(void **state)
{
	struct fixture *f = xnew(struct fixture);
	f->clock = (struct clock){.now = fixture_now, .mono = fixture_mono};
	f->now_s = NOW;
	f->loop = loop_new();
	f->tokens = fake_tokens_new(&f->clock);
	_cleanup_(jwt_key_unrefp) struct jwt_key *key = jwt_key_generate(JWT_ES256);
	jwt_keys_add(&f->keys, key);
	assert_ok(keyring_new_fixed(&f->keys, f->loop, &f->keyring));
	f->app = exchange_app_new(
		&(struct exchange_app_config){.tokens = fake_tokens_lookup(f->tokens),
			.keyring = f->keyring,
			.clock = &f->clock,
			.random = &random_system,
			.issuer = STR("osmo"),
			.audience = STR("osmo")});
	f->secret = token_secret_mint(&random_system);
	f->token = fake_tokens_add(
		f->tokens, TOKEN_USER, "alice", "t", secret_str(&f->secret), TODAY + 3);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	exchange_app_free(f->app);
	keyring_free(f->keyring);
	jwt_keys_done(&f->keys);
	fake_tokens_free(f->tokens);
	secret_done(&f->secret);
	loop_free(f->loop);
	free(f);
	return 0;
}

struct wait {
	bool over;
	struct exchange_answer answer;
};

static void on_done(void *arg, struct exchange_answer *answer)
{
	struct wait *w = arg;
	w->over = true;
	w->answer = *answer;
	*answer = (struct exchange_answer){.token = NULL}; /* taken */
}

static struct exchange_answer ask(
	const struct fixture *f, struct str secret, enum exchange_wish wish)
{
	struct wait w = {.over = false};
	exchange_app_ask(
		f->app, secret, wish, (struct store_waiter){f->loop, MONO_TIME_NEVER, &w}, on_done);
	assert_false(w.over);
	while (!w.over)
		event_base_loop(loop_base(f->loop), EVLOOP_ONCE);
	return w.answer;
}

static void expect_jwt(const struct fixture *f, const struct exchange_answer *a)
{
	assert_ok(a->status);
	assert_int_equal(a->outcome, EXCHANGE_VALID);
	assert_ptr_equal(a->token, f->token);
	const struct jwt_issuer issuer = {.issuer = STR("osmo"),
		.audience = STR("osmo"),
		.user_claim = STR("unique_name"),
		.keys = &f->keys,
		.ours = true};
	_cleanup_(jwt_unrefp) struct jwt *jwt = NULL;
	assert_int_equal(
		jwt_check(secret_str(&a->jwt), &issuer, 1, unix_time_from_s(f->now_s), &jwt),
		JWT_VALID);
	assert_str(jwt->user, "alice");
	assert_int_equal(jwt->expires.us, a->expires.us);
}

static void a_token_is_exchanged_from_the_store_and_from_memory(void **state)
{
	struct fixture *f = *state;
	_cleanup_exchange_answer_ struct exchange_answer now = {.token = NULL};
	assert_false(exchange_app_try(f->app, secret_str(&f->secret), EXCHANGE_FOR_JWT, &now));
	_cleanup_exchange_answer_ struct exchange_answer first =
		ask(f, secret_str(&f->secret), EXCHANGE_FOR_JWT);
	expect_jwt(f, &first);
	assert_true(exchange_app_try(f->app, secret_str(&f->secret), EXCHANGE_FOR_JWT, &now));
	expect_jwt(f, &now);
	assert_string_not_equal(first.jwt.p, now.jwt.p);
	assert_int_equal(now.expires.us, unix_time_from_s(NOW + 300).us);
}

static void an_expired_token_is_described_but_not_exchanged(void **state)
{
	struct fixture *f = *state;
	f->now_s = (int64_t)(TODAY + 3) * 86400;
	for (int wish = EXCHANGE_FOR_JWT; wish <= EXCHANGE_FOR_INFO; wish++) {
		_cleanup_exchange_answer_ struct exchange_answer a =
			ask(f, secret_str(&f->secret), (enum exchange_wish)wish);
		assert_ok(a.status);
		assert_int_equal(a.outcome, EXCHANGE_EXPIRED);
		assert_ptr_equal(a.token, f->token);
		assert_null(a.jwt.p);
	}
	assert_status(exchange_legacy_refusal(EXCHANGE_EXPIRED), STATUS_INVALID_ARGUMENT,
		"Access Token has expired");
}

static void a_description_comes_without_a_jwt(void **state)
{
	struct fixture *f = *state;
	_cleanup_exchange_answer_ struct exchange_answer a =
		ask(f, secret_str(&f->secret), EXCHANGE_FOR_INFO);
	assert_int_equal(a.outcome, EXCHANGE_VALID);
	assert_null(a.jwt.p);
}

static void what_is_unknown_malformed_or_deleted_is_unknown(void **state)
{
	struct fixture *f = *state;
	_cleanup_secret_ struct secret other = token_secret_mint(&random_system);
	struct jwt_made made;
	assert_ok(jwt_make(f->keys.keys[0], STR("osmo"), STR("osmo"), f->token, NULL,
		unix_time_from_s(NOW), &random_system, &made));
	_cleanup_secret_ struct secret gone = secret_of(secret_str(&f->secret));
	fake_tokens_remove(f->tokens, f->token);
	const struct str texts[] = {secret_str(&other), STR(""), STR("osmo_nonsense"),
		secret_str(&made.text), secret_str(&gone)};
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct exchange_answer a = ask(f, texts[i], EXCHANGE_FOR_JWT);
		assert_ok(a.status);
		assert_int_equal(a.outcome, EXCHANGE_UNKNOWN);
		assert_null(a.token);
		assert_null(a.jwt.p);
		a.outcome = EXCHANGE_VALID;
		assert_true(exchange_app_try(f->app, texts[i], EXCHANGE_FOR_JWT, &a));
		assert_int_equal(a.outcome, EXCHANGE_UNKNOWN);
	}
	secret_done(&made.text);
	assert_status(exchange_legacy_refusal(EXCHANGE_UNKNOWN), STATUS_INVALID_ARGUMENT,
		"Access Token is invalid");
	assert_status(exchange_refusal(), STATUS_UNAUTHENTICATED, "invalid credential");
}

static void a_store_that_is_away_is_no_answer(void **state)
{
	struct fixture *f = *state;
	fake_tokens_set_failure(f->tokens, STATUS_UNAVAILABLE);
	struct exchange_answer a = ask(f, secret_str(&f->secret), EXCHANGE_FOR_JWT);
	assert_int_equal(a.status.code, STATUS_UNAVAILABLE);
	assert_null(a.token);
}

int main(void)
{
#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(a_token_is_exchanged_from_the_store_and_from_memory),
		WITH_FIXTURE(an_expired_token_is_described_but_not_exchanged),
		WITH_FIXTURE(a_description_comes_without_a_jwt),
		WITH_FIXTURE(what_is_unknown_malformed_or_deleted_is_unknown),
		WITH_FIXTURE(a_store_that_is_away_is_no_answer),
	};
	log_setup(LOG_ERROR, LOG_FORMAT_LOGFMT);
	return RUN_TESTS(tests);
}
