/* SPDX-License-Identifier: Apache-2.0 */
/* Reads: one statement each, in a unit of its own, so that many share a connection and none harms
 * another. Threads: the loop's. */
#pragma once

#include "common/base/clock.h"
#include "common/base/status.h"
#include "service/store/postgres/pg_connection.h"
#include "service/store/store_ops.h"

/* Adds the statement of @op to the unit that was begun. An insert or a replacement that did
 * nothing is a read as well: it asks why. */
void pg_read_add(struct pg_connection *c, const struct store_op *op, struct unix_time now);
/* Fills in op->out from the result of that statement, which is no error. */
struct status pg_read_take(struct store_op *op, const PGresult *result);
