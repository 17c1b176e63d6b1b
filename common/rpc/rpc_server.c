/* SPDX-License-Identifier: Apache-2.0 */
#include "common/rpc/rpc_server.h"

#include "common/base/process.h"
#include "common/base/xalloc.h"
#include "common/codec/schema.h"
#include "common/net/address.h"
#include "common/net/listener.h"
#include "common/net/socket_lock.h"
#include "common/net/tls.h"
#include "common/rpc/connection_cap.h"
#include "common/rpc/goaway.h"
#include "common/rpc/library.h"
#include "common/rpc/rpc_credentials.h"
#include "common/rpc/server_call.h"

#include <assert.h>
#include <event2/event.h>
#include <grpc/grpc_security.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* One address that is served. */
struct server_listener {
	struct address address; /* as bound */
	struct socket_lock *lock;
};

enum {
	/* Calls that each queue waits for ahead of their arrival. */
	CALLS_AHEAD = 64,
	PING_STRIKES = 2,
	KEEPALIVE_TIMEOUT_MS = 20000,
	/* Files that are not connections: databases, logs, queues, what the gateway accepts. */
	FILES_KEPT_FREE = 256,
	FILES_PER_MILLE = 500, /* of the limit, for gRPC connections */
	/* During a drain. */
	LOOK_MS = 10,
	TELL_AGAIN_MS = 200,
};

/* Options */

static unsigned or_default(unsigned value, unsigned fallback)
{
	return value ? value : fallback;
}

static int64_t or_default_ms(int64_t value, int64_t fallback)
{
	return value ? value : fallback;
}

static unsigned cores(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);
	return n < 1 ? 1 : (unsigned)n;
}

static unsigned max_connections(unsigned wanted)
{
	uint64_t files = process_raise_open_files();
	uint64_t most = files > 2 * FILES_KEPT_FREE ? files * FILES_PER_MILLE / 1000 : files / 2;
	return wanted < most ? wanted : (unsigned)most;
}

static void fill_defaults(struct rpc_server_options *o)
{
	o->unix_mode = o->unix_mode ? o->unix_mode : 0660;
	o->n_threads = or_default(o->n_threads, cores());
	o->max_message_bytes = o->max_message_bytes ? o->max_message_bytes : 1 << 20;
	o->max_metadata_bytes = o->max_metadata_bytes ? o->max_metadata_bytes : 32 << 10;
	o->max_streams = or_default(o->max_streams, 128);
	o->max_connections = max_connections(or_default(o->max_connections, 10000));
	o->max_calls = or_default(o->max_calls, 4096);
	o->max_watchers = or_default(o->max_watchers, 1024);
	o->handshake_timeout_ms = or_default_ms(o->handshake_timeout_ms, 10000);
	o->min_ping_interval_ms = or_default_ms(o->min_ping_interval_ms, 10000);
	o->keepalive_ms = or_default_ms(o->keepalive_ms, 120000);
}

static int to_int(uint64_t value)
{
	return value > INT_MAX ? INT_MAX : (int)value;
}

static grpc_server *core_new(const struct rpc_server_options *o, struct connection_cap *cap)
{
	grpc_arg args[] = {
		connection_cap_arg(cap),
		/* two servers on one port would not hear of each other */
		library_int_arg(GRPC_ARG_ALLOW_REUSEPORT, 0),
		library_int_arg(GRPC_ARG_MAX_CONCURRENT_STREAMS, to_int(o->max_streams)),
		library_int_arg(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, to_int(o->max_message_bytes)),
		library_int_arg(GRPC_ARG_MAX_METADATA_SIZE, to_int(o->max_metadata_bytes)),
		library_int_arg(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
			to_int((uint64_t)o->min_ping_interval_ms)),
		library_int_arg(GRPC_ARG_HTTP2_MAX_PING_STRIKES, PING_STRIKES),
		library_int_arg(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1),
		library_int_arg(GRPC_ARG_KEEPALIVE_TIME_MS, to_int((uint64_t)o->keepalive_ms)),
		library_int_arg(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, KEEPALIVE_TIMEOUT_MS),
		library_int_arg(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS,
			to_int((uint64_t)o->handshake_timeout_ms)),
		/* rpc_message.h does it, with a bound; answers are too small to gain */
		library_int_arg(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0),
		library_int_arg(GRPC_ARG_ENABLE_CHANNELZ, 0),
		/* small messages need no window that grows, nor the pings that measure it */
		library_int_arg(GRPC_ARG_HTTP2_BDP_PROBE, 0),
		/* of later versions: not refused now and then from 3/4 of the limit on, but at it;
		 * the cap of connection_cap.h */
		library_int_arg("grpc.absolute_max_metadata_size", to_int(o->max_metadata_bytes)),
		library_int_arg(
			"grpc.max_allowed_incoming_connections", to_int(o->max_connections)),
	};
	const grpc_channel_args all = {.num_args = ARRAY_SIZE(args), .args = args};
	return grpc_server_create(&all, NULL);
}

/* Methods */

static bool is_health(const struct schema_method *m)
{
	return strcmp(m->service_name, "grpc.health.v1.Health") == 0;
}

static bool is_reflection(const struct schema_method *m)
{
	return strcmp(m->service_name, "grpc.reflection.v1.ServerReflection") == 0 ||
	       strcmp(m->service_name, "grpc.reflection.v1alpha.ServerReflection") == 0;
}

static enum server_method method_kind(const struct schema_method *m, bool reflection)
{
	if (is_reflection(m))
		return reflection ? SERVER_REFLECTION : SERVER_UNSUPPORTED;
	if (is_health(m))
		return m->server_streaming ? SERVER_HEALTH_WATCH : SERVER_HEALTH_CHECK;
	return m->client_streaming || m->server_streaming ? SERVER_UNSUPPORTED : SERVER_UNARY;
}

static uint8_t *methods_new(const struct schema *schema, bool reflection)
{
	uint8_t *methods = xcalloc(schema_method_count(schema), 1);
	for (size_t i = 0; i < schema_method_count(schema); i++) {
		const struct schema_method *m = schema_method_at(schema, i);
		methods[m->index] = (uint8_t)method_kind(m, reflection);
	}
	return methods;
}

/* Addresses */

static struct status cannot_bind(const char *text)
{
	return status_error(STATUS_FAILED_PRECONDITION, "cannot listen on %s", text);
}

/* gRPC only logs why it cannot bind: somebody else tries first, who tells. */
static struct status try_address(const struct address *a)
{
	_cleanup_(listener_closep) struct listener *trial = NULL;
	return listener_open(a, 1, NULL, &trial);
}

static grpc_server_credentials *credentials(struct rpc_server *s, const struct address *a)
{
	return s->tls && a->kind != ADDRESS_UNIX ? server_tls_credentials(s->tls)
						 : grpc_insecure_server_credentials_create();
}

static int add_port(struct rpc_server *s, const struct address *a, const char *text)
{
	grpc_server_credentials *c = credentials(s, a);
	int port = grpc_server_add_http2_port(s->core, text, c);
	grpc_server_credentials_release(c);
	return port;
}

static struct status listen_unix(struct rpc_server *s, struct server_listener *l)
{
	char text[ADDRESS_TEXT_BYTES];
	address_format(&l->address, text);
	TRY(socket_lock_take(l->address.path, &l->lock));
	/* Until the chmod nobody but the owner may write, which connecting needs. */
	mode_t before = umask(0177);
	int bound = add_port(s, &l->address, text);
	umask(before);
	if (!bound || chmod(l->address.path, s->options.unix_mode) < 0)
		return cannot_bind(text);
	return status_ok();
}

static struct status listen_tcp(struct rpc_server *s, struct server_listener *l)
{
	TRY(try_address(&l->address));
	struct sockaddr_storage sa;
	socklen_t length;
	TRY(address_resolve(&l->address, &sa, &length));
	if (!address_from_sockaddr((struct sockaddr *)&sa, length, &l->address))
		return status_error(STATUS_INTERNAL, "an address of an unknown family");
	char text[ADDRESS_TEXT_BYTES];
	address_format(&l->address, text);
	int port = add_port(s, &l->address, text);
	if (port <= 0)
		return cannot_bind(text);
	l->address.port = (uint16_t)port;
	return status_ok();
}

static struct status listen_all(struct rpc_server *s)
{
	s->listeners = xcalloc(s->options.n_listen, sizeof *s->listeners);
	for (size_t i = 0; i < s->options.n_listen; i++) {
		struct server_listener *l = &s->listeners[i];
		l->address = s->options.listen[i];
		if (l->address.kind == ADDRESS_UNIX)
			TRY(listen_unix(s, l));
		else
			TRY(listen_tcp(s, l));
	}
	return status_ok();
}

const struct address *rpc_server_address(const struct rpc_server *s, size_t i)
{
	return &s->listeners[i].address;
}

/* Life */

static void make_queues(struct rpc_server *s)
{
	s->n_queues = s->options.n_threads;
	s->queues = xcalloc(s->n_queues, sizeof *s->queues);
	for (unsigned i = 0; i < s->n_queues; i++) {
		char name[16];
		snprintf(name, sizeof name, "grpc%u", i);
		s->queues[i].server = s;
		s->queues[i].cq = cq_new(name);
		s->queues[i].own.next_loop = i;
		grpc_server_register_completion_queue(s->core, cq_core(s->queues[i].cq), NULL);
	}
}

static void on_shut_down(struct cq_tag *tag, bool ok);

static struct rpc_server *server_new(const struct rpc_server_options *options)
{
	struct rpc_server *s = xnew(struct rpc_server);
	library_ref();
	s->options = *options;
	fill_defaults(&s->options);
	s->loops = xmemdup(options->loops, options->n_loops * sizeof(struct loop *));
	s->methods = methods_new(options->schema, options->reflection);
	pthread_mutex_init(&s->streams.lock, NULL);
	list_init(&s->streams.list);
	atomic_init(&s->holds, 1);
	s->drain.tag.run = on_shut_down;
	s->cap = connection_cap_new(s->options.max_connections);
	s->core = core_new(&s->options, s->cap);
	make_queues(s);
	return s;
}

static struct status open_server(const struct rpc_server_options *options, struct rpc_server **ret)
{
	assert(options->n_loops && options->health && options->handler && options->schema);
	_cleanup_(rpc_server_freep) struct rpc_server *s = server_new(options);
	if (options->tls)
		TRY(server_tls_new(options->tls, &s->tls));
	TRY(listen_all(s));
	s->options.listen = NULL;
	s->options.loops = NULL;
	s->options.tls = NULL;
	*ret = TAKE_PTR(s);
	return status_ok();
}

struct status rpc_server_new(const struct rpc_server_options *options, struct rpc_server **ret)
{
	sigset_t before;
	library_block_signals(&before);
	struct status status = open_server(options, ret);
	library_restore_signals(&before);
	return status;
}

void rpc_server_start(struct rpc_server *s)
{
	sigset_t before;
	library_block_signals(&before);
	s->started = true;
	grpc_server_start(s->core);
	for (unsigned i = 0; i < s->n_queues; i++) {
		server_queue_open(&s->queues[i], CALLS_AHEAD);
		cq_start(s->queues[i].cq);
	}
	library_restore_signals(&before);
}

struct status rpc_server_reload(struct rpc_server *s)
{
	return s->tls ? server_tls_reload(s->tls) : status_ok();
}

/* The end */

static void on_drained(struct loop_task *task)
{
	struct rpc_server *s = container_of(task, struct rpc_server, drain.task);
	event_free(s->drain.timer);
	s->drain.complete = true;
	s->drain.done(s->drain.arg);
}

void server_let_go(struct rpc_server *s)
{
	if (atomic_fetch_sub_explicit(&s->holds, 1, memory_order_acq_rel) == 1 && s->drain.loop)
		loop_post(s->drain.loop, &s->drain.task);
}

/* All connections are closed. */
static void on_shut_down(struct cq_tag *tag, bool ok)
{
	(void)ok;
	server_let_go(container_of(tag, struct rpc_server, drain.tag));
}

static void shut_down(struct rpc_server *s)
{
	cq_hand_over(&s->drain.tag);
	grpc_server_shutdown_and_notify(s->core, cq_core(s->queues[0].cq), &s->drain.tag);
}

static void set_timer(struct rpc_server *s, int64_t ms)
{
	const struct timeval delay = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * US_PER_MS};
	evtimer_add(s->drain.timer, &delay);
}

static void on_grace_over(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	struct rpc_server *s = arg;
	grpc_server_cancel_all_calls(s->core);
}

/* Nobody is connected any more, or the grace is over: now nothing can get lost, or may. */
static void on_told(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	struct rpc_server *s = arg;
	struct mono_time now = clock_mono(&clock_system);
	int64_t left_ms = (s->drain.until.us - now.us) / US_PER_MS;
	bool told = left_ms > 0 && connection_cap_look(s->cap) > 0;
	if (told && now.us - s->drain.told.us > TELL_AGAIN_MS * US_PER_MS) {
		/* those that were in their handshake the last time */
		s->drain.told = now;
		told = goaway_send(s->core);
	}
	if (told) {
		set_timer(s, LOOK_MS);
		return;
	}
	event_assign(s->drain.timer, loop_base(s->drain.loop), -1, 0, on_grace_over, s);
	set_timer(s, left_ms > 0 ? left_ms : 0);
	shut_down(s);
}

static void begin_drain(struct loop_task *task)
{
	struct rpc_server *s = container_of(task, struct rpc_server, drain.task);
	s->drain.task.run = on_drained;
	s->drain.timer = evtimer_new(loop_base(s->drain.loop), on_told, s);
	connection_cap_close(s->cap);
	health_shut_down(s->options.health);
	server_stream_end_all(s);
	set_timer(s, 0);
}

void rpc_server_drain(struct rpc_server *s, int64_t grace_ms, struct loop *loop,
	void (*done)(void *arg), void *arg)
{
	assert(s->started && !s->drain.loop);
	s->drain.loop = loop;
	s->drain.done = done;
	s->drain.arg = arg;
	s->drain.until = mono_time_add_ms(clock_mono(&clock_system), grace_ms);
	s->drain.task.run = begin_drain;
	loop_post(loop, &s->drain.task);
}

static void free_listeners(struct rpc_server *s)
{
	for (size_t i = 0; s->listeners && i < s->options.n_listen; i++)
		socket_lock_release(s->listeners[i].lock);
	free(s->listeners);
}

void rpc_server_free(struct rpc_server *s)
{
	if (!s)
		return;
	assert(!s->started || s->drain.complete);
	if (!s->started)
		shut_down(s);
	for (unsigned i = 0; i < s->n_queues; i++)
		cq_stop(s->queues[i].cq);
	grpc_server_destroy(s->core);
	for (unsigned i = 0; i < s->n_queues; i++) {
		server_queue_close(&s->queues[i]);
		cq_free(s->queues[i].cq);
	}
	free_listeners(s);
	library_unref();
	connection_cap_unref(s->cap);
	server_tls_free(s->tls);
	pthread_mutex_destroy(&s->streams.lock);
	free(s->queues);
	free(s->methods);
	free(s->loops);
	free(s);
}

struct rpc_server_stats rpc_server_stats(struct rpc_server *s)
{
	unsigned holds = atomic_load(&s->holds);
	return (struct rpc_server_stats){
		.calls = holds ? holds - 1 : 0,
		.connections = connection_cap_count(s->cap),
		.refused_calls = atomic_load(&s->refused_calls),
		.refused_connections = connection_cap_refused(s->cap),
	};
}
