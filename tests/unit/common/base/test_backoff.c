/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/backoff.h"
#include "common/base/cleanup.h"
#include "tests/lib/test.h"

#include <string.h>

static void fill_low(const struct random *self, void *p, size_t n)
{
	(void)self;
	memset(p, 0, n);
}

static const struct random no_chance = {fill_low};

static void waits_double_up_to_the_most(void **state)
{
	(void)state;
	struct backoff b = backoff_new(100, 1000);
	const int64_t expected[] = {100, 200, 400, 800, 1000, 1000};
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++)
		assert_int_equal(backoff_next(&b, &no_chance), expected[i]);
}

static void chance_takes_off_up_to_half(void **state)
{
	(void)state;
	int64_t least = INT64_MAX, most = 0;
	for (int i = 0; i < 1000; i++) {
		struct backoff b = backoff_new(100, 1000);
		int64_t wait = backoff_next(&b, &random_system);
		least = wait < least ? wait : least;
		most = wait > most ? wait : most;
	}
	assert_in_range(least, 50, 60);
	assert_in_range(most, 90, 100);
}

static void after_a_success_waits_are_short_again(void **state)
{
	(void)state;
	struct backoff b = backoff_new(100, 1000);
	for (int i = 0; i < 10; i++)
		(void)backoff_next(&b, &no_chance);
	backoff_reset(&b);
	assert_int_equal(backoff_next(&b, &no_chance), 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(waits_double_up_to_the_most),
		cmocka_unit_test(chance_takes_off_up_to_half),
		cmocka_unit_test(after_a_success_waits_are_short_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
