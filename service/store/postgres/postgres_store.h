/* SPDX-License-Identifier: Apache-2.0 */
/* The store of several replicas: a PostgreSQL database.
 *
 * Each loop has connections of its own, on which nothing blocks; calls are answered on the loop
 * that asked. Writes that wait share a transaction. A thread of the store's own listens to what
 * other replicas change. While the database is away operations answer UNAVAILABLE, and go on by
 * themselves once it is back, be it on another host. */
#pragma once

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/base/str.h"
#include "common/event/loop.h"

#include <stdbool.h>
#include <stddef.h>

struct metrics;
struct pq;
struct store;

/* What store_name() says of it, and the steps of the schema that it has alone. */
#define POSTGRES_STORE_NAME "postgres"

struct postgres_store_options {
	const char *url;           /* see pg_target.h */
	const char *direct_url;    /* past the pooler, for LISTEN; NULL: there is none */
	const char *password_file; /* NULL: none */
	bool pooler;               /* a pooler that shares connections by transaction */
	struct loop *home;         /* runs whenever operations are to be answered */
	struct loop *const *loops; /* of the calls; they may begin to run later, or never */
	size_t n_loops;
	size_t n_connections;     /* of all loops; 0: 8 */
	int connect_timeout_ms;   /* 0: 3 s */
	int statement_timeout_ms; /* 0: 5 s */
	size_t max_waiting;    /* reads, and writes, before RESOURCE_EXHAUSTED; 0: 4,096 of each */
	int tick_ms;           /* between two looks at counts and notifications; 0: 2 s */
	int purge_interval_ms; /* of requests that are too old to be repeated; 0: 1 min */
	const struct clock *clock;
	const struct pq *pq; /* NULL: libpq */
};

/* As the check of an option. */
struct status postgres_store_check_url(struct str url);

/* Connects later, by itself: a database that is away is no error. If its schema is newer than this
 * program, operations answer FAILED_PRECONDITION.
 *
 * INVALID_ARGUMENT  on "url" or "direct_url": as pg_target_parse has it */
struct status postgres_store_open(const struct postgres_store_options *options, struct store **ret);

/* What is particular to this store, for Prometheus. Before threads start that scrape. */
void postgres_store_register_metrics(struct store *s, struct metrics *m);
