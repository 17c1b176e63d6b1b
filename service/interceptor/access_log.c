/* SPDX-License-Identifier: Apache-2.0 */
#include "service/interceptor/access_log.h"

#include "common/base/log.h"
#include "common/base/xalloc.h"
#include "common/codec/schema.h"
#include "common/metrics/metrics.h"

#include <string.h>

struct method_metrics {
	struct counter *codes[STATUS_CODE_COUNT];
	struct histogram *latency;
};

struct access_log {
	bool log_calls;
	struct method_metrics *methods; /* by schema_method.index */
};

struct access_log *access_log_new(
	const struct schema *schema, struct metrics *metrics, bool log_calls)
{
	struct access_log *l = xnew(struct access_log);
	size_t n = schema_method_count(schema);
	l->log_calls = log_calls;
	l->methods = xcalloc(n, sizeof *l->methods);
	for (size_t i = 0; i < n; i++) {
		const struct schema_method *m = schema_method_at(schema, i);
		for (size_t code = 0; code < STATUS_CODE_COUNT; code++)
			l->methods[i].codes[code] = metrics_counter(metrics,
				"token_service_calls_total", "Calls answered, by method and code.",
				METRIC_LABELS({"method", m->path + 1},
					{"code", status_code_name((enum status_code)code)}));
		l->methods[i].latency =
			metrics_histogram(metrics, "token_service_call_duration_seconds",
				"Time from reading a call to its answer.",
				METRIC_LABELS({"method", m->path + 1}), HISTOGRAM_MICROSECONDS,
				metrics_latency_bounds_us, metrics_latency_bounds_count);
	}
	return l;
}

void access_log_free(struct access_log *l)
{
	if (!l)
		return;
	free(l->methods);
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
	struct method_metrics *m = &l->methods[c->method->index];
	int64_t duration_us = clock_mono(&clock_system).us - c->received.us;
	counter_inc(m->codes[c->status.code]);
	histogram_observe(m->latency, duration_us);
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
