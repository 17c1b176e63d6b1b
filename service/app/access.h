/* SPDX-License-Identifier: Apache-2.0 */
/* May this principal do that? The one place where roles meet configuration.
 *
 * Used by the authz step for our own RPCs and by Authorize for somebody else's call. Threads: any.
 */
#pragma once

#include "common/base/status.h"
#include "common/base/str.h"
#include "service/domain/principal.h"
#include "service/domain/role.h"

#include <stdbool.h>
#include <stddef.h>

/* What a personal token may never do, whatever its roles say. */
struct access_rule {
	struct role_action action;
};

struct access_policy {
	/* The roles of the moment, with a reference for the caller; never NULL. */
	struct role_set *(*roles)(void *arg);
	void *roles_arg;
	const struct access_rule *personal_token_denied;
	size_t n_personal_token_denied;
};

struct access_decision {
	bool allowed;
	const char *reason; /* "allowed", "no role allows it", "denied by configuration" */
	struct str role;    /* the role that allows, or empty; in the arena */
	struct str policy;  /* "http:/api/workflow/<star>:<star>": the action or the rule that
			     * decided; in  the arena */
};

/* @path is decoded, without query. @arena takes the texts of the answer. */
struct access_decision access_decide(const struct access_policy *policy,
	const struct principal *principal, struct str path, struct str method, struct arena *arena);

/* A path that rules may be applied to: it begins with one '/', and has no empty, "." or ".."
 * segment and no control byte. One that is not canonical never reaches a rule. */
bool access_path_is_canonical(struct str path);
