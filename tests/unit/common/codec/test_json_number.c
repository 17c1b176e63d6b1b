/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/cleanup.h"
#include "common/codec/json_number.h"
#include "tests/lib/test.h"

#include <float.h>
#include <locale.h>
#include <math.h>

static void integers_are_exact_in_any_spelling(void **state)
{
	(void)state;
	const struct {
		const char *text;
		bool negative;
		uint64_t magnitude;
	} rows[] = {
		{"0", false, 0},
		{"-0", false, 0},
		{"-1", true, 1},
		{"1.0", false, 1},
		{"1e5", false, 100000},
		{"100e-2", false, 1},
		{"1.50e1", false, 15},
		{"-12.30E+1", true, 123},
		{"0e99999999999", false, 0},
		{"0.000", false, 0},
		{"9007199254740993", false, 9007199254740993},
		{"18446744073709551615", false, UINT64_MAX},
		{"18446744073709551615.000", false, UINT64_MAX},
		{"1844674407370955161.5e1", false, UINT64_MAX},
		{"-9223372036854775808", true, UINT64_C(9223372036854775808)},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		bool negative;
		uint64_t magnitude;
		assert_true(json_number_is_valid(str_of(rows[i].text)));
		assert_true(json_number_to_integer(str_of(rows[i].text), &negative, &magnitude));
		assert_int_equal(negative, rows[i].negative);
		assert_int_equal(magnitude, rows[i].magnitude);
	}
}

static void fractions_and_what_is_too_large_are_no_integers(void **state)
{
	(void)state;
	const char *const texts[] = {"0.5", "1e-1", "15e-1", "18446744073709551616", "1e20",
		"1e99999999999999999999", "1e-99999999999999999999", "123456789012345678901"};
	bool negative;
	uint64_t magnitude;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_false(json_number_to_integer(str_of(texts[i]), &negative, &magnitude));
}

static void only_the_grammar_of_json_is_a_number(void **state)
{
	(void)state;
	const char *const texts[] = {"", "-", "+1", "01", "1.", ".1", "1e", "1e+", " 1", "1 ",
		"0x1", "1_0", "NaN", "--1"};
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_false(json_number_is_valid(str_of(texts[i])));
	assert_int_equal(json_number_prefix(STR("12,3")), 2);
	assert_int_equal(json_number_prefix(STR("0123")), 1);
}

static void reals_are_written_as_short_as_they_read_back(void **state)
{
	(void)state;
	const struct {
		double value;
		const char *text;
	} rows[] = {
		{0, "0"},
		{-0.0, "-0"},
		{1, "1"},
		{0.1, "0.1"},
		{1.0 / 3, "0.3333333333333333"},
		{1e21, "1e+21"},
		{123456789012, "123456789012"},
		{DBL_MAX, "1.7976931348623157e+308"},
		{5e-324, "4.94065645841247e-324"},
		{0.1 + 0.2, "0.30000000000000004"},
	};
	char text[JSON_NUMBER_BYTES];
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		double again;
		size_t n = json_format_double(rows[i].value, text);
		assert_string_equal(text, rows[i].text);
		assert_int_equal(n, strlen(text));
		assert_true(json_number_to_double(str_of(text), &again));
		assert_true(again == rows[i].value);
	}
	json_format_float(0.1F, text);
	assert_string_equal(text, "0.1");
	json_format_float(16777216.0F, text);
	assert_string_equal(text, "16777216");
	json_format_float(FLT_MAX, text);
	assert_string_equal(text, "3.4028235e+38");
}

static void reals_that_are_too_large_are_refused(void **state)
{
	(void)state;
	double value;
	float single;
	assert_false(json_number_to_double(STR("1e309"), &value));
	assert_false(json_number_to_double(STR("-1e309"), &value));
	assert_false(json_number_to_float(STR("3.5e38"), &single));
	assert_true(json_number_to_double(STR("1e-400"), &value));
	assert_true(value == 0);
	char long_text[300];
	memset(long_text, '1', sizeof long_text);
	assert_true(json_number_to_double((struct str){long_text, sizeof long_text}, &value));
	assert_true(value > 1e298 && value < 2e299);
}

static void integers_are_written(void **state)
{
	(void)state;
	char text[JSON_NUMBER_BYTES];
	assert_int_equal(json_format_u64(UINT64_MAX, text), 20);
	assert_string_equal(text, "18446744073709551615");
	assert_int_equal(json_format_i64(INT64_MIN, text), 20);
	assert_string_equal(text, "-9223372036854775808");
	assert_int_equal(json_format_i64(0, text), 1);
	assert_string_equal(text, "0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(integers_are_exact_in_any_spelling),
		cmocka_unit_test(fractions_and_what_is_too_large_are_no_integers),
		cmocka_unit_test(only_the_grammar_of_json_is_a_number),
		cmocka_unit_test(reals_are_written_as_short_as_they_read_back),
		cmocka_unit_test(reals_that_are_too_large_are_refused),
		cmocka_unit_test(integers_are_written),
	};
	return RUN_TESTS(tests);
}
