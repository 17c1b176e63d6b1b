/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/store_metrics.h"

#include "common/base/clock.h"
#include "common/base/xalloc.h"
#include "common/metrics/metrics.h"
#include "service/store/cache.h"
#include "service/store/store_ops.h"
#include "service/store/token_lookup.h"

/* --- Operations --- */

struct operations {
	struct histogram *duration[STORE_OP_COUNT];
	struct counter *errors[STATUS_CODE_COUNT];
};

/* Errors of the store; the others are answers about the request. */
static const enum status_code error_codes[] = {
	STATUS_DEADLINE_EXCEEDED, STATUS_RESOURCE_EXHAUSTED, STATUS_INTERNAL, STATUS_UNAVAILABLE};

static void on_ended(void *arg, const struct store_op *op)
{
	const struct operations *o = arg;
	histogram_observe(o->duration[op->type], clock_mono(&clock_system).us - op->begun.us);
	if (o->errors[op->status.code])
		counter_inc(o->errors[op->status.code]);
}

static void register_operations(struct store *s, struct metrics *m)
{
	struct operations *o = xnew(struct operations);
	for (int type = 0; type < STORE_OP_COUNT; type++)
		o->duration[type] = metrics_histogram(m, "token_service_store_duration_seconds",
			"Time from asking the store to its answer, by operation.",
			METRIC_LABELS({"operation", store_op_name((enum store_op_type)type)}),
			HISTOGRAM_MICROSECONDS, metrics_latency_bounds_us,
			metrics_latency_bounds_count);
	for (size_t i = 0; i < ARRAY_SIZE(error_codes); i++)
		o->errors[error_codes[i]] = metrics_counter(m, "token_service_store_errors_total",
			"Operations that the store did not do, by code.",
			METRIC_LABELS({"code", status_code_name(error_codes[i])}));
	s->ended = on_ended;
	s->ended_arg = o;
}

/* --- The store --- */

static double read_user_tokens(void *arg)
{
	return (double)store_token_counts(arg).user_tokens;
}

static double read_service_tokens(void *arg)
{
	return (double)store_token_counts(arg).service_tokens;
}

static double read_commits(void *arg)
{
	return (double)store_stats(arg).commits;
}

static double read_writes(void *arg)
{
	return (double)store_stats(arg).writes;
}

static double read_waiting_reads(void *arg)
{
	return (double)store_stats(arg).waiting_reads;
}

static double read_waiting_writes(void *arg)
{
	return (double)store_stats(arg).waiting_writes;
}

static double read_can_write(void *arg)
{
	return store_stats(arg).can_write;
}

void store_metrics_register(struct store *s, struct metrics *m)
{
	register_operations(s, m);
	metrics_gauge_callback(m, "token_service_tokens",
		"Tokens stored, by kind; expired ones count.", METRIC_LABELS({"kind", "USER"}),
		read_user_tokens, s);
	metrics_gauge_callback(m, "token_service_tokens",
		"Tokens stored, by kind; expired ones count.", METRIC_LABELS({"kind", "SERVICE"}),
		read_service_tokens, s);
	metrics_counter_callback(m, "token_service_store_commits_total",
		"Transactions that changed the store.", NULL, read_commits, s);
	metrics_counter_callback(m, "token_service_store_writes_total",
		"Writes in them that succeeded.", NULL, read_writes, s);
	metrics_gauge_callback(m, "token_service_store_waiting",
		"Operations that wait for a thread of the store.", METRIC_LABELS({"queue", "read"}),
		read_waiting_reads, s);
	metrics_gauge_callback(m, "token_service_store_waiting",
		"Operations that wait for a thread of the store.",
		METRIC_LABELS({"queue", "write"}), read_waiting_writes, s);
	metrics_gauge_callback(m, "token_service_store_writable",
		"1 unless the last write failed for a reason of the store's (a full disk).", NULL,
		read_can_write, s);
}

/* --- Cache and lookups --- */

static double read_hits(void *arg)
{
	return (double)cache_stats(arg).hits;
}

static double read_unknown_hits(void *arg)
{
	return (double)cache_stats(arg).unknown_hits;
}

static double read_misses(void *arg)
{
	return (double)cache_stats(arg).misses;
}

static double read_evictions(void *arg)
{
	return (double)cache_stats(arg).evictions;
}

static double read_entries(void *arg)
{
	return (double)cache_stats(arg).entries;
}

static double read_bytes(void *arg)
{
	return (double)cache_stats(arg).bytes;
}

static double read_joined(void *arg)
{
	return (double)token_lookup_stats(arg).joined;
}

static double read_reads(void *arg)
{
	return (double)token_lookup_stats(arg).reads;
}

void store_metrics_register_cache(
	struct cache *cache, const struct token_lookup *lookup, struct metrics *m)
{
	static const char name[] = "token_service_cache_lookups_total";
	static const char help[] = "Lookups in the token cache, by result.";
	void *l = (void *)(uintptr_t)lookup; /* only read */
	metrics_counter_callback(m, name, help, METRIC_LABELS({"result", "hit"}), read_hits, cache);
	metrics_counter_callback(
		m, name, help, METRIC_LABELS({"result", "unknown"}), read_unknown_hits, cache);
	metrics_counter_callback(
		m, name, help, METRIC_LABELS({"result", "miss"}), read_misses, cache);
	metrics_counter_callback(m, "token_service_cache_evictions_total",
		"Entries that gave way to newer ones.", NULL, read_evictions, cache);
	metrics_gauge_callback(m, "token_service_cache_entries", "Entries of the token cache.",
		NULL, read_entries, cache);
	metrics_gauge_callback(m, "token_service_cache_bytes", "Memory of the token cache.", NULL,
		read_bytes, cache);
	metrics_counter_callback(m, "token_service_lookup_reads_total",
		"Reads of the store by token lookups.", NULL, read_reads, l);
	metrics_counter_callback(m, "token_service_lookup_joined_total",
		"Token lookups that shared the read of another.", NULL, read_joined, l);
}
