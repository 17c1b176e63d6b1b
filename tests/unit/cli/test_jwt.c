/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/jwt.h"
#include "common/base/base64.h"
#include "common/base/xalloc.h"
#include "tests/lib/test.h"

/* A JWT with these claims. */
static char *make(const char *claims)
{
	struct buf text;
	buf_init(&text, 10000);
	buf_append_str(&text, STR("e30."));
	base64_encode(&text, BASE64_URL, claims, strlen(claims));
	buf_append_str(&text, STR(".c2ln"));
	return buf_steal(&text);
}

static void names_and_expiry_are_read(void **state)
{
	(void)state;
	_cleanup_free_ char *text =
		make("{\"exp\":1000,\"unique_name\":\"\xC3\xA9\",\"name\":\"N\"}");
	struct jwt jwt;
	assert_ok(jwt_parse(str_of(text), &jwt));
	assert_true(jwt.has_expiry);
	assert_string_equal(jwt.name, "N");
	assert_string_equal(jwt.unique_name, "\xC3\xA9");
	jwt_done(&jwt);
}

static void it_counts_as_expired_three_seconds_early(void **state)
{
	(void)state;
	_cleanup_free_ char *text = make("{\"exp\":1000}");
	struct jwt jwt;
	assert_ok(jwt_parse(str_of(text), &jwt));
	assert_false(jwt_expired(&jwt, unix_time_from_s(996)));
	assert_false(jwt_expired(&jwt, unix_time_from_s(997)));
	assert_true(jwt_expired(&jwt, (struct unix_time){INT64_C(997000001)}));
	assert_true(jwt_expired(&jwt, unix_time_from_s(5000)));
	jwt_done(&jwt);
}

static void fractions_of_a_second_count(void **state)
{
	(void)state;
	_cleanup_free_ char *text = make("{\"exp\":1000.5}");
	struct jwt jwt;
	assert_ok(jwt_parse(str_of(text), &jwt));
	assert_false(jwt_expired(&jwt, (struct unix_time){INT64_C(997400000)}));
	assert_true(jwt_expired(&jwt, (struct unix_time){INT64_C(997600000)}));
	jwt_done(&jwt);
}

static void without_an_expiry_it_lasts(void **state)
{
	(void)state;
	static const char *const claims[] = {"{}", "{\"exp\":\"soon\"}", "{\"exp\":null}"};
	for (size_t i = 0; i < sizeof claims / sizeof claims[0]; i++) {
		_cleanup_free_ char *text = make(claims[i]);
		struct jwt jwt;
		assert_ok(jwt_parse(str_of(text), &jwt));
		assert_false(jwt_expired(&jwt, unix_time_from_s(INT32_MAX)));
		assert_null(jwt.name);
		jwt_done(&jwt);
	}
}

static void what_is_no_jwt_is_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"", "a", "a.b", "a..c", "a.e30.c.d", "a.!!.c", "a.W10.c", "a.MTI.c", "a.e30", ".."};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct jwt jwt;
		struct status s = jwt_parse(str_of(bad[i]), &jwt);
		if (s.code != STATUS_INVALID_ARGUMENT)
			fail_msg("'%s' was accepted", bad[i]);
	}
	_cleanup_free_ char *truncated = make("{\"exp\":1");
	struct jwt jwt;
	assert_status(jwt_parse(str_of(truncated), &jwt), STATUS_INVALID_ARGUMENT,
		"the claims of the JWT are not a JSON object");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_and_expiry_are_read),
		cmocka_unit_test(it_counts_as_expired_three_seconds_early),
		cmocka_unit_test(fractions_of_a_second_count),
		cmocka_unit_test(without_an_expiry_it_lasts),
		cmocka_unit_test(what_is_no_jwt_is_refused),
	};
	return RUN_TESTS(tests);
}
