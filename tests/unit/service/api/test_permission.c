/* SPDX-License-Identifier: Apache-2.0 */
#include "common/codec/schema.h"
#include "proto/pb_schema.h"
#include "service/api/permission.h"
#include "tests/lib/test.h"

#include "osmo/token/v1/token_service.pb-c.h"

static struct permission needed(
	struct arena *arena, const char *path, const ProtobufCMessage *request)
{
	static struct schema *schema;
	if (!schema)
		assert_ok(pb_schema_new(&schema));
	const struct schema_method *m = schema_find_method(schema, str_of(path));
	assert_non_null(m);
	const struct rpc_access *access;
	assert_ok(rpc_access_parse(m, arena, &access));
	struct permission p;
	rpc_access_of(access, request, arena, &p);
	return p;
}

static char *text(const char *s)
{
	static char copy[300];
	memcpy(copy, s, strlen(s) + 1);
	return copy;
}

static void a_field_decides_which_action_is_needed(void **state)
{
	(void)state;
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	Osmo__Token__V1__SetRequest set = OSMO__TOKEN__V1__SET_REQUEST__INIT;
	set.name = text("ci");
	struct permission p = needed(arena, "/osmo.token.v1.TokenService/Set", &set.base);
	assert_str(p.path, "/api/auth/access_token/user/ci");
	assert_str(p.method, "Post");
	set.kind = OSMO__TOKEN__V1__KIND__SERVICE;
	p = needed(arena, "/osmo.token.v1.TokenService/Set", &set.base);
	assert_str(p.path, "/api/auth/access_token/service/ci");

	Osmo__Token__V1__ListRequest list = OSMO__TOKEN__V1__LIST_REQUEST__INIT;
	p = needed(arena, "/osmo.token.v1.TokenService/List", &list.base);
	assert_str(p.path, "/api/auth/access_token/user");
	assert_str(p.method, "Get");
	assert_false(p.any_credential);
	/* Somebody else's: whatever the kind says. */
	list.user = text("bob");
	list.kind = OSMO__TOKEN__V1__KIND__SERVICE;
	p = needed(arena, "/osmo.token.v1.TokenService/List", &list.base);
	assert_str(p.path, "/api/auth/user/bob/access_token");
	assert_str(p.method, "Get");
}

static void an_unknown_kind_needs_what_the_default_needs(void **state)
{
	(void)state;
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	Osmo__Token__V1__ListRequest list = OSMO__TOKEN__V1__LIST_REQUEST__INIT;
	list.kind = (Osmo__Token__V1__Kind)7;
	struct permission p = needed(arena, "/osmo.token.v1.TokenService/List", &list.base);
	assert_str(p.path, "/api/auth/access_token/user");
}

static void a_name_stays_one_segment_of_the_path(void **state)
{
	(void)state;
	static const struct {
		const char *name, *path;
	} cases[] = {
		{"", "/api/auth/access_token/user/"},
		{"a/b", "/api/auth/access_token/user/a%2Fb"},
		{"..", "/api/auth/access_token/user/%2E%2E"},
		{"a%2Fb", "/api/auth/access_token/user/a%252Fb"},
		{"a\nb", "/api/auth/access_token/user/a%0Ab"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		_cleanup_(arena_freep) struct arena *arena = arena_new();
		Osmo__Token__V1__DeleteRequest r = OSMO__TOKEN__V1__DELETE_REQUEST__INIT;
		r.name = text(cases[i].name);
		struct permission p = needed(arena, "/osmo.token.v1.TokenService/Delete", &r.base);
		assert_str(p.path, cases[i].path);
		assert_str(p.method, "Delete");
	}
}

static void whoami_needs_a_credential_and_no_role(void **state)
{
	(void)state;
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	Osmo__Token__V1__WhoAmIRequest r = OSMO__TOKEN__V1__WHO_AM_IREQUEST__INIT;
	assert_true(needed(arena, "/osmo.token.v1.TokenService/WhoAmI", &r.base).any_credential);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_field_decides_which_action_is_needed),
		cmocka_unit_test(an_unknown_kind_needs_what_the_default_needs),
		cmocka_unit_test(a_name_stays_one_segment_of_the_path),
		cmocka_unit_test(whoami_needs_a_credential_and_no_role),
	};
	return RUN_TESTS(tests);
}
