/* SPDX-License-Identifier: Apache-2.0 */
/* What a call costs the client of common/rpc: CPU of this process for each WhoAmI, answered by
 * tests/echo_server or a token-service.
 *
 * usage: rpc_client_load ADDRESS [CALLS [AT_ONCE [CONNECTIONS [RETRY [TOKEN]]]]]; with RETRY 1 the
 * method is one that may be sent again */
#include "common/base/arena.h"
#include "common/base/xalloc.h"
#include "common/codec/schema.h"
#include "common/event/loop.h"
#include "common/net/address.h"
#include "common/rpc/call.h"
#include "common/rpc/rpc_client.h"
#include "proto/pb_schema.h"

#include "osmo/token/v1/token_service.pb-c.h"

#include <semaphore.h>
#include <stdio.h>
#include <sys/resource.h>

/* Each makes the next call when its answer is there, on the loop, as the gateway does. */
struct caller {
	struct call call;
	struct loop_task task;
	struct arena *arena;
};

static struct {
	struct schema *schema;
	struct loop *loop;
	struct rpc_client *client;
	struct str authorization;
	long left, failed;
	size_t running;
	sem_t done;
} load;

static const Osmo__Token__V1__WhoAmIRequest request = OSMO__TOKEN__V1__WHO_AM_IREQUEST__INIT;
static const struct call_ops ops;

static void next(struct caller *c)
{
	if (load.left-- <= 0) {
		if (--load.running == 0)
			sem_post(&load.done);
		return;
	}
	call_init(&c->call, &ops);
	c->call.arena = c->arena;
	c->call.method = schema_find_method(load.schema, STR("/osmo.token.v1.TokenService/WhoAmI"));
	c->call.request = (ProtobufCMessage *)(uintptr_t)&request.base;
	c->call.home = load.loop;
	c->call.deadline = mono_time_add_ms(clock_mono(&clock_system), 10000);
	if (load.authorization.n)
		c->call.metadata[CALL_AUTHORIZATION] =
			(struct call_metadata){.value = load.authorization, .count = 1};
	rpc_client_call(load.client, &c->call);
}

static void finished(struct call *call)
{
	load.failed += !status_is_ok(&call->status);
	call_unref(call);
}

static void start_next(struct loop_task *task)
{
	struct caller *c = container_of(task, struct caller, task);
	arena_reset(c->arena);
	next(c);
}

static void release(struct call *call)
{
	struct caller *c = container_of(call, struct caller, call);
	c->task.run = start_next;
	loop_post(load.loop, &c->task);
}

static const struct call_ops ops = {.finished = finished, .release = release};

static double cpu_us(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void check(struct status s)
{
	if (status_is_ok(&s))
		return;
	fprintf(stderr, "rpc_client_load: %s\n", s.message);
	exit(2);
}

static bool always(const struct schema_method *m)
{
	(void)m;
	return true;
}

static long argument(int argc, char **argv, int i, long fallback)
{
	return argc > i ? strtol(argv[i], NULL, 10) : fallback;
}

int main(int argc, char **argv)
{
	if (argc < 2)
		check(status_error(STATUS_INVALID_ARGUMENT, "the address of a service is missing"));
	const long calls = argument(argc, argv, 2, 200000);
	const size_t at_once = (size_t)argument(argc, argv, 3, 64);
	struct address address;
	check(address_parse(str_of(argv[1]), &address));
	check(pb_schema_new(&load.schema));
	load.loop = loop_new();
	const struct rpc_client_options options = {.address = &address,
		.loops = &load.loop,
		.n_loops = 1,
		.schema = load.schema,
		.retry = argument(argc, argv, 5, 0) ? always : NULL,
		.n_connections = (unsigned)argument(argc, argv, 4, 1)};
	check(rpc_client_new(&options, &load.client));
	_cleanup_free_ char *authorization = argc > 6 ? xasprintf("Bearer %s", argv[6]) : NULL;
	load.authorization = str_of(authorization);
	load.left = calls;
	load.running = at_once;
	sem_init(&load.done, 0, 0);
	struct caller *callers = xcalloc(at_once, sizeof *callers);
	const double before = cpu_us();
	const int64_t started = clock_mono(&clock_system).us;
	for (size_t i = 0; i < at_once; i++) {
		callers[i].arena = arena_new();
		callers[i].task.run = start_next;
		loop_post(load.loop, &callers[i].task);
	}
	loop_start(load.loop, "loop");
	sem_wait(&load.done);
	printf("{\"calls\": %ld, \"failed\": %ld, \"cpu_us\": %.1f, \"per_s\": %.0f}\n", calls,
		load.failed, (cpu_us() - before) / (double)calls,
		(double)calls * 1e6 / (double)(clock_mono(&clock_system).us - started));

	rpc_client_stop(load.client);
	loop_stop(load.loop);
	loop_join(load.loop);
	rpc_client_free(load.client);
	loop_free(load.loop);
	for (size_t i = 0; i < at_once; i++)
		arena_free(callers[i].arena);
	free(callers);
	schema_free(load.schema);
	return load.failed != 0;
}
