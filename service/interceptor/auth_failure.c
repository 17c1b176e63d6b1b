/* SPDX-License-Identifier: Apache-2.0 */
#include "service/interceptor/auth_failure.h"

#include "common/base/log.h"
#include "common/codec/schema.h"
#include "common/metrics/metrics.h"

enum {
	LOGGED_PER_S = 10,
	LOGGED_AT_ONCE = 100
};

static const char *const places[AUTH_FAILURE_PLACES] = {
	[AUTH_FAILURE_CALL] = "call",
	[AUTH_FAILURE_EXCHANGE] = "exchange",
	[AUTH_FAILURE_AUTHORIZE] = "authorize",
};

void auth_failures_init(struct auth_failures *f, const struct clock *clock, struct metrics *metrics)
{
	f->clock = clock;
	rate_limit_init(&f->limit, LOGGED_PER_S, LOGGED_AT_ONCE);
	for (size_t i = 0; i < AUTH_FAILURE_PLACES; i++)
		f->counters[i] = metrics_counter(metrics, "token_service_auth_failures_total",
			"Credentials that were refused, by what they were given for.",
			METRIC_LABELS({"place", places[i]}));
}

void auth_failures_note(struct auth_failures *f, const struct call *c,
	enum auth_failure_place place, const char *reason)
{
	uint64_t held_back;
	if (!f)
		return;
	counter_inc(f->counters[place]);
	if (!rate_limit_pass(&f->limit, clock_mono(f->clock), &held_back))
		return;
	log_warning("auth.failed", LOG_TEXT("request_id", c->request_id),
		LOG_TEXT("method", c->method->path), LOG_TEXT("place", places[place]),
		LOG_TEXT("reason", reason), LOG_STR("peer", c->peer.text),
		LOG_STR("forwarded_for", c->metadata[CALL_FORWARDED_FOR].value),
		LOG_TEXT("transport", c->transport), LOG_I64("held_back", (int64_t)held_back));
}
