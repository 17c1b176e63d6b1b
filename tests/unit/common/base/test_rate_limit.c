/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/rate_limit.h"
#include "tests/lib/test.h"

static unsigned passes_in(struct rate_limit *r, int64_t from_us, int64_t to_us, int64_t step_us)
{
	unsigned n = 0;
	uint64_t held_back;
	for (int64_t us = from_us; us < to_us; us += step_us)
		n += rate_limit_pass(r, (struct mono_time){us}, &held_back);
	return n;
}

static void a_burst_passes_and_then_the_rate_holds(void **state)
{
	(void)state;
	struct rate_limit r;
	rate_limit_init(&r, 10, 50);
	assert_int_equal(passes_in(&r, 0, 1000, 1), 50);
	assert_int_equal(passes_in(&r, 1000, 10 * US_PER_S + 1000, 1000), 100);
}

static void what_was_held_back_is_counted_once(void **state)
{
	(void)state;
	struct rate_limit r;
	rate_limit_init(&r, 1, 1);
	uint64_t held_back = 7;
	assert_true(rate_limit_pass(&r, (struct mono_time){0}, &held_back));
	assert_int_equal(held_back, 0);
	assert_int_equal(passes_in(&r, 1, 100, 1), 0);
	assert_true(rate_limit_pass(&r, (struct mono_time){US_PER_S}, &held_back));
	assert_int_equal(held_back, 99);
	assert_true(rate_limit_pass(&r, (struct mono_time){2 * US_PER_S}, &held_back));
	assert_int_equal(held_back, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_burst_passes_and_then_the_rate_holds),
		cmocka_unit_test(what_was_held_back_is_counted_once),
	};
	return RUN_TESTS(tests);
}
