/* SPDX-License-Identifier: Apache-2.0 */
#include "service/interceptor/access_log.h"

#include "common/base/log.h"
#include "common/base/xalloc.h"
#include "common/codec/schema.h"
#include "common/rpc/call_metrics.h"

#include <stdlib.h>

struct access_log {
	bool log_calls;
	struct call_metrics *metrics;
};

struct access_log *access_log_new(
	const struct schema *schema, struct metrics *metrics, bool log_calls)
{
	struct access_log *l = xnew(struct access_log);
	l->log_calls = log_calls;
	l->metrics = call_metrics_new(schema, metrics, "token_service_calls_total",
		"token_service_call_duration_seconds");
	return l;
}

void access_log_free(struct access_log *l)
{
	if (!l)
		return;
	call_metrics_free(l->metrics);
	free(l);
}

/* Tokens and roles that are made, changed or deleted, what is done with tokens of others (lists
 * too), and denials. Not decisions for other services, of which there is one for each call of a
 * platform. */
static bool is_audited(const struct call *c, const struct call_context *ctx)
{
	if (c->status.code == STATUS_PERMISSION_DENIED)
		return true;
	if (str_starts_with(ctx->action_path, STR("/api/auth/user/")))
		return true;
	if (str_eq_nocase(ctx->action_method, STR("Get")))
		return str_eq(ctx->action_path, STR("/api/auth/access_token/service"));
	return str_starts_with(ctx->action_path, STR("/api/auth/access_token/")) ||
	       str_starts_with(ctx->action_path, STR("/api/configs/role"));
}

/* What all lines about a call tell; the log cuts and escapes. */
static void write_line(const struct call *c, const struct call_context *ctx, const char *event,
	int64_t duration_us)
{
	const struct principal *p = ctx->principal ? ctx->principal : &principal_anonymous;
	const char *kind = p->kind == PRINCIPAL_SERVICE ? "service"
			   : p->kind == PRINCIPAL_USER  ? "user"
							: "anonymous";
	log_info(event, LOG_TEXT("request_id", c->request_id), LOG_TEXT("method", c->method->path),
		LOG_TEXT("code", status_code_name(c->status.code)),
		LOG_I64("duration_us", duration_us), LOG_TEXT("principal_kind", kind),
		LOG_STR("principal", p->name), LOG_TEXT("auth_method", auth_method_name(p->method)),
		LOG_STR("token_name", p->token ? p->token->fields.name : STR("")),
		LOG_STR("action_path", ctx->action_path),
		LOG_STR("action_method", ctx->action_method), LOG_STR("peer", c->peer.text),
		LOG_STR("forwarded_for", c->metadata[CALL_FORWARDED_FOR].value),
		LOG_TEXT("transport", c->transport), LOG_TEXT("error", c->status.message),
		LOG_STR("traceparent", c->metadata[CALL_TRACEPARENT].value));
}

static void on_end(struct call *c)
{
	struct call_context *ctx = call_context(c);
	struct access_log *l = ctx->access_log;
	int64_t duration_us = call_metrics_note(l->metrics, c);
	if (is_audited(c, ctx))
		write_line(c, ctx, "audit", duration_us);
	if (status_code_is_our_fault(c->status.code))
		log_error("call.internal", LOG_TEXT("request_id", c->request_id),
			LOG_TEXT("method", c->method->path), LOG_STATUS(&c->status));
	if (l->log_calls)
		write_line(c, ctx, "call", duration_us);
}

struct call_step access_log_run(void *self, struct call *c)
{
	call_context(c)->access_log = self;
	c->observe = on_end;
	return call_next(c);
}
