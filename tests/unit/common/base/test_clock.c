/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/clock.h"
#include "tests/lib/test.h"

#include <time.h>

static void times_are_shown_in_utc_with_milliseconds(void **state)
{
	(void)state;
	static const struct {
		int64_t us;
		const char *text;
	} cases[] = {
		{0, "1970-01-01T00:00:00.000Z"},
		{1777636800123456, "2026-05-01T12:00:00.123Z"},
		{-1, "1969-12-31T23:59:59.999Z"},
		{-1000000, "1969-12-31T23:59:59.000Z"},
		{253402300799999999, "9999-12-31T23:59:59.999Z"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char text[UNIX_TIME_TEXT_BYTES];
		unix_time_format((struct unix_time){cases[i].us}, text);
		assert_string_equal(text, cases[i].text);
	}
}

static void seconds_round_down_also_before_1970(void **state)
{
	(void)state;
	assert_int_equal(unix_time_s((struct unix_time){1999999}), 1);
	assert_int_equal(unix_time_s((struct unix_time){0}), 0);
	assert_int_equal(unix_time_s((struct unix_time){-1}), -1);
	assert_int_equal(unix_time_s((struct unix_time){-1000000}), -1);
	assert_int_equal(unix_time_s(unix_time_from_s(-7)), -7);
}

static void a_deadline_past_the_end_of_time_never_comes(void **state)
{
	(void)state;
	struct mono_time t = {1000};
	assert_true(mono_time_add_ms(t, 5).us == 6000);
	assert_true(mono_time_add_ms(t, INT64_MAX).us == MONO_TIME_NEVER.us);
	assert_true(mono_time_add_ms(MONO_TIME_NEVER, 1).us == MONO_TIME_NEVER.us);
}

static void the_system_clocks_go_forward(void **state)
{
	(void)state;
	struct mono_time a = clock_mono(&clock_system), b = clock_mono(&clock_system);
	assert_true(b.us >= a.us);
	int64_t off = unix_time_s(clock_now(&clock_system)) - (int64_t)time(NULL);
	assert_true(off >= -2 && off <= 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_are_shown_in_utc_with_milliseconds),
		cmocka_unit_test(seconds_round_down_also_before_1970),
		cmocka_unit_test(a_deadline_past_the_end_of_time_never_comes),
		cmocka_unit_test(the_system_clocks_go_forward),
	};
	return RUN_TESTS(tests);
}
