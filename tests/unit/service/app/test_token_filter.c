/* SPDX-License-Identifier: Apache-2.0 */
#include "service/app/token_filter.h"
#include "tests/lib/test.h"

static const struct date today = {20800};

static struct store_token_query parse_ok(struct arena *arena, const char *filter)
{
	struct store_token_query query = {.limit = 1};
	assert_ok(token_filter_parse(str_of(filter), today, arena, &query));
	return query;
}

static void conditions_set_the_query(void **state)
{
	(void)state;
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	struct store_token_query q = parse_ok(arena, "");
	assert_int_equal(q.name.n + q.name_prefix.n, 0);
	q = parse_ok(arena, "name=ci");
	assert_str(q.name, "ci");
	q = parse_ok(arena, "  name = \"ci-*\"  AND   state=expired ");
	assert_str(q.name_prefix, "ci-");
	assert_true(q.has_expires_until && !q.has_expires_from);
	assert_int_equal(q.expires_until.days, today.days);
	q = parse_ok(arena, "state = ACTIVE AND name=a*");
	assert_str(q.name_prefix, "a");
	assert_true(q.has_expires_from && !q.has_expires_until);
	assert_int_equal(q.expires_from.days, today.days + 1);
}

static void expiry_conditions_narrow_a_range_of_days(void **state)
{
	(void)state;
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	struct date first, last;
	assert_true(date_parse(STR("2026-05-01"), &first) && date_parse(STR("2026-05-31"), &last));
	struct store_token_query q = parse_ok(arena, "expire_date = 2026-05-01");
	assert_int_equal(q.expires_from.days, first.days);
	assert_int_equal(q.expires_until.days, first.days);
	q = parse_ok(arena, "expire_date >= 2026-05-01 AND expire_date <= \"2026-05-31\"");
	assert_int_equal(q.expires_from.days, first.days);
	assert_int_equal(q.expires_until.days, last.days);
	q = parse_ok(arena, "expire_date>2026-05-01 AND expire_date<2026-05-31");
	assert_int_equal(q.expires_from.days, first.days + 1);
	assert_int_equal(q.expires_until.days, last.days - 1);
	q = parse_ok(arena, "state=ACTIVE AND expire_date > 2026-05-01 AND state=EXPIRED");
	assert_int_equal(q.expires_from.days, today.days + 1);
	assert_int_equal(q.expires_until.days, today.days);
}

static void what_is_no_filter_is_refused_with_the_reason(void **state)
{
	(void)state;
	static const struct {
		const char *filter, *message;
	} cases[] = {
		{"user = x", "filter: the fields are name, state and expire_date, got 'user'"},
		{"name", "filter: expected '=' at character 5"},
		{"name =", "filter: expected a value at character 7"},
		{"name = \"x", "filter: expected a value at character 8"},
		{"name = \"\"", "filter: expected a value at character 8"},
		{"name = a name = b", "filter: expected AND at character 10"},
		{"name = a AND", "filter: expected a condition behind AND at character 13"},
		{"name = a AND name = b", "filter: name is given twice"},
		{"name = a*b", "filter: '*' may only be the last character of a name"},
		{"state = DEAD", "filter: state must be ACTIVE or EXPIRED, got 'DEAD'"},
		{"state > ACTIVE", "filter: expected '=' at character 7"},
		{"expire_date", "filter: expected one of = < <= > >= at character 12"},
		{"expire_date > 2026-02-30",
			"filter: expire_date must be a date like 2026-05-01, got '2026-02-30'"},
		{"(name = a)", "filter: the fields are name, state and expire_date, got ''"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		_cleanup_(arena_freep) struct arena *arena = arena_new();
		struct store_token_query q = {.limit = 1};
		struct status s = token_filter_parse(str_of(cases[i].filter), today, arena, &q);
		assert_string_equal(s.message, cases[i].message);
		assert_string_equal(s.field, "filter");
		assert_int_equal(s.code, STATUS_INVALID_ARGUMENT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(conditions_set_the_query),
		cmocka_unit_test(expiry_conditions_narrow_a_range_of_days),
		cmocka_unit_test(what_is_no_filter_is_refused_with_the_reason),
	};
	return RUN_TESTS(tests);
}
