/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/xalloc.h"
#include "service/auth/jwt_key.h"
#include "tests/lib/forge.h"
#include "tests/lib/test.h"

#include <stdlib.h>
#include <string.h>

/* RFC 7638, 3.1 */
#define RSA_N                                                                                      \
	"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_"  \
	"BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_" \
	"FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-"        \
	"bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
/* RFC 7515, A.3.1 */
#define EC_X "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define EC_Y "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"

static void an_id_is_the_thumbprint_of_rfc_7638(void **state)
{
	(void)state;
	_cleanup_jwt_keys_ struct jwt_keys keys = {.n = 0};
	assert_ok(jwt_keys_parse(
		STR("{\"kty\":\"RSA\",\"n\":\"" RSA_N "\",\"e\":\"AQAB\",\"alg\":\"RS256\"}"),
		&keys));
	assert_int_equal(keys.n, 1);
	assert_str(jwt_key_id(keys.keys[0]), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
	assert_int_equal(jwt_key_algorithm(keys.keys[0]), JWT_RS256);
	assert_int_equal(jwt_key_signature_bytes(keys.keys[0]), 256);
	assert_false(jwt_key_is_private(keys.keys[0]));
}

static void a_generated_key_survives_export_and_parse(void **state)
{
	(void)state;
	_cleanup_(jwt_key_unrefp) struct jwt_key *key = jwt_key_generate(JWT_ES256);
	assert_true(jwt_key_is_private(key));
	_cleanup_secret_ struct secret text = jwt_key_export(key, true);
	_cleanup_jwt_keys_ struct jwt_keys keys = {.n = 0};
	assert_ok(jwt_keys_parse(secret_str(&text), &keys));
	assert_int_equal(keys.n, 1);
	assert_true(str_eq(jwt_key_id(keys.keys[0]), jwt_key_id(key)));
	assert_true(jwt_key_is_private(keys.keys[0]));
}

static void coordinates_keep_their_leading_zeros(void **state)
{
	(void)state;
	for (int i = 0; i < 1000; i++) {
		_cleanup_(jwt_key_unrefp) struct jwt_key *key = jwt_key_generate(JWT_ES256);
		assert_int_equal(jwt_key_public(key)->x.n, 43);
		assert_int_equal(jwt_key_public(key)->y.n, 43);
		assert_int_equal(jwt_key_id(key).n, 43);
	}
}

static void the_public_part_has_no_private_member(void **state)
{
	(void)state;
	_cleanup_(jwt_key_unrefp) struct jwt_key *key = jwt_key_generate(JWT_ES256);
	const struct jwt_public_key *public = jwt_key_public(key);
	assert_str(public->kty, "EC");
	assert_str(public->alg, "ES256");
	assert_str(public->crv, "P-256");
	assert_true(str_empty(public->n) && str_empty(public->e));
	_cleanup_secret_ struct secret text = jwt_key_export(key, true);
	assert_non_null(strstr(text.p, "\"d\":"));
}

static void pem_and_jwk_of_one_key_have_one_id(void **state)
{
	(void)state;
	for (int algorithm = JWT_ES256; algorithm <= JWT_RS256; algorithm++) {
		struct forge_key *forged = forge_key_new((enum jwt_algorithm)algorithm);
		char *private = forge_key_pem(forged, true), *public = forge_key_pem(forged, false);
		_cleanup_jwt_keys_ struct jwt_keys a = {.n = 0}, b = {.n = 0}, c = {.n = 0};
		assert_ok(jwt_keys_parse(str_of(private), &a));
		assert_ok(jwt_keys_parse(str_of(public), &b));
		assert_true(jwt_key_is_private(a.keys[0]));
		assert_false(jwt_key_is_private(b.keys[0]));
		_cleanup_secret_ struct secret jwk = jwt_key_export(a.keys[0], true);
		assert_ok(jwt_keys_parse(secret_str(&jwk), &c));
		assert_true(str_eq(jwt_key_id(a.keys[0]), jwt_key_id(b.keys[0])));
		assert_true(str_eq(jwt_key_id(a.keys[0]), jwt_key_id(c.keys[0])));
		assert_int_equal(jwt_key_algorithm(c.keys[0]), algorithm);
		free(private);
		free(public);
		forge_key_free(forged);
	}
}

static void a_pem_file_may_hold_several_keys(void **state)
{
	(void)state;
	struct forge_key *one = forge_key_new(JWT_ES256), *two = forge_key_new(JWT_RS256);
	char *a = forge_key_pem(one, true), *b = forge_key_pem(two, true);
	char *both = xasprintf("# current\n%s\n# next\n%s", a, b);
	char *twice = xasprintf("%s%s", a, a);
	_cleanup_jwt_keys_ struct jwt_keys keys = {.n = 0};
	assert_ok(jwt_keys_parse(str_of(both), &keys));
	assert_int_equal(keys.n, 2);
	struct jwt_keys none;
	assert_status(jwt_keys_parse(str_of(twice), &none), STATUS_INVALID_ARGUMENT,
		"a key is there twice, or there are more than 64");
	free(a), free(b), free(both), free(twice);
	forge_key_free(one), forge_key_free(two);
}

static void keys_of_no_use_in_a_set_are_passed_over(void **state)
{
	(void)state;
	_cleanup_jwt_keys_ struct jwt_keys keys = {.n = 0};
	assert_ok(jwt_keys_parse(
		STR("{\"keys\":["
		    "{\"kty\":\"oct\",\"kid\":\"symmetric\",\"k\":"
		    "\"AyM1SysPpbyDfgZld3umj1qzKObwVMk\"},"
		    "{\"kty\":\"EC\",\"kid\":\"p384\",\"crv\":\"P-384\",\"x\":\"AA\",\"y\":\"AA\"},"
		    "{\"kty\":\"EC\",\"kid\":\"off the curve\",\"crv\":\"P-256\",\"x\":\"" EC_X
		    "\",\"y\":\"" EC_X "\"},"
		    "{\"kty\":\"RSA\",\"kid\":\"enc\",\"use\":\"enc\",\"n\":\"" RSA_N
		    "\",\"e\":\"AQAB\"},"
		    "{\"kty\":\"RSA\",\"kid\":\"ps\",\"alg\":\"PS256\",\"n\":\"" RSA_N
		    "\",\"e\":\"AQAB\"},"
		    "{\"kty\":\"RSA\",\"kid\":\"short\",\"n\":\"AQAB\",\"e\":\"AQAB\"},"
		    "{\"kty\":\"OKP\",\"kid\":\"ed\",\"crv\":\"Ed25519\",\"x\":\"AA\"},"
		    "\"nonsense\","
		    "{\"kty\":\"EC\",\"kid\":\"good\",\"use\":\"sig\",\"alg\":\"ES256\",\"crv\":"
		    "\"P-256\",\"x\":\"" EC_X "\",\"y\":\"" EC_Y "\"}]}"),
		&keys));
	assert_int_equal(keys.n, 1);
	assert_str(jwt_key_id(keys.keys[0]), "good");
	assert_non_null(jwt_keys_find(&keys, STR("good")));
	assert_null(jwt_keys_find(&keys, STR("symmetric")));
}

static void what_is_no_key_is_refused_without_quoting_it(void **state)
{
	(void)state;
	static const char *const texts[] = {"", "hunter2", "{}", "[]", "{\"keys\":[]}",
		"{\"keys\":1}", "{\"kty\":\"oct\",\"k\":\"aHVudGVyMg\"}",
		"{\"kty\":\"EC\",\"kty\":\"EC\"}",
		"-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n",
		"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
		"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"};
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct jwt_keys keys = {.n = 0};
		struct status status = jwt_keys_parse(str_of(texts[i]), &keys);
		if (status.code != STATUS_INVALID_ARGUMENT)
			fail_msg("'%s' was taken", texts[i]);
		assert_null(strstr(status.message, "hunter2"));
		assert_int_equal(keys.n, 0);
	}
}

static void an_encrypted_pem_is_refused_and_asks_nobody(void **state)
{
	(void)state;
	struct jwt_keys keys;
	assert_status(jwt_keys_parse(STR("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END "
					 "ENCRYPTED PRIVATE KEY-----\n"),
			      &keys),
		STATUS_INVALID_ARGUMENT,
		"a key is encrypted with a passphrase; one without is expected");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_id_is_the_thumbprint_of_rfc_7638),
		cmocka_unit_test(a_generated_key_survives_export_and_parse),
		cmocka_unit_test(coordinates_keep_their_leading_zeros),
		cmocka_unit_test(the_public_part_has_no_private_member),
		cmocka_unit_test(pem_and_jwk_of_one_key_have_one_id),
		cmocka_unit_test(a_pem_file_may_hold_several_keys),
		cmocka_unit_test(keys_of_no_use_in_a_set_are_passed_over),
		cmocka_unit_test(what_is_no_key_is_refused_without_quoting_it),
		cmocka_unit_test(an_encrypted_pem_is_refused_and_asks_nobody),
	};
	return RUN_TESTS(tests);
}
