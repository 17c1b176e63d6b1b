/* SPDX-License-Identifier: Apache-2.0 */
#include "service/roles_config.h"

#include "common/base/arena.h"
#include "common/base/cleanup.h"
#include "common/config/yaml_node.h"
#include "service/app/role_app.h"
#include "service/domain/role.h"

/* "FILE:LINE: roles: MESSAGE" */
static struct status at(const struct yaml_node *n, struct status status)
{
	return status_is_ok(&status) ? status : yaml_node_error(n, "roles: %s", status.message);
}

/* The value of @key, which must be there. */
static struct status get(
	const struct yaml_node *mapping, const char *key, const struct yaml_node **ret)
{
	*ret = yaml_node_find(mapping, key);
	return *ret ? status_ok() : yaml_node_error(mapping, "roles: an entry without '%s'", key);
}

static struct status get_text(const struct yaml_node *mapping, const char *key, struct str *ret)
{
	const struct yaml_node *n;
	TRY(get(mapping, key, &n));
	return yaml_node_text(n, ret);
}

/* {base, path, method} is the text "base:path:method" in parts. */
static struct status action_text(const struct yaml_node *n, struct arena *arena, struct str *ret)
{
	static const char *const keys[] = {"base", "path", "method", NULL};
	struct str base, path, method;
	if (n->kind != YAML_KIND_MAPPING)
		return yaml_node_text(n, ret);
	TRY(yaml_node_check_keys(n, keys));
	TRY(get_text(n, "base", &base));
	TRY(get_text(n, "path", &path));
	TRY(get_text(n, "method", &method));
	*ret = str_of(arena_printf(
		arena, "%.*s:%.*s:%.*s", STR_ARG(base), STR_ARG(path), STR_ARG(method)));
	return status_ok();
}

static struct status parse_policy(
	const struct yaml_node *n, struct arena *arena, struct role_policy *ret)
{
	static const char *const keys[] = {"actions", NULL};
	const struct yaml_node *list;
	TRY(yaml_node_check_keys(n, keys));
	TRY(get(n, "actions", &list));
	TRY(yaml_node_expect(list, YAML_KIND_SEQUENCE));
	struct role_action *actions = arena_calloc(arena, list->count, sizeof *actions);
	size_t i = 0;
	for (const struct yaml_node *e = list->first; e; e = e->next) {
		struct str text;
		TRY(action_text(e, arena, &text));
		TRY(at(e, role_action_parse(text, &actions[i++])));
	}
	*ret = (struct role_policy){actions, list->count};
	return status_ok();
}

static struct status parse_policies(
	const struct yaml_node *n, struct arena *arena, struct role *role)
{
	const struct yaml_node *list;
	TRY(get(n, "policies", &list));
	TRY(yaml_node_expect(list, YAML_KIND_SEQUENCE));
	struct role_policy *policies = arena_calloc(arena, list->count, sizeof *policies);
	size_t i = 0;
	for (const struct yaml_node *e = list->first; e; e = e->next)
		TRY(parse_policy(e, arena, &policies[i++]));
	role->policies = policies;
	role->n_policies = list->count;
	return status_ok();
}

static struct status parse_role(const struct yaml_node *n, struct arena *arena, struct role *role)
{
	/* `immutable` is there in roles that were exported; here it goes without saying. */
	static const char *const keys[] = {"name", "description", "policies", "immutable", NULL};
	TRY(yaml_node_check_keys(n, keys));
	TRY(get_text(n, "name", &role->name));
	const struct yaml_node *description = yaml_node_find(n, "description");
	role->description = STR("");
	if (description && description->kind != YAML_KIND_NULL)
		TRY(yaml_node_text(description, &role->description));
	TRY(parse_policies(n, arena, role));
	return at(n, role_check(role));
}

static bool is_built_in(struct str name)
{
	for (size_t i = 0; i < role_defaults_count; i++)
		if (role_defaults[i].immutable && str_eq(role_defaults[i].name, name))
			return true;
	return false;
}

static struct status add(const struct yaml_node *n, struct role_set *set)
{
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	struct role role = {.immutable = true};
	TRY(parse_role(n, arena, &role));
	if (is_built_in(role.name))
		return yaml_node_error(
			n, "roles: '%.*s' is built in and cannot be changed", STR_ARG(role.name));
	if (role_set_find(set, role.name))
		return yaml_node_error(n, "roles: '%.*s' is there twice", STR_ARG(role.name));
	role_set_add(set, &role); /* copies */
	return status_ok();
}

struct status roles_config_parse(const struct yaml_node *section, struct role_set **ret)
{
	_cleanup_(role_set_unrefp) struct role_set *set = role_set_new();
	if (section && section->kind != YAML_KIND_NULL) {
		TRY(yaml_node_expect(section, YAML_KIND_SEQUENCE));
		for (const struct yaml_node *e = section->first; e; e = e->next)
			TRY(add(e, set));
	}
	*ret = TAKE_PTR(set);
	return status_ok();
}
