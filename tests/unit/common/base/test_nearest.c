/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/cleanup.h"
#include "common/base/nearest.h"
#include "tests/lib/test.h"

#include <string.h>

static const char *const names[] = {"grpc-listen", "http-listen", "threads", "data-dir", "x"};

static const char *nearest(const char *word)
{
	const char *name = nearest_name(str_of(word), names, ARRAY_SIZE(names));
	return name ? name : "(none)";
}

static void a_slip_finds_the_name(void **state)
{
	(void)state;
	assert_string_equal(nearest("grpc-listne"), "grpc-listen");
	assert_string_equal(nearest("thread"), "threads");
	assert_string_equal(nearest("treads"), "threads");
	assert_string_equal(nearest("htpp-listen"), "http-listen");
}

static void other_spellings_of_a_name_cost_nothing(void **state)
{
	(void)state;
	assert_string_equal(nearest("grpcListen"), "grpc-listen");
	assert_string_equal(nearest("GRPC_LISTEN"), "grpc-listen");
	assert_string_equal(nearest("dataDir"), "data-dir");
}

static void another_word_finds_nothing(void **state)
{
	(void)state;
	assert_string_equal(nearest("password"), "(none)");
	assert_string_equal(nearest(""), "(none)");
	assert_string_equal(nearest("y"), "(none)");
	char text[500];
	memset(text, 'a', sizeof text);
	assert_null(nearest_name((struct str){text, sizeof text}, names, ARRAY_SIZE(names)));
	memset(text, 'A', sizeof text);
	assert_null(nearest_name((struct str){text, sizeof text}, names, ARRAY_SIZE(names)));
	for (size_t i = 1; i < sizeof text; i += 2)
		text[i] = 'a';
	assert_null(nearest_name((struct str){text, sizeof text}, names, ARRAY_SIZE(names)));
}

static void a_null_ends_the_names(void **state)
{
	(void)state;
	static const char *const few[] = {"abc", NULL, "abd"};
	assert_string_equal(nearest_name(STR("abd"), few, 3), "abc");
	assert_null(nearest_name(STR("abc"), few, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_slip_finds_the_name),
		cmocka_unit_test(other_spellings_of_a_name_cost_nothing),
		cmocka_unit_test(another_word_finds_nothing),
		cmocka_unit_test(a_null_ends_the_names),
	};
	return RUN_TESTS(tests);
}
