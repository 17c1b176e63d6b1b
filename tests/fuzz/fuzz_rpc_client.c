/* SPDX-License-Identifier: Apache-2.0 */
/* A server that sends any bytes, to the whole client: sockets, HTTP/2, gRPC. Three calls are under
 * way; the last one is cancelled when the first ends.
 *
 * The first byte of the input says how many bytes the server sends at a time (0: all), the others
 * are what it sends on each connection, behind SETTINGS that are in order; 255: without these. Then
 * it closes. Every call must end, once, and be let go. */
#include "common/base/arena.h"
#include "common/codec/schema.h"
#include "common/event/loop.h"
#include "common/net/address.h"
#include "common/rpc/call.h"
#include "common/rpc/rpc_client.h"
#include "proto/pb_schema.h"

#include "osmo/token/v1/token_service.pb-c.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	CALLS = 3,
	MAX_CONNECTIONS = 8, /* of one input */
	TIMEOUT_MS = 5000,
};

struct outgoing {
	struct call call;
	bool finished, released;
};

struct server {
	int fd;
	size_t sent;
};

static struct {
	struct schema *schema;
	struct loop *loop;
	struct address address;
	int listener;
	struct rpc_client *client;
	struct outgoing calls[CALLS];
	unsigned n_finished, n_released;
	struct server servers[MAX_CONNECTIONS];
	size_t n_servers;
	/* what they send */
	const uint8_t *bytes;
	size_t n, piece;
	bool with_settings;
} world;

static void finished(struct call *c)
{
	struct outgoing *o = container_of(c, struct outgoing, call);
	/* not by its deadline: the server closes long before */
	if (o->finished || clock_mono(&clock_system).us >= c->deadline.us)
		abort();
	o->finished = true;
	if (world.n_finished++ == 0 && !world.calls[CALLS - 1].finished)
		call_cancel(&world.calls[CALLS - 1].call);
}

static void released(struct call *c)
{
	struct outgoing *o = container_of(c, struct outgoing, call);
	if (o->released)
		abort();
	o->released = true;
	world.n_released++;
}

static void open_world(void)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	/* in the abstract namespace: nothing stays behind */
	snprintf(un.sun_path + 1, sizeof un.sun_path - 1, "fuzz_rpc_client.%d", getpid());
	struct status s = pb_schema_new(&world.schema);
	if (!status_is_ok(&s))
		abort();
	world.loop = loop_new();
	world.address.kind = ADDRESS_UNIX;
	memcpy(world.address.path, un.sun_path, sizeof un.sun_path);
	world.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (bind(world.listener, (struct sockaddr *)&un, sizeof un) < 0 ||
		listen(world.listener, 64) < 0)
		abort();
}

static void start_calls(void)
{
	static const struct call_ops ops = {.finished = finished, .release = released};
	static const Osmo__Token__V1__WhoAmIRequest who = OSMO__TOKEN__V1__WHO_AM_IREQUEST__INIT;
	for (size_t i = 0; i < CALLS; i++) {
		struct outgoing *o = &world.calls[i];
		*o = (struct outgoing){.finished = false};
		call_init(&o->call, &ops);
		o->call.arena = arena_new();
		o->call.method =
			schema_find_method(world.schema, STR("/osmo.token.v1.TokenService/WhoAmI"));
		o->call.request = (ProtobufCMessage *)(uintptr_t)&who.base;
		o->call.home = world.loop;
		o->call.deadline = mono_time_add_ms(clock_mono(&clock_system), TIMEOUT_MS);
		rpc_client_call(world.client, &o->call);
	}
}

static void accept_all(void)
{
	int fd;
	while ((fd = accept4(world.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		static const char settings[] = "\0\0\0\4\0\0\0\0\0\0\0\0\4\1\0\0\0\0";
		if (world.n_servers == MAX_CONNECTIONS) {
			close(fd);
			continue;
		}
		world.servers[world.n_servers++] = (struct server){.fd = fd};
		if (world.with_settings)
			(void)!send(fd, settings, sizeof settings - 1, MSG_NOSIGNAL);
	}
}

/* Sends the next piece, and reads what comes so that the client is never stuck. */
static void serve(struct server *s)
{
	char ignored[65536];
	while (recv(s->fd, ignored, sizeof ignored, 0) > 0)
		;
	size_t left = world.n - s->sent;
	size_t n = left < world.piece ? left : world.piece;
	ssize_t put = n ? send(s->fd, world.bytes + s->sent, n, MSG_NOSIGNAL) : 0;
	if (put > 0)
		s->sent += (size_t)put;
	if (s->sent == world.n || (put < 0 && errno != EAGAIN))
		shutdown(s->fd, SHUT_WR);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!world.schema)
		open_world();
	if (!size)
		return 0;
	world.bytes = data + 1;
	world.n = size - 1;
	world.with_settings = data[0] != 255;
	world.piece = data[0] && data[0] != 255 ? data[0] : size;
	world.n_finished = world.n_released = 0;
	const struct rpc_client_options options = {.address = &world.address,
		.loops = &world.loop,
		.n_loops = 1,
		.schema = world.schema,
		.max_message_bytes = 1 << 16};
	struct status s = rpc_client_new(&options, &world.client);
	if (!status_is_ok(&s))
		abort();
	start_calls();
	while (world.n_finished < CALLS) {
		event_base_loop(loop_base(world.loop), EVLOOP_NONBLOCK);
		accept_all();
		for (size_t i = 0; i < world.n_servers; i++)
			serve(&world.servers[i]);
	}
	for (size_t i = 0; i < CALLS; i++)
		call_unref(&world.calls[i].call);
	while (world.n_released < CALLS) /* a cancellation may still be on its way */
		event_base_loop(loop_base(world.loop), EVLOOP_NONBLOCK);
	for (size_t i = 0; i < CALLS; i++)
		arena_free(world.calls[i].call.arena);
	rpc_client_free(world.client);
	accept_all();
	for (size_t i = 0; i < world.n_servers; i++)
		close(world.servers[i].fd);
	world.n_servers = 0;
	return 0;
}
