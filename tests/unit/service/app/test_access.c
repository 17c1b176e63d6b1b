/* SPDX-License-Identifier: Apache-2.0 */
#include "service/app/access.h"
#include "tests/lib/test.h"

static struct role_set *defaults(void *arg)
{
	(void)arg;
	struct role_set *set = role_set_new();
	for (size_t i = 0; i < role_defaults_count; i++)
		role_set_add(set, &role_defaults[i]);
	return set;
}

static const struct access_rule denied[] = {{{{"/api/pool/*/workflow", 20}, {"Post", 4}}}};
static const struct access_policy policy = {
	.roles = defaults, .personal_token_denied = denied, .n_personal_token_denied = 1};

static struct access_decision decide(
	struct arena *arena, const struct principal *p, const char *method, const char *path)
{
	return access_decide(&policy, p, str_of(path), str_of(method), arena);
}

static void a_personal_token_may_not_submit_workflows_whatever_its_roles(void **state)
{
	(void)state;
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	const struct str admin = STR("osmo-admin");
	_cleanup_(token_unrefp) struct token *personal =
		token_new(&(struct token_fields){.kind = TOKEN_USER, .name = STR("t")});
	_cleanup_(token_unrefp) struct token *service =
		token_new(&(struct token_fields){.kind = TOKEN_SERVICE, .name = STR("t")});
	struct principal p = {.kind = PRINCIPAL_USER, .roles = &admin, .n_roles = 1};

	assert_true(decide(arena, &p, "POST", "/api/pool/default/workflow").allowed);
	p.token = service;
	assert_true(decide(arena, &p, "POST", "/api/pool/default/workflow").allowed);
	p.token = personal;
	struct access_decision d = decide(arena, &p, "POST", "/api/pool/default/workflow");
	assert_false(d.allowed);
	assert_string_equal(d.reason, "denied by configuration");
	assert_str(d.policy, "http:/api/pool/*/workflow:Post");
	assert_true(decide(arena, &p, "GET", "/api/pool/default/workflow").allowed);
	assert_false(decide(arena, &p, "POST", "/api/pool/default/workflow/").allowed);
}

static void the_decision_shows_role_and_action(void **state)
{
	(void)state;
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	const struct str user = STR("osmo-user");
	struct principal p = {.kind = PRINCIPAL_USER, .roles = &user, .n_roles = 1};
	struct access_decision d = decide(arena, &p, "GET", "/api/workflow/w1");
	assert_true(d.allowed);
	assert_string_equal(d.reason, "allowed");
	assert_str(d.role, "osmo-user");
	assert_str(d.policy, "http:/api/workflow/*:*");
	d = decide(arena, &p, "GET", "/api/configs/role");
	assert_false(d.allowed);
	assert_string_equal(d.reason, "no role allows it");
}

static void a_path_that_is_not_canonical_never_reaches_a_rule(void **state)
{
	(void)state;
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	const struct str admin = STR("osmo-admin");
	struct principal p = {.kind = PRINCIPAL_USER, .roles = &admin, .n_roles = 1};
	static const char *const bad[] = {"", "api/x", "*", "//api", "/api//x", "/api/../x",
		"/api/.", "/..", "/a\nb", "/a\x7F", "/\xFF", "http://h/api"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (decide(arena, &p, "GET", bad[i]).allowed)
			fail_msg("'%s' was allowed", bad[i]);
	assert_false(access_decide(&policy, &p, STR("/a\0b"), STR("GET"), arena).allowed);
	static const char *const good[] = {"/", "/api", "/api/", "/api/..x", "/\xC3\xA9"};
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		assert_true(decide(arena, &p, "GET", good[i]).allowed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_personal_token_may_not_submit_workflows_whatever_its_roles),
		cmocka_unit_test(the_decision_shows_role_and_action),
		cmocka_unit_test(a_path_that_is_not_canonical_never_reaches_a_rule),
	};
	return RUN_TESTS(tests);
}
