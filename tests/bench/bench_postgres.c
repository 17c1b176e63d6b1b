/* SPDX-License-Identifier: Apache-2.0 */
/* Durable inserts a second into PostgreSQL: 64 clients of the store, on 8 connections, beside
 * pgbench with 8 connections and the same insert, in turn, on one server that the bench starts.
 *
 *     bench_postgres [--seconds N] [--rounds N] [--clients N] */
#include "common/base/buf.h"
#include "common/base/xalloc.h"
#include "tests/lib/postgres.h"
#include "tests/lib/store_driver.h"
#include "tests/lib/store_load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int seconds = 5, rounds = 3, clients = 64;

static void read_options(int argc, char **argv)
{
	const struct {
		const char *name;
		int *value;
	} known[] = {{"--seconds", &seconds}, {"--rounds", &rounds}, {"--clients", &clients}};
	for (int i = 1; i + 1 < argc; i += 2)
		for (size_t k = 0; k < ARRAY_SIZE(known); k++)
			if (strcmp(argv[i], known[k].name) == 0)
				*known[k].value = (int)strtol(argv[i + 1], NULL, 10);
}

static const char script[] =
	"\\set id random(1, 9000000000000000000)\n"
	"INSERT INTO token (hash, kind, owner, name, description, roles, expires_day, created_us, "
	"last_used_us) VALUES (sha256(int8send(:id)), 0, 'pgbench', 'p' || :id, 'for tests', "
	"'[\"osmo-user\"]', 20800, 1780000000000000, 0);\n";

/* Transactions a second. */
static double run_pgbench(const struct pg_server *server, const char *database)
{
	_cleanup_buf_ struct buf command;
	char path[128], line[512];
	double tps = 0;
	snprintf(path, sizeof path, "%s/insert.sql", pg_server_folder(server));
	FILE *f = fopen(path, "w");
	if (!f)
		abort();
	fputs(script, f);
	fclose(f);
	buf_init(&command, 4096);
	buf_printf(&command,
		"$(ls -d /usr/lib/postgresql/*/bin | tail -1)/pgbench -n -M prepared -c 8 -j 2 "
		"-T %d -f %s -h %s -p 5432 -U postgres %s 2>&1",
		seconds, path, pg_server_folder(server), database);
	FILE *out = popen(command.p, "r");
	while (out && fgets(line, sizeof line, out))
		if (strncmp(line, "tps = ", 6) == 0)
			tps = strtod(line + 6, NULL);
	if (!out || pclose(out) != 0 || tps <= 0) {
		fputs("bench_postgres: pgbench failed\n", stderr);
		exit(1);
	}
	return tps;
}

int main(int argc, char **argv)
{
	read_options(argc, argv);
	struct pg_server *server = pg_server_new(NULL);
	struct store_driver d = {.server = server, .n_connections = 8};
	struct status status = store_driver_open(&d);
	if (!status_is_ok(&status)) {
		fprintf(stderr, "bench_postgres: %s\n", status.message);
		return 1;
	}
	double ours = 0, theirs = 0;
	for (int i = 0; i < rounds; i++) {
		struct store_load load;
		store_load_run(&d, clients, seconds, &load);
		double rate = (double)load.inserts / load.took_s;
		double tps = run_pgbench(server, d.database);
		printf("store: %.0f inserts/s, %.1f a transaction, p50 %.1f ms, p99 %.1f ms; "
		       "pgbench: %.0f/s; ratio %.2f\n",
			rate, (double)load.inserts / (double)(load.commits ? load.commits : 1),
			(double)load.latency_us.p50 / 1e3, (double)load.latency_us.p99 / 1e3, tps,
			rate / tps);
		fflush(stdout);
		ours += rate;
		theirs += tps;
	}
	printf("all rounds: %.2f of pgbench\n", ours / theirs);
	store_driver_done(&d);
	pg_server_free(server);
	return 0;
}
