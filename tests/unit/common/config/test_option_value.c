/* SPDX-License-Identifier: Apache-2.0 */
#include "common/config/option_value.h"
#include "tests/lib/test.h"

static void durations_have_units(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t ms;
	} good[] = {{"0", 0}, {"0s", 0}, {"500ms", 500}, {"30s", 30000}, {"2m", 120000},
		{"1h", 3600000}, {"1d", 86400000}, {"1h30m", 5400000}, {"1d2h3m4s5ms", 93784005},
		{"9223372036854775807ms", INT64_MAX}};
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		int64_t ms = -1;
		assert_true(duration_parse(str_of(good[i].text), &ms));
		assert_true(ms == good[i].ms);
	}
	static const char *const bad[] = {"", "1", "s", "-1s", "+1s", " 1s", "1s ", "1 s", "1.5s",
		"1S", "1m1h", "1s1s", "1h30", "1w", "1e3s", "9223372036854775808ms",
		"9223372036854775807s", "99999999999999999999s", "106751991167d1000d", "00"};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		int64_t ms = -1;
		if (duration_parse(str_of(bad[i]), &ms))
			fail_msg("'%s' was taken", bad[i]);
		assert_int_equal(ms, -1);
	}
}

static void sizes_have_binary_and_decimal_units(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t bytes;
	} good[] = {{"0", 0}, {"4096", 4096}, {"1B", 1}, {"64KiB", 65536}, {"64Ki", 65536},
		{"1MiB", 1 << 20}, {"16Mi", 16 << 20}, {"1GiB", 1 << 30}, {"1kB", 1000},
		{"2MB", 2000000}, {"8388607TiB", 8388607LL << 40}};
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		int64_t bytes = -1;
		assert_true(size_parse(str_of(good[i].text), &bytes));
		assert_true(bytes == good[i].bytes);
	}
	static const char *const bad[] = {"", "KiB", "-1", "1 KiB", "1KB", "1m", "1M", "1.5MiB",
		"1KiB1", "8388608TiB", "0x10"};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		int64_t bytes = -1;
		if (size_parse(str_of(bad[i]), &bytes))
			fail_msg("'%s' was taken", bad[i]);
		assert_int_equal(bytes, -1);
	}
}

static void assert_shown(void (*format)(int64_t, struct buf *), int64_t value, const char *text)
{
	_cleanup_buf_ struct buf out;
	buf_init(&out, 100);
	format(value, &out);
	assert_str(buf_str(&out), text);
}

static void amounts_are_shown_in_the_greatest_unit_that_is_exact(void **state)
{
	(void)state;
	assert_shown(duration_format, 0, "0");
	assert_shown(duration_format, 90000, "90s");
	assert_shown(duration_format, 7200000, "2h");
	assert_shown(duration_format, 86400000, "1d");
	assert_shown(duration_format, 1001, "1001ms");
	assert_shown(size_format, 0, "0");
	assert_shown(size_format, 1025, "1025");
	assert_shown(size_format, 16 << 20, "16MiB");
	assert_shown(size_format, 1536, "1536");
}

static void what_is_shown_reads_back_as_the_same(void **state)
{
	(void)state;
	static const int64_t values[] = {
		0, 1, 999, 1000, 1024, 3600000, 86400000, 1LL << 40, INT64_MAX};
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		_cleanup_buf_ struct buf duration, size;
		buf_init(&duration, 100);
		buf_init(&size, 100);
		int64_t ms = -1, bytes = -1;
		duration_format(values[i], &duration);
		size_format(values[i], &size);
		assert_true(duration_parse(buf_str(&duration), &ms) && ms == values[i]);
		assert_true(size_parse(buf_str(&size), &bytes) && bytes == values[i]);
	}
}

static void flags_are_words_of_either_case(void **state)
{
	(void)state;
	bool b = false;
	assert_true(flag_parse(STR("True"), &b) && b);
	assert_true(flag_parse(STR("off"), &b) && !b);
	assert_true(flag_parse(STR("1"), &b) && b);
	assert_false(flag_parse(STR(""), &b));
	assert_false(flag_parse(STR("y"), &b));
	assert_true(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations_have_units),
		cmocka_unit_test(sizes_have_binary_and_decimal_units),
		cmocka_unit_test(amounts_are_shown_in_the_greatest_unit_that_is_exact),
		cmocka_unit_test(what_is_shown_reads_back_as_the_same),
		cmocka_unit_test(flags_are_words_of_either_case),
	};
	return RUN_TESTS(tests);
}
