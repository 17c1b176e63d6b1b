/* SPDX-License-Identifier: Apache-2.0 */
/* The role interceptor: may this principal make this call?
 *
 * No role that allows it is UNAUTHENTICATED if the call carried no credential, PERMISSION_DENIED if
 * it did; the message names the permission that is missing. */
#pragma once

#include "service/app/access.h"
#include "service/interceptor/chain.h"

/* What a call needs: an action, or just any valid credential. */
struct permission {
	bool any_credential;
	struct str path, method; /* decoded path, "Get" */
};

struct authz {
	const struct access_policy *policy;
	/* Fills in what @c needs; texts in its arena. */
	void (*permission_of)(void *arg, struct call *c, struct permission *ret);
	void *permission_arg;
};

/* self: a const struct authz. */
struct call_step authz_run(void *self, struct call *c);

/* The two answers of a refused call, also for handlers; they set WWW-Authenticate (RFC 6750). */
struct call_step authz_unauthenticated(struct call *c);
struct call_step authz_denied(struct call *c, struct status status);
