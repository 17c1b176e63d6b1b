/* SPDX-License-Identifier: Apache-2.0 */
/* What authentication costs, without a transport: one line per operation, nanoseconds each. */
#include "common/base/log.h"
#include "common/base/xalloc.h"
#include "service/auth/authenticator.h"
#include "service/auth/jwt.h"
#include "service/auth/keyring.h"
#include "tests/lib/fake_tokens.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

struct bench {
	struct loop *loop;
	struct fake_tokens *tokens;
	struct jwt_keys keys;
	struct keyring *keyring;
	struct authenticator *a;
	struct token *token;
	struct secret secret, jwt;
	struct jwt_issuer issuer;
	enum jwt_algorithm algorithm;
};

static void measure(const char *name, struct bench *b, unsigned n, void (*run)(struct bench *b))
{
	run(b); /* once to warm up */
	struct mono_time start = clock_mono(&clock_system);
	for (unsigned i = 0; i < n; i++)
		run(b);
	int64_t us = clock_mono(&clock_system).us - start.us;
	printf("%-34s %10.0f ns\n", name, (double)us * 1000 / n);
}

static void expect(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "%s failed\n", what);
	exit(1);
}

static void make_key(struct bench *b)
{
	jwt_key_unref(jwt_key_generate(b->algorithm));
}

static struct secret make_text(struct bench *b)
{
	struct jwt_made made;
	struct status status = jwt_make(b->keys.keys[0], STR("osmo"), STR("osmo"), b->token, NULL,
		clock_now(&clock_system), &random_system, &made);
	expect(status_is_ok(&status), "jwt_make");
	return made.text;
}

static void make(struct bench *b)
{
	struct secret text = make_text(b);
	secret_done(&text);
}

static void check(struct bench *b)
{
	struct jwt *jwt = NULL;
	expect(jwt_check(secret_str(&b->jwt), &b->issuer, 1, clock_now(&clock_system), &jwt) ==
			JWT_VALID,
		"jwt_check");
	jwt_unref(jwt);
}

static void authenticate(struct bench *b, struct str credential)
{
	struct auth_outcome o = {.reason = NULL};
	expect(authenticator_try(b->a, credential, &o) && status_is_ok(&o.status), "authenticator");
	auth_outcome_done(&o);
}

static void authenticate_token(struct bench *b)
{
	authenticate(b, secret_str(&b->secret));
}

static void authenticate_jwt(struct bench *b)
{
	authenticate(b, secret_str(&b->jwt));
}

static void refuse_malformed(struct bench *b)
{
	struct auth_outcome o = {.reason = NULL};
	expect(authenticator_try(b->a, STR("osmo_nonsense"), &o), "authenticator");
	auth_outcome_done(&o);
}

static void on_checked(void *arg, struct auth_outcome *outcome)
{
	(void)outcome;
	*(bool *)arg = true;
}

/* Brings the token of @credential into memory. */
static void load(struct bench *b, struct str credential)
{
	bool over = false;
	authenticator_check(b->a, credential,
		(struct store_waiter){b->loop, MONO_TIME_NEVER, &over}, on_checked);
	while (!over)
		event_base_loop(loop_base(b->loop), EVLOOP_ONCE);
}

static void use_algorithm(struct bench *b, enum jwt_algorithm algorithm)
{
	jwt_keys_done(&b->keys);
	struct jwt_key *key = jwt_key_generate(algorithm);
	jwt_keys_add(&b->keys, key);
	jwt_key_unref(key);
	b->algorithm = algorithm;
	secret_done(&b->jwt);
	b->jwt = make_text(b);
}

int main(void)
{
	log_setup(LOG_ERROR, LOG_FORMAT_LOGFMT);
	struct bench b = {.loop = loop_new(), .tokens = fake_tokens_new(&clock_system)};
	b.secret = token_secret_mint(&random_system);
	b.token = fake_tokens_add(b.tokens, TOKEN_USER, "alice", "my-token", secret_str(&b.secret),
		date_of(clock_now(&clock_system)).days + 3);
	b.issuer = (struct jwt_issuer){.issuer = STR("osmo"),
		.audience = STR("osmo"),
		.user_claim = STR("unique_name"),
		.keys = &b.keys,
		.ours = true};
	use_algorithm(&b, JWT_RS256);
	measure("RS256: make a key", &b, 5, make_key);
	measure("RS256: make a JWT", &b, 200, make);
	measure("RS256: check a JWT", &b, 2000, check);
	use_algorithm(&b, JWT_ES256);
	measure("ES256: make a key", &b, 1000, make_key);
	measure("ES256: make a JWT", &b, 5000, make);
	measure("ES256: check a JWT", &b, 5000, check);

	struct status status = keyring_new_fixed(&b.keys, b.loop, &b.keyring);
	expect(status_is_ok(&status), "keyring_new_fixed");
	b.a = authenticator_new(
		&(struct authenticator_config){.tokens = fake_tokens_lookup(b.tokens),
			.keyring = b.keyring,
			.clock = &clock_system,
			.issuer = STR("osmo"),
			.audience = STR("osmo")});
	load(&b, secret_str(&b.secret));
	load(&b, secret_str(&b.jwt));
	measure("authenticate an access token", &b, 1000000, authenticate_token);
	measure("authenticate a JWT seen before", &b, 1000000, authenticate_jwt);
	measure("refuse a malformed credential", &b, 1000000, refuse_malformed);

	authenticator_free(b.a);
	keyring_free(b.keyring);
	jwt_keys_done(&b.keys);
	fake_tokens_free(b.tokens);
	secret_done(&b.secret);
	secret_done(&b.jwt);
	loop_free(b.loop);
	return 0;
}
