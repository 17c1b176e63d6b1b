/* SPDX-License-Identifier: Apache-2.0 */
/* "METHOD PATH", then actions, one a line, of which one role is made: it allows what its first
 * action that applies says, and never something that it does not have an action for. */
#include "service/domain/role.h"
#include "service/store/row_codec.h"
#include "tests/fuzz/must.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	MAX_ACTIONS = 16
};

/* What is stored reads back as it is. */
static void check_stored(const struct role *role)
{
	struct arena *arena = arena_new();
	_cleanup_buf_ struct buf text, again;
	buf_init(&text, 1 << 20);
	buf_init(&again, 1 << 20);
	struct role read = {.n_policies = 0};
	struct status s = row_policies_format(role, &text);
	MUST(status_is_ok(&s));
	s = row_policies_parse(buf_str(&text), arena, &read);
	MUST(status_is_ok(&s));
	s = row_policies_format(&read, &again);
	MUST(status_is_ok(&s) && str_eq(buf_str(&text), buf_str(&again)));
	arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = {(const char *)data, size}, line = STR(""), method = STR(""), text;
	str_split(&rest, '\n', &line);
	str_split(&line, ' ', &method);
	struct role_action actions[MAX_ACTIONS];
	size_t n = 0;
	while (n < MAX_ACTIONS && str_split(&rest, '\n', &text)) {
		struct status s = role_action_parse(text, &actions[n]);
		if (status_is_ok(&s))
			n++;
		else
			MUST(s.code == STATUS_INVALID_ARGUMENT && s.message[0]);
	}
	const struct role_policy policy = {actions, n};
	const struct role role = {.name = STR("r"), .policies = &policy, .n_policies = 1};
	check_stored(&role);
	_cleanup_(role_set_unrefp) struct role_set *set = role_set_new();
	role_set_add(set, &role);
	const struct str names[] = {{"r", 1}, {"nobody", 6}};
	struct role_decision d = role_set_decide(set, names, 2, line, method);
	bool positive = false;
	for (size_t i = 0; i < n; i++)
		positive = positive ||
			   (actions[i].path.p[0] != '!' && role_glob_match(actions[i].path, line));
	if (d.allowed)
		MUST(str_eq(d.role, STR("r")) && d.action && positive &&
			d.action->path.p[0] != '!' && role_glob_match(d.action->path, line));
	else
		MUST(!d.role.n && !d.action);
	MUST(!role_set_decide(set, names + 1, 1, line, method).allowed);
	return 0;
}
