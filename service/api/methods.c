/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/arena.h"
#include "common/base/xalloc.h"
#include "common/codec/schema.h"
#include "service/api/api.h"
#include "service/api/handlers.h"
#include "service/api/permission.h"

struct method_entry {
	const char *path;
	call_step_fn *run;
};

static const struct method_entry entries[] = {
	{"/osmo.token.v1.TokenService/Set", token_api_set},
	{"/osmo.token.v1.TokenService/List", token_api_list},
	{"/osmo.token.v1.TokenService/Update", token_api_update},
	{"/osmo.token.v1.TokenService/Rotate", token_api_rotate},
	{"/osmo.token.v1.TokenService/Delete", token_api_delete},
	{"/osmo.token.v1.TokenService/DeleteAll", token_api_delete_all},
	{"/osmo.token.v1.TokenService/WhoAmI", token_api_whoami},
	{"/osmo.token.v1.AuthService/LoginInfo", auth_api_login_info},
	{"/osmo.token.v1.AuthService/Exchange", auth_api_exchange},
	{"/osmo.token.v1.AuthService/Keys", auth_api_keys},
	{"/osmo.token.v1.AuthService/TokenInfo", auth_api_token_info},
	{"/osmo.token.v1.AuthService/Authorize", auth_api_authorize},
	{"/osmo.token.v1.ProfileService/Get", profile_api_get},
	{"/osmo.token.v1.ProfileService/Set", profile_api_set},
	{"/osmo.token.v1.RoleService/List", role_api_list},
	{"/osmo.token.v1.RoleService/Get", role_api_get},
	{"/osmo.token.v1.RoleService/Put", role_api_put},
	{"/osmo.token.v1.RoleService/Delete", role_api_delete},
	{"/osmo.compat.v1.CompatService/CreateUserToken", compat_api_create_user_token},
	{"/osmo.compat.v1.CompatService/CreateServiceToken", compat_api_create_service_token},
	{"/osmo.compat.v1.CompatService/DeleteUserToken", compat_api_delete_user_token},
	{"/osmo.compat.v1.CompatService/DeleteServiceToken", compat_api_delete_service_token},
	{"/osmo.compat.v1.CompatService/ListUserTokens", compat_api_list_user_tokens},
	{"/osmo.compat.v1.CompatService/ListServiceTokens", compat_api_list_service_tokens},
	{"/osmo.compat.v1.CompatService/ExchangeToken", compat_api_exchange_token},
	{"/osmo.compat.v1.CompatService/GetTokenInfo", compat_api_get_token_info},
	{"/osmo.compat.v1.CompatService/GetKeys", compat_api_get_keys},
	{"/osmo.compat.v1.CompatService/GetLoginInfo", compat_api_get_login_info},
	{"/osmo.compat.v1.CompatService/GetProfile", compat_api_get_profile},
	{"/osmo.compat.v1.CompatService/SetProfile", compat_api_set_profile},
	{"/osmo.compat.v1.CompatService/ListRoles", compat_api_list_roles},
	{"/osmo.compat.v1.CompatService/GetRole", compat_api_get_role},
	{"/osmo.compat.v1.CompatService/PutRole", compat_api_put_role},
	{"/osmo.compat.v1.CompatService/PutRoles", compat_api_put_roles},
	{"/osmo.compat.v1.CompatService/DeleteRole", compat_api_delete_role},
	{"/osmo.compat.v1.CompatService/GetVersion", compat_api_get_version},
	{"/osmo.compat.v1.CompatService/GetHealth", compat_api_get_health},
};

struct method {
	call_step_fn *run;
	const struct rpc_access *access;
};

struct method_table {
	struct arena *arena;
	const struct api *api;
	struct method *methods; /* by schema_method.index */
};

static call_step_fn *find_handler(const char *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(entries); i++)
		if (str_eq(str_of(entries[i].path), str_of(path)))
			return entries[i].run;
	return NULL;
}

static struct status fill(struct method_table *t, const struct schema *schema)
{
	for (size_t i = 0; i < schema_method_count(schema); i++) {
		const struct schema_method *m = schema_method_at(schema, i);
		/* health and reflection are answered by the gRPC server itself */
		if (str_starts_with(str_of(m->service_name), STR("grpc.")))
			continue;
		TRY(rpc_access_parse(m, t->arena, &t->methods[i].access));
		t->methods[i].run = find_handler(m->path);
		if (!t->methods[i].run)
			return status_error(STATUS_INTERNAL, "%s has no handler", m->path);
	}
	return status_ok();
}

struct status method_table_new(
	const struct schema *schema, const struct api *api, struct method_table **ret)
{
	_cleanup_(method_table_freep) struct method_table *t = xnew(struct method_table);
	t->arena = arena_new();
	t->api = api;
	t->methods = arena_calloc(t->arena, schema_method_count(schema), sizeof *t->methods);
	TRY(fill(t, schema));
	*ret = TAKE_PTR(t);
	return status_ok();
}

void method_table_free(struct method_table *t)
{
	if (!t)
		return;
	arena_free(t->arena);
	free(t);
}

static const struct method *method_of(const struct method_table *t, const struct call *c)
{
	return &t->methods[c->method->index];
}

struct call_step method_table_run(void *self, struct call *c)
{
	const struct method_table *t = self;
	const struct method *m = method_of(t, c);
	return m->run((void *)(uintptr_t)t->api, c);
}

void method_table_permission(void *arg, struct call *c, struct permission *ret)
{
	rpc_access_of(method_of(arg, c)->access, c->request, c->arena, ret);
}
