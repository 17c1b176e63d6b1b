/* SPDX-License-Identifier: Apache-2.0 */
/* What the embedded store and the token cache do: durable inserts a second of many clients at once
 * beside one client that waits for each fsync, lookups a second, and the cost of a cache hit.
 *
 *     bench_store [--seconds N] [--clients N] [--sync-us N] [--disk real|none] [--tokens N]
 *                 [--data-dir DIR]
 *
 * --sync-us makes every sync take at least that long (a slower disk), with --disk none just that
 * long; --tokens fills the store with so many first, and also measures how soon it opens; with
 * --seconds 0 that is all. */
#include "common/base/buf.h"
#include "common/base/file.h"
#include "common/base/random.h"
#include "common/base/xalloc.h"
#include "service/store/cache.h"
#include "service/store/sqlite/sqlite_store.h"
#include "tests/lib/fault_vfs.h"
#include "tests/lib/store_driver.h"
#include "tests/lib/store_load.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
	double seconds;
	int clients, sync_us;
	bool no_disk;
	int64_t tokens;
	const char *data_dir;
} options = {.seconds = 3, .clients = 64};

static double now_s(void)
{
	return (double)clock_mono(&clock_system).us / US_PER_S;
}

static double cpu_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void must(struct status status)
{
	if (status_is_ok(&status))
		return;
	fprintf(stderr, "bench_store: %s\n", status.message);
	exit(1);
}

static double resident_mib(void)
{
	_cleanup_buf_ struct buf text;
	buf_init(&text, 4096);
	must(file_read("/proc/self/statm", 4096, &text));
	const char *resident = strchr(text.p, ' ');
	return (double)strtol(resident, NULL, 10) * (double)sysconf(_SC_PAGESIZE) / (1 << 20);
}

/* Inserts a second of @n_clients. */
static double run_inserts(struct store_driver *d, int n_clients)
{
	struct store_load load;
	double cpu = cpu_s();
	store_load_run(d, n_clients, options.seconds, &load);
	const double n = (double)load.inserts, rate = n / load.took_s;
	printf("%3d clients: %8.0f inserts/s, %5.1f a commit, %5.1f a sync (of %.2f ms), latency "
	       "p50 "
	       "%.2f ms p99 %.2f ms, syncs waited for p50 %lld p99 %lld p99.9 %lld, %.1f us CPU "
	       "each\n",
		n_clients, rate, n / (double)load.commits, n / (double)load.syncs,
		load.sync_us / 1000, (double)load.latency_us.p50 / 1000,
		(double)load.latency_us.p99 / 1000, (long long)load.waited_syncs.p50,
		(long long)load.waited_syncs.p99, (long long)load.waited_syncs.p999,
		(cpu_s() - cpu) * 1e6 / n);
	return rate;
}

/* --- Filling the store, past the port --- */

static void run(sqlite3 *db, const char *sql)
{
	char *error = NULL;
	if (sqlite3_exec(db, sql, NULL, NULL, &error) != SQLITE_OK) {
		fprintf(stderr, "bench_store: %s: %s\n", sql, error);
		exit(1);
	}
}

/* Appends what @query gives, one text a row, each with a semicolon. */
static void append_statements(sqlite3 *db, const char *query, struct buf *out)
{
	sqlite3_stmt *stmt;
	if (sqlite3_prepare_v2(db, query, -1, &stmt, NULL) != SQLITE_OK)
		abort();
	while (sqlite3_step(stmt) == SQLITE_ROW)
		buf_printf(out, "%s; ", (const char *)sqlite3_column_text(stmt, 0));
	sqlite3_finalize(stmt);
}

/* Of one kind, in the order in which they lie in the file. */
static void fill_kind(sqlite3 *db, enum token_kind kind, int64_t n)
{
	sqlite3_stmt *stmt;
	sqlite3_prepare_v2(db,
		"INSERT INTO token (hash, kind, owner, name, description, roles, expires_day, "
		"created_us, last_used_us) VALUES (?1, ?2, ?3, ?4, 'filled in', "
		"'[\"osmo-user\"]', 30000, 1780000000000000, 0)",
		-1, &stmt, NULL);
	for (int64_t i = 0; i < n; i++) {
		if ((i % 100 == 0) != (kind == TOKEN_SERVICE))
			continue;
		char owner[32], name[32];
		snprintf(owner, sizeof owner, "u%07lld", (long long)(i / 10));
		snprintf(name, sizeof name, "t%lld", (long long)(i % 10));
		struct token_hash hash = make_hash(owner, name);
		sqlite3_bind_blob(stmt, 1, hash.bytes, sizeof hash.bytes, SQLITE_STATIC);
		sqlite3_bind_int(stmt, 2, kind);
		sqlite3_bind_text(stmt, 3, owner, -1, SQLITE_STATIC);
		sqlite3_bind_text(stmt, 4, name, -1, SQLITE_STATIC);
		if (sqlite3_step(stmt) != SQLITE_DONE)
			abort();
		sqlite3_reset(stmt);
	}
	sqlite3_finalize(stmt);
}

static void fill(const char *folder, int64_t n)
{
	static const char indexes[] = "FROM sqlite_schema WHERE type = 'index' AND tbl_name = "
				      "'token' AND sql IS NOT NULL";
	char path[256], query[256];
	sqlite3 *db;
	_cleanup_buf_ struct buf drop, make;
	buf_init(&drop, SIZE_MAX);
	buf_init(&make, SIZE_MAX);
	snprintf(path, sizeof path, "%s/tokens.db", folder);
	if (sqlite3_open(path, &db) != SQLITE_OK)
		abort();
	snprintf(query, sizeof query, "SELECT 'DROP INDEX ' || name %s", indexes);
	append_statements(db, query, &drop);
	snprintf(query, sizeof query, "SELECT sql %s", indexes);
	append_statements(db, query, &make);
	run(db, "PRAGMA synchronous = OFF; PRAGMA cache_size = -400000; BEGIN");
	run(db, buf_str(&drop).p);
	fill_kind(db, TOKEN_USER, n);
	fill_kind(db, TOKEN_SERVICE, n);
	run(db, buf_str(&make).p);
	run(db, "UPDATE counter SET value = (SELECT count(*) FROM token WHERE kind = 0) "
		"WHERE name = 'user_tokens'; "
		"UPDATE counter SET value = (SELECT count(*) FROM token WHERE kind = 1) "
		"WHERE name = 'service_tokens'; COMMIT; PRAGMA wal_checkpoint(TRUNCATE)");
	sqlite3_close(db);
}

/* --- Reads --- */

static void measure_reads(struct store_driver *d)
{
	enum {
		N = 20000
	};
	int64_t tokens = options.tokens ? options.tokens : 1;
	double begin = now_s(), cpu = cpu_s();
	uint32_t seed = 1;
	for (int i = 0; i < N; i++) {
		seed = seed * 1664525 + 1013904223;
		int64_t n = (int64_t)(seed >> 4) % tokens;
		char owner[32], name[32];
		snprintf(owner, sizeof owner, "u%07lld", (long long)(n / 10));
		snprintf(name, sizeof name, "t%lld", (long long)(n % 10));
		struct token_hash hash = make_hash(owner, name);
		struct status status = driver_by_hash(d, &hash, NULL);
		if (!status_is_ok(&status) && status.code != STATUS_NOT_FOUND)
			must(status);
	}
	printf("by hash, one after the other: %.0f/s, %.1f us CPU each\n", N / (now_s() - begin),
		(cpu_s() - cpu) * 1e6 / N);

	static char page[64 * 1024];
	for (int any = 0; any < 2; any++) {
		struct store_token_query q = {.kind = TOKEN_USER,
			.any_owner = any,
			.owner = STR("u0000042"),
			.has_after = any,
			.after_name = STR("t5"),
			.after_owner = STR("u0050000"),
			.limit = 100};
		size_t n;
		begin = now_s();
		for (int i = 0; i < 200; i++)
			must(driver_list(d, &q, page, sizeof page, &n));
		printf("a page of %s: %zu tokens, %.0f us\n",
			any ? "all owners' tokens" : "one owner's tokens", n,
			(now_s() - begin) * 1e6 / 200);
	}
}

/* --- The cache --- */

enum {
	CACHED = 1000,
	HITS = 2000000
};
struct cache_bench {
	struct cache *cache;
	struct cache_key keys[CACHED];
};

static void *hit_cache(void *arg)
{
	struct cache_bench *b = arg;
	struct mono_time now = clock_mono(&clock_system);
	for (int i = 0; i < HITS; i++) {
		struct token *t;
		if (cache_get(b->cache, &b->keys[i * 7 % CACHED], now, &t, NULL) != CACHE_HIT)
			abort();
		token_unref(t);
	}
	return NULL;
}

static void measure_cache(void)
{
	struct cache_bench *b = xnew(struct cache_bench);
	b->cache = cache_new(&(struct cache_options){.max_bytes = 16 << 20,
		.ttl_ms = 3600000,
		.unknown_ttl_ms = 1000,
		.random = &random_system});
	struct mono_time now = clock_mono(&clock_system);
	for (int i = 0; i < CACHED; i++) {
		struct token *t = store_load_token(), *got;
		struct cache_ticket ticket;
		b->keys[i] = cache_key_of_hash(&t->fields.hash);
		if (cache_get(b->cache, &b->keys[i], now, &got, &ticket) == CACHE_MISS)
			cache_fill(b->cache, &b->keys[i], ticket, t, now);
		token_unref(t);
	}
	for (int n = 1; n <= 4; n *= 2) {
		pthread_t threads[4];
		double begin = now_s(), cpu = cpu_s();
		for (int i = 0; i < n; i++)
			pthread_create(&threads[i], NULL, hit_cache, b);
		for (int i = 0; i < n; i++)
			pthread_join(threads[i], NULL);
		printf("cache hits, %d threads: %.1f M/s, %.0f ns CPU each\n", n,
			(double)n * HITS / (now_s() - begin) / 1e6,
			(cpu_s() - cpu) * 1e9 / ((double)n * HITS));
	}
	cache_free(b->cache);
	free(b);
}

static void parse(int argc, char **argv)
{
	for (int i = 1; i + 1 < argc; i += 2) {
		double value = strtod(argv[i + 1], NULL);
		if (strcmp(argv[i], "--seconds") == 0)
			options.seconds = value;
		else if (strcmp(argv[i], "--clients") == 0)
			options.clients = (int)value;
		else if (strcmp(argv[i], "--sync-us") == 0)
			options.sync_us = (int)value;
		else if (strcmp(argv[i], "--disk") == 0)
			options.no_disk = strcmp(argv[i + 1], "none") == 0;
		else if (strcmp(argv[i], "--tokens") == 0)
			options.tokens = (int64_t)value;
		else if (strcmp(argv[i], "--data-dir") == 0)
			options.data_dir = argv[i + 1];
		else
			argc = -1;
	}
	if (argc < 0 || argc % 2 == 0) {
		fprintf(stderr, "usage: bench_store [--seconds N] [--clients N] [--sync-us N] "
				"[--disk real|none] [--tokens N] [--data-dir DIR]\n");
		exit(2);
	}
}

static void measure(struct store_driver *d)
{
	measure_reads(d);
	printf("resident after the reads: %.1f MiB\n", resident_mib());
	double one = run_inserts(d, 1);
	double many = run_inserts(d, options.clients);
	printf("%.1f times as many with %d clients\n", many / one, options.clients);
	printf("resident: %.1f MiB\n", resident_mib());
}

int main(int argc, char **argv)
{
	parse(argc, argv);
	fault_vfs_reset();
	fault_vfs_slow_syncs(options.sync_us);
	fault_vfs_real_syncs(!options.no_disk);
	struct store_driver d = {.vfs = FAULT_VFS};
	if (options.data_dir)
		snprintf(d.folder, sizeof d.folder, "%s", options.data_dir);
	must(store_driver_open(&d));
	if (options.tokens && store_token_counts(d.store).user_tokens < options.tokens / 2) {
		store_driver_close(&d);
		double begin = now_s();
		fill(d.folder, options.tokens);
		printf("filled with %lld tokens in %.1f s\n", (long long)options.tokens,
			now_s() - begin);
		must(store_driver_open(&d));
	}
	if (options.tokens) {
		store_driver_close(&d);
		double begin = now_s();
		must(store_driver_open(&d));
		must(driver_check(&d));
		printf("opened and checked in %.1f ms\n", (now_s() - begin) * 1000);
	}
	if (options.seconds > 0)
		measure(&d);
	if (options.data_dir) {
		store_driver_close(&d);
		d.folder[0] = '\0';
	}
	store_driver_done(&d);
	if (options.seconds > 0)
		measure_cache();
	return 0;
}
