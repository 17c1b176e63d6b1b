/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/row_codec.h"

#include <jansson.h>
#include <stdint.h>

static int append(const char *p, size_t n, void *out)
{
	return buf_append(out, p, n) ? 0 : -1;
}

static struct status dump(const json_t *json, struct buf *out)
{
	if (json_dump_callback(json, append, out, JSON_COMPACT) != 0)
		return status_error(STATUS_INTERNAL, "a list is too long to be stored");
	return status_ok();
}

static struct status lost(const char *what)
{
	return status_error(STATUS_DATA_LOSS, "a stored list of %s is damaged", what);
}

static struct str text_of(const json_t *json)
{
	return (struct str){json_string_value(json), json_string_length(json)};
}

struct status row_roles_format(const struct str *roles, size_t n, struct buf *out)
{
	json_auto_t *list = json_array();
	for (size_t i = 0; i < n; i++)
		if (json_array_append_new(list, json_stringn(roles[i].p, roles[i].n)) != 0)
			return status_invalid("roles", "Role names must be UTF-8 text");
	return dump(list, out);
}

struct status row_roles_parse(
	struct str text, struct arena *arena, const struct str **ret, size_t *ret_n)
{
	json_auto_t *list = json_loadb(text.p ? text.p : "", text.n, JSON_ALLOW_NUL, NULL);
	if (!json_is_array(list))
		return lost("roles");
	size_t n = json_array_size(list);
	struct str *roles = arena_calloc(arena, n + 1, sizeof *roles);
	for (size_t i = 0; i < n; i++) {
		const json_t *item = json_array_get(list, i);
		if (!json_is_string(item))
			return lost("roles");
		roles[i] = arena_str(arena, text_of(item));
	}
	*ret = roles;
	*ret_n = n;
	return status_ok();
}

struct status row_policies_format(const struct role *role, struct buf *out)
{
	json_auto_t *list = json_array();
	for (size_t i = 0; i < role->n_policies; i++) {
		const struct role_policy *policy = &role->policies[i];
		json_t *actions = json_array();
		json_array_append_new(list, json_pack("{so}", "actions", actions));
		for (size_t k = 0; k < policy->n_actions; k++) {
			_cleanup_buf_ struct buf text;
			buf_init(&text, SIZE_MAX);
			buf_printf(&text, "http:%.*s:%.*s", STR_ARG(policy->actions[k].path),
				STR_ARG(policy->actions[k].method));
			if (json_array_append_new(actions, json_stringn(text.p, text.n)) != 0)
				return status_invalid("policies", "Actions must be UTF-8 text");
		}
	}
	return dump(list, out);
}

static struct status parse_actions(const json_t *list, struct arena *arena, struct role_policy *ret)
{
	if (!json_is_array(list))
		return lost("policies");
	size_t n = json_array_size(list);
	struct role_action *actions = arena_calloc(arena, n + 1, sizeof *actions);
	for (size_t i = 0; i < n; i++) {
		const json_t *item = json_array_get(list, i);
		if (!json_is_string(item))
			return lost("policies");
		struct status status =
			role_action_parse(arena_str(arena, text_of(item)), &actions[i]);
		if (!status_is_ok(&status))
			return lost("policies");
	}
	*ret = (struct role_policy){actions, n};
	return status_ok();
}

struct status row_policies_parse(struct str text, struct arena *arena, struct role *ret)
{
	json_auto_t *list = json_loadb(text.p ? text.p : "", text.n, 0, NULL);
	if (!json_is_array(list))
		return lost("policies");
	size_t n = json_array_size(list);
	struct role_policy *policies = arena_calloc(arena, n + 1, sizeof *policies);
	for (size_t i = 0; i < n; i++)
		TRY(parse_actions(
			json_object_get(json_array_get(list, i), "actions"), arena, &policies[i]));
	ret->policies = policies;
	ret->n_policies = n;
	return status_ok();
}
