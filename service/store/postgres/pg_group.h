/* SPDX-License-Identifier: Apache-2.0 */
/* Writes that share a transaction: sent as one pipeline, answered after its commit.
 *
 * BEGIN, one statement for all inserts, one for all deletes, one for each write of another kind,
 * COMMIT. Threads: the loop's. */
#pragma once

#include "common/base/clock.h"
#include "common/base/list.h"
#include "service/store/postgres/pg_connection.h"
#include "service/store/postgres/pg_shared.h"
#include "service/store/store_ops.h"

#include <stdbool.h>
#include <stdint.h>

struct pg_group;

enum {
	PG_GROUP_MAX = 256
};

enum pg_group_end {
	PG_GROUP_COMMITTED, /* each op->status tells; those in *@unclear wait for a reason */
	PG_GROUP_FAILED,    /* nothing of it was done, because of pg_group_sqlstate */
	PG_GROUP_UNKNOWN,   /* it was done, or not */
};

struct pg_group_effect {
	int64_t user_tokens, service_tokens;
};

/* @done is called once, with the connection in whatever state; it takes the members back by
 * pg_group_take and then frees the group. */
struct pg_group *pg_group_new(struct pg_shared *shared,
	void (*done)(void *arg, struct pg_group *g, enum pg_group_end end), void *arg);
void pg_group_free(struct pg_group *g);

/* False if it has no room, or if @op has a request id that a member has as well. */
bool pg_group_add(struct pg_group *g, struct store_op *op);
size_t pg_group_count(const struct pg_group *g);
/* @stripe: of the counters, 0 .. PG_STRIPES - 1. */
void pg_group_send(struct pg_group *g, struct pg_connection *c, unsigned stripe);

/* All members; of a committed group, inserts and replacements that did nothing go to
 * @unclear. */
void pg_group_take(struct pg_group *g, struct list *members, struct list *unclear);
const char *pg_group_sqlstate(const struct pg_group *g);
struct pg_group_effect pg_group_effect(const struct pg_group *g);
