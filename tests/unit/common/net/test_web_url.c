/* SPDX-License-Identifier: Apache-2.0 */
#include "common/net/web_url.h"
#include "tests/lib/test.h"

static void a_url_has_a_scheme_of_the_web_and_a_host(void **state)
{
	(void)state;
	static const char *const good[] = {"https://a", "http://a:8080/x?y=z#w",
		"HTTPS://A.example/", "https://[::1]:443/x", "https://a/%20"};
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		assert_ok(web_url_check(str_of(good[i])));
	static const char *const bad[] = {"", "a", "https://", "https:///x", "https://?x",
		"ftp://a", "javascript:alert(1)", "https://a b", "https://a\nb", "https://\xC3\xA9",
		" https://a", "https:/a"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (web_url_check(str_of(bad[i])).code != STATUS_INVALID_ARGUMENT)
			fail_msg("'%s' passed", bad[i]);
	assert_int_equal(web_url_check(STR("https://a\0b")).code, STATUS_INVALID_ARGUMENT);
	assert_status(web_url_check(STR("x")), STATUS_INVALID_ARGUMENT,
		"must be a URL like https://id.example.com/login, got 'x'");
}

static void an_origin_is_a_url_without_a_path(void **state)
{
	(void)state;
	static const char *const good[] = {
		"*", "https://a", "http://localhost:3000", "https://[::1]:1"};
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		assert_ok(web_origin_check(str_of(good[i])));
	static const char *const bad[] = {"", "**", "https://a/", "https://a?x", "https://a#x", "a",
		"null", "https://", "https://a,https://b", "https://u@a", "https://a b"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (web_origin_check(str_of(bad[i])).code != STATUS_INVALID_ARGUMENT)
			fail_msg("'%s' passed", bad[i]);
	assert_status(web_origin_check(STR("*x")), STATUS_INVALID_ARGUMENT,
		"must be an origin like https://app.example.com, or *, got '*x'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_url_has_a_scheme_of_the_web_and_a_host),
		cmocka_unit_test(an_origin_is_a_url_without_a_path),
	};
	return RUN_TESTS(tests);
}
