/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/log.h"
#include "common/base/xalloc.h"
#include "common/codec/schema.h"
#include "service/auth/authenticator.h"
#include "service/interceptor/authn.h"
#include "tests/lib/fake_tokens.h"
#include "tests/lib/test.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#define NOW 1800000000
#define TODAY (NOW / 86400)
#define INVALID_TOKEN "Bearer realm=\"osmo\", error=\"invalid_token\""

static const struct str default_roles[] = {{"osmo-user", 9}};

struct fixture {
	struct clock clock;
	struct loop *loop;
	struct fake_tokens *tokens;
	struct jwt_keys keys;
	struct keyring *keyring;
	struct authenticator *authenticator;
	struct cidr_list proxies;
	struct arena *arena; /* of identities */
	struct authn_identity identity;
	struct authn authn;
	struct chain_step steps[2];
	struct chain *chain;
	struct secret secret;
	struct token *token;

	/* The call at hand. */
	struct call call;
	struct arena *call_arena;
	bool handled, finished, released;
	struct principal principal; /* as the handler saw it; its texts are the call's */
	bool has_credential;
};

static struct unix_time fixture_now(const struct clock *c)
{
	(void)c;
	return unix_time_from_s(NOW);
}

static struct mono_time fixture_mono(const struct clock *c)
{
	(void)c;
	return (struct mono_time){0};
}

static struct fixture *fixture_of(struct call *c)
{
	return container_of(c, struct fixture, call);
}

static struct call_step handle(void *self, struct call *c)
{
	struct fixture *f = self;
	f->handled = true;
	f->principal = *call_context(c)->principal;
	f->has_credential = call_context(c)->has_credential;
	return call_finished(c, NULL);
}

static void on_finished(struct call *c)
{
	fixture_of(c)->finished = true;
}

static void on_released(struct call *c)
{
	fixture_of(c)->released = true;
}

static int setup(void **state)
{
	struct fixture *f = xnew(struct fixture);
	f->clock = (struct clock){.now = fixture_now, .mono = fixture_mono};
	f->loop = loop_new();
	f->tokens = fake_tokens_new(&f->clock);
	_cleanup_(jwt_key_unrefp) struct jwt_key *key = jwt_key_generate(JWT_ES256);
	jwt_keys_add(&f->keys, key);
	assert_ok(keyring_new_fixed(&f->keys, f->loop, &f->keyring));
	f->authenticator = authenticator_new(
		&(struct authenticator_config){.tokens = fake_tokens_lookup(f->tokens),
			.keyring = f->keyring,
			.clock = &f->clock,
			.issuer = STR("osmo"),
			.audience = STR("osmo")});
	assert_ok(cidr_list_parse(STR("10.0.0.0/8,unix"), &f->proxies));
	f->arena = arena_new();
	assert_ok(authn_identity_parse(
		STR("spiffe://x/backend=service/backend:osmo-backend+r"), f->arena, &f->identity));
	const struct authn_config config = {.authenticator = f->authenticator,
		.trusted_proxies = &f->proxies,
		.identities = &f->identity,
		.n_identities = 1,
		.default_roles = default_roles,
		.n_default_roles = 1};
	authn_init(&f->authn, &config);
	f->steps[0] = (struct chain_step){"authn", authn_run, &f->authn};
	f->steps[1] = (struct chain_step){"handler", handle, f};
	f->chain = chain_new(f->steps, 2);
	f->secret = token_secret_mint(&random_system);
	f->token = fake_tokens_add(
		f->tokens, TOKEN_USER, "alice", "t", secret_str(&f->secret), TODAY + 3);
	f->call_arena = arena_new();
	*state = f;
	return 0;
}

static void end_call(struct fixture *f)
{
	if (!f->call.ops || f->released)
		return;
	call_unref(&f->call);
	assert_true(f->released);
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	end_call(f);
	chain_free(f->chain);
	authenticator_free(f->authenticator);
	keyring_free(f->keyring);
	jwt_keys_done(&f->keys);
	cidr_list_done(&f->proxies);
	fake_tokens_free(f->tokens);
	secret_done(&f->secret);
	arena_free(f->arena);
	arena_free(f->call_arena);
	loop_free(f->loop);
	free(f);
	return 0;
}

/* --- Calls --- */

/* A new call from 192.0.2.1, that is read on the loop's thread. */
static struct call *begin(struct fixture *f)
{
	static const struct call_ops ops = {.finished = on_finished, .release = on_released};
	static const struct schema_method method = {.path = "/test/Method"};
	end_call(f);
	arena_reset(f->call_arena);
	f->handled = f->finished = f->released = false;
	struct call *c = &f->call;
	call_init(c, &ops);
	c->method = &method;
	c->arena = f->call_arena;
	c->home = f->loop;
	c->on_loop = true;
	c->transport = "test";
	c->peer.text = STR("192.0.2.1:1");
	struct sockaddr_in *in = (struct sockaddr_in *)&c->peer.address;
	in->sin_family = AF_INET;
	inet_pton(AF_INET, "192.0.2.1", &in->sin_addr);
	return c;
}

static void from(struct fixture *f, const char *address)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&f->call.peer.address;
	in->sin_family = AF_INET;
	assert_int_equal(inet_pton(AF_INET, address, &in->sin_addr), 1);
}

static void put(struct fixture *f, enum call_metadata_key key, const char *value)
{
	struct call_metadata *m = &f->call.metadata[key];
	if (!m->count++)
		m->value = arena_str(f->call_arena, str_of(value));
}

static void put_bearer(struct fixture *f, struct str credential)
{
	put(f, CALL_AUTHORIZATION, arena_printf(f->call_arena, "Bearer %.*s", STR_ARG(credential)));
}

static void turn(struct fixture *f)
{
	while (!f->finished)
		event_base_loop(loop_base(f->loop), EVLOOP_ONCE);
}

static void run(struct fixture *f)
{
	call_handler_start(chain_handler(f->chain), &f->call);
	turn(f);
}

static void expect_principal(struct fixture *f, const char *name, enum auth_method method)
{
	run(f);
	if (!f->handled)
		fail_msg("%s: %s", status_code_name(f->call.status.code), f->call.status.message);
	assert_str(f->principal.name, name);
	assert_int_equal(f->principal.method, method);
	assert_int_equal(f->has_credential, f->principal.kind != PRINCIPAL_ANONYMOUS);
}

static void expect_refused(
	struct fixture *f, enum status_code code, const char *message, const char *challenge)
{
	run(f);
	assert_false(f->handled);
	assert_string_equal(status_code_name(f->call.status.code), status_code_name(code));
	assert_string_equal(f->call.status.message, message);
	struct str header = f->call.reply_headers[CALL_REPLY_WWW_AUTHENTICATE];
	assert_str(header, challenge);
	assert_int_equal(header.p != NULL, challenge[0] != '\0');
}

static void expect_invalid_credential(struct fixture *f)
{
	expect_refused(f, STATUS_UNAUTHENTICATED, "invalid credential", INVALID_TOKEN);
}

/* --- Credentials --- */

static void without_a_credential_a_caller_is_nobody(void **state)
{
	struct fixture *f = *state;
	begin(f);
	expect_principal(f, "", AUTH_NONE);
	assert_int_equal(f->principal.kind, PRINCIPAL_ANONYMOUS);
}

static void a_token_is_taken_from_either_header_and_from_both(void **state)
{
	struct fixture *f = *state;
	begin(f);
	put_bearer(f, secret_str(&f->secret));
	expect_principal(f, "alice", AUTH_ACCESS_TOKEN);
	assert_ptr_equal(f->principal.token, f->token);
	begin(f);
	put(f, CALL_OSMO_AUTH, f->secret.p);
	expect_principal(f, "alice", AUTH_ACCESS_TOKEN);
	begin(f);
	put_bearer(f, secret_str(&f->secret));
	put(f, CALL_OSMO_AUTH, f->secret.p);
	expect_principal(f, "alice", AUTH_ACCESS_TOKEN);
}

static void a_call_holds_its_token_to_the_end(void **state)
{
	struct fixture *f = *state;
	struct token *token = token_ref(f->token);
	begin(f);
	put_bearer(f, secret_str(&f->secret));
	expect_principal(f, "alice", AUTH_ACCESS_TOKEN);
	unsigned held = atomic_load(&token->refs_);
	end_call(f);
	assert_int_equal(atomic_load(&token->refs_), held - 1);
	token_unref(token);
}

static void a_thread_without_a_loop_answers_from_memory_or_moves(void **state)
{
	struct fixture *f = *state;
	begin(f)->on_loop = false;
	put_bearer(f, secret_str(&f->secret));
	call_handler_start(chain_handler(f->chain), &f->call);
	assert_false(f->finished);
	turn(f);
	assert_true(f->handled);
	begin(f)->on_loop = false;
	put_bearer(f, secret_str(&f->secret));
	call_handler_start(chain_handler(f->chain), &f->call);
	assert_true(f->handled); /* without a turn of the loop */
	begin(f)->on_loop = false;
	put_bearer(f, STR("nonsense"));
	call_handler_start(chain_handler(f->chain), &f->call);
	assert_true(f->finished);
	assert_false(f->handled);
}

static void a_jwt_is_a_credential(void **state)
{
	struct fixture *f = *state;
	struct jwt_made made;
	assert_ok(jwt_make(f->keys.keys[0], STR("osmo"), STR("osmo"), f->token, NULL,
		unix_time_from_s(NOW), &random_system, &made));
	begin(f);
	put(f, CALL_OSMO_AUTH, made.text.p);
	expect_principal(f, "alice", AUTH_JWT);
	assert_ptr_equal(f->principal.token, f->token);
	made.text.p[made.text.n - 5] ^= 1;
	begin(f);
	put(f, CALL_OSMO_AUTH, made.text.p);
	expect_invalid_credential(f);
	secret_done(&made.text);
}

static void every_bad_credential_gets_the_same_answer(void **state)
{
	struct fixture *f = *state;
	_cleanup_secret_ struct secret unknown = token_secret_mint(&random_system);
	_cleanup_secret_ struct secret expired = token_secret_mint(&random_system);
	fake_tokens_add(f->tokens, TOKEN_USER, "bob", "old", secret_str(&expired), TODAY);
	const char *const authorizations[] = {"", "Bearer", "Bearer ",
		"Basic YWxpY2U6cHc=", "Bearer a b", "Bearer a,b", "Bearer\ta", "Token x", "bearerx",
		"Bearer =", "Bearer \xff", arena_printf(f->arena, "Bearer %s", unknown.p),
		arena_printf(f->arena, "Bearer %s", expired.p),
		arena_printf(f->arena, "Bearer %s ", f->secret.p),
		arena_printf(f->arena, "Bearer Bearer %s", f->secret.p),
		arena_printf(f->arena, "%s", f->secret.p)};
	for (size_t i = 0; i < ARRAY_SIZE(authorizations); i++) {
		begin(f);
		put(f, CALL_AUTHORIZATION, authorizations[i]);
		expect_invalid_credential(f);
	}
	const char *const raws[] = {
		"", "x y", arena_printf(f->arena, "Bearer %s", f->secret.p), unknown.p, expired.p};
	for (size_t i = 0; i < ARRAY_SIZE(raws); i++) {
		begin(f);
		put(f, CALL_OSMO_AUTH, raws[i]);
		expect_invalid_credential(f);
	}
}

static void the_scheme_may_be_in_any_case_and_followed_by_spaces(void **state)
{
	struct fixture *f = *state;
	static const char *const schemes[] = {"Bearer ", "bearer ", "BEARER ", "bEaReR    "};
	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		begin(f);
		put(f, CALL_AUTHORIZATION, arena_printf(f->arena, "%s%s", schemes[i], f->secret.p));
		expect_principal(f, "alice", AUTH_ACCESS_TOKEN);
	}
}

static void what_is_ambiguous_is_refused(void **state)
{
	struct fixture *f = *state;
	begin(f);
	put_bearer(f, secret_str(&f->secret));
	put_bearer(f, secret_str(&f->secret));
	expect_refused(
		f, STATUS_INVALID_ARGUMENT, "authorization was sent 2 times, once is expected", "");
	begin(f);
	put(f, CALL_OSMO_AUTH, f->secret.p);
	put(f, CALL_OSMO_AUTH, f->secret.p);
	expect_refused(
		f, STATUS_INVALID_ARGUMENT, "x-osmo-auth was sent 2 times, once is expected", "");
	begin(f);
	put_bearer(f, secret_str(&f->secret));
	put(f, CALL_OSMO_AUTH, "other");
	expect_refused(f, STATUS_INVALID_ARGUMENT,
		"authorization and x-osmo-auth carry different credentials", "");
}

static void a_store_that_is_away_lets_nobody_in(void **state)
{
	struct fixture *f = *state;
	fake_tokens_set_failure(f->tokens, STATUS_UNAVAILABLE);
	begin(f);
	put_bearer(f, secret_str(&f->secret));
	expect_refused(f, STATUS_UNAVAILABLE, "the store is away", "");
}

static void a_call_that_ended_before_the_store_answered_stays_ended(void **state)
{
	struct fixture *f = *state;
	begin(f);
	put_bearer(f, secret_str(&f->secret));
	call_handler_start(chain_handler(f->chain), &f->call);
	assert_false(f->finished);
	call_fail(&f->call, status_error(STATUS_DEADLINE_EXCEEDED, "late"));
	call_unref(&f->call);
	while (!f->released)
		event_base_loop(loop_base(f->loop), EVLOOP_ONCE);
	assert_false(f->handled);
	assert_null(f->call.reply_headers[CALL_REPLY_WWW_AUTHENTICATE].p);
}

/* --- Other identities --- */

static void a_mapped_client_certificate_is_a_principal(void **state)
{
	struct fixture *f = *state;
	begin(f)->peer.tls_identity = STR("spiffe://x/backend");
	expect_principal(f, "backend", AUTH_MTLS);
	assert_int_equal(f->principal.kind, PRINCIPAL_SERVICE);
	assert_int_equal(f->principal.n_roles, 2);
	static const char *const others[] = {"", "spiffe://x/backend2", "SPIFFE://x/backend"};
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		begin(f)->peer.tls_identity = str_of(others[i]);
		expect_principal(f, "", AUTH_NONE);
	}
	/* A credential counts first. */
	begin(f)->peer.tls_identity = STR("spiffe://x/backend");
	put_bearer(f, secret_str(&f->secret));
	expect_principal(f, "alice", AUTH_ACCESS_TOKEN);
}

static void headers_of_a_trusted_proxy_name_the_user(void **state)
{
	struct fixture *f = *state;
	begin(f);
	from(f, "10.1.2.3");
	put(f, CALL_OSMO_USER, "bob");
	put(f, CALL_OSMO_ROLES, "a, b,,A");
	expect_principal(f, "bob", AUTH_TRUSTED_PROXY);
	assert_int_equal(f->principal.n_roles, 3);
	assert_str(f->principal.roles[0], "a");
	assert_str(f->principal.roles[1], " b");
	assert_str(f->principal.roles[2], "A");
	begin(f)->peer.address.ss_family = AF_UNIX;
	put(f, CALL_OSMO_USER, "bob");
	expect_principal(f, "bob", AUTH_TRUSTED_PROXY);
	assert_int_equal(f->principal.n_roles, 0);
}

static void headers_of_anybody_else_name_nobody(void **state)
{
	struct fixture *f = *state;
	begin(f);
	put(f, CALL_OSMO_USER, "admin");
	put(f, CALL_OSMO_USER, "admin");
	put(f, CALL_OSMO_ROLES, "osmo-admin");
	expect_principal(f, "", AUTH_NONE);
	assert_int_equal(f->principal.n_roles, 0);
}

static void an_empty_user_is_not_everybody(void **state)
{
	struct fixture *f = *state;
	begin(f);
	from(f, "10.1.2.3");
	put(f, CALL_OSMO_USER, "");
	expect_refused(
		f, STATUS_UNAUTHENTICATED, "x-osmo-user names no user", "Bearer realm=\"osmo\"");
	begin(f);
	from(f, "10.1.2.3");
	put(f, CALL_OSMO_ROLES, "osmo-admin");
	expect_refused(
		f, STATUS_UNAUTHENTICATED, "x-osmo-user names no user", "Bearer realm=\"osmo\"");
}

static void a_proxy_names_one_user_in_plain_text(void **state)
{
	struct fixture *f = *state;
	begin(f);
	from(f, "10.1.2.3");
	put(f, CALL_OSMO_USER, "bob");
	put(f, CALL_OSMO_USER, "bob");
	expect_refused(
		f, STATUS_INVALID_ARGUMENT, "x-osmo-user was sent 2 times, once is expected", "");
	begin(f);
	from(f, "10.1.2.3");
	put(f, CALL_OSMO_USER, "bob");
	put(f, CALL_OSMO_ROLES, "a");
	put(f, CALL_OSMO_ROLES, "b");
	expect_refused(
		f, STATUS_INVALID_ARGUMENT, "x-osmo-roles was sent 2 times, once is expected", "");
	char *long_name = arena_calloc(f->arena, 257, 1);
	memset(long_name, 'x', 256);
	const char *const names[] = {"a\nb", "a\x7f", "\xff", "a\xc2\x85", long_name};
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		begin(f);
		from(f, "10.1.2.3");
		put(f, CALL_OSMO_USER, names[i]);
		run(f);
		assert_int_equal(f->call.status.code, STATUS_INVALID_ARGUMENT);
		begin(f);
		from(f, "10.1.2.3");
		put(f, CALL_OSMO_USER, "bob");
		put(f, CALL_OSMO_ROLES, names[i]);
		run(f);
		assert_int_equal(f->call.status.code, STATUS_INVALID_ARGUMENT);
	}
}

static void a_proxy_names_so_many_roles_and_no_more(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf roles;
	buf_init(&roles, 65536);
	for (int i = 0; i < AUTHN_MAX_ROLES; i++)
		buf_printf(&roles, ",r%d", i);
	begin(f);
	from(f, "10.1.2.3");
	put(f, CALL_OSMO_USER, "bob");
	put(f, CALL_OSMO_ROLES, roles.p);
	expect_principal(f, "bob", AUTH_TRUSTED_PROXY);
	assert_int_equal(f->principal.n_roles, AUTHN_MAX_ROLES);
	buf_append_str(&roles, STR(",one-more"));
	begin(f);
	from(f, "10.1.2.3");
	put(f, CALL_OSMO_USER, "bob");
	put(f, CALL_OSMO_ROLES, roles.p);
	run(f);
	assert_int_equal(f->call.status.code, STATUS_INVALID_ARGUMENT);
}

static void a_credential_counts_before_the_headers_of_a_proxy(void **state)
{
	struct fixture *f = *state;
	begin(f);
	from(f, "10.1.2.3");
	put(f, CALL_OSMO_USER, "bob");
	put_bearer(f, secret_str(&f->secret));
	expect_principal(f, "alice", AUTH_ACCESS_TOKEN);
	begin(f);
	from(f, "10.1.2.3");
	put(f, CALL_OSMO_USER, "bob");
	put(f, CALL_OSMO_AUTH, "bad");
	expect_invalid_credential(f);
}

static void dev_login_adds_the_default_roles(void **state)
{
	struct fixture *f = *state;
	f->authn.config.dev_login = true;
	begin(f);
	put(f, CALL_OSMO_USER, "dev");
	put(f, CALL_OSMO_ROLES, "osmo-admin");
	expect_principal(f, "dev", AUTH_DEV_LOGIN);
	assert_int_equal(f->principal.n_roles, 2);
	assert_str(f->principal.roles[0], "osmo-user");
	assert_str(f->principal.roles[1], "osmo-admin");
	begin(f);
	put(f, CALL_OSMO_USER, "");
	expect_refused(
		f, STATUS_UNAUTHENTICATED, "x-osmo-user names no user", "Bearer realm=\"osmo\"");
	/* A trusted proxy says which roles, and no more. */
	begin(f);
	from(f, "10.1.2.3");
	put(f, CALL_OSMO_USER, "dev");
	expect_principal(f, "dev", AUTH_TRUSTED_PROXY);
	assert_int_equal(f->principal.n_roles, 0);
}

static void identities_are_parsed(void **state)
{
	struct fixture *f = *state;
	struct authn_identity i;
	assert_ok(authn_identity_parse(STR("spiffe://td/ns=a/sa=b=carol:r1+r2"), f->arena, &i));
	assert_str(i.identity, "spiffe://td/ns=a/sa=b");
	assert_int_equal(i.principal.kind, PRINCIPAL_USER);
	assert_str(i.principal.name, "carol");
	assert_int_equal(i.principal.n_roles, 2);
	assert_int_equal(i.principal.method, AUTH_MTLS);
	assert_ok(authn_identity_parse(STR("cn=ci"), f->arena, &i));
	assert_int_equal(i.principal.kind, PRINCIPAL_USER);
	assert_int_equal(i.principal.n_roles, 0);
	assert_ok(authn_identity_parse(STR("cn=service/ci:r"), f->arena, &i));
	assert_str(i.principal.name, "ci");
	assert_int_equal(i.principal.kind, PRINCIPAL_SERVICE);
	static const char *const bad[] = {"", "ci", "=ci", "cn=", "cn=:r", "cn=service/:r",
		"cn=ci:", "cn=ci:a++b", "cn=c\ni"};
	for (size_t k = 0; k < ARRAY_SIZE(bad); k++)
		if (authn_identity_parse(str_of(bad[k]), f->arena, &i).code !=
			STATUS_INVALID_ARGUMENT)
			fail_msg("'%s' was taken", bad[k]);
}

int main(void)
{
#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(without_a_credential_a_caller_is_nobody),
		WITH_FIXTURE(a_token_is_taken_from_either_header_and_from_both),
		WITH_FIXTURE(a_call_holds_its_token_to_the_end),
		WITH_FIXTURE(a_thread_without_a_loop_answers_from_memory_or_moves),
		WITH_FIXTURE(a_jwt_is_a_credential),
		WITH_FIXTURE(every_bad_credential_gets_the_same_answer),
		WITH_FIXTURE(the_scheme_may_be_in_any_case_and_followed_by_spaces),
		WITH_FIXTURE(what_is_ambiguous_is_refused),
		WITH_FIXTURE(a_store_that_is_away_lets_nobody_in),
		WITH_FIXTURE(a_call_that_ended_before_the_store_answered_stays_ended),
		WITH_FIXTURE(a_mapped_client_certificate_is_a_principal),
		WITH_FIXTURE(headers_of_a_trusted_proxy_name_the_user),
		WITH_FIXTURE(headers_of_anybody_else_name_nobody),
		WITH_FIXTURE(an_empty_user_is_not_everybody),
		WITH_FIXTURE(a_proxy_names_one_user_in_plain_text),
		WITH_FIXTURE(a_proxy_names_so_many_roles_and_no_more),
		WITH_FIXTURE(a_credential_counts_before_the_headers_of_a_proxy),
		WITH_FIXTURE(dev_login_adds_the_default_roles),
		WITH_FIXTURE(identities_are_parsed),
	};
	log_setup(LOG_ERROR, LOG_FORMAT_LOGFMT);
	return RUN_TESTS(tests);
}
