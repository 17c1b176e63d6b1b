/* SPDX-License-Identifier: Apache-2.0 */
/* What the codec and the router cost per call, in nanoseconds of CPU: the median of several rounds.
 */
#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/codec/pbjson.h"
#include "gateway/transcode.h"
#include "proto/pb_schema.h"

#include "osmo/token/v1/token_service.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	ROUNDS = 9,
	CALLS = 100000
};

static struct schema *schema;
static struct router *router;
static struct arena *arena;
static struct buf out;

static void must(struct status status)
{
	if (status.code == STATUS_OK)
		return;
	fprintf(stderr, "bench_pbjson: %s\n", status.message);
	abort();
}

static double cpu_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void measure(const char *name, void (*run)(void))
{
	double rounds[ROUNDS];
	for (int i = 0; i < ROUNDS; i++) {
		const double start = cpu_ns();
		for (int k = 0; k < CALLS; k++)
			run();
		rounds[i] = (cpu_ns() - start) / CALLS;
	}
	qsort(rounds, ROUNDS, sizeof rounds[0], compare);
	printf("%-28s %7.0f ns\n", name, rounds[ROUNDS / 2]);
}

#define TEXT(literal) ((char *)(uintptr_t)(literal))

static void write_whoami(void)
{
	char *roles[] = {TEXT("osmo-user"), TEXT("osmo-admin")};
	Osmo__Token__V1__WhoAmIResponse m = OSMO__TOKEN__V1__WHO_AM_IRESPONSE__INIT;
	m.user = TEXT("alice@example.com");
	m.n_roles = ARRAY_SIZE(roles);
	m.roles = roles;
	m.token_name = TEXT("my-token");
	m.expire_date = TEXT("2026-12-31");
	m.auth_method = TEXT("access_token");
	buf_reset(&out);
	must(pbjson_write(schema, schema_message_of(schema, m.base.descriptor), &m.base, &out));
}

static void read_set(void)
{
	static const struct str body = STR(
		"{\"name\": \"my-token\", \"kind\": \"SERVICE\", \"description\": \"for CI\", "
		"\"roles\": [\"osmo-user\", \"osmo-backend\"], \"expireDate\": \"2026-12-31\"}");
	const struct pbjson_in in = {.schema = schema, .arena = arena};
	const struct schema_message *m =
		schema_message_of(schema, &osmo__token__v1__set_request__descriptor);
	must(pbjson_read(&in, m, body, pbjson_message_new(m, arena)));
	arena_reset(arena);
}

static void match(const char *method, const char *path)
{
	struct route_match m;
	struct refusal refusal = router_match(router, str_of(method), str_of(path), arena, &m);
	must(refusal.status);
	arena_reset(arena);
}

static void match_fixed(void)
{
	match("GET", "/v1/whoami");
}

static void match_variable(void)
{
	match("DELETE", "/api/auth/access_token/user/my-token");
}

static void transcode_whoami(void)
{
	const struct transcode_input in = {.dialect = dialect_of(STR("/v1/whoami"))};
	struct route_match m;
	struct refusal refusal = router_match(router, STR("GET"), STR("/v1/whoami"), arena, &m);
	must(refusal.status);
	ProtobufCMessage *message = NULL;
	refusal = transcode_request(schema, &m, &in, arena, &message);
	must(refusal.status);
	arena_reset(arena);
	write_whoami();
}

int main(void)
{
	must(pb_schema_new(&schema));
	must(router_new(schema, &router));
	arena = arena_new();
	buf_init(&out, 1 << 20);
	measure("write a WhoAmI reply", write_whoami);
	measure("read a Set request", read_set);
	measure("route /v1/whoami", match_fixed);
	measure("route .../user/{name}", match_variable);
	measure("WhoAmI, path to JSON", transcode_whoami);
	buf_done(&out);
	arena_free(arena);
	router_free(router);
	schema_free(schema);
	return 0;
}
