/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/cleanup.h"
#include "common/codec/pbtime.h"
#include "tests/lib/test.h"

static void timestamps_are_rfc_3339(void **state)
{
	(void)state;
	const struct {
		const char *text;
		int64_t seconds;
		int32_t nanos;
		const char *canonical;
	} rows[] = {
		{"1970-01-01T00:00:00Z", 0, 0, NULL},
		{"2026-05-01T12:00:00.123Z", 1777636800, 123000000, NULL},
		{"2026-05-01T12:00:00.000001Z", 1777636800, 1000, NULL},
		{"2026-05-01T12:00:00.000000001Z", 1777636800, 1, NULL},
		{"2026-05-01T12:00:00.1Z", 1777636800, 100000000, "2026-05-01T12:00:00.100Z"},
		{"2026-05-01T14:00:00+02:00", 1777636800, 0, "2026-05-01T12:00:00Z"},
		{"2026-05-01T06:30:00-05:30", 1777636800, 0, "2026-05-01T12:00:00Z"},
		{"0001-01-01T00:00:00Z", -62135596800, 0, NULL},
		{"9999-12-31T23:59:59.999999999Z", 253402300799, 999999999, NULL},
		{"1969-12-31T23:59:59.500Z", -1, 500000000, NULL},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct pbtime t;
		char text[PBTIME_TEXT_BYTES];
		assert_true(pbtime_parse_timestamp(str_of(rows[i].text), &t));
		assert_int_equal(t.seconds, rows[i].seconds);
		assert_int_equal(t.nanos, rows[i].nanos);
		assert_true(pbtime_format_timestamp(t, text));
		assert_string_equal(text, rows[i].canonical ? rows[i].canonical : rows[i].text);
	}
}

static void other_times_are_refused(void **state)
{
	(void)state;
	const char *const texts[] = {"", "2026-05-01", "2026-05-01T12:00:00", "2026-5-01T12:00:00Z",
		"2026-05-01t12:00:00Z", "2026-05-01T12:00:00z", "2026-05-01 12:00:00Z",
		"2026-02-30T12:00:00Z", "2026-05-01T24:00:00Z", "2026-05-01T12:60:00Z",
		"2026-05-01T12:00:60Z", "2026-05-01T12:00:00.Z", "2026-05-01T12:00:00.1234567890Z",
		"2026-05-01T12:00:00+0200", "2026-05-01T12:00:00+24:00", "2026-05-01T12:00:00Z ",
		"0000-01-01T00:00:00Z", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00",
		"10000-01-01T00:00:00Z"};
	struct pbtime t;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_false(pbtime_parse_timestamp(str_of(texts[i]), &t));
}

static void durations_are_seconds_with_a_fraction(void **state)
{
	(void)state;
	const struct {
		const char *text;
		int64_t seconds;
		int32_t nanos;
		const char *canonical;
	} rows[] = {
		{"0s", 0, 0, NULL},
		{"1.5s", 1, 500000000, "1.500s"},
		{"-0.5s", 0, -500000000, "-0.500s"},
		{"-1.000000001s", -1, -1, NULL},
		{"315576000000s", 315576000000, 0, NULL},
		{"-315576000000s", -315576000000, 0, NULL},
		{"315576000000.999999999s", 315576000000, 999999999, NULL},
		{"-315576000000.999999999s", -315576000000, -999999999, NULL},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct pbtime t;
		char text[PBTIME_TEXT_BYTES];
		assert_true(pbtime_parse_duration(str_of(rows[i].text), &t));
		assert_int_equal(t.seconds, rows[i].seconds);
		assert_int_equal(t.nanos, rows[i].nanos);
		assert_true(pbtime_format_duration(t, text));
		assert_string_equal(text, rows[i].canonical ? rows[i].canonical : rows[i].text);
	}
	const char *const texts[] = {"", "s", "1", "1S", "+1s", ".5s", "1.s", "1 s", "--1s", "1m",
		"315576000001s", "0.1234567890s", "99999999999999999999s"};
	struct pbtime t;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_false(pbtime_parse_duration(str_of(texts[i]), &t));
}

static void what_no_text_can_say_is_not_written(void **state)
{
	(void)state;
	char text[PBTIME_TEXT_BYTES];
	assert_false(pbtime_format_timestamp((struct pbtime){253402300800, 0}, text));
	assert_false(pbtime_format_timestamp((struct pbtime){-62135596801, 0}, text));
	assert_false(pbtime_format_timestamp((struct pbtime){0, -1}, text));
	assert_false(pbtime_format_timestamp((struct pbtime){0, 1000000000}, text));
	assert_false(pbtime_format_timestamp((struct pbtime){INT64_MIN, 0}, text));
	assert_false(pbtime_format_duration((struct pbtime){1, -1}, text));
	assert_false(pbtime_format_duration((struct pbtime){-1, 1}, text));
	assert_false(pbtime_format_duration((struct pbtime){INT64_MIN, INT32_MIN}, text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timestamps_are_rfc_3339),
		cmocka_unit_test(other_times_are_refused),
		cmocka_unit_test(durations_are_seconds_with_a_fraction),
		cmocka_unit_test(what_no_text_can_say_is_not_written),
	};
	return RUN_TESTS(tests);
}
