/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/cleanup.h"
#include "common/config/yaml_node.h"
#include "service/domain/role.h"
#include "service/roles_config.h"
#include "tests/lib/test.h"

static struct status parse(const char *text, struct role_set **ret)
{
	_cleanup_(yaml_tree_unrefp) struct yaml_tree *tree = NULL;
	assert_ok(yaml_tree_parse("f.yaml", str_of(text), &tree));
	return roles_config_parse(yaml_node_find(yaml_tree_root(tree), "roles"), ret);
}

static void roles_are_read_in_both_spellings_of_actions(void **state)
{
	(void)state;
	_cleanup_(role_set_unrefp) struct role_set *set = NULL;
	assert_ok(parse("roles:\n"
			"- name: ci\n"
			"  description: Reads\n"
			"  immutable: false\n"
			"  policies:\n"
			"  - actions:\n"
			"    - http:/api/b/*:get\n"
			"    - {base: http, path: '!/api/a', method: '*'}\n"
			"- {name: other, policies: []}\n",
		&set));
	assert_int_equal(role_set_count(set), 2);
	const struct role *ci = role_set_find(set, STR("ci"));
	assert_str(ci->description, "Reads");
	assert_true(ci->immutable);
	assert_int_equal(ci->n_policies, 1);
	assert_str(ci->policies[0].actions[0].path, "!/api/a");
	assert_str(ci->policies[0].actions[1].method, "Get");
}

static void nothing_is_no_roles(void **state)
{
	(void)state;
	const char *const texts[] = {"a: b\n", "roles:\n", "roles: []\n"};
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		_cleanup_(role_set_unrefp) struct role_set *set = NULL;
		assert_ok(parse(texts[i], &set));
		assert_int_equal(role_set_count(set), 0);
	}
}

static void what_is_wrong_is_told_with_its_line(void **state)
{
	(void)state;
	const struct {
		const char *text, *message;
	} cases[] = {
		{"roles: ci\n", "f.yaml:1: roles must be a list, got 'ci'"},
		{"roles:\n- ci\n", "f.yaml:2: the entry must be a mapping, got 'ci'"},
		{"roles:\n- policies: []\n", "f.yaml:2: roles: an entry without 'name'"},
		{"roles:\n- name: ci\n", "f.yaml:2: roles: an entry without 'policies'"},
		{"roles:\n- name: [ci]\n  policies: []\n",
			"f.yaml:2: name must be text, got a list"},
		{"roles:\n- name: c i\n  policies: []\n",
			"f.yaml:2: roles: a role name must be 1 to 255 bytes of text without "
			"spaces, commas and slashes, got 'c i'"},
		{"roles:\n- name: ci\n  policy: []\n",
			"f.yaml:3: unknown key 'policy'; did you mean 'policies'?"},
		{"roles:\n- name: ci\n  policies:\n  - actions: http:/a:Get\n",
			"f.yaml:4: actions must be a list, got 'http:/a:Get'"},
		{"roles:\n- name: ci\n  policies:\n  - actions:\n    - http:/a:Get\n    - /b\n",
			"f.yaml:6: roles: Invalid action: /b"},
		{"roles:\n- name: ci\n  policies:\n  - actions:\n    - {base: http, path: /a}\n",
			"f.yaml:5: roles: an entry without 'method'"},
		{"roles:\n- name: ci\n  policies:\n  - actions:\n    - http:/a:Steal\n",
			"f.yaml:5: roles: Invalid method: Steal. Method must be one of: ['*', "
			"'get', 'post', 'put', 'patch', 'delete', 'websocket']"},
		{"roles:\n- {name: ci, policies: []}\n- {name: ci, policies: []}\n",
			"f.yaml:3: roles: 'ci' is there twice"},
		{"roles:\n- {name: osmo-admin, policies: []}\n",
			"f.yaml:2: roles: 'osmo-admin' is built in and cannot be changed"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct role_set *set = NULL;
		assert_status(
			parse(cases[i].text, &set), STATUS_INVALID_ARGUMENT, cases[i].message);
		assert_null(set);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(roles_are_read_in_both_spellings_of_actions),
		cmocka_unit_test(nothing_is_no_roles),
		cmocka_unit_test(what_is_wrong_is_told_with_its_line),
	};
	return RUN_TESTS(tests);
}
