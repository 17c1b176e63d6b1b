/* SPDX-License-Identifier: Apache-2.0 */
/* Counters, gauges and histograms, and their text for Prometheus.
 *
 *     struct counter *denied = metrics_counter(m, "rpc_denied_total", "Calls that were denied.",
 *             METRIC_LABELS({"method", "Set"}));
 *     counter_inc(denied);
 *
 * Every series is registered up front, label values included, so a peer cannot make more of them.
 * Asking again for a series that is there gives the same one: each loop may ask for its own.
 * A family (the series of one name) has one type, one help text and one list of label names;
 * anything else, a malformed name or a full registry is our bug and aborts.
 *
 * A series belongs to the registry and lives as long. Counting is one relaxed atomic add in memory
 * that few threads share; a scrape adds the shards up. Threads: any, also while others register. */
#pragma once

#include "common/base/buf.h"
#include "common/base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct metrics;
struct counter;
struct gauge;
struct histogram;

/* A list of them ends with a name that is NULL; the text is copied. */
struct metric_label {
	const char *name, *value;
};
#define METRIC_LABELS(...) ((const struct metric_label[]){__VA_ARGS__, {NULL, NULL}})

struct metrics *metrics_new(void);
/* Nobody may count any more. NULL is allowed. */
void metrics_free(struct metrics *m);
DEFINE_CLEANUP(struct metrics *, metrics_free);

/* @labels may be NULL: none. Names of counters end in "_total". */
struct counter *metrics_counter(
	struct metrics *m, const char *name, const char *help, const struct metric_label *labels);
struct gauge *metrics_gauge(
	struct metrics *m, const char *name, const char *help, const struct metric_label *labels);

/* The unit that a histogram is fed in, as a part of the unit it is shown in: Prometheus wants base
 * units, whole numbers are cheap to add up. */
enum histogram_unit {
	HISTOGRAM_PLAIN,       /* bytes, items */
	HISTOGRAM_MICROSECONDS /* shown in seconds */
};
/* @bounds: the @count upper bounds, ascending, in the unit that it is fed in; +Inf is added. */
struct histogram *metrics_histogram(struct metrics *m, const char *name, const char *help,
	const struct metric_label *labels, enum histogram_unit unit, const int64_t *bounds,
	size_t count);
/* Bounds for the latency of a call, 50 µs to 10 s. */
extern const int64_t metrics_latency_bounds_us[];
extern const size_t metrics_latency_bounds_count;

/* A value that is asked for at each scrape, on the scraping thread; @arg must outlive the last
 * scrape. A NaN leaves the series out. A series is asked for once: registering it again aborts. */
typedef double(metric_read_fn)(void *arg);
void metrics_gauge_callback(struct metrics *m, const char *name, const char *help,
	const struct metric_label *labels, metric_read_fn *read, void *arg);
void metrics_counter_callback(struct metrics *m, const char *name, const char *help,
	const struct metric_label *labels, metric_read_fn *read, void *arg);

/* Appends all series, in the order of registration (text format 0.0.4); false when @out is full. */
bool metrics_write(struct metrics *m, struct buf *out);
#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

void counter_add(struct counter *c, uint64_t n);
static inline void counter_inc(struct counter *c)
{
	counter_add(c, 1);
}
/* The sum so far; for tests and for values that are shown elsewhere. */
uint64_t counter_value(const struct counter *c);

/* A gauge is either set, or counted up and down; never both. */
void gauge_set(struct gauge *g, int64_t value);
void gauge_add(struct gauge *g, int64_t n);
int64_t gauge_value(const struct gauge *g);

/* Negative values count as 0. */
void histogram_observe(struct histogram *h, int64_t value);
uint64_t histogram_count(const struct histogram *h);
