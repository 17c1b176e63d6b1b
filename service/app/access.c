/* SPDX-License-Identifier: Apache-2.0 */
#include "service/app/access.h"

static struct str action_text(struct arena *arena, const struct role_action *action)
{
	const char *text = arena_printf(
		arena, "http:%.*s:%.*s", STR_ARG(action->path), STR_ARG(action->method));
	return str_of(text);
}

static const struct role_action *denying_rule(const struct access_policy *policy,
	const struct principal *principal, struct str path, struct str method)
{
	if (!principal_is_personal_token(principal))
		return NULL;
	/* Many servers take a path with a last slash for the one without: a rule that denies must
	 * not be walked around by it. */
	if (path.n > 1 && path.p[path.n - 1] == '/')
		path = str_sub(path, 0, path.n - 1);
	for (size_t i = 0; i < policy->n_personal_token_denied; i++) {
		const struct role_action *action = &policy->personal_token_denied[i].action;
		if ((str_eq(action->method, STR("*")) || str_eq_nocase(action->method, method)) &&
			role_glob_match(action->path, path))
			return action;
	}
	return NULL;
}

struct access_decision access_decide(const struct access_policy *policy,
	const struct principal *principal, struct str path, struct str method, struct arena *arena)
{
	if (!access_path_is_canonical(path))
		return (struct access_decision){.reason = "the path is not in canonical form"};
	const struct role_action *rule = denying_rule(policy, principal, path, method);
	if (rule)
		return (struct access_decision){
			.reason = "denied by configuration", .policy = action_text(arena, rule)};

	_cleanup_(role_set_unrefp) struct role_set *roles = policy->roles(policy->roles_arg);
	struct role_decision d =
		role_set_decide(roles, principal->roles, principal->n_roles, path, method);
	if (!d.allowed)
		return (struct access_decision){.reason = "no role allows it"};
	return (struct access_decision){.allowed = true,
		.reason = "allowed",
		.role = arena_str(arena, d.role),
		.policy = action_text(arena, d.action)};
}

bool access_path_is_canonical(struct str path)
{
	if (!path.n || path.p[0] != '/' || !str_is_utf8(path))
		return false;
	for (size_t i = 0; i < path.n; i++)
		if ((unsigned char)path.p[i] < 0x20 || path.p[i] == 0x7F)
			return false;
	struct str rest = str_sub(path, 1, path.n), segment;
	while (str_split(&rest, '/', &segment)) {
		bool last = rest.p == NULL;
		if ((!segment.n && !last) || str_eq(segment, STR(".")) ||
			str_eq(segment, STR("..")))
			return false;
	}
	return true;
}
