/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/secret.h"
#include "tests/lib/test.h"

#include <string.h>

static void a_secret_is_a_copy_with_a_nul_behind_it(void **state)
{
	(void)state;
	char text[] = "s3cret";
	struct secret s = secret_of(str_of(text));
	text[0] = 'X';
	assert_str(secret_str(&s), "s3cret");
	assert_int_equal(s.p[s.n], '\0');
	secret_done(&s);
	assert_null(s.p);
	assert_int_equal(s.n, 0);
	secret_done(&s);
}

static void equality_is_of_all_bytes(void **state)
{
	(void)state;
	assert_true(secret_eq(STR("abc"), STR("abc")));
	assert_false(secret_eq(STR("abc"), STR("abd")));
	assert_false(secret_eq(STR("abc"), STR("abcd")));
	assert_false(secret_eq(STR("a\0b"), STR("a\0c")));
	assert_true(secret_eq(STR(""), (struct str){NULL, 0}));
}

static void wiped_memory_holds_nothing(void **state)
{
	(void)state;
	char text[16] = "s3cret";
	static const char zeros[16];
	secret_wipe(text, sizeof text);
	assert_memory_equal(text, zeros, sizeof text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_secret_is_a_copy_with_a_nul_behind_it),
		cmocka_unit_test(equality_is_of_all_bytes),
		cmocka_unit_test(wiped_memory_holds_nothing),
	};
	return RUN_TESTS(tests);
}
