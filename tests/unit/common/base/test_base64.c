/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/base64.h"
#include "tests/lib/test.h"

static void assert_both_ways(const char *bytes, const char *standard, const char *url)
{
	_cleanup_buf_ struct buf b;
	buf_init(&b, 100);
	assert_true(base64_encode(&b, BASE64_STANDARD, bytes, strlen(bytes)));
	assert_str(buf_str(&b), standard);
	buf_reset(&b);
	assert_true(base64_encode(&b, BASE64_URL, bytes, strlen(bytes)));
	assert_str(buf_str(&b), url);
	buf_reset(&b);
	assert_true(base64_decode(&b, str_of(standard)));
	assert_str(buf_str(&b), bytes);
	buf_reset(&b);
	assert_true(base64_decode(&b, str_of(url)));
	assert_str(buf_str(&b), bytes);
}

static void vectors_of_rfc_4648_hold(void **state)
{
	(void)state;
	assert_both_ways("", "", "");
	assert_both_ways("f", "Zg==", "Zg");
	assert_both_ways("fo", "Zm8=", "Zm8");
	assert_both_ways("foo", "Zm9v", "Zm9v");
	assert_both_ways("foobar", "Zm9vYmFy", "Zm9vYmFy");
	assert_both_ways("\xFB\xFF\xBF", "+/+/", "-_-_");
}

static void bytes_that_just_fit_are_decoded(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"", "Zg==", "Zm8", "Zm9v", "Zm9vYg", "Zm9vYmE=", "Zm9vYmFy"};
	for (size_t n = 0; n < sizeof texts / sizeof texts[0]; n++) {
		_cleanup_buf_ struct buf b;
		buf_init(&b, n);
		assert_true(base64_decode(&b, str_of(texts[n])));
		assert_true(str_eq(buf_str(&b), (struct str){"foobar", n}));
	}
}

static void malformed_text_is_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"Z", "Zg=", "Zh==", "Zm9=", "Zm 9", "Z===", "Zm9v=", "Zm9v\n"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		_cleanup_buf_ struct buf b;
		buf_init(&b, 100);
		if (base64_decode(&b, str_of(bad[i])))
			fail_msg("'%s' was accepted", bad[i]);
	}
}

static void hex_goes_both_ways(void **state)
{
	(void)state;
	char text[7];
	unsigned char bytes[3];
	hex_encode("\x00\xAF\xFF", 3, text);
	assert_string_equal(text, "00afff");
	assert_true(hex_decode(STR("00aFfF"), bytes, 3));
	assert_memory_equal(bytes, "\x00\xAF\xFF", 3);
	assert_false(hex_decode(STR("00aff"), bytes, 3));
	assert_false(hex_decode(STR("00affg"), bytes, 3));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors_of_rfc_4648_hold),
		cmocka_unit_test(bytes_that_just_fit_are_decoded),
		cmocka_unit_test(malformed_text_is_refused),
		cmocka_unit_test(hex_goes_both_ways),
	};
	return RUN_TESTS(tests);
}
