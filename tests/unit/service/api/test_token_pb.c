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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_kind_is_one_of_two_and_comes_back_as_it_was),
		cmocka_unit_test(a_kind_that_is_none_is_refused),
	};
	return RUN_TESTS(tests);
}
