/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/str.h"
#include "tests/lib/test.h"

static void split_yields_every_part_also_empty_ones(void **state)
{
	(void)state;
	struct str rest = STR("a,,b,"), part;
	const char *const wanted[] = {"a", "", "b", ""};
	size_t n = 0;
	while (str_split(&rest, ',', &part)) {
		assert_true(n < 4);
		assert_str(part, wanted[n++]);
	}
	assert_int_equal(n, 4);
}

static void numbers_out_of_range_are_refused(void **state)
{
	(void)state;
	uint64_t u;
	int64_t i;
	assert_true(str_to_u64(STR("18446744073709551615"), &u) && u == UINT64_MAX);
	assert_false(str_to_u64(STR("18446744073709551616"), &u));
	assert_false(str_to_u64(STR(""), &u));
	assert_false(str_to_u64(STR("+1"), &u));
	assert_false(str_to_u64(STR(" 1"), &u));
	assert_true(str_to_i64(STR("-9223372036854775808"), &i) && i == INT64_MIN);
	assert_false(str_to_i64(STR("-9223372036854775809"), &i));
	assert_false(str_to_i64(STR("9223372036854775808"), &i));
	assert_false(str_to_i64(STR("-"), &i));
}

static void utf8_follows_rfc_3629(void **state)
{
	(void)state;
	assert_int_equal(str_utf8_character(STR("")), 0);
	assert_int_equal(str_utf8_character(STR("ab")), 1);
	assert_int_equal(str_utf8_character(STR("\xE2\x82\xAC\xFF")), 3);
	assert_int_equal(str_utf8_character(STR("\xE2\x82")), 0);
	assert_true(str_is_utf8(STR("plain, \xC3\xA9, \xE2\x82\xAC, \xF0\x9F\x98\x80")));
	static const char *const bad[] = {"\x80", "\xC0\x80", "\xC1\xBF", "\xC3", "\xE0\x80\x80",
		"\xED\xA0\x80", "\xF0\x80\x80\x80", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "a\xFF",
		"\xE2\x82"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_false(str_is_utf8(str_of(bad[i])));
}

static void trimming_and_cutting_stay_inside(void **state)
{
	(void)state;
	assert_str(str_trim(STR(" \t a b \r\n")), "a b");
	assert_str(str_trim(STR("   ")), "");
	assert_str(str_sub(STR("abc"), 1, 100), "bc");
	assert_str(str_sub(STR("abc"), 4, 1), "");
	assert_true(str_eq_nocase(STR("Bearer"), STR("bEARER")));
	assert_false(str_eq_nocase(STR("k"), STR("\xE2\x84\xAA")));
	assert_true(str_cmp(STR("ab"), STR("abc")) < 0);
}

static void a_long_message_is_cut_at_a_character(void **state)
{
	(void)state;
	char text[600];
	for (size_t i = 0; i + 2 < sizeof text; i += 2) {
		text[i] = '\xC3';
		text[i + 1] = '\xA9';
	}
	text[598] = '\0';
	struct status s = status_error(STATUS_INTERNAL, "%s", text);
	assert_true(str_is_utf8(str_of(s.message)));
	assert_true(strlen(s.message) >= sizeof s.message - 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(split_yields_every_part_also_empty_ones),
		cmocka_unit_test(numbers_out_of_range_are_refused),
		cmocka_unit_test(utf8_follows_rfc_3629),
		cmocka_unit_test(trimming_and_cutting_stay_inside),
		cmocka_unit_test(a_long_message_is_cut_at_a_character),
	};
	return RUN_TESTS(tests);
}
