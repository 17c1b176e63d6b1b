/* SPDX-License-Identifier: Apache-2.0 */
/* Calls by method and code, and how long they took: the same families in each program that answers
 * calls. Threads: any. */
#pragma once

#include <stdint.h>

struct call;
struct call_metrics;
struct metrics;
struct schema;

/* Registers @calls, a counter ("x_calls_total"), and @duration, a histogram
 * ("x_call_duration_seconds"), with a series for each method of @schema. */
struct call_metrics *call_metrics_new(const struct schema *schema, struct metrics *metrics,
	const char *calls, const char *duration);
/* NULL is allowed. */
void call_metrics_free(struct call_metrics *m);

/* Counts a call that was answered; for call->observe. Returns the microseconds it took. */
int64_t call_metrics_note(struct call_metrics *m, const struct call *c);
