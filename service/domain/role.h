/* SPDX-License-Identifier: Apache-2.0 */
/* Roles and their policies: who may do what.
 *
 * An action is "http:<path glob>:<method>". A role allows what one of its policies allows; a policy
 * is a list of actions in the order of their text ("!" sorts first), of which the first that
 * applies decides: "!path" denies, in this policy only. Globs are those of Python's fnmatch: '*'
 * matches '/' too, '?' and '[...]' work, case counts. Roles and policies are independent: a deny in
 * one never takes away what another allows.
 *
 * Pure. A struct role_set is immutable once made and is counted by reference. */
#pragma once

#include "common/base/cleanup.h"
#include "common/base/status.h"
#include "common/base/str.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

enum {
	ROLE_NAME_MAX_BYTES = 255,
	ROLE_MAX_POLICIES = 64,
	ROLE_MAX_ACTIONS = 256
};

/* "http:/api/workflow/x:Get": the path has its '!' still on. */
struct role_action {
	struct str path;
	struct str method; /* "*" or capitalised: "Get" */
};

struct role_policy {
	const struct role_action *actions;
	size_t n_actions;
};

/* Plain data; who owns it depends on where it is: a role of a set belongs to the set. */
struct role {
	struct str name;
	struct str description;
	const struct role_policy *policies;
	size_t n_policies;
	bool immutable;
};

/* Parses "http:<path>:<method>"; the texts of *@ret point into @text or to constants.
 * INVALID_ARGUMENT  "Invalid action: X", "Invalid method: X. Method must be one of: [...]" */
struct status role_action_parse(struct str text, struct role_action *ret);
/* fnmatch.fnmatchcase of Python: anchored at both ends. */
bool role_glob_match(struct str glob, struct str text);

struct role_set;

/* An empty set to add to; one reference, the caller's. */
struct role_set *role_set_new(void);
/* Copies @role and sorts its actions; replaces one of the same name. Before the set is shared. */
void role_set_add(struct role_set *set, const struct role *role);
struct role_set *role_set_ref(struct role_set *set);
void role_set_unref(struct role_set *set);
DEFINE_CLEANUP(struct role_set *, role_set_unref);

/* NULL if there is none. */
const struct role *role_set_find(const struct role_set *set, struct str name);
size_t role_set_count(const struct role_set *set);
/* In the order of their names. */
const struct role *role_set_at(const struct role_set *set, size_t index);

/* What allowed something: for Authorize, and for audit. */
struct role_decision {
	bool allowed;
	struct str role; /* the first role in order of names that allows, or empty */
	const struct role_action *action; /* what in it; valid while the set lives */
};

/* Does any of the roles named in @roles, or "osmo-default", allow @method on @path? Unknown names
 * allow nothing. @path is decoded and without query; @method in any case. */
struct role_decision role_set_decide(const struct role_set *set, const struct str *roles,
	size_t n_roles, struct str path, struct str method);

/* The six roles that every installation has: osmo-admin, osmo-authorizer, osmo-backend, osmo-ctrl,
 * osmo-default, osmo-user. */
extern const struct role role_defaults[];
extern const size_t role_defaults_count;

#define ROLE_ADMIN STR("osmo-admin")
#define ROLE_USER STR("osmo-user")
#define ROLE_DEFAULT STR("osmo-default")
