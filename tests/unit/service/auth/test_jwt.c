/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/base64.h"
#include "common/base/buf.h"
#include "common/base/xalloc.h"
#include "service/auth/jwt.h"
#include "tests/lib/forge.h"
#include "tests/lib/test.h"

#include <stdlib.h>
#include <string.h>

#define NOW 1800000000
#define HEADER "{\"alg\":\"ES256\",\"typ\":\"JWT\"}"
/* Claims of the issuer "ext"; NOW is 1800000000. */
#define CLAIMS                                                                                     \
	"{\"iss\":\"ext\",\"aud\":\"us\",\"iat\":1799999990,\"nbf\":1799999990,"                   \
	"\"exp\":1800000100,\"sub\":\"alice\",\"roles\":[\"r1\",\"r2\"]}"

struct fixture {
	struct forge_key *ec, *rsa, *stranger;
	struct jwt_key *key; /* ours, private */
	struct jwt_keys ours, ext;
	struct jwt_issuer issuers[2];
	struct token *token;
};

static struct jwt_keys parse_and_free(char *text)
{
	struct jwt_keys keys;
	assert_ok(jwt_keys_parse(str_of(text), &keys));
	free(text);
	return keys;
}

static struct token *make_token(uint8_t hash, int32_t expires_day)
{
	static const struct str roles[] = {{"osmo-user", 9}, {"b\"\\\xc3\xa9", 5}};
	struct token_fields fields = {.kind = TOKEN_USER,
		.owner = STR("alice"),
		.name = STR("my-token"),
		.roles = roles,
		.n_roles = 2,
		.expires = {expires_day}};
	memset(fields.hash.bytes, hash, sizeof fields.hash.bytes);
	return token_new(&fields);
}

static int setup(void **state)
{
	struct fixture *f = xnew(struct fixture);
	f->ec = forge_key_new(JWT_ES256);
	f->rsa = forge_key_new(JWT_RS256);
	f->stranger = forge_key_new(JWT_ES256);
	f->key = jwt_key_generate(JWT_ES256);
	jwt_keys_add(&f->ours, f->key);
	f->ext = parse_and_free(forge_key_pem(f->ec, false));
	struct jwt_keys rsa = parse_and_free(forge_key_pem(f->rsa, false));
	jwt_keys_add(&f->ext, rsa.keys[0]);
	jwt_keys_done(&rsa);
	f->issuers[0] = (struct jwt_issuer){.issuer = STR("osmo"),
		.audience = STR("osmo"),
		.user_claim = STR("unique_name"),
		.keys = &f->ours,
		.leeway_s = 300,
		.ours = true};
	f->issuers[1] = (struct jwt_issuer){.issuer = STR("ext"),
		.audience = STR("us"),
		.user_claim = STR("sub"),
		.roles_claim = STR("roles"),
		.keys = &f->ext,
		.leeway_s = 60};
	f->token = make_token(7, NOW / 86400 + 10);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	forge_key_free(f->ec);
	forge_key_free(f->rsa);
	forge_key_free(f->stranger);
	jwt_key_unref(f->key);
	jwt_keys_done(&f->ours);
	jwt_keys_done(&f->ext);
	token_unref(f->token);
	free(f);
	return 0;
}

static struct unix_time at(int64_t s)
{
	return unix_time_from_s(s);
}

static enum jwt_fault check_text(const struct fixture *f, struct str text, int64_t now_s)
{
	_cleanup_(jwt_unrefp) struct jwt *jwt = NULL;
	enum jwt_fault fault = jwt_check(text, f->issuers, 2, at(now_s), &jwt);
	assert_true((fault == JWT_VALID) == (jwt != NULL));
	return fault;
}

/* Frees @text. */
static void expect_at(
	const struct fixture *f, char *text, int64_t now_s, enum jwt_fault wanted, const char *why)
{
	enum jwt_fault fault = check_text(f, str_of(text), now_s);
	if (fault != wanted)
		fail_msg("%s: %s, wanted %s", why, jwt_fault_name(fault), jwt_fault_name(wanted));
	free(text);
}

static void expect(const struct fixture *f, char *text, enum jwt_fault wanted, const char *why)
{
	expect_at(f, text, NOW, wanted, why);
}

static void expect_header(const struct fixture *f, const char *header, enum jwt_fault wanted)
{
	expect(f, forge_jwt(f->ec, header, CLAIMS), wanted, header);
}

static void expect_claims(const struct fixture *f, const char *claims, enum jwt_fault wanted)
{
	expect(f, forge_jwt(f->ec, HEADER, claims), wanted, claims);
}

static struct jwt_made make(const struct fixture *f, int64_t now_s)
{
	struct jwt_made made;
	assert_ok(jwt_make(f->key, STR("osmo"), STR("osmo"), f->token, NULL, at(now_s),
		&random_system, &made));
	return made;
}

static char *decode_part(const char *text, size_t part)
{
	struct str rest = str_of(text), one = {NULL, 0};
	for (size_t i = 0; i <= part; i++)
		assert_true(str_split(&rest, '.', &one));
	struct buf out;
	buf_init(&out, 65536);
	assert_true(base64_decode(&out, one));
	return buf_steal(&out);
}

static void claims_stand_in_the_order_of_the_contract(void **state)
{
	struct fixture *f = *state;
	struct jwt_made made = make(f, NOW);
	char *header = decode_part(made.text.p, 0), *claims = decode_part(made.text.p, 1),
	     *wanted = xasprintf("{\"alg\":\"ES256\",\"typ\":\"JWT\",\"kid\":\"%.*s\"}",
		     STR_ARG(jwt_key_id(f->key)));
	assert_string_equal(header, wanted);
	static const char start[] =
		"{\"iss\":\"osmo\",\"aud\":\"osmo\",\"iat\":1800000000,\"nbf\":1800000000,"
		"\"exp\":1800000300,\"unique_name\":\"alice\","
		"\"roles\":[\"osmo-user\",\"b\\\"\\\\\xc3\xa9\"],\"jti\":\"";
	static const char end[] =
		"\",\"osmo_token_name\":\"my-token\",\"osmo_token_kind\":\"USER\"}";
	assert_true(str_starts_with(str_of(claims), str_of(start)));
	assert_true(str_ends_with(str_of(claims), str_of(end)));
	assert_int_equal(strlen(claims), strlen(start) + 43 + strlen(end));
	assert_int_equal(made.expires.us, at(NOW + 300).us);
	free(header), free(claims), free(wanted);
	secret_done(&made.text);
}

static void ours_names_the_very_token(void **state)
{
	struct fixture *f = *state;
	struct jwt_made made = make(f, NOW), again = make(f, NOW);
	assert_string_not_equal(made.text.p, again.text.p);
	_cleanup_(jwt_unrefp) struct jwt *jwt = NULL;
	assert_int_equal(
		jwt_check(secret_str(&made.text), f->issuers, 2, at(NOW), &jwt), JWT_VALID);
	assert_true(jwt->ours);
	assert_str(jwt->user, "alice");
	assert_str(jwt->token_name, "my-token");
	assert_int_equal(jwt->token_kind, TOKEN_USER);
	assert_int_equal(jwt->n_roles, 0);
	struct jwt_token_ref ref = jwt_token_ref_of(&f->token->fields.hash);
	assert_true(jwt_token_ref_eq(&jwt->token_ref, &ref));
	_cleanup_(token_unrefp) struct token *remade = make_token(8, NOW / 86400 + 10);
	ref = jwt_token_ref_of(&remade->fields.hash);
	assert_false(jwt_token_ref_eq(&jwt->token_ref, &ref));
	secret_done(&made.text);
	secret_done(&again.text);
}

static void ours_never_outlives_its_token(void **state)
{
	struct fixture *f = *state;
	int64_t midnight = (NOW / 86400 + 10) * (int64_t)86400;
	struct jwt_made made = make(f, midnight - 100);
	assert_int_equal(made.expires.us, at(midnight).us);
	assert_int_equal(check_text(f, secret_str(&made.text), midnight - 1), JWT_VALID);
	assert_int_equal(check_text(f, secret_str(&made.text), midnight), JWT_EXPIRED);
	secret_done(&made.text);
}

static void ours_lives_from_nbf_less_leeway_to_just_before_exp(void **state)
{
	struct fixture *f = *state;
	struct jwt_made made = make(f, NOW);
	static const struct {
		int64_t at;
		enum jwt_fault wanted;
	} cases[] = {{NOW - 301, JWT_NOT_YET_VALID}, {NOW - 300, JWT_VALID}, {NOW, JWT_VALID},
		{NOW + 299, JWT_VALID}, {NOW + 300, JWT_EXPIRED}, {NOW + 86400, JWT_EXPIRED}};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(
			check_text(f, secret_str(&made.text), cases[i].at), cases[i].wanted);
	secret_done(&made.text);
}

static void one_of_an_old_secret_ends_with_it(void **state)
{
	struct fixture *f = *state;
	struct token_fields fields = f->token->fields;
	fields.old_hash = (struct token_hash){{7}};
	fields.old_until = at(NOW + 60);
	_cleanup_(token_unrefp) struct token *token = token_new(&fields);
	struct jwt_made made;
	assert_ok(jwt_make(f->key, STR("osmo"), STR("osmo"), token, &token->fields.old_hash,
		at(NOW), &random_system, &made));
	assert_int_equal(made.expires.us, at(NOW + 60).us);
	_cleanup_(jwt_unrefp) struct jwt *jwt = NULL;
	assert_int_equal(
		jwt_check(secret_str(&made.text), f->issuers, 2, at(NOW), &jwt), JWT_VALID);
	assert_true(jwt_token_ref_is_good(&jwt->token_ref, token, at(NOW + 59)));
	assert_false(jwt_token_ref_is_good(&jwt->token_ref, token, at(NOW + 60)));
	assert_false(jwt_token_ref_is_good(&jwt->token_ref, f->token, at(NOW)));
	struct jwt_token_ref own = jwt_token_ref_of(&token->fields.hash);
	assert_true(jwt_token_ref_is_good(&own, token, at(NOW + 60)));
	secret_done(&made.text);
}

static void ours_is_made_with_rsa_on_request(void **state)
{
	struct fixture *f = *state;
	struct jwt_keys keys = parse_and_free(forge_key_pem(f->rsa, true));
	struct jwt_made made;
	assert_ok(jwt_make(keys.keys[0], STR("osmo"), STR("osmo"), f->token, NULL, at(NOW),
		&random_system, &made));
	f->issuers[0].keys = &keys;
	assert_int_equal(check_text(f, secret_str(&made.text), NOW), JWT_VALID);
	f->issuers[0].keys = &f->ours;
	assert_int_equal(check_text(f, secret_str(&made.text), NOW), JWT_UNKNOWN_KEY);
	secret_done(&made.text);
	jwt_keys_done(&keys);
}

static void roles_that_do_not_fit_make_no_jwt(void **state)
{
	struct fixture *f = *state;
	static char long_name[255];
	memset(long_name, 'r', sizeof long_name);
	struct str roles[64];
	for (size_t i = 0; i < ARRAY_SIZE(roles); i++)
		roles[i] = (struct str){long_name, sizeof long_name};
	_cleanup_(token_unrefp) struct token *token =
		token_new(&(struct token_fields){.owner = STR("alice"),
			.name = STR("my-token"),
			.roles = roles,
			.n_roles = ARRAY_SIZE(roles),
			.expires = {NOW / 86400 + 1}});
	struct jwt_made made;
	assert_status(jwt_make(f->key, STR("osmo"), STR("osmo"), token, NULL, at(NOW),
			      &random_system, &made),
		STATUS_FAILED_PRECONDITION,
		"the roles of token my-token do not fit into a JWT of 8192 bytes");
}

static void a_change_of_any_byte_is_noticed(void **state)
{
	struct fixture *f = *state;
	struct jwt_made made = make(f, NOW);
	char *text = made.text.p;
	/* The last character has two bits behind the signature; strict base64url sees them too. */
	for (size_t i = 0; i < made.text.n; i++) {
		char was = text[i];
		static const char others[] = {'A', 'B', '-', '.', '=', ' ', '+', '\0', '\xff'};
		for (size_t k = 0; k < sizeof others; k++) {
			if (others[k] == was)
				continue;
			text[i] = others[k];
			if (check_text(f, secret_str(&made.text), NOW) == JWT_VALID)
				fail_msg("byte %zu changed to %d was not noticed", i, others[k]);
		}
		text[i] = was;
	}
	assert_int_equal(check_text(f, secret_str(&made.text), NOW), JWT_VALID);
	secret_done(&made.text);
}

static void every_prefix_and_any_suffix_is_refused(void **state)
{
	struct fixture *f = *state;
	struct jwt_made made = make(f, NOW);
	for (size_t n = 0; n < made.text.n; n++)
		assert_int_not_equal(check_text(f, (struct str){made.text.p, n}, NOW), JWT_VALID);
	static const char *const suffixes[] = {"A", ".", ".A", "=", "==", "\n", " ", "AAAA"};
	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
		char *longer = xasprintf("%s%s", made.text.p, suffixes[i]);
		assert_int_not_equal(check_text(f, str_of(longer), NOW), JWT_VALID);
		free(longer);
	}
	secret_done(&made.text);
}

static void the_example_of_rfc_7515_a3_has_a_good_signature(void **state)
{
	struct fixture *f = *state;
	struct jwt_keys keys;
	assert_ok(jwt_keys_parse(STR("{\"kty\":\"EC\",\"crv\":\"P-256\","
				     "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
				     "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}"),
		&keys));
	struct jwt_issuer joe = f->issuers[1];
	joe.issuer = STR("joe");
	joe.keys = &keys;
	static const char text[] =
		"eyJhbGciOiJFUzI1NiJ9."
		"eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
		"cGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
		"DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSA"
		"pmWQxfKTUJqPP3-Kg6NU1Q";
	struct jwt *jwt = NULL;
	/* It has no audience, and that is what is wrong with it: the signature came first. */
	assert_int_equal(
		jwt_check(str_of(text), &joe, 1, at(1300819379), &jwt), JWT_WRONG_AUDIENCE);
	char other[sizeof text];
	memcpy(other, text, sizeof text);
	other[sizeof text - 10] ^= 1;
	assert_int_equal(
		jwt_check(str_of(other), &joe, 1, at(1300819379), &jwt), JWT_BAD_SIGNATURE);
	assert_null(jwt);
	jwt_keys_done(&keys);
}

static void one_of_a_configured_issuer_is_believed(void **state)
{
	struct fixture *f = *state;
	char *text = forge_jwt(f->ec, HEADER, CLAIMS);
	_cleanup_(jwt_unrefp) struct jwt *jwt = NULL;
	assert_int_equal(jwt_check(str_of(text), f->issuers, 2, at(NOW), &jwt), JWT_VALID);
	free(text); /* it has texts of its own */
	assert_false(jwt->ours);
	assert_str(jwt->user, "alice");
	assert_int_equal(jwt->n_roles, 2);
	assert_str(jwt->roles[1], "r2");
	text = forge_jwt(f->rsa, "{\"alg\":\"RS256\"}", CLAIMS);
	expect(f, text, JWT_VALID, "RS256");
}

static void the_algorithm_is_the_keys_and_not_the_headers(void **state)
{
	struct fixture *f = *state;
	static const char *const algorithms[] = {"none", "None", "NONE", "nOnE", "", "HS256",
		"HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "ES384", "ES512", "EdDSA",
		"es256", "ES256K", "dir", "A128KW"};
	for (size_t i = 0; i < ARRAY_SIZE(algorithms); i++) {
		char *header = xasprintf("{\"alg\":\"%s\",\"typ\":\"JWT\"}", algorithms[i]);
		enum jwt_fault fault =
			strcmp(algorithms[i], "RS256") ? JWT_UNKNOWN_KEY : JWT_BAD_SIGNATURE;
		expect_header(f, header, fault);
		free(header);
		header = xasprintf("{\"alg\":\"%s\",\"kid\":\"%.*s\"}", algorithms[i],
			STR_ARG(jwt_key_id(f->ext.keys[0])));
		expect_header(f, header, JWT_UNKNOWN_KEY);
		free(header);
	}
	static const char *const headers[] = {"{}", "{\"alg\":null}", "{\"alg\":1}",
		"{\"alg\":[\"ES256\"]}", "{\"typ\":\"JWT\"}"};
	for (size_t i = 0; i < ARRAY_SIZE(headers); i++)
		expect_header(f, headers[i], JWT_MALFORMED);
}

static void no_signature_is_no_signature(void **state)
{
	struct fixture *f = *state;
	expect(f, forge_raw_jwt("{\"alg\":\"none\"}", CLAIMS, ""), JWT_MALFORMED, "none");
	expect(f, forge_raw_jwt(HEADER, CLAIMS, ""), JWT_MALFORMED, "empty signature");
	expect(f, forge_raw_jwt(HEADER, CLAIMS, "AAAA"), JWT_BAD_SIGNATURE, "short signature");
	char zeros[87];
	memset(zeros, 'A', 86);
	zeros[86] = '\0';
	/* r = s = 0 (CVE-2022-21449) */
	expect(f, forge_raw_jwt(HEADER, CLAIMS, zeros), JWT_BAD_SIGNATURE, "zero signature");
}

/* The same numbers with a zero in front of each: one JWT has one text. */
static void a_signature_has_one_length(void **state)
{
	struct fixture *f = *state;
	char *good = forge_jwt(f->ec, HEADER, CLAIMS);
	const char *signature = strrchr(good, '.') + 1;
	_cleanup_buf_ struct buf bytes, text;
	buf_init(&bytes, 256);
	buf_init(&text, 256);
	assert_true(base64_decode(&bytes, str_of(signature)));
	assert_int_equal(bytes.n, 64);
	char longer[66] = {0};
	memcpy(longer + 1, bytes.p, 32);
	memcpy(longer + 34, bytes.p + 32, 32);
	base64_encode(&text, BASE64_URL, longer, sizeof longer);
	expect(f, forge_raw_jwt(HEADER, CLAIMS, text.p), JWT_BAD_SIGNATURE, "66 bytes");
	expect(f, good, JWT_VALID, "64 bytes");
}

static void a_public_key_is_no_hmac_secret(void **state)
{
	struct fixture *f = *state;
	static const char *const headers[] = {
		"{\"alg\":\"HS256\"}", "{\"alg\":\"RS256\"}", "{\"alg\":\"ES256\"}"};
	char *pems[] = {forge_key_pem(f->rsa, false), forge_key_pem(f->ec, false)};
	for (size_t i = 0; i < ARRAY_SIZE(headers); i++)
		for (size_t k = 0; k < ARRAY_SIZE(pems); k++)
			expect(f, forge_hmac_jwt(str_of(pems[k]), headers[i], CLAIMS),
				i ? JWT_BAD_SIGNATURE : JWT_UNKNOWN_KEY, headers[i]);
	free(pems[0]), free(pems[1]);
}

static void a_key_of_one_issuer_does_not_sign_for_another(void **state)
{
	struct fixture *f = *state;
	static const char claims[] =
		"{\"iss\":\"osmo\",\"aud\":\"osmo\",\"iat\":1800000000,\"nbf\":1800000000,"
		"\"exp\":1800000100,\"unique_name\":\"admin\",\"roles\":[],"
		"\"jti\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\","
		"\"osmo_token_name\":\"t\",\"osmo_token_kind\":\"USER\"}";
	char *header = xasprintf(
		"{\"alg\":\"ES256\",\"kid\":\"%.*s\"}", STR_ARG(jwt_key_id(f->ext.keys[0])));
	expect(f, forge_jwt(f->ec, header, claims), JWT_UNKNOWN_KEY, "the other's kid");
	expect(f, forge_jwt(f->ec, HEADER, claims), JWT_BAD_SIGNATURE, "no kid");
	free(header);
	expect(f, forge_jwt(f->stranger, HEADER, CLAIMS), JWT_BAD_SIGNATURE, "stranger");
}

static void a_key_in_the_header_is_not_looked_at(void **state)
{
	struct fixture *f = *state;
	char *pem = forge_key_pem(f->stranger, false);
	struct jwt_keys keys = parse_and_free(pem);
	const struct jwt_public_key *key = jwt_key_public(keys.keys[0]);
	char *header = xasprintf(
		"{\"alg\":\"ES256\",\"jwk\":{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"%.*s\","
		"\"y\":\"%.*s\"},\"jku\":\"http://127.0.0.1/k\",\"x5u\":\"http://127.0.0.1/c\","
		"\"x5c\":[\"AAAA\"]}",
		STR_ARG(key->x), STR_ARG(key->y));
	expect(f, forge_jwt(f->stranger, header, CLAIMS), JWT_BAD_SIGNATURE, "embedded key");
	expect(f, forge_jwt(f->ec, header, CLAIMS), JWT_VALID, "ignored");
	free(header);
	jwt_keys_done(&keys);
}

static void a_header_that_is_not_understood_is_refused(void **state)
{
	struct fixture *f = *state;
	static const char *const headers[] = {"{\"alg\":\"ES256\",\"crit\":[\"exp\"]}",
		"{\"alg\":\"ES256\",\"crit\":[]}", "{\"alg\":\"ES256\",\"b64\":false}",
		"{\"alg\":\"ES256\",\"cty\":\"JWT\"}", "{\"alg\":\"ES256\",\"typ\":\"logout+jwt\"}",
		"{\"alg\":\"ES256\",\"typ\":1}", "{\"alg\":\"ES256\",\"kid\":1}",
		"{\"alg\":\"ES256\",\"kid\":\"\"}", "{\"alg\":\"ES256\",\"alg\":\"ES256\"}",
		"{\"alg\":\"none\",\"alg\":\"ES256\"}", "[]", "\"ES256\"", "null", "",
		"{\"alg\":\"ES256\"} ", "{\"alg\":\"ES256\"}x", "{'alg':'ES256'}",
		"{\"alg\":\"ES256\\u0000\"}"};
	for (size_t i = 0; i < ARRAY_SIZE(headers); i++)
		if (strcmp(headers[i], "{\"alg\":\"ES256\"} "))
			expect_header(f, headers[i], JWT_MALFORMED);
	static const char *const fine[] = {"{\"alg\":\"ES256\"}",
		"{\"alg\":\"ES256\",\"typ\":\"jwt\"}", "{\"typ\":\"at+JWT\",\"alg\":\"ES256\"}",
		"{\"alg\":\"ES256\",\"typ\":\"application/at+jwt\"}", " { \"alg\" : \"ES256\" } "};
	for (size_t i = 0; i < ARRAY_SIZE(fine); i++)
		expect_header(f, fine[i], JWT_VALID);
	expect_header(f, "{\"alg\":\"ES256\",\"kid\":\"nobody's\"}", JWT_UNKNOWN_KEY);
}

static void claims_are_typed(void **state)
{
	struct fixture *f = *state;
#define WITH(iss, aud, exp, rest)                                                                  \
	"{\"iss\":" iss ",\"aud\":" aud ",\"exp\":" exp ",\"sub\":\"a\"" rest "}"
	static const struct {
		const char *claims;
		enum jwt_fault wanted;
	} cases[] = {
		{WITH("\"ext\"", "\"us\"", "1800000001", ""), JWT_VALID},
		{WITH("\"ext\"", "\"us\"", "1800000000.5", ""), JWT_EXPIRED},
		{WITH("\"ext\"", "\"us\"", "1800000001.5", ""), JWT_VALID},
		{WITH("\"ext\"", "\"us\"", "1800000000", ""), JWT_EXPIRED},
		{WITH("\"ext\"", "\"us\"", "0", ""), JWT_EXPIRED},
		{WITH("\"ext\"", "\"us\"", "-1", ""), JWT_BAD_CLAIMS},
		{WITH("\"ext\"", "\"us\"", "1e300", ""), JWT_BAD_CLAIMS},
		{WITH("\"ext\"", "\"us\"", "253402300800", ""), JWT_BAD_CLAIMS},
		{WITH("\"ext\"", "\"us\"", "\"1800000001\"", ""), JWT_BAD_CLAIMS},
		{WITH("\"ext\"", "\"us\"", "null", ""), JWT_BAD_CLAIMS},
		{WITH("\"ext\"", "\"us\"", "true", ""), JWT_BAD_CLAIMS},
		{WITH("\"ext\"", "\"us\"", "[1800000001]", ""), JWT_BAD_CLAIMS},
		{"{\"iss\":\"ext\",\"aud\":\"us\",\"sub\":\"a\"}", JWT_BAD_CLAIMS},
		{WITH("\"Ext\"", "\"us\"", "1800000001", ""), JWT_UNKNOWN_ISSUER},
		{WITH("null", "\"us\"", "1800000001", ""), JWT_UNKNOWN_ISSUER},
		{WITH("[\"ext\"]", "\"us\"", "1800000001", ""), JWT_UNKNOWN_ISSUER},
		{"{\"aud\":\"us\",\"exp\":1800000001,\"sub\":\"a\"}", JWT_UNKNOWN_ISSUER},
		{WITH("\"ext\"", "\"\"", "1800000001", ""), JWT_WRONG_AUDIENCE},
		{WITH("\"ext\"", "null", "1800000001", ""), JWT_WRONG_AUDIENCE},
		{WITH("\"ext\"", "[]", "1800000001", ""), JWT_WRONG_AUDIENCE},
		{WITH("\"ext\"", "[\"them\",\"us\"]", "1800000001", ""), JWT_VALID},
		{WITH("\"ext\"", "[\"them\"]", "1800000001", ""), JWT_WRONG_AUDIENCE},
		{WITH("\"ext\"", "[\"us\",1]", "1800000001", ""), JWT_WRONG_AUDIENCE},
		{WITH("\"ext\"", "{\"us\":\"us\"}", "1800000001", ""), JWT_WRONG_AUDIENCE},
		{WITH("\"ext\"", "\"us\"", "1800000001", ",\"nbf\":1800000060"), JWT_VALID},
		{WITH("\"ext\"", "\"us\"", "1800000001", ",\"nbf\":1800000061"), JWT_NOT_YET_VALID},
		{WITH("\"ext\"", "\"us\"", "1800000001", ",\"iat\":1800000061"), JWT_NOT_YET_VALID},
		{WITH("\"ext\"", "\"us\"", "1800000001", ",\"nbf\":\"0\""), JWT_BAD_CLAIMS},
		{WITH("\"ext\"", "\"us\"", "1800000001", ",\"iat\":null"), JWT_BAD_CLAIMS},
		{WITH("\"ext\"", "\"us\"", "1800000001", ",\"roles\":[]"), JWT_VALID},
		{WITH("\"ext\"", "\"us\"", "1800000001", ",\"roles\":null"), JWT_VALID},
		{WITH("\"ext\"", "\"us\"", "1800000001", ",\"roles\":\"a b\""), JWT_VALID},
		{WITH("\"ext\"", "\"us\"", "1800000001", ",\"roles\":[1]"), JWT_BAD_CLAIMS},
		{WITH("\"ext\"", "\"us\"", "1800000001", ",\"roles\":[\"\"]"), JWT_BAD_CLAIMS},
		{WITH("\"ext\"", "\"us\"", "1800000001", ",\"roles\":{}"), JWT_BAD_CLAIMS},
		{WITH("\"ext\"", "\"us\"", "1800000001", ",\"roles\":7"), JWT_BAD_CLAIMS},
		{WITH("\"ext\"", "\"us\"", "1800000001", ",\"sub\":\"b\""), JWT_MALFORMED},
		{WITH("\"ext\"", "\"us\"", "1800000001", ",\"x\":{\"y\":1,\"y\":1}"),
			JWT_MALFORMED},
		{"{\"iss\":\"ext\",\"aud\":\"us\",\"exp\":1800000001}", JWT_BAD_CLAIMS},
		{"{\"iss\":\"ext\",\"aud\":\"us\",\"exp\":1800000001,\"sub\":\"\"}",
			JWT_BAD_CLAIMS},
		{"{\"iss\":\"ext\",\"aud\":\"us\",\"exp\":1800000001,\"sub\":\"a\\nb\"}",
			JWT_BAD_CLAIMS},
		{"{\"iss\":\"ext\",\"aud\":\"us\",\"exp\":1800000001,\"sub\":7}", JWT_BAD_CLAIMS},
		{"[]", JWT_MALFORMED},
		{"{}", JWT_UNKNOWN_ISSUER},
		{"{\"iss\":\"ext\"", JWT_MALFORMED},
		{"{\"iss\":\"ext\xff\"}", JWT_MALFORMED},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		expect_claims(f, cases[i].claims, cases[i].wanted);
}

static void ours_must_name_its_token(void **state)
{
	struct fixture *f = *state;
#define OURS(rest)                                                                                 \
	"{\"iss\":\"osmo\",\"aud\":\"osmo\",\"exp\":1800000100,\"unique_name\":\"a\"" rest "}"
#define TIMES ",\"iat\":1800000000,\"nbf\":1800000000"
#define JTI ",\"jti\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\""
	f->issuers[0].keys = &f->ext;
	static const struct {
		const char *claims;
		enum jwt_fault wanted;
	} cases[] = {
		{OURS(TIMES JTI ",\"osmo_token_name\":\"t\",\"osmo_token_kind\":\"SERVICE\""),
			JWT_VALID},
		{OURS(JTI ",\"osmo_token_name\":\"t\",\"osmo_token_kind\":\"SERVICE\""),
			JWT_BAD_CLAIMS},
		{OURS(TIMES ",\"osmo_token_name\":\"t\",\"osmo_token_kind\":\"USER\""),
			JWT_BAD_CLAIMS},
		{OURS(TIMES JTI ",\"osmo_token_kind\":\"USER\""), JWT_BAD_CLAIMS},
		{OURS(TIMES JTI ",\"osmo_token_name\":\"t\""), JWT_BAD_CLAIMS},
		{OURS(TIMES JTI ",\"osmo_token_name\":\"t\",\"osmo_token_kind\":\"user\""),
			JWT_BAD_CLAIMS},
		{OURS(TIMES ",\"jti\":\"AAAA\",\"osmo_token_name\":\"t\",\"osmo_token_kind\":"
			    "\"USER\""),
			JWT_BAD_CLAIMS},
		{OURS(TIMES ",\"jti\":1,\"osmo_token_name\":\"t\",\"osmo_token_kind\":\"USER\""),
			JWT_BAD_CLAIMS},
		{OURS(""), JWT_BAD_CLAIMS},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		expect_claims(f, cases[i].claims, cases[i].wanted);
	f->issuers[0].keys = &f->ours;
}

static void roles_and_user_may_lie_in_objects(void **state)
{
	struct fixture *f = *state;
	struct jwt_issuer issuer = f->issuers[1];
	issuer.user_claim = STR("https://x.example/user");
	issuer.roles_claim = STR("realm_access.roles");
	char *text = forge_jwt(f->ec, HEADER,
		"{\"iss\":\"ext\",\"aud\":\"us\",\"exp\":1800000100,"
		"\"https://x.example/user\":\"bob\",\"realm_access\":{\"roles\":[\"x\"]}}");
	_cleanup_(jwt_unrefp) struct jwt *jwt = NULL;
	assert_int_equal(jwt_check(str_of(text), &issuer, 1, at(NOW), &jwt), JWT_VALID);
	assert_str(jwt->user, "bob");
	assert_int_equal(jwt->n_roles, 1);
	assert_str(jwt->roles[0], "x");
	free(text);
}

static void a_text_past_the_bound_is_not_looked_at(void **state)
{
	struct fixture *f = *state;
	char *filler = xmalloc(8001);
	memset(filler, 'x', 8000);
	filler[8000] = '\0';
	char *claims = xasprintf("{\"iss\":\"ext\",\"aud\":\"us\",\"exp\":1800000100,\"sub\":\"a\","
				 "\"x\":\"%s\"}",
		filler);
	expect(f, forge_jwt(f->ec, HEADER, claims), JWT_MALFORMED, "long");
	free(claims), free(filler);
	/* Nesting as deep as the bound allows. */
	char *deep = xmalloc(6001);
	memset(deep, '[', 6000);
	deep[6000] = '\0';
	expect(f, forge_jwt(f->ec, HEADER, deep), JWT_MALFORMED, "deep");
	free(deep);
}

static void without_a_kid_one_key_of_the_algorithm_must_be_the_only_one(void **state)
{
	struct fixture *f = *state;
	struct jwt_keys more = parse_and_free(forge_key_pem(f->stranger, false));
	jwt_keys_add(&more, f->ext.keys[0]);
	f->issuers[1].keys = &more;
	expect_header(f, "{\"alg\":\"ES256\"}", JWT_UNKNOWN_KEY);
	char *header = xasprintf(
		"{\"alg\":\"ES256\",\"kid\":\"%.*s\"}", STR_ARG(jwt_key_id(f->ext.keys[0])));
	expect_header(f, header, JWT_VALID);
	free(header);
	f->issuers[1].keys = &f->ext;
	jwt_keys_done(&more);
}

int main(void)
{
#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(claims_stand_in_the_order_of_the_contract),
		WITH_FIXTURE(ours_names_the_very_token),
		WITH_FIXTURE(ours_never_outlives_its_token),
		WITH_FIXTURE(ours_lives_from_nbf_less_leeway_to_just_before_exp),
		WITH_FIXTURE(one_of_an_old_secret_ends_with_it),
		WITH_FIXTURE(ours_is_made_with_rsa_on_request),
		WITH_FIXTURE(roles_that_do_not_fit_make_no_jwt),
		WITH_FIXTURE(a_change_of_any_byte_is_noticed),
		WITH_FIXTURE(every_prefix_and_any_suffix_is_refused),
		WITH_FIXTURE(the_example_of_rfc_7515_a3_has_a_good_signature),
		WITH_FIXTURE(one_of_a_configured_issuer_is_believed),
		WITH_FIXTURE(the_algorithm_is_the_keys_and_not_the_headers),
		WITH_FIXTURE(no_signature_is_no_signature),
		WITH_FIXTURE(a_signature_has_one_length),
		WITH_FIXTURE(a_public_key_is_no_hmac_secret),
		WITH_FIXTURE(a_key_of_one_issuer_does_not_sign_for_another),
		WITH_FIXTURE(a_key_in_the_header_is_not_looked_at),
		WITH_FIXTURE(a_header_that_is_not_understood_is_refused),
		WITH_FIXTURE(claims_are_typed),
		WITH_FIXTURE(ours_must_name_its_token),
		WITH_FIXTURE(roles_and_user_may_lie_in_objects),
		WITH_FIXTURE(a_text_past_the_bound_is_not_looked_at),
		WITH_FIXTURE(without_a_kid_one_key_of_the_algorithm_must_be_the_only_one),
	};
	return RUN_TESTS(tests);
}
