/* SPDX-License-Identifier: Apache-2.0 */
/* The keeper of the database: a thread with a connection of its own, which brings the schema up to
 * date, listens to what other replicas do, and sees to what has time (counts, old requests).
 *
 * After a loss of the connection it tells the listeners that anything may have changed, once it
 * hears again. A probe goes the way of the notifications now and then, so that a connection which
 * is dead without a word is noticed, and the delay is known. */
#pragma once

#include "service/store/postgres/pg_shared.h"

struct pg_keeper;

/* @look is called on the keeper's thread whenever the schema's state has changed. */
struct pg_keeper *pg_keeper_new(struct pg_shared *shared, void (*look)(void *arg), void *arg);
/* Once; any thread. */
void pg_keeper_start(struct pg_keeper *k);
/* Tells it to stop; any thread. */
void pg_keeper_stop(struct pg_keeper *k);
/* Waits for its end, if it was started. NULL is allowed. */
void pg_keeper_free(struct pg_keeper *k);
