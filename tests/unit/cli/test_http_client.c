/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the HTTP client that need no server; the rest is in
 * tests/integration/test_cli_http.py. */
#include "cli/http_client.h"
#include "tests/lib/test.h"

static void assert_encoded(const char *text, bool form, const char *wanted)
{
	_cleanup_buf_ struct buf out;
	buf_init(&out, 1000);
	url_encode(str_of(text), form, &out);
	assert_str(buf_str(&out), wanted);
}

static void a_name_stays_one_segment_of_a_path(void **state)
{
	(void)state;
	assert_encoded("my-token_1.~", false, "my-token_1.~");
	assert_encoded("a/b?c#d e+%", false, "a%2Fb%3Fc%23d%20e%2B%25");
	assert_encoded("..", false, "%2E%2E");
	assert_encoded(".", false, "%2E");
	assert_encoded("...", false, "...");
	assert_encoded("\xC3\xA9\x7f\x01", false, "%C3%A9%7F%01");
	assert_encoded("", false, "");
}

static void a_parameter_is_written_as_a_form_does(void **state)
{
	(void)state;
	assert_encoded("a b&c=d", true, "a+b%26c%3Dd");
	assert_encoded("..", true, "..");
}

static void an_address_is_http_and_a_host(void **state)
{
	(void)state;
	static const char *const good[] = {"http://h", "https://h:8443/", "http://127.0.0.1:8080",
		"http://[::1]:80/base/path", "HTTPS://Example.COM"};
	static const char *const bad[] = {"", "h", "h:80", "ftp://h", "http://", "://h",
		"http://u@h", "http://u:p@h", "http://h/?q", "http://h#f", "http://h h",
		"http://h\n", "http://h:port", "http://h:70000", "javascript://h", "http://h\xFF"};
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		assert_ok(url_check(good[i]));
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct status s = url_check(bad[i]);
		if (s.code != STATUS_INVALID_ARGUMENT)
			fail_msg("'%s' was accepted", bad[i]);
		assert_non_null(strstr(s.message, "expected http://HOST"));
	}
}

static void a_header_is_found_in_any_case(void **state)
{
	(void)state;
	_cleanup_response_ struct http_response r;
	http_response_init(&r);
	buf_append_str(&r.headers, STR("Retry-After:  5 \nX-Retry-After: 6\nretry-after: 7\n"));
	struct str value;
	assert_true(http_response_header(&r, STR("RETRY-AFTER"), &value));
	assert_str(value, "5");
	assert_false(http_response_header(&r, STR("Retry"), &value));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_stays_one_segment_of_a_path),
		cmocka_unit_test(a_parameter_is_written_as_a_form_does),
		cmocka_unit_test(an_address_is_http_and_a_host),
		cmocka_unit_test(a_header_is_found_in_any_case),
	};
	return RUN_TESTS(tests);
}
