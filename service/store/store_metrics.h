/* SPDX-License-Identifier: Apache-2.0 */
/* What the store, the token cache and the lookups show to Prometheus. Before threads start. */
#pragma once

struct cache;
struct metrics;
struct store;
struct token_lookup;

/* All outlive the last scrape. */
void store_metrics_register(struct store *s, struct metrics *m);
void store_metrics_register_cache(
	struct cache *cache, const struct token_lookup *lookup, struct metrics *m);
