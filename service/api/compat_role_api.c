/* SPDX-License-Identifier: Apache-2.0 */
/* The role configuration of existing clients: actions are objects or texts. */
#include "service/api/answer.h"
#include "service/api/api.h"
#include "service/api/compat_pb.h"
#include "service/api/handlers.h"
#include "service/app/role_app.h"

#include <string.h>

static Google__Protobuf__Value *text_value(struct arena *arena, struct str text)
{
	Google__Protobuf__Value *value = arena_alloc(arena, sizeof *value);
	google__protobuf__value__init(value);
	value->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE;
	value->string_value = arena_strndup(arena, text.p, text.n);
	return value;
}

static Google__Protobuf__Struct__FieldsEntry *entry(
	struct arena *arena, const char *key, struct str text)
{
	Google__Protobuf__Struct__FieldsEntry *e = arena_alloc(arena, sizeof *e);
	google__protobuf__struct__fields_entry__init(e);
	e->key = arena_strdup(arena, key);
	e->value = text_value(arena, text);
	return e;
}

static Google__Protobuf__Value *action_to_pb(const struct role_action *action, struct arena *arena)
{
	Google__Protobuf__Struct *fields = arena_alloc(arena, sizeof *fields);
	google__protobuf__struct__init(fields);
	fields->n_fields = 3;
	fields->fields = arena_calloc(arena, fields->n_fields, sizeof *fields->fields);
	fields->fields[0] = entry(arena, "base", STR("http"));
	fields->fields[1] = entry(arena, "path", action->path);
	fields->fields[2] = entry(arena, "method", action->method);
	Google__Protobuf__Value *value = arena_alloc(arena, sizeof *value);
	google__protobuf__value__init(value);
	value->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_STRUCT_VALUE;
	value->struct_value = fields;
	return value;
}

static Osmo__Compat__V1__RolePolicy *policy_to_pb(
	const struct role_policy *policy, struct arena *arena)
{
	Osmo__Compat__V1__RolePolicy *pb = arena_alloc(arena, sizeof *pb);
	osmo__compat__v1__role_policy__init(pb);
	pb->n_actions = policy->n_actions;
	pb->actions = arena_calloc(arena, policy->n_actions, sizeof *pb->actions);
	for (size_t i = 0; i < policy->n_actions; i++)
		pb->actions[i] = action_to_pb(&policy->actions[i], arena);
	return pb;
}

static Osmo__Compat__V1__Role *role_to_pb(const struct role *role, struct arena *arena)
{
	Osmo__Compat__V1__Role *pb = arena_alloc(arena, sizeof *pb);
	osmo__compat__v1__role__init(pb);
	pb->name = arena_strndup(arena, role->name.p, role->name.n);
	pb->description = arena_strndup(arena, role->description.p, role->description.n);
	pb->immutable = role->immutable;
	pb->n_policies = role->n_policies;
	pb->policies = arena_calloc(arena, role->n_policies, sizeof *pb->policies);
	for (size_t i = 0; i < role->n_policies; i++)
		pb->policies[i] = policy_to_pb(&role->policies[i], arena);
	return pb;
}

static const char *member(const Google__Protobuf__Struct *object, const char *key)
{
	for (size_t i = 0; i < object->n_fields; i++) {
		const Google__Protobuf__Value *value = object->fields[i]->value;
		if (strcmp(object->fields[i]->key, key) == 0 && value &&
			value->kind_case == GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE)
			return value->string_value;
	}
	return "";
}

/* {"base", "path", "method"} is the text "base:path:method" in parts. */
static struct status action_from_pb(
	const Google__Protobuf__Value *value, struct arena *arena, struct role_action *ret)
{
	if (value->kind_case == GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE)
		return role_action_parse(str_of(value->string_value), ret);
	if (value->kind_case != GOOGLE__PROTOBUF__VALUE__KIND_STRUCT_VALUE)
		return status_invalid("policies",
			"an action must be \"http:<path>:<method>\" or an object of base, path and "
			"method");
	const Google__Protobuf__Struct *object = value->struct_value;
	const char *text = arena_printf(arena, "%s:%s:%s", member(object, "base"),
		member(object, "path"), member(object, "method"));
	return role_action_parse(str_of(text), ret);
}

static struct status role_from_pb(
	const Osmo__Compat__V1__Role *pb, struct arena *arena, struct role *ret)
{
	struct role_policy *policies = arena_calloc(arena, pb->n_policies, sizeof *policies);
	for (size_t i = 0; i < pb->n_policies; i++) {
		const Osmo__Compat__V1__RolePolicy *in = pb->policies[i];
		struct role_action *actions = arena_calloc(arena, in->n_actions, sizeof *actions);
		for (size_t k = 0; k < in->n_actions; k++)
			TRY(action_from_pb(in->actions[k], arena, &actions[k]));
		policies[i] = (struct role_policy){actions, in->n_actions};
	}
	*ret = (struct role){.name = str_of(pb->name),
		.description = str_of(pb->description),
		.policies = policies,
		.n_policies = pb->n_policies};
	return status_ok();
}

struct call_step compat_api_list_roles(void *self, struct call *c)
{
	const struct api *api = self;
	_cleanup_(role_set_unrefp) struct role_set *roles = role_app_list(api->roles);
	Osmo__Compat__V1__ListRolesResponse *reply = ANSWER_NEW(c,
		Osmo__Compat__V1__ListRolesResponse, osmo__compat__v1__list_roles_response__init);
	reply->n_roles = role_set_count(roles);
	reply->roles = arena_calloc(c->arena, reply->n_roles, sizeof *reply->roles);
	for (size_t i = 0; i < reply->n_roles; i++)
		reply->roles[i] = role_to_pb(role_set_at(roles, i), c->arena);
	return call_finished(c, &reply->base);
}

struct call_step compat_api_get_role(void *self, struct call *c)
{
	const struct api *api = self;
	struct str name = str_of(((const Osmo__Compat__V1__RoleRequest *)c->request)->name);
	_cleanup_(role_set_unrefp) struct role_set *roles = role_app_list(api->roles);
	const struct role *role = role_set_find(roles, name);
	if (!role)
		return call_failed(c, role_missing(name));
	return call_finished(c, &role_to_pb(role, c->arena)->base);
}

/* Writes a list of roles, one after the other, once all are found right. */
struct put_context {
	struct call *call;
	const struct api *api;
	struct role *roles;
	size_t n, next;
};

static struct status put_next(struct put_context *context);

static void on_put(void *arg, const struct status *status)
{
	struct put_context *context = arg;
	struct call *c = context->call;
	struct status next = *status;
	if (next.code == STATUS_OK && context->next < context->n)
		next = put_next(context);
	else if (next.code == STATUS_OK) {
		answer_reply(c, compat_null_reply(c));
		return;
	}
	if (next.code != STATUS_OK)
		answer_error(c, &next);
}

static struct status put_next(struct put_context *context)
{
	struct call *c = context->call;
	struct store_waiter waiter = answer_waiter(c);
	waiter.arg = context;
	return role_app_put(
		context->api->roles, &context->roles[context->next++], c->arena, waiter, on_put);
}

static struct call_step put_roles(
	const struct api *api, struct call *c, Osmo__Compat__V1__Role *const *in, size_t n)
{
	struct put_context *context = arena_calloc(c->arena, 1, sizeof *context);
	*context =
		(struct put_context){c, api, arena_calloc(c->arena, n, sizeof(struct role)), n, 0};
	for (size_t i = 0; i < n; i++) {
		struct status parsed = role_from_pb(in[i], c->arena, &context->roles[i]);
		if (parsed.code == STATUS_OK)
			parsed = role_app_check(api->roles, &context->roles[i]);
		if (parsed.code != STATUS_OK)
			return call_failed(c, parsed);
	}
	return answer_begun(c, put_next(context));
}

struct call_step compat_api_put_role(void *self, struct call *c)
{
	HANDLER_ON_LOOP(c);
	const Osmo__Compat__V1__PutRoleRequest *in =
		(const Osmo__Compat__V1__PutRoleRequest *)c->request;
	if (!in->configs)
		return call_failed(c, status_invalid("configs", "configs: field required"));
	/* The permission was checked for the name of the path. */
	if (in->configs->name[0] && strcmp(in->configs->name, in->name) != 0)
		return call_failed(c, status_invalid("configs.name",
					      "configs.name must be '%s' or empty, got '%s'",
					      in->name, in->configs->name));
	in->configs->name = in->name;
	return put_roles(self, c, &in->configs, 1);
}

struct call_step compat_api_put_roles(void *self, struct call *c)
{
	HANDLER_ON_LOOP(c);
	const Osmo__Compat__V1__PutRolesRequest *in =
		(const Osmo__Compat__V1__PutRolesRequest *)c->request;
	if (!in->n_configs)
		return call_failed(c, status_invalid("configs", "configs: at least one role"));
	return put_roles(self, c, in->configs, in->n_configs);
}

static void on_deleted(void *arg, const struct status *status)
{
	struct call *c = arg;
	if (status->code != STATUS_OK || call_is_finished(c))
		answer_error(c, status);
	else
		answer_reply(c, compat_null_reply(c));
}

struct call_step compat_api_delete_role(void *self, struct call *c)
{
	HANDLER_ON_LOOP(c);
	const struct api *api = self;
	struct str name = str_of(((const Osmo__Compat__V1__RoleRequest *)c->request)->name);
	return answer_begun(
		c, role_app_delete(api->roles, name, c->arena, answer_waiter(c), on_deleted));
}
