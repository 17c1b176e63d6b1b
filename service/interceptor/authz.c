/* SPDX-License-Identifier: Apache-2.0 */
#include "service/interceptor/authz.h"

struct call_step authz_unauthenticated(struct call *c)
{
	c->reply_headers[CALL_REPLY_WWW_AUTHENTICATE] = STR("Bearer realm=\"osmo\"");
	return call_failed(c, status_error(STATUS_UNAUTHENTICATED, "authentication is required"));
}

struct call_step authz_denied(struct call *c, struct status status)
{
	c->reply_headers[CALL_REPLY_WWW_AUTHENTICATE] =
		STR("Bearer realm=\"osmo\", error=\"insufficient_scope\"");
	return call_failed(c, status);
}

static struct call_step refuse(
	struct call *c, const struct permission *needed, const struct access_decision *d)
{
	const struct principal *p = call_context(c)->principal;
	if (p->kind == PRINCIPAL_ANONYMOUS)
		return authz_unauthenticated(c);
	if (!needed->path.n)
		return call_failed(c, status_error(STATUS_INVALID_ARGUMENT,
					      "a name in the request is longer than any can be"));
	if (d->policy.n)
		return authz_denied(c, status_error(STATUS_PERMISSION_DENIED,
					       "personal access tokens may not do this: "
					       "http:%.*s:%.*s is denied by "
					       "configuration",
					       STR_ARG(needed->path), STR_ARG(needed->method)));
	return authz_denied(
		c, status_error(STATUS_PERMISSION_DENIED, "permission http:%.*s:%.*s is required",
			   STR_ARG(needed->path), STR_ARG(needed->method)));
}

struct call_step authz_run(void *self, struct call *c)
{
	const struct authz *authz = self;
	struct call_context *ctx = call_context(c);
	struct permission needed = {.any_credential = false};
	authz->permission_of(authz->permission_arg, c, &needed);
	if (needed.any_credential)
		return ctx->principal->kind == PRINCIPAL_ANONYMOUS ? authz_unauthenticated(c)
								   : call_next(c);
	ctx->action_path = needed.path;
	ctx->action_method = needed.method;
	struct access_decision d =
		access_decide(authz->policy, ctx->principal, needed.path, needed.method, c->arena);
	return d.allowed ? call_next(c) : refuse(c, &needed, &d);
}
