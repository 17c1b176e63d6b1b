/* SPDX-License-Identifier: Apache-2.0 */
#include "service/api/answer.h"
#include "service/api/api.h"
#include "service/api/handlers.h"
#include "service/app/role_app.h"

#include "osmo/token/v1/role_service.pb-c.h"

static char *copy(struct arena *arena, struct str s)
{
	return arena_strndup(arena, s.p, s.n);
}

static Osmo__Token__V1__Policy *policy_to_pb(const struct role_policy *policy, struct arena *arena)
{
	Osmo__Token__V1__Policy *pb = arena_alloc(arena, sizeof *pb);
	osmo__token__v1__policy__init(pb);
	pb->n_actions = policy->n_actions;
	pb->actions = arena_calloc(arena, policy->n_actions, sizeof *pb->actions);
	for (size_t i = 0; i < policy->n_actions; i++)
		pb->actions[i] = arena_printf(arena, "http:%.*s:%.*s",
			STR_ARG(policy->actions[i].path), STR_ARG(policy->actions[i].method));
	return pb;
}

static Osmo__Token__V1__Role *role_to_pb(const struct role *role, struct arena *arena)
{
	Osmo__Token__V1__Role *pb = arena_alloc(arena, sizeof *pb);
	osmo__token__v1__role__init(pb);
	pb->name = copy(arena, role->name);
	pb->description = copy(arena, role->description);
	pb->immutable = role->immutable;
	pb->n_policies = role->n_policies;
	pb->policies = arena_calloc(arena, role->n_policies, sizeof *pb->policies);
	for (size_t i = 0; i < role->n_policies; i++)
		pb->policies[i] = policy_to_pb(&role->policies[i], arena);
	return pb;
}

static struct status policy_from_pb(const Osmo__Token__V1__Policy *pb, size_t index,
	struct arena *arena, struct role_policy *ret)
{
	struct role_action *actions = arena_calloc(arena, pb->n_actions, sizeof *actions);
	for (size_t i = 0; i < pb->n_actions; i++) {
		struct status status = role_action_parse(str_of(pb->actions[i]), &actions[i]);
		if (status.code != STATUS_OK)
			return status_invalid(
				arena_printf(arena, "role.policies[%zu].actions[%zu]", index, i),
				"%s", status.message);
	}
	*ret = (struct role_policy){actions, pb->n_actions};
	return status_ok();
}

/* The role of a request; its texts are the message's. */
static struct status role_from_pb(
	const Osmo__Token__V1__Role *pb, struct str name, struct arena *arena, struct role *ret)
{
	if (pb->name[0] && !str_eq(str_of(pb->name), name))
		return status_invalid("role.name", "role.name must be '%.*s' or empty, got '%s'",
			STR_ARG(name), pb->name);
	if (pb->immutable)
		return status_invalid("role.immutable", "role.immutable cannot be set");
	struct role_policy *policies = arena_calloc(arena, pb->n_policies, sizeof *policies);
	for (size_t i = 0; i < pb->n_policies; i++)
		TRY(policy_from_pb(pb->policies[i], i, arena, &policies[i]));
	*ret = (struct role){.name = name,
		.description = str_of(pb->description),
		.policies = policies,
		.n_policies = pb->n_policies};
	return status_ok();
}

struct call_step role_api_list(void *self, struct call *c)
{
	const struct api *api = self;
	_cleanup_(role_set_unrefp) struct role_set *roles = role_app_list(api->roles);
	Osmo__Token__V1__ListRolesResponse *reply = ANSWER_NEW(
		c, Osmo__Token__V1__ListRolesResponse, osmo__token__v1__list_roles_response__init);
	reply->n_roles = role_set_count(roles);
	reply->roles = arena_calloc(c->arena, reply->n_roles, sizeof *reply->roles);
	for (size_t i = 0; i < reply->n_roles; i++)
		reply->roles[i] = role_to_pb(role_set_at(roles, i), c->arena);
	return call_finished(c, &reply->base);
}

struct call_step role_api_get(void *self, struct call *c)
{
	const struct api *api = self;
	struct str name = str_of(((const Osmo__Token__V1__GetRoleRequest *)c->request)->name);
	_cleanup_(role_set_unrefp) struct role_set *roles = role_app_list(api->roles);
	const struct role *role = role_set_find(roles, name);
	if (!role)
		return call_failed(c, role_missing(name));
	return call_finished(c, &role_to_pb(role, c->arena)->base);
}

struct put_context {
	struct call *call;
	const struct api *api;
	struct role role;
};

static void on_put(void *arg, const struct status *status)
{
	struct put_context *context = arg;
	struct call *c = context->call;
	if (status->code != STATUS_OK || call_is_finished(c)) {
		answer_error(c, status);
		return;
	}
	/* As it is kept: its actions are sorted. Another caller may have deleted it since. */
	_cleanup_(role_set_unrefp) struct role_set *roles = role_app_list(context->api->roles);
	const struct role *kept = role_set_find(roles, context->role.name);
	answer_reply(c, &role_to_pb(kept ? kept : &context->role, c->arena)->base);
}

/* A field of the role as one of the request, where its name is beside it. */
static struct status in_request(struct status status, struct arena *arena)
{
	bool is_of_role = status.code == STATUS_INVALID_ARGUMENT && status.field[0] &&
			  !str_eq(str_of(status.field), STR("name"));
	if (!is_of_role)
		return status;
	return status_invalid(arena_printf(arena, "role.%s", status.field), "%s", status.message);
}

struct call_step role_api_put(void *self, struct call *c)
{
	HANDLER_ON_LOOP(c);
	const struct api *api = self;
	const Osmo__Token__V1__PutRoleRequest *in =
		(const Osmo__Token__V1__PutRoleRequest *)c->request;
	struct put_context *context = arena_calloc(c->arena, 1, sizeof *context);
	context->call = c;
	context->api = api;
	if (!in->role)
		return call_failed(c, status_invalid("role", "role must be set"));
	struct status parsed = role_from_pb(in->role, str_of(in->name), c->arena, &context->role);
	if (parsed.code != STATUS_OK)
		return call_failed(c, parsed);
	struct store_waiter waiter = answer_waiter(c);
	waiter.arg = context;
	struct status begun = role_app_put(api->roles, &context->role, c->arena, waiter, on_put);
	return answer_begun(c, in_request(begun, c->arena));
}

static void on_delete(void *arg, const struct status *status)
{
	struct call *c = arg;
	if (status->code != STATUS_OK || call_is_finished(c))
		answer_error(c, status);
	else
		answer_reply(c, &ANSWER_NEW(c, Osmo__Token__V1__DeleteRoleResponse,
					osmo__token__v1__delete_role_response__init)
					 ->base);
}

struct call_step role_api_delete(void *self, struct call *c)
{
	HANDLER_ON_LOOP(c);
	const struct api *api = self;
	struct str name = str_of(((const Osmo__Token__V1__DeleteRoleRequest *)c->request)->name);
	return answer_begun(
		c, role_app_delete(api->roles, name, c->arena, answer_waiter(c), on_delete));
}
