/* SPDX-License-Identifier: Apache-2.0 */
/* Counts and logs the end of every call, and writes the audit log.
 *
 * Audit events: every call that changes something, lists what belongs to others, or was denied:
 * who, what, from where, request id, result. */
#pragma once

#include "service/interceptor/chain.h"

#include <stdbool.h>

struct metrics;
struct schema;
struct access_log;

/* @log_calls: a line for every call (audit lines are written always). */
struct access_log *access_log_new(
	const struct schema *schema, struct metrics *metrics, bool log_calls);
void access_log_free(struct access_log *l);

/* self: a struct access_log. */
struct call_step access_log_run(void *self, struct call *c);
