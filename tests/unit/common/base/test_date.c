/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/date.h"
#include "tests/lib/test.h"

static void assert_round_trip(const char *in, const char *out)
{
	struct date d;
	char text[DATE_TEXT_BYTES];
	assert_true(date_parse(str_of(in), &d));
	date_format(d, text);
	assert_string_equal(text, out);
}

static void short_month_and_day_are_accepted_and_written_long(void **state)
{
	(void)state;
	assert_round_trip("2027-5-1", "2027-05-01");
	assert_round_trip("2024-02-29", "2024-02-29");
	assert_round_trip("0001-01-01", "0001-01-01");
	assert_round_trip("9999-12-31", "9999-12-31");
}

static void what_is_no_day_of_the_calendar_is_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "tomorrow", "2026-02-30", "2025-02-29", "2026-13-01",
		"2026-00-10", "2026-1-0", "26-01-01", "02026-01-01", "2026-01-01 ", " 2026-01-01",
		"2026-001-01", "2026/01/01", "2026-01-01T00:00", "2026-01", "-2026-01-01",
		"0000-01-01", "2026--1-01", "2026-01-+1"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct date d;
		if (date_parse(str_of(bad[i]), &d))
			fail_msg("'%s' was accepted", bad[i]);
	}
}

static void every_day_of_four_centuries_follows_its_predecessor(void **state)
{
	(void)state;
	struct date d;
	assert_true(date_from_ymd(1970, 1, 1, &d));
	assert_int_equal(d.days, 0);
	assert_true(date_from_ymd(1900, 1, 1, &d));
	for (int i = 0; i < 146097; i++) {
		char text[DATE_TEXT_BYTES];
		struct date again;
		date_format(d, text);
		assert_true(date_parse(str_of(text), &again));
		assert_int_equal(again.days, d.days);
		d = date_add_days(d, 1);
	}
	char text[DATE_TEXT_BYTES];
	date_format(d, text);
	assert_string_equal(text, "2300-01-01");
}

static void a_moment_falls_on_the_day_of_utc(void **state)
{
	(void)state;
	assert_int_equal(date_of(unix_time_from_s(86399)).days, 0);
	assert_int_equal(date_of(unix_time_from_s(86400)).days, 1);
	assert_int_equal(date_of((struct unix_time){-1}).days, -1);
	assert_true(date_start((struct date){1}).us == INT64_C(86400000000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(short_month_and_day_are_accepted_and_written_long),
		cmocka_unit_test(what_is_no_day_of_the_calendar_is_refused),
		cmocka_unit_test(every_day_of_four_centuries_follows_its_predecessor),
		cmocka_unit_test(a_moment_falls_on_the_day_of_utc),
	};
	return RUN_TESTS(tests);
}
