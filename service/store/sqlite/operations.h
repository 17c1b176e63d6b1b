/* SPDX-License-Identifier: Apache-2.0 */
/* What each operation of the port is in SQL.
 *
 * Threads: that of the connection. */
#pragma once

#include "common/base/clock.h"
#include "common/base/status.h"
#include "service/store/sqlite/connection.h"
#include "service/store/store_ops.h"

/* What a write does to the counters, once it is committed. */
struct operation_effect {
	int64_t user_tokens, service_tokens;
};

/* Does @op on @c and fills in op->out; on failure the transaction may hold a part of it. */
struct status operation_run(struct connection *c, struct store_op *op, struct unix_time now,
	struct operation_effect *effect);

/* Adds @effect to the counters of the database. */
struct status operation_count(struct connection *c, const struct operation_effect *effect);
struct status operation_read_counters(struct connection *c, struct store_counts *ret);

enum {
	REQUEST_LIFETIME_S = 24 * 3600
};
/* Forgets at most @limit requests that may not be repeated any more; *@ret tells how many. */
struct status operation_purge_requests(
	struct connection *c, struct unix_time now, int limit, int *ret);
