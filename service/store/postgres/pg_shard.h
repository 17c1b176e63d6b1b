/* SPDX-License-Identifier: Apache-2.0 */
/* The part of the store that lives on one loop: its connections, and the operations that wait for
 * one.
 *
 * Reads go many at a time through one connection; the writes that wait become a group and take
 * another. While a group commits the next one gathers. Without any connection, and with none to be
 * hoped for, operations are answered UNAVAILABLE at once.
 * Threads: submit, look and stop may be called by any; all else is the loop's. */
#pragma once

#include "common/event/loop.h"
#include "service/store/postgres/pg_shared.h"
#include "service/store/store_ops.h"

#include <stdbool.h>
#include <stddef.h>

struct pg_shard;

struct pg_shard *pg_shard_new(struct pg_shared *shared, struct loop *loop, size_t n_connections);
/* After it stopped, or if its loop never ran. */
void pg_shard_free(struct pg_shard *s);

/* Its loop runs. */
bool pg_shard_is_alive(const struct pg_shard *s);
/* It has a connection. */
bool pg_shard_is_up(const struct pg_shard *s);
struct loop *pg_shard_loop(const struct pg_shard *s);

/* False: it is shut down, and the caller keeps @op. */
bool pg_shard_submit(struct pg_shard *s, struct store_op *op);
/* The state of the schema has changed. */
void pg_shard_look(struct pg_shard *s);
/* Finishes what was begun and what waits, closes, and calls @stopped on its loop; false, and no
 * call, if its loop never ran. */
bool pg_shard_stop(struct pg_shard *s, void (*stopped)(void *arg), void *arg);

/* Whether @op changes the database, and belongs into a group. */
bool pg_shard_is_write(const struct pg_shared *shared, const struct store_op *op);
