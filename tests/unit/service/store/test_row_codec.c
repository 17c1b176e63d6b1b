/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/row_codec.h"
#include "tests/lib/test.h"

static void roles_come_back_as_they_were(void **state)
{
	(void)state;
	const struct str roles[] = {STR("osmo-user"), STR("a,b"), STR("\"q\""), STR("r\xC3\xB4le")};
	_cleanup_buf_ struct buf text;
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	buf_init(&text, 1000);
	assert_ok(row_roles_format(roles, 4, &text));
	assert_str(buf_str(&text), "[\"osmo-user\",\"a,b\",\"\\\"q\\\"\",\"r\xC3\xB4le\"]");
	const struct str *back;
	size_t n;
	assert_ok(row_roles_parse(buf_str(&text), arena, &back, &n));
	assert_int_equal(n, 4);
	for (size_t i = 0; i < n; i++)
		assert_true(str_eq(back[i], roles[i]));
}

static void no_roles_are_an_empty_list(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf text;
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	buf_init(&text, 1000);
	assert_ok(row_roles_format(NULL, 0, &text));
	assert_str(buf_str(&text), "[]");
	const struct str *back;
	size_t n;
	assert_ok(row_roles_parse(buf_str(&text), arena, &back, &n));
	assert_int_equal(n, 0);
}

static void role_name_that_is_no_text_is_refused(void **state)
{
	(void)state;
	const struct str role = STR("\xFF");
	_cleanup_buf_ struct buf text;
	buf_init(&text, 1000);
	assert_status(row_roles_format(&role, 1, &text), STATUS_INVALID_ARGUMENT,
		"Role names must be UTF-8 text");
}

static void damaged_list_of_roles_is_data_loss(void **state)
{
	(void)state;
	static const char *const damaged[] = {
		"", "[", "{}", "[1]", "[\"a\",null]", "\"a\"", "[\"a\"]x"};
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	for (size_t i = 0; i < ARRAY_SIZE(damaged); i++) {
		const struct str *back;
		size_t n;
		assert_status(row_roles_parse(str_of(damaged[i]), arena, &back, &n),
			STATUS_DATA_LOSS, "a stored list of roles is damaged");
	}
}

static void policies_come_back_as_they_were(void **state)
{
	(void)state;
	const struct role_action actions[] = {
		{STR("!/api/x/*"), STR("*")}, {STR("/api/pool/*"), STR("Get")}};
	const struct role_policy policies[] = {{actions, 2}, {NULL, 0}};
	const struct role role = {.policies = policies, .n_policies = 2};
	_cleanup_buf_ struct buf text;
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	struct role back = {.n_policies = 0};
	buf_init(&text, 1000);
	assert_ok(row_policies_format(&role, &text));
	assert_str(buf_str(&text),
		"[{\"actions\":[\"http:!/api/x/*:*\",\"http:/api/pool/*:Get\"]},{\"actions\":[]}]");
	assert_ok(row_policies_parse(buf_str(&text), arena, &back));
	assert_int_equal(back.n_policies, 2);
	assert_int_equal(back.policies[0].n_actions, 2);
	assert_int_equal(back.policies[1].n_actions, 0);
	assert_str(back.policies[0].actions[0].path, "!/api/x/*");
	assert_str(back.policies[0].actions[1].method, "Get");
}

static void damaged_list_of_policies_is_data_loss(void **state)
{
	(void)state;
	static const char *const damaged[] = {"", "[", "{}", "[1]", "[{}]", "[{\"actions\":1}]",
		"[{\"actions\":[1]}]", "[{\"actions\":[\"nonsense\"]}]"};
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	for (size_t i = 0; i < ARRAY_SIZE(damaged); i++) {
		struct role back;
		assert_status(row_policies_parse(str_of(damaged[i]), arena, &back),
			STATUS_DATA_LOSS, "a stored list of policies is damaged");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(roles_come_back_as_they_were),
		cmocka_unit_test(no_roles_are_an_empty_list),
		cmocka_unit_test(role_name_that_is_no_text_is_refused),
		cmocka_unit_test(damaged_list_of_roles_is_data_loss),
		cmocka_unit_test(policies_come_back_as_they_were),
		cmocka_unit_test(damaged_list_of_policies_is_data_loss),
	};
	return RUN_TESTS(tests);
}
