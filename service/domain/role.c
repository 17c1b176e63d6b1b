/* SPDX-License-Identifier: Apache-2.0 */
#include "service/domain/role.h"

#include "common/base/arena.h"
#include "common/base/xalloc.h"

#include <stdlib.h>
#include <string.h>

static const char *const methods[] = {"*", "get", "post", "put", "patch", "delete", "websocket"};
static const char *const stored_methods[] = {
	"*", "Get", "Post", "Put", "Patch", "Delete", "Websocket"};

static bool is_word(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!((s.p[i] | 0x20) >= 'a' && (s.p[i] | 0x20) <= 'z'))
			return false;
	return s.n > 0;
}

/* "*", "/..." or "!/...", with something behind the slash and no colon. */
static bool is_action_path(struct str path)
{
	if (str_eq(path, STR("*")))
		return true;
	if (str_starts_with(path, STR("!")))
		path = str_sub(path, 1, path.n);
	return path.n >= 2 && path.p[0] == '/' && str_index(path, ':') == path.n;
}

struct status role_action_parse(struct str text, struct role_action *ret)
{
	const struct str base = STR("http:");
	struct str rest = str_sub(text, base.n, text.n);
	size_t colon = str_index(rest, ':');
	struct str path = str_sub(rest, 0, colon), method = str_sub(rest, colon + 1, rest.n);
	if (!str_starts_with(text, base) || colon == rest.n || !is_action_path(path) ||
		!(str_eq(method, STR("*")) || is_word(method)) || !str_is_utf8(text) ||
		str_index(text, '\0') < text.n) /* a text with one would be stored cut */
		return status_invalid("policies", "Invalid action: %.*s", STR_ARG(text));
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		if (str_eq_nocase(method, str_of(methods[i]))) {
			*ret = (struct role_action){path, str_of(stored_methods[i])};
			return status_ok();
		}
	}
	return status_invalid("policies",
		"Invalid method: %.*s. Method must be one of: "
		"['*', 'get', 'post', 'put', 'patch', 'delete', 'websocket']",
		STR_ARG(method));
}

/* Globs. Text and pattern are read one UTF-8 character at a time; a byte that begins none stands
 * for itself, so any bytes can be compared. */

static uint32_t next_char(struct str *s)
{
	unsigned char c = (unsigned char)s->p[0];
	size_t n = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : c >= 0xC2 ? 2 : 1;
	struct str piece = str_sub(*s, 0, n);
	uint32_t value = c;
	if (n > 1 && piece.n == n && str_is_utf8(piece)) {
		value = c & (0xFFu >> (n + 1));
		for (size_t i = 1; i < n; i++)
			value = value << 6 | ((unsigned char)piece.p[i] & 0x3F);
		value += 0x100; /* apart from the bytes that stand for themselves */
	} else {
		n = 1;
	}
	*s = str_sub(*s, n, s->n);
	return value;
}

/* The inside of "[...]" if @pattern, behind its '[', is closed; "]" as its first character is one
 * of the set. */
static bool take_set(struct str *pattern, struct str *ret)
{
	size_t i = 0;
	if (i < pattern->n && pattern->p[i] == '!')
		i++;
	if (i < pattern->n && pattern->p[i] == ']')
		i++;
	while (i < pattern->n && pattern->p[i] != ']')
		i++;
	if (i >= pattern->n)
		return false;
	*ret = str_sub(*pattern, 0, i);
	*pattern = str_sub(*pattern, i + 1, pattern->n);
	return true;
}

static bool set_has(struct str set, uint32_t c)
{
	bool negate = set.n && set.p[0] == '!';
	bool found = false;
	if (negate)
		set = str_sub(set, 1, set.n);
	while (set.n) {
		uint32_t low = next_char(&set), high = low;
		if (set.n >= 2 && set.p[0] == '-') {
			set = str_sub(set, 1, set.n);
			high = next_char(&set);
		}
		found = found || (c >= low && c <= high);
	}
	return found != negate;
}

/* One pattern element that is no '*' against one character. */
static bool match_one(struct str *pattern, struct str *text)
{
	uint32_t c = next_char(text);
	uint32_t p = next_char(pattern);
	if (p == '?')
		return true;
	struct str set;
	if (p == '[' && take_set(pattern, &set))
		return set_has(set, c);
	return p == c;
}

bool role_glob_match(struct str glob, struct str text)
{
	/* Only the last '*' needs to be tried again: an earlier one that took more could not help a
	 * later one (the usual argument for globs without alternatives). */
	struct str star_glob = {NULL, 0}, star_text = {NULL, 0};
	for (;;) {
		if (glob.n && glob.p[0] == '*') {
			glob = str_sub(glob, 1, glob.n);
			if (!glob.n)
				return true;
			star_glob = glob;
			star_text = text;
			continue;
		}
		if (!glob.n && !text.n)
			return true;
		struct str g = glob, t = text;
		if (glob.n && text.n && match_one(&g, &t)) {
			glob = g;
			text = t;
			continue;
		}
		if (!star_glob.p || !star_text.n)
			return false;
		next_char(&star_text);
		glob = star_glob;
		text = star_text;
	}
}

struct role_set {
	atomic_uint refs;
	struct arena *arena;
	struct role *roles; /* in the order of their names */
	size_t n, capacity;
};

struct role_set *role_set_new(void)
{
	struct role_set *set = xnew(struct role_set);
	atomic_init(&set->refs, 1);
	set->arena = arena_new();
	return set;
}

struct role_set *role_set_ref(struct role_set *set)
{
	atomic_fetch_add_explicit(&set->refs, 1, memory_order_relaxed);
	return set;
}

void role_set_unref(struct role_set *set)
{
	if (!set || atomic_fetch_sub_explicit(&set->refs, 1, memory_order_acq_rel) != 1)
		return;
	arena_free(set->arena);
	free(set->roles);
	free(set);
}

/* By the text "base:path:method", as it is stored: so that every '!' comes first. */
static int compare_actions(const void *a, const void *b)
{
	const struct role_action *x = a, *y = b;
	/* ':' ends a path in the text and is in none, so it takes part in the order */
	size_t n = x->path.n < y->path.n ? x->path.n : y->path.n;
	int order = memcmp(x->path.p, y->path.p, n);
	if (order)
		return order;
	if (x->path.n != y->path.n) {
		bool x_shorter = x->path.n < y->path.n;
		unsigned char next = (unsigned char)(x_shorter ? y->path.p[n] : x->path.p[n]);
		return (next > ':') == x_shorter ? -1 : 1;
	}
	return str_cmp(x->method, y->method);
}

static struct role_policy copy_policy(struct arena *arena, const struct role_policy *policy)
{
	struct role_action *actions = arena_calloc(arena, policy->n_actions, sizeof *actions);
	for (size_t i = 0; i < policy->n_actions; i++)
		actions[i] = (struct role_action){arena_str(arena, policy->actions[i].path),
			arena_str(arena, policy->actions[i].method)};
	qsort(actions, policy->n_actions, sizeof *actions, compare_actions);
	return (struct role_policy){actions, policy->n_actions};
}

/* Where @name is, or where it would be. */
static size_t find_place(const struct role_set *set, struct str name, bool *ret_there)
{
	size_t low = 0, high = set->n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = str_cmp(set->roles[middle].name, name);
		if (order == 0) {
			*ret_there = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*ret_there = false;
	return low;
}

void role_set_add(struct role_set *set, const struct role *role)
{
	bool there;
	size_t place = find_place(set, role->name, &there);
	if (!there) {
		if (set->n == set->capacity) {
			set->capacity = set->capacity ? set->capacity * 2 : 8;
			set->roles = xreallocarray(set->roles, set->capacity, sizeof *set->roles);
		}
		memmove(set->roles + place + 1, set->roles + place,
			(set->n - place) * sizeof *set->roles);
		set->n++;
	}
	struct role_policy *policies = arena_calloc(set->arena, role->n_policies, sizeof *policies);
	for (size_t i = 0; i < role->n_policies; i++)
		policies[i] = copy_policy(set->arena, &role->policies[i]);
	set->roles[place] = (struct role){
		.name = arena_str(set->arena, role->name),
		.description = arena_str(set->arena, role->description),
		.policies = policies,
		.n_policies = role->n_policies,
		.immutable = role->immutable,
	};
}

const struct role *role_set_find(const struct role_set *set, struct str name)
{
	bool there;
	size_t place = find_place(set, name, &there);
	return there ? &set->roles[place] : NULL;
}

size_t role_set_count(const struct role_set *set)
{
	return set->n;
}

const struct role *role_set_at(const struct role_set *set, size_t index)
{
	return &set->roles[index];
}

/* The action that makes the policy allow, or NULL. Denies come first (sorted), and any that matches
 * ends the policy. */
static const struct role_action *policy_allows(
	const struct role_policy *policy, struct str path, struct str method)
{
	for (size_t i = 0; i < policy->n_actions; i++) {
		const struct role_action *a = &policy->actions[i];
		if (!str_eq(a->method, STR("*")) && !str_eq_nocase(a->method, method))
			continue;
		if (a->path.p[0] == '!') {
			if (role_glob_match(str_sub(a->path, 1, a->path.n), path))
				return NULL;
		} else if (role_glob_match(a->path, path)) {
			return a;
		}
	}
	return NULL;
}

static const struct role_action *role_allows(
	const struct role *role, struct str path, struct str method)
{
	for (size_t i = 0; i < role->n_policies; i++) {
		const struct role_action *a = policy_allows(&role->policies[i], path, method);
		if (a)
			return a;
	}
	return NULL;
}

struct role_decision role_set_decide(const struct role_set *set, const struct str *roles,
	size_t n_roles, struct str path, struct str method)
{
	struct role_decision decision = {.allowed = false};
	for (size_t i = 0; i <= n_roles; i++) {
		struct str name = i < n_roles ? roles[i] : ROLE_DEFAULT;
		if (decision.allowed && str_cmp(name, decision.role) >= 0)
			continue; /* the first in order of names is the one to tell */
		const struct role *role = role_set_find(set, name);
		const struct role_action *action = role ? role_allows(role, path, method) : NULL;
		if (action)
			decision = (struct role_decision){true, role->name, action};
	}
	return decision;
}

#define S(text)                                                                                    \
	{                                                                                          \
		"" text "", sizeof(text) - 1                                                       \
	}
#define ANY(path)                                                                                  \
	{                                                                                          \
		S(path), S("*")                                                                    \
	}
#define GET(path)                                                                                  \
	{                                                                                          \
		S(path), S("Get")                                                                  \
	}
#define ROLE(name, description, actions, immutable)                                                \
	{                                                                                          \
		S(name), S(description),                                                           \
			(const struct role_policy[]){{(actions), ARRAY_SIZE(actions)}}, 1,         \
			(immutable)                                                                \
	}

static const struct role_action admin_actions[] = {
	ANY("!/api/agent/*"), ANY("!/api/logger/*"), ANY("!/api/router/*/*/backend/*"), ANY("*")};

static const struct role_action authorizer_actions[] = {{S("/api/auth/authorize"), S("Post")}};

static const struct role_action backend_actions[] = {ANY("/api/agent/listener/*"),
	ANY("/api/agent/worker/*"), GET("/api/configs/backend"), GET("/api/configs/backend/*"),
	GET("/api/pool/*")};

static const struct role_action ctrl_actions[] = {
	ANY("/api/logger/workflow/*"), ANY("/api/router/*/*/backend/*")};

static const struct role_action default_actions[] = {ANY("/api/auth/access_token"),
	GET("/api/auth/keys"), ANY("/api/auth/jwt/access_token"),
	ANY("/api/auth/jwt/refresh_token"), GET("/api/auth/login"), ANY("/api/auth/refresh_token"),
	ANY("/api/router/version"), ANY("/api/version"), ANY("/client/version"), ANY("/health")};

static const struct role_action user_actions[] = {ANY("/api/app"), ANY("/api/app/*"),
	ANY("/api/auth/access_token"), ANY("/api/auth/access_token/user"),
	ANY("/api/auth/access_token/user/*"), ANY("/api/bucket"), ANY("/api/bucket/*"),
	ANY("/api/credentials"), ANY("/api/credentials/*"), ANY("/api/plugins/configs"),
	ANY("/api/pool"), ANY("/api/pool/default/*"), ANY("/api/pool_quota"), ANY("/api/profile/*"),
	ANY("/api/resources"), ANY("/api/resources/*"), ANY("/api/router/*/*/client/*"),
	ANY("/api/router/webserver/*/"), ANY("/api/tag"), ANY("/api/task"), ANY("/api/task/*"),
	ANY("/api/users"), ANY("/api/workflow"), ANY("/api/workflow/*")};

const struct role role_defaults[] = {
	ROLE("osmo-admin", "Administrator role", admin_actions, true),
	ROLE("osmo-authorizer", "For services that ask for decisions", authorizer_actions, false),
	ROLE("osmo-backend", "For backend agents", backend_actions, false),
	ROLE("osmo-ctrl", "For workflow pods", ctrl_actions, false),
	ROLE("osmo-default", "Default role", default_actions, false),
	ROLE("osmo-user", "User role", user_actions, false),
};
const size_t role_defaults_count = ARRAY_SIZE(role_defaults);
