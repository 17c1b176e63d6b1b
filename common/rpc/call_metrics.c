/* SPDX-License-Identifier: Apache-2.0 */
#include "common/rpc/call_metrics.h"

#include "common/base/xalloc.h"
#include "common/codec/schema.h"
#include "common/metrics/metrics.h"
#include "common/rpc/call.h"

#include <stdlib.h>

struct method_metrics {
	struct counter *codes[STATUS_CODE_COUNT];
	struct histogram *duration;
};

struct call_metrics {
	struct method_metrics *methods; /* by schema_method.index */
};

struct call_metrics *call_metrics_new(const struct schema *schema, struct metrics *metrics,
	const char *calls, const char *duration)
{
	struct call_metrics *m = xnew(struct call_metrics);
	size_t n = schema_method_count(schema);
	m->methods = xcalloc(n, sizeof *m->methods);
	for (size_t i = 0; i < n; i++) {
		const char *method = schema_method_at(schema, i)->path + 1;
		for (size_t code = 0; code < STATUS_CODE_COUNT; code++)
			m->methods[i].codes[code] = metrics_counter(metrics, calls,
				"Calls answered, by method and code.",
				METRIC_LABELS({"method", method},
					{"code", status_code_name((enum status_code)code)}));
		m->methods[i].duration = metrics_histogram(metrics, duration,
			"Time from reading a call to its answer.",
			METRIC_LABELS({"method", method}), HISTOGRAM_MICROSECONDS,
			metrics_latency_bounds_us, metrics_latency_bounds_count);
	}
	return m;
}

void call_metrics_free(struct call_metrics *m)
{
	if (!m)
		return;
	free(m->methods);
	free(m);
}

int64_t call_metrics_note(struct call_metrics *m, const struct call *c)
{
	struct method_metrics *method = &m->methods[c->method->index];
	int64_t duration_us = clock_mono(&clock_system).us - c->received.us;
	counter_inc(method->codes[c->status.code]);
	histogram_observe(method->duration, duration_us);
	return duration_us;
}
