/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/log.h"
#include "common/base/xalloc.h"
#include "service/auth/authenticator.h"
#include "tests/lib/fake_tokens.h"
#include "tests/lib/forge.h"
#include "tests/lib/test.h"

#include <event2/event.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define NOW 1800000000
#define TODAY (NOW / 86400)

struct fixture {
	struct clock clock;
	int64_t now_s;
	struct loop *loop;
	struct fake_tokens *tokens;
	struct jwt_keys keys, ext_keys;
	struct keyring *keyring, *ext_keyring;
	struct forge_key *ext;
	struct authenticator_issuer external;
	struct authenticator *a;
	struct secret secret;
	struct token *token; /* of alice, named t, valid for three days */
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
	struct jwt_key *key = jwt_key_generate(JWT_ES256);
	jwt_keys_add(&f->keys, key);
	jwt_key_unref(key);
	assert_ok(keyring_new_fixed(&f->keys, f->loop, &f->keyring));
	f->ext = forge_key_new(JWT_ES256);
	char *pem = forge_key_pem(f->ext, false);
	assert_ok(jwt_keys_parse(str_of(pem), &f->ext_keys));
	free(pem);
	f->ext_keyring = keyring_new_foreign(&f->ext_keys);
	f->external = (struct authenticator_issuer){{.issuer = STR("ext"),
							    .audience = STR("us"),
							    .user_claim = STR("sub"),
							    .roles_claim = STR("roles")},
		f->ext_keyring};
	f->a = authenticator_new(&(struct authenticator_config){
		.tokens = fake_tokens_lookup(f->tokens),
		.keyring = f->keyring,
		.clock = &f->clock,
		.issuer = STR("osmo"),
		.audience = STR("osmo"),
		.external = &f->external,
		.n_external = 1,
	});
	f->secret = token_secret_mint(&random_system);
	f->token = fake_tokens_add(
		f->tokens, TOKEN_USER, "alice", "t", secret_str(&f->secret), TODAY + 3);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	authenticator_free(f->a);
	keyring_free(f->keyring);
	keyring_free(f->ext_keyring);
	jwt_keys_done(&f->keys);
	jwt_keys_done(&f->ext_keys);
	forge_key_free(f->ext);
	fake_tokens_free(f->tokens);
	secret_done(&f->secret);
	loop_free(f->loop);
	free(f);
	return 0;
}

static struct secret jwt_of(const struct fixture *f, const struct token *token)
{
	struct jwt_made made;
	assert_ok(jwt_make(f->keys.keys[0], STR("osmo"), STR("osmo"), token, NULL,
		unix_time_from_s(f->now_s), &random_system, &made));
	return made.text;
}

/* --- Asking: what is in memory, else the store --- */

struct wait {
	bool over;
	struct auth_outcome outcome;
};

static void on_done(void *arg, struct auth_outcome *outcome)
{
	struct wait *w = arg;
	assert_false(w->over);
	w->over = true;
	w->outcome = *outcome;
	outcome->principal.token = NULL; /* taken */
	outcome->jwt = NULL;
}

static struct auth_outcome ask_store(const struct fixture *f, struct str credential)
{
	struct wait w = {.over = false};
	authenticator_check(
		f->a, credential, (struct store_waiter){f->loop, MONO_TIME_NEVER, &w}, on_done);
	assert_false(w.over);
	while (!w.over)
		event_base_loop(loop_base(f->loop), EVLOOP_ONCE);
	return w.outcome;
}

static void expect_good(
	const struct auth_outcome *o, const char *name, enum auth_method method, bool has_token)
{
	if (!status_is_ok(&o->status))
		fail_msg("%s: %s", o->status.message, o->reason);
	assert_str(o->principal.name, name);
	assert_int_equal(o->principal.method, method);
	assert_int_equal(o->principal.token != NULL, has_token);
}

/* The store and memory say the same. */
static void expect(const struct fixture *f, struct str credential, enum auth_method method)
{
	_cleanup_auth_outcome_ struct auth_outcome first = {.reason = NULL}, now = {.reason = NULL};
	fake_tokens_forget(f->tokens);
	assert_false(authenticator_try(f->a, credential, &now));
	first = ask_store(f, credential);
	expect_good(&first, "alice", method, true);
	unsigned reads = fake_tokens_reads(f->tokens);
	assert_true(authenticator_try(f->a, credential, &now));
	expect_good(&now, "alice", method, true);
	assert_ptr_equal(now.principal.token, f->token);
	assert_int_equal(fake_tokens_reads(f->tokens), reads);
}

static void expect_refused(const struct fixture *f, struct str credential, const char *reason)
{
	struct auth_outcome first, now = {.reason = NULL};
	first = ask_store(f, credential);
	assert_true(authenticator_try(f->a, credential, &now));
	const struct auth_outcome *both[] = {&first, &now};
	for (size_t i = 0; i < ARRAY_SIZE(both); i++) {
		assert_int_equal(both[i]->status.code, STATUS_UNAUTHENTICATED);
		assert_string_equal(both[i]->status.message, "invalid credential");
		assert_string_equal(both[i]->reason, reason);
		assert_null(both[i]->principal.token);
		assert_null(both[i]->jwt);
	}
}

/* --- Tests --- */

static void an_access_token_stands_for_its_owner(void **state)
{
	struct fixture *f = *state;
	expect(f, secret_str(&f->secret), AUTH_ACCESS_TOKEN);
	_cleanup_auth_outcome_ struct auth_outcome o = {.reason = NULL};
	assert_true(authenticator_try(f->a, secret_str(&f->secret), &o));
	assert_int_equal(o.principal.kind, PRINCIPAL_USER);
	assert_int_equal(o.principal.n_roles, 1);
	assert_str(o.principal.roles[0], "osmo-user");
}

static void a_service_token_stands_for_the_service(void **state)
{
	struct fixture *f = *state;
	_cleanup_secret_ struct secret secret = token_secret_mint(&random_system);
	fake_tokens_add(f->tokens, TOKEN_SERVICE, "ci", "ci", secret_str(&secret), TODAY + 1);
	_cleanup_auth_outcome_ struct auth_outcome o = ask_store(f, secret_str(&secret));
	expect_good(&o, "ci", AUTH_ACCESS_TOKEN, true);
	assert_int_equal(o.principal.kind, PRINCIPAL_SERVICE);
	assert_str(o.principal.name, "ci");
}

static void a_jwt_stands_for_the_owner_of_its_token(void **state)
{
	struct fixture *f = *state;
	_cleanup_secret_ struct secret jwt = jwt_of(f, f->token);
	expect(f, secret_str(&jwt), AUTH_JWT);
	expect(f, secret_str(&jwt), AUTH_JWT); /* from the cache of JWTs */
}

static void bad_expired_and_unknown_ones_look_the_same(void **state)
{
	struct fixture *f = *state;
	_cleanup_secret_ struct secret unknown = token_secret_mint(&random_system);
	_cleanup_secret_ struct secret expired = token_secret_mint(&random_system);
	fake_tokens_add(f->tokens, TOKEN_USER, "bob", "old", secret_str(&expired), TODAY);
	expect_refused(f, secret_str(&unknown), "unknown_token");
	expect_refused(f, secret_str(&expired), "expired_token");
	expect_refused(f, STR("nonsense"), "malformed");
	expect_refused(f, STR(""), "malformed");
}

static void a_typo_costs_no_lookup(void **state)
{
	struct fixture *f = *state;
	unsigned reads = fake_tokens_reads(f->tokens);
	f->secret.p[20] ^= 1;
	expect_refused(f, secret_str(&f->secret), "malformed");
	assert_int_equal(fake_tokens_reads(f->tokens), reads);
}

static void a_token_expires_with_its_day(void **state)
{
	struct fixture *f = *state;
	f->now_s = (int64_t)(TODAY + 3) * 86400 - 1;
	expect(f, secret_str(&f->secret), AUTH_ACCESS_TOKEN);
	_cleanup_secret_ struct secret jwt = jwt_of(f, f->token);
	expect(f, secret_str(&jwt), AUTH_JWT);
	f->now_s++;
	expect_refused(f, secret_str(&f->secret), "expired_token");
	expect_refused(f, secret_str(&jwt), "expired");
}

static void a_cached_jwt_expires_all_the_same(void **state)
{
	struct fixture *f = *state;
	_cleanup_secret_ struct secret jwt = jwt_of(f, f->token);
	f->now_s += 299;
	expect(f, secret_str(&jwt), AUTH_JWT);
	f->now_s += 1;
	expect_refused(f, secret_str(&jwt), "expired");
}

static void a_deleted_token_takes_its_jwts_along(void **state)
{
	struct fixture *f = *state;
	_cleanup_secret_ struct secret jwt = jwt_of(f, f->token);
	expect(f, secret_str(&jwt), AUTH_JWT);
	fake_tokens_remove(f->tokens, f->token);
	expect_refused(f, secret_str(&jwt), "unknown_token");
	expect_refused(f, secret_str(&f->secret), "unknown_token");
}

static void a_token_made_again_does_not_revive_the_jwts_of_the_first(void **state)
{
	struct fixture *f = *state;
	_cleanup_secret_ struct secret jwt = jwt_of(f, f->token), secret;
	expect(f, secret_str(&jwt), AUTH_JWT);
	fake_tokens_remove(f->tokens, f->token);
	secret = token_secret_mint(&random_system);
	f->token = fake_tokens_add(
		f->tokens, TOKEN_USER, "alice", "t", secret_str(&secret), TODAY + 3);
	expect_refused(f, secret_str(&jwt), "replaced_token");
	_cleanup_secret_ struct secret again = jwt_of(f, f->token);
	expect(f, secret_str(&again), AUTH_JWT);
	secret_done(&secret);
}

static void a_jwt_of_a_key_that_is_gone_is_refused_though_it_was_cached(void **state)
{
	struct fixture *f = *state;
	_cleanup_secret_ struct secret jwt = jwt_of(f, f->token);
	expect(f, secret_str(&jwt), AUTH_JWT);
	_cleanup_jwt_keys_ struct jwt_keys others = {.n = 0};
	_cleanup_(jwt_key_unrefp) struct jwt_key *key = jwt_key_generate(JWT_ES256);
	jwt_keys_add(&others, key);
	assert_ok(keyring_set_fixed(f->keyring, &others));
	expect_refused(f, secret_str(&jwt), "unknown_key");
	assert_ok(keyring_set_fixed(f->keyring, &f->keys));
	expect(f, secret_str(&jwt), AUTH_JWT);
}

static void a_jwt_of_another_issuer_ends_with_its_key(void **state)
{
	struct fixture *f = *state;
	char *jwt = forge_jwt(f->ext, "{\"alg\":\"ES256\"}",
		"{\"iss\":\"ext\",\"aud\":\"us\",\"exp\":1800000100,\"sub\":\"bob\"}");
	_cleanup_secret_ struct secret ours = jwt_of(f, f->token);
	_cleanup_auth_outcome_ struct auth_outcome o = {.reason = NULL};
	assert_true(authenticator_try(f->a, str_of(jwt), &o));
	expect_good(&o, "bob", AUTH_JWT, false);
	_cleanup_jwt_keys_ struct jwt_keys others = {.n = 0};
	_cleanup_(jwt_key_unrefp) struct jwt_key *key = jwt_key_generate(JWT_ES256);
	jwt_keys_add(&others, key);
	assert_ok(keyring_set_fixed(f->ext_keyring, &others));
	expect_refused(f, str_of(jwt), "bad_signature"); /* it names no key, and there is one */
	expect(f, secret_str(&ours), AUTH_JWT);
	assert_ok(keyring_set_fixed(f->ext_keyring, &f->ext_keys));
	auth_outcome_done(&o);
	assert_true(authenticator_try(f->a, str_of(jwt), &o));
	expect_good(&o, "bob", AUTH_JWT, false);
	free(jwt);
}

static void the_word_of_another_issuer_needs_no_token(void **state)
{
	struct fixture *f = *state;
	char *jwt = forge_jwt(f->ext, "{\"alg\":\"ES256\"}",
		"{\"iss\":\"ext\",\"aud\":\"us\",\"exp\":1800000100,\"sub\":\"bob\","
		"\"roles\":[\"r1\"]}");
	for (int i = 0; i < 2; i++) {
		_cleanup_auth_outcome_ struct auth_outcome o = {.reason = NULL};
		assert_true(authenticator_try(f->a, str_of(jwt), &o));
		expect_good(&o, "bob", AUTH_JWT, false);
		assert_non_null(o.jwt);
		assert_int_equal(o.principal.n_roles, 1);
	}
	_cleanup_auth_outcome_ struct auth_outcome later = ask_store(f, str_of(jwt));
	expect_good(&later, "bob", AUTH_JWT, false);
	free(jwt);
	jwt = forge_jwt(f->ext, "{\"alg\":\"ES256\"}",
		"{\"iss\":\"ext\",\"aud\":\"them\",\"exp\":1800000100,\"sub\":\"bob\"}");
	expect_refused(f, str_of(jwt), "wrong_audience");
	free(jwt);
}

static void a_store_that_is_away_is_no_verdict(void **state)
{
	struct fixture *f = *state;
	_cleanup_secret_ struct secret jwt = jwt_of(f, f->token);
	fake_tokens_set_failure(f->tokens, STATUS_UNAVAILABLE);
	struct auth_outcome o = {.reason = NULL};
	assert_false(authenticator_try(f->a, secret_str(&f->secret), &o));
	assert_false(authenticator_try(f->a, secret_str(&jwt), &o));
	o = ask_store(f, secret_str(&f->secret));
	assert_int_equal(o.status.code, STATUS_UNAVAILABLE);
	o = ask_store(f, secret_str(&jwt));
	assert_int_equal(o.status.code, STATUS_UNAVAILABLE);
	assert_null(o.principal.token);
}

static void a_legacy_token_is_a_token(void **state)
{
	struct fixture *f = *state;
	struct str legacy = STR("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff");
	expect_refused(f, legacy, "unknown_token");
	f->token = fake_tokens_add(f->tokens, TOKEN_USER, "alice", "old", legacy, TODAY + 3);
	expect(f, legacy, AUTH_ACCESS_TOKEN);
}

/* --- Threads --- */

enum {
	N_THREADS = 4,
	N_ROUNDS = 300
};

struct caller {
	const struct fixture *f;
	struct str jwts[8];
	unsigned good;
	pthread_t thread;
};

static void *call_often(void *arg)
{
	struct caller *caller = arg;
	for (int i = 0; i < N_ROUNDS; i++) {
		for (size_t k = 0; k < ARRAY_SIZE(caller->jwts); k++) {
			struct auth_outcome o = {.reason = NULL};
			caller->good += authenticator_try(caller->f->a, caller->jwts[k], &o) &&
					status_is_ok(&o.status) &&
					str_eq(o.principal.name, STR("alice"));
			auth_outcome_done(&o);
		}
	}
	return NULL;
}

/* Whatever key is current, the one that signed stays trusted: nobody is ever refused. */
static void callers_on_many_threads_never_notice_a_rotation(void **state)
{
	struct fixture *f = *state;
	struct secret jwts[8];
	struct caller callers[N_THREADS];
	for (size_t i = 0; i < ARRAY_SIZE(jwts); i++) {
		jwts[i] = jwt_of(f, f->token);
		expect(f, secret_str(&jwts[i]), AUTH_JWT);
	}
	for (size_t i = 0; i < N_THREADS; i++) {
		callers[i] = (struct caller){.f = f};
		for (size_t k = 0; k < ARRAY_SIZE(jwts); k++)
			callers[i].jwts[k] = secret_str(&jwts[k]);
		pthread_create(&callers[i].thread, NULL, call_often, &callers[i]);
	}
	for (int i = 0; i < 20; i++) {
		_cleanup_jwt_keys_ struct jwt_keys keys = {.n = 0};
		_cleanup_(jwt_key_unrefp) struct jwt_key *next = jwt_key_generate(JWT_ES256);
		jwt_keys_add(&keys, next);
		jwt_keys_add(&keys, f->keys.keys[0]);
		assert_ok(keyring_set_fixed(f->keyring, &keys));
		sched_yield();
	}
	for (size_t i = 0; i < N_THREADS; i++) {
		pthread_join(callers[i].thread, NULL);
		assert_int_equal(callers[i].good, N_ROUNDS * ARRAY_SIZE(jwts));
	}
	for (size_t i = 0; i < ARRAY_SIZE(jwts); i++)
		secret_done(&jwts[i]);
}

int main(void)
{
#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(an_access_token_stands_for_its_owner),
		WITH_FIXTURE(a_service_token_stands_for_the_service),
		WITH_FIXTURE(a_jwt_stands_for_the_owner_of_its_token),
		WITH_FIXTURE(bad_expired_and_unknown_ones_look_the_same),
		WITH_FIXTURE(a_typo_costs_no_lookup),
		WITH_FIXTURE(a_token_expires_with_its_day),
		WITH_FIXTURE(a_cached_jwt_expires_all_the_same),
		WITH_FIXTURE(a_deleted_token_takes_its_jwts_along),
		WITH_FIXTURE(a_token_made_again_does_not_revive_the_jwts_of_the_first),
		WITH_FIXTURE(a_jwt_of_a_key_that_is_gone_is_refused_though_it_was_cached),
		WITH_FIXTURE(a_jwt_of_another_issuer_ends_with_its_key),
		WITH_FIXTURE(the_word_of_another_issuer_needs_no_token),
		WITH_FIXTURE(a_store_that_is_away_is_no_verdict),
		WITH_FIXTURE(a_legacy_token_is_a_token),
		WITH_FIXTURE(callers_on_many_threads_never_notice_a_rotation),
	};
	log_setup(LOG_ERROR, LOG_FORMAT_LOGFMT);
	return RUN_TESTS(tests);
}
