/* SPDX-License-Identifier: Apache-2.0 */
#include "service/domain/role.h"
#include "tests/lib/test.h"

#include <stdio.h>

static void actions_are_read_as_existing_clients_write_them(void **state)
{
	(void)state;
	struct role_action a;
	assert_ok(role_action_parse(STR("http:/api/workflow/*:get"), &a));
	assert_str(a.path, "/api/workflow/*");
	assert_str(a.method, "Get");
	assert_ok(role_action_parse(STR("http:*:*"), &a));
	assert_str(a.path, "*");
	assert_str(a.method, "*");
	assert_ok(role_action_parse(STR("http:!/api/agent/*:WEBSOCKET"), &a));
	assert_str(a.path, "!/api/agent/*");
	assert_str(a.method, "Websocket");
}

static void what_is_no_action_is_refused_with_its_text(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "http", "http:", "http:/a", "http::Get", "http:/:Get",
		"http:a:Get", "http:!*:Get", "http:**:Get", "https:/a:Get", "HTTP:/a:Get",
		"http:/a:b:Get", "http:/a:", "http:/a:G3t", "http:/a:Get ", " http:/a:Get",
		"http:/\xFF:Get"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct role_action a;
		char message[100];
		snprintf(message, sizeof message, "Invalid action: %s", bad[i]);
		assert_status(
			role_action_parse(str_of(bad[i]), &a), STATUS_INVALID_ARGUMENT, message);
	}
	struct role_action a;
	assert_status(role_action_parse(STR("http:/a\0b:Get"), &a), STATUS_INVALID_ARGUMENT,
		"Invalid action: http:/a");
	assert_status(role_action_parse(STR("http:/a:head"), &a), STATUS_INVALID_ARGUMENT,
		"Invalid method: head. Method must be one of: "
		"['*', 'get', 'post', 'put', 'patch', 'delete', 'websocket']");
}

/* What Python 3.11 says to fnmatch.fnmatchcase(text, glob). */
static void globs_match_as_fnmatch_of_python(void **state)
{
	(void)state;
	static const struct {
		const char *glob, *text;
		bool match;
	} cases[] = {
		{"", "", true},
		{"", "a", false},
		{"*", "", true},
		{"*", "/a/b", true},
		{"/api/*", "/api/a/b/c", true},
		{"/api/*", "/api", false},
		{"/api/*", "/api/", true},
		{"/a/*/c", "/a/b/b/c", true},
		{"/a/*/c", "/a/c", false},
		{"*a*b*c", "xaybzc", true},
		{"*a*b*c", "xaybz", false},
		{"a?c", "abc", true},
		{"a?c", "ac", false},
		{"a?c",
			"a\xC3\xA9"
			"c",
			true},
		{"a??c",
			"a\xC3\xA9"
			"c",
			false},
		{"[abc]", "b", true},
		{"[abc]", "d", false},
		{"[!abc]", "d", true},
		{"[!abc]", "a", false},
		{"[!abc]", "", false},
		{"[a-c]x", "bx", true},
		{"[a-c]x", "dx", false},
		{"[]]", "]", true},
		{"[!]]", "]", false},
		{"[!]]", "a", true},
		{"[", "[", true},
		{"[a", "[a", true},
		{"[a", "a", false},
		{"a[", "a[", true},
		{"[]", "[]", true},
		{"[!]", "[!]", true},
		{"[-a]", "-", true},
		{"[a-]", "-", true},
		{"[a-]", "b", false},
		{"[z-a]", "m", false},
		{"[!z-a]", "m", true},
		{"[^a]", "^", true},
		{"[^a]", "b", false},
		{"\\*", "\\x", true},
		{"\\*", "*", false},
		{"A", "a", false},
		{"a.c", "abc", false},
		{"a+", "aa", false},
		{"***a", "bbba", true},
		{"*\n*", "a\nb", true},
		{"/api/router/webserver/*/", "/api/router/webserver/x/", true},
		{"/api/router/webserver/*/", "/api/router/webserver/x", false},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		if (role_glob_match(str_of(cases[i].glob), str_of(cases[i].text)) != cases[i].match)
			fail_msg("'%s' against '%s' should be %d", cases[i].glob, cases[i].text,
				cases[i].match);
}

static void a_glob_of_stars_takes_no_exponential_time(void **state)
{
	(void)state;
	char glob[201], text[4001];
	for (size_t i = 0; i < 200; i += 2) {
		glob[i] = '*';
		glob[i + 1] = 'a';
	}
	glob[200] = '\0';
	memset(text, 'a', 4000);
	text[3999] = 'b';
	text[4000] = '\0';
	assert_false(role_glob_match(str_of(glob), str_of(text)));
}

static struct role_set *defaults(void)
{
	struct role_set *set = role_set_new();
	for (size_t i = 0; i < role_defaults_count; i++)
		role_set_add(set, &role_defaults[i]);
	return set;
}

static bool allows(
	const struct role_set *set, const char *role, const char *method, const char *path)
{
	struct str roles[] = {str_of(role)};
	return role_set_decide(set, roles, role[0] ? 1 : 0, str_of(path), str_of(method)).allowed;
}

static void default_roles_allow_what_they_are_for(void **state)
{
	(void)state;
	_cleanup_(role_set_unrefp) struct role_set *set = defaults();
	assert_int_equal(role_set_count(set), 6);
	assert_true(allows(set, "osmo-user", "POST", "/api/auth/access_token/user/ci"));
	assert_false(allows(set, "osmo-user", "GET", "/api/auth/access_token/service"));
	assert_false(allows(set, "osmo-user", "PUT", "/api/configs/role"));
	assert_true(allows(set, "osmo-user", "GET", "/api/profile/settings"));
	assert_false(allows(set, "osmo-user", "POST", "/api/auth/authorize"));
	assert_true(allows(set, "osmo-authorizer", "POST", "/api/auth/authorize"));
	assert_false(allows(set, "osmo-authorizer", "GET", "/api/auth/authorize"));
	assert_true(allows(set, "osmo-admin", "DELETE", "/api/auth/access_token/service/ci"));
	assert_true(allows(set, "osmo-admin", "GET", "/anything/at/all"));
	assert_false(allows(set, "osmo-admin", "GET", "/api/agent/x"));
	assert_false(allows(set, "osmo-admin", "GET", "/api/router/a/b/backend/c"));
	assert_true(allows(set, "osmo-backend", "GET", "/api/pool/x"));
	assert_false(allows(set, "osmo-backend", "POST", "/api/pool/x"));
	assert_true(allows(set, "osmo-ctrl", "WEBSOCKET", "/api/router/a/b/backend/c"));
}

static void everybody_has_the_default_role_and_an_unknown_one_allows_nothing(void **state)
{
	(void)state;
	_cleanup_(role_set_unrefp) struct role_set *set = defaults();
	assert_true(allows(set, "", "GET", "/api/version"));
	assert_true(allows(set, "no-such-role", "GET", "/api/auth/login"));
	assert_false(allows(set, "", "POST", "/api/auth/login"));
	assert_false(allows(set, "", "GET", "/api/auth/access_token/user"));
	assert_false(allows(set, "no-such-role", "GET", "/api/workflow"));
	assert_false(allows(set, "Osmo-Admin", "GET", "/api/workflow"));
}

static void a_deny_ends_its_policy_and_no_other(void **state)
{
	(void)state;
	const struct role_action first[] = {{STR("/a/*"), STR("*")}, {STR("!/a/secret"), STR("*")},
		{STR("!/a/get"), STR("Get")}};
	const struct role_action second[] = {{STR("/a/secret"), STR("Post")}};
	const struct role_policy policies[] = {{first, 3}, {second, 1}};
	const struct role role = {.name = STR("r"), .policies = policies, .n_policies = 2};
	_cleanup_(role_set_unrefp) struct role_set *set = role_set_new();
	role_set_add(set, &role);
	assert_true(allows(set, "r", "GET", "/a/x"));
	assert_false(allows(set, "r", "GET", "/a/secret"));
	assert_true(allows(set, "r", "post", "/a/secret"));
	assert_false(allows(set, "r", "GET", "/a/get"));
	assert_true(allows(set, "r", "PUT", "/a/get"));
}

static void actions_are_kept_in_the_order_of_their_text(void **state)
{
	(void)state;
	/* "http:/a-b:Get" sorts before "http:/a:Get", because '-' is less than ':' */
	const struct role_action actions[] = {{STR("/a"), STR("Post")}, {STR("/a"), STR("Get")},
		{STR("*"), STR("*")}, {STR("/a-b"), STR("Get")}, {STR("/ab"), STR("Get")},
		{STR("!/z"), STR("*")}};
	const struct role_policy policies[] = {{actions, 6}};
	const struct role role = {.name = STR("r"), .policies = policies, .n_policies = 1};
	_cleanup_(role_set_unrefp) struct role_set *set = role_set_new();
	role_set_add(set, &role);
	const struct role_action *sorted = role_set_find(set, STR("r"))->policies[0].actions;
	assert_str(sorted[0].path, "!/z");
	assert_str(sorted[1].path, "*");
	assert_str(sorted[2].path, "/a-b");
	assert_str(sorted[3].path, "/a");
	assert_str(sorted[3].method, "Get");
	assert_str(sorted[4].path, "/a");
	assert_str(sorted[4].method, "Post");
	assert_str(sorted[5].path, "/ab");
}

static void the_decision_names_the_first_role_in_order_and_its_action(void **state)
{
	(void)state;
	_cleanup_(role_set_unrefp) struct role_set *set = defaults();
	struct str roles[] = {STR("osmo-user"), STR("osmo-admin")};
	struct role_decision d = role_set_decide(set, roles, 2, STR("/api/workflow/w"), STR("GET"));
	assert_true(d.allowed);
	assert_str(d.role, "osmo-admin");
	assert_str(d.action->path, "*");
}

static void a_role_that_is_added_again_is_replaced(void **state)
{
	(void)state;
	_cleanup_(role_set_unrefp) struct role_set *set = defaults();
	const struct role role = {.name = STR("osmo-user"), .description = STR("none")};
	role_set_add(set, &role);
	assert_int_equal(role_set_count(set), 6);
	assert_str(role_set_find(set, ROLE_USER)->description, "none");
	assert_false(allows(set, "osmo-user", "GET", "/api/workflow"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(actions_are_read_as_existing_clients_write_them),
		cmocka_unit_test(what_is_no_action_is_refused_with_its_text),
		cmocka_unit_test(globs_match_as_fnmatch_of_python),
		cmocka_unit_test(a_glob_of_stars_takes_no_exponential_time),
		cmocka_unit_test(default_roles_allow_what_they_are_for),
		cmocka_unit_test(everybody_has_the_default_role_and_an_unknown_one_allows_nothing),
		cmocka_unit_test(a_deny_ends_its_policy_and_no_other),
		cmocka_unit_test(actions_are_kept_in_the_order_of_their_text),
		cmocka_unit_test(the_decision_names_the_first_role_in_order_and_its_action),
		cmocka_unit_test(a_role_that_is_added_again_is_replaced),
	};
	return RUN_TESTS(tests);
}
