/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/store_load.h"

#include "common/base/list.h"
#include "common/base/xalloc.h"
#include "common/event/loop.h"
#include "tests/lib/fault_vfs.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct run;
struct client {
	struct run *run;
	struct loop_task start;
	int64_t began_us, began_syncs;
};

struct run {
	struct store_driver *d;
	struct latch *latch;
	int64_t end_us;
	int64_t *latencies_us, *syncs; /* of each insert */
	size_t n, capacity;
};

static int64_t now_us(void)
{
	return clock_mono(&clock_system).us;
}

struct token *store_load_token(void)
{
	static _Atomic int64_t next;
	char name[64];
	snprintf(name, sizeof name, "b%lld-%lld", (long long)getpid(),
		(long long)atomic_fetch_add(&next, 1));
	return make_token(TOKEN_USER, "bench", name, 30000);
}

static void on_inserted(
	void *arg, const struct status *status, const struct store_insert_result *result);

static void insert_next(struct client *c)
{
	struct token *t = store_load_token();
	struct store_waiter waiter = {c->run->d->loop, MONO_TIME_NEVER, c};
	c->began_us = now_us();
	c->began_syncs = fault_vfs_counts().syncs;
	store_token_insert(c->run->d->store, t, NULL, NULL, waiter, on_inserted);
	token_unref(t);
}

/* All on the loop's thread. */
static void on_inserted(
	void *arg, const struct status *status, const struct store_insert_result *result)
{
	(void)result;
	struct client *c = arg;
	struct run *r = c->run;
	if (!status_is_ok(status)) {
		fprintf(stderr, "an insert failed: %s\n", status->message);
		abort();
	}
	if (r->n == r->capacity) {
		r->capacity = r->capacity ? r->capacity * 2 : 4096;
		r->latencies_us =
			xreallocarray(r->latencies_us, r->capacity, sizeof *r->latencies_us);
		r->syncs = xreallocarray(r->syncs, r->capacity, sizeof *r->syncs);
	}
	r->syncs[r->n] = fault_vfs_counts().syncs - c->began_syncs;
	r->latencies_us[r->n++] = now_us() - c->began_us;
	if (now_us() < r->end_us)
		insert_next(c);
	else
		latch_down(r->latch);
}

static void on_start(struct loop_task *task)
{
	insert_next(container_of(task, struct client, start));
}

static int compare(const void *a, const void *b)
{
	const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

static struct store_load_percentiles percentiles(int64_t *values, size_t n)
{
	qsort(values, n, sizeof *values, compare);
	return (struct store_load_percentiles){
		values[n / 2], values[n * 99 / 100], values[n * 999 / 1000]};
}

void store_load_run(struct store_driver *d, int n_clients, double seconds, struct store_load *ret)
{
	struct run r = {.d = d, .latch = latch_new(n_clients)};
	struct client *clients = xcalloc((size_t)n_clients, sizeof *clients);
	struct fault_counts before = fault_vfs_counts();
	uint64_t commits = store_stats(d->store).commits;
	int64_t begin_us = now_us();
	r.end_us = begin_us + (int64_t)(seconds * US_PER_S);
	for (int i = 0; i < n_clients; i++) {
		clients[i].run = &r;
		clients[i].start.run = on_start;
		loop_post(d->loop, &clients[i].start);
	}
	latch_wait(r.latch);
	struct fault_counts after = fault_vfs_counts();
	*ret = (struct store_load){
		.took_s = (double)(now_us() - begin_us) / US_PER_S,
		.inserts = (int64_t)r.n,
		.commits = (int64_t)(store_stats(d->store).commits - commits),
		.syncs = after.syncs - before.syncs,
		.latency_us = percentiles(r.latencies_us, r.n),
		.waited_syncs = percentiles(r.syncs, r.n),
	};
	ret->sync_us = (double)(after.syncs_took_us - before.syncs_took_us) / (double)ret->syncs;
	latch_free(r.latch);
	free(r.latencies_us);
	free(r.syncs);
	free(clients);
}
