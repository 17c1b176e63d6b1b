/* SPDX-License-Identifier: Apache-2.0 */
#include "service/api/token_pb.h"
#include "tests/lib/test.h"

static void a_kind_is_one_of_two_and_comes_back_as_it_was(void **state)
{
	(void)state;
	enum token_kind kind = TOKEN_SERVICE;
	assert_ok(token_kind_from_pb(OSMO__TOKEN__V1__KIND__USER, &kind));
	assert_int_equal(kind, TOKEN_USER);
	assert_int_equal(token_kind_to_pb(kind), OSMO__TOKEN__V1__KIND__USER);
	assert_ok(token_kind_from_pb(OSMO__TOKEN__V1__KIND__SERVICE, &kind));
	assert_int_equal(kind, TOKEN_SERVICE);
	assert_int_equal(token_kind_to_pb(kind), OSMO__TOKEN__V1__KIND__SERVICE);
}

static void a_kind_that_is_none_is_refused(void **state)
{
	(void)state;
	enum token_kind kind = TOKEN_SERVICE;
	assert_status(token_kind_from_pb((Osmo__Token__V1__Kind)7, &kind), STATUS_INVALID_ARGUMENT,
		"kind must be USER (0) or SERVICE (1), got 7");
	assert_status(token_kind_from_pb((Osmo__Token__V1__Kind)-1, &kind), STATUS_INVALID_ARGUMENT,
		"kind must be USER (0) or SERVICE (1), got -1");
	assert_int_equal(kind, TOKEN_SERVICE);
}

static struct status seconds(int64_t s, int32_t nanos, int64_t *ret)
{
	Google__Protobuf__Duration d = GOOGLE__PROTOBUF__DURATION__INIT;
	d.seconds = s;
	d.nanos = nanos;
	return seconds_from_pb("overlap", &d, ret);
}

static void a_part_of_a_second_is_a_second(void **state)
{
	(void)state;
	int64_t s = -1;
	assert_ok(seconds(0, 0, &s));
	assert_int_equal(s, 0);
	assert_ok(seconds(5, 1, &s));
	assert_int_equal(s, 6);
	assert_ok(seconds(INT64_C(315576000000), 999999999, &s));
	assert_int_equal(s, INT64_C(315576000001));
	assert_ok(seconds(-5, 0, &s));
	assert_int_equal(s, -5);
	assert_ok(seconds(0, -1, &s));
	assert_int_equal(s, -1);
}

static void a_duration_that_is_none_is_refused(void **state)
{
	(void)state;
	const struct {
		int64_t s;
		int32_t nanos;
	} bad[] = {{1, -1}, {-1, 1}, {0, 1000000000}, {INT64_MAX, 1}, {-INT64_C(315576000001), 0},
		{INT64_MIN, 0}, {INT64_C(315576000001), 0}, {0, INT32_MIN}};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		int64_t s = 7;
		struct status status = seconds(bad[i].s, bad[i].nanos, &s);
		assert_int_equal(status.code, STATUS_INVALID_ARGUMENT);
		assert_string_equal(status.field, "overlap");
		assert_int_equal(s, 7);
	}
	int64_t s;
	assert_status(seconds(-3, 7, &s), STATUS_INVALID_ARGUMENT,
		"overlap is no duration: -3 seconds and 7 nanoseconds");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_kind_is_one_of_two_and_comes_back_as_it_was),
		cmocka_unit_test(a_kind_that_is_none_is_refused),
		cmocka_unit_test(a_part_of_a_second_is_a_second),
		cmocka_unit_test(a_duration_that_is_none_is_refused),
	};
	return RUN_TESTS(tests);
}
