/* SPDX-License-Identifier: Apache-2.0 */
/* Clients that insert one token after the other, for benches and for tests of how writes share a
 * sync. The driver's store is on FAULT_VFS, which counts. */
#pragma once

#include "tests/lib/store_driver.h"

#include <stdint.h>

struct store_load_percentiles {
	int64_t p50, p99, p999;
};

struct store_load {
	double took_s;
	int64_t inserts, commits, syncs;
	double sync_us; /* of one, on average */
	struct store_load_percentiles latency_us;
	/* Of an insert: how many syncs ended between its beginning and its answer. Unlike the
	 * time it does not grow with what else the machine does. */
	struct store_load_percentiles waited_syncs;
};

/* Aborts if an insert fails. */
void store_load_run(struct store_driver *d, int n_clients, double seconds, struct store_load *ret);
/* A new one, whose name no other process uses. */
struct token *store_load_token(void);
