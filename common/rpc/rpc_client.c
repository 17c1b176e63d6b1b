/* SPDX-License-Identifier: Apache-2.0 */
#include "common/rpc/rpc_client.h"

#include "common/base/log.h"
#include "common/base/random.h"
#include "common/base/xalloc.h"
#include "common/codec/schema.h"
#include "common/event/loop.h"
#include "common/event/worker.h"
#include "common/h2/h2_channel.h"
#include "common/h2/h2_request.h"
#include "common/net/address.h"
#include "common/net/tls_client.h"
#include "common/rpc/call.h"
#include "common/rpc/rpc_reply.h"

#include "grpc/health/v1/health.pb-c.h"

#include <assert.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <semaphore.h>
#include <stdio.h>

enum {
	MAX_MESSAGE_BYTES = 4 << 20,
	MAX_HEALTH_BYTES = 4096,
	FIXED_HEADERS = 5, /* te, content-type, user-agent, grpc-timeout, attempts */
	MAX_HEADERS = FIXED_HEADERS + 2 * CALL_METADATA_COUNT,
	/* gRFC A6 */
	MAX_ATTEMPTS = 4,
	FIRST_PAUSE_MS = 50,
	MAX_PAUSE_MS = 1000,
	/* of the token bucket, in thousandths: a failure takes one, a success gives a tenth */
	MAX_TOKENS = 100 * 1000,
	TOKEN_RATIO = 100,
	LOOKUPS_WAITING = 1024, /* one per loop at most */
};

/* One loop's part: touched there only. */
struct client_loop {
	struct rpc_client *client;
	struct loop *loop;
	struct h2_channel *channel;
	int tokens; /* in thousandths; retries need more than half of them */
	_Atomic uint64_t retries;
	struct loop_task stop;
};

struct rpc_client {
	struct client_loop *loops;
	size_t n_loops;
	struct worker_pool *resolver; /* NULL: there is no name to look up */
	struct tls_client *tls;       /* NULL: none */
	char *authority, *user_agent;
	bool *may_retry; /* by the index of the method */
	size_t max_message_bytes;
	sem_t stopped;
	_Atomic int ready; /* connections, of all loops */
};

/* One attempt after the other at one RPC, in the arena of its call (or of its check). */
struct exchange {
	struct h2_request request;
	struct client_loop *loop;
	struct arena *arena;
	struct rpc_reply reply;
	const ProtobufCMessageDescriptor *reply_type;
	size_t max_message_bytes;
	struct mono_time deadline;
	struct event timer; /* of the deadline; it is past: finish */
	struct event pause; /* before the next attempt */
	bool may_retry, was_refused, done;
	unsigned attempts;
	struct h2_header headers[MAX_HEADERS];
	size_t n_headers;
	char timeout[16], previous[8]; /* texts of headers */
	void (*finish)(struct exchange *x, struct status status);
};

/* The exchange of a struct call. */
struct client_call {
	struct exchange exchange;
	struct rpc_client *client;
	struct call *call;
	struct loop_task cancel;
	atomic_bool cancelled;
};

static struct client_loop *loop_of(struct rpc_client *client, const struct loop *loop)
{
	size_t i = 0;
	while (i + 1 < client->n_loops && client->loops[i].loop != loop)
		i++;
	assert(client->loops[i].loop == loop);
	return &client->loops[i];
}

/* --- what is sent --- */

static void add_header(struct exchange *x, struct str name, struct str value, bool unique)
{
	assert(x->n_headers < MAX_HEADERS);
	x->headers[x->n_headers++] = (struct h2_header){name, value, unique};
}

/* PROTOCOL-HTTP2.md, "Custom-Metadata": printable ASCII. */
static bool is_printable(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < 0x20 || s.p[i] > 0x7e)
			return false;
	return true;
}

static bool add_metadata(struct exchange *x, enum call_metadata_key key, struct str value,
	unsigned count, bool unique)
{
	if (!is_printable(value))
		return false;
	/* HTTP knows no space around a value (RFC 9110, 5.5), and nghttp2 sends none. */
	value = str_trim(value);
	/* Whoever looks for doubles over there finds one; which value it had does not matter. */
	for (unsigned i = 0; i < count && i < 2; i++)
		add_header(x, str_of(call_metadata_name(key)), value, unique);
	return true;
}

static struct str peer_host(const struct call_peer *peer)
{
	if (peer->address.ss_family != AF_INET && peer->address.ss_family != AF_INET6)
		return (struct str){NULL, 0};
	size_t n = peer->text.n;
	while (n && peer->text.p[n - 1] != ':')
		n--;
	return str_sub(peer->text, 0, n ? n - 1 : 0);
}

static bool add_forwarded_for(struct exchange *x, const struct call *c)
{
	struct str before = c->metadata[CALL_FORWARDED_FOR].value;
	struct str host = peer_host(&c->peer);
	if (!before.n && !host.n)
		return true;
	struct str value = host.n ? host : before;
	if (before.n && host.n)
		value = str_of(
			arena_printf(c->arena, "%.*s, %.*s", STR_ARG(before), STR_ARG(host)));
	return add_metadata(x, CALL_FORWARDED_FOR, value, 1, false);
}

/* A credential or version with bytes that gRPC does not carry is a bad one, for the service to
 * refuse as it refuses the others. */
static bool add_or_spoil(
	struct exchange *x, enum call_metadata_key key, struct str value, unsigned count)
{
	return add_metadata(x, key, is_printable(value) ? value : STR("?"), count, false);
}

static bool add_call_metadata(struct exchange *x, const struct call *c, enum call_metadata_key key)
{
	const struct call_metadata *own = &c->metadata[key];
	switch (key) {
	case CALL_FORWARDED_FOR:
		return add_forwarded_for(x, c);
	case CALL_REQUEST_ID:
		if (c->request_id[0])
			return add_metadata(x, key, str_of(c->request_id), 1, true);
		return add_metadata(x, key, own->value, own->count, true);
	case CALL_USER_AGENT: /* the client has its own */
		return true;
	case CALL_AUTHORIZATION:
	case CALL_OSMO_AUTH:
	case CALL_CLIENT_VERSION:
		return add_or_spoil(x, key, own->value, own->count);
	case CALL_TRACEPARENT: /* nothing that depends on them is worth a refusal */
	case CALL_TRACESTATE:
		(void)add_metadata(x, key, own->value, own->count, true);
		return true;
	case CALL_OSMO_USER:
	case CALL_OSMO_ROLES:
	case CALL_METADATA_COUNT:
		break;
	}
	return add_metadata(x, key, own->value, own->count, false);
}

/* Those that stay the same from attempt to attempt. */
static void add_fixed(struct exchange *x)
{
	add_header(x, STR("te"), STR("trailers"), false);
	add_header(x, STR("content-type"), STR("application/grpc"), false);
	add_header(x, STR("user-agent"), str_of(x->loop->client->user_agent), false);
}

static struct status add_all_metadata(struct exchange *x, const struct call *c)
{
	for (enum call_metadata_key key = 0; key < CALL_METADATA_COUNT; key++)
		if (!add_call_metadata(x, c, key))
			return status_error(STATUS_INVALID_ARGUMENT,
				"Header '%s' must be printable ASCII text",
				call_metadata_name(key));
	return status_ok();
}

/* "TimeoutValue TimeoutUnit": 8 digits at most. Rounded up, so that our own deadline, which knows
 * what to say, is the first. */
static struct str format_timeout(struct exchange *x, int64_t left_us)
{
	int64_t ms = (left_us + US_PER_MS - 1) / US_PER_MS;
	const char *unit = "m";
	if (ms > 99999999) {
		ms = ms / 1000 + 1;
		unit = "S";
	}
	if (ms > 99999999)
		ms = 99999999;
	int n = snprintf(x->timeout, sizeof x->timeout, "%lld%s", (long long)ms, unit);
	return (struct str){x->timeout, (size_t)n};
}

static struct str pack(const ProtobufCMessage *message, struct arena *arena)
{
	size_t n = protobuf_c_message_get_packed_size(message);
	uint8_t *bytes = arena_alloc(arena, RPC_REPLY_PREFIX_BYTES + n);
	bytes[0] = 0;
	bytes[1] = (uint8_t)(n >> 24);
	bytes[2] = (uint8_t)(n >> 16);
	bytes[3] = (uint8_t)(n >> 8);
	bytes[4] = (uint8_t)n;
	protobuf_c_message_pack(message, bytes + RPC_REPLY_PREFIX_BYTES);
	return (struct str){(const char *)bytes, RPC_REPLY_PREFIX_BYTES + n};
}

/* --- an exchange --- */

static void set_timer(struct event *timer, int64_t us)
{
	const struct timeval after = {
		.tv_sec = us / US_PER_S, .tv_usec = (suseconds_t)(us % US_PER_S)};
	event_add(timer, &after);
}

static void exchange_over(struct exchange *x, struct status status)
{
	x->done = true;
	event_del(&x->timer);
	event_del(&x->pause);
	rpc_reply_done(&x->reply);
	x->finish(x, status); /* may free it */
}

static void exchange_give_up(struct exchange *x, struct status status)
{
	h2_channel_cancel(x->loop->channel, &x->request);
	exchange_over(x, status);
}

static struct status deadline_passed(void)
{
	return status_error(STATUS_DEADLINE_EXCEEDED, "The deadline has passed");
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	struct exchange *x = arg;
	int64_t left_us = x->deadline.us - clock_mono(&clock_system).us;
	if (left_us > 0) /* libevent counts from the beginning of its turn */
		set_timer(&x->timer, left_us);
	else
		exchange_give_up(x, deadline_passed());
}

static void attempt(struct exchange *x)
{
	size_t n_headers = x->n_headers;
	if (x->deadline.us != MONO_TIME_NEVER.us)
		add_header(x, STR("grpc-timeout"),
			format_timeout(x, x->deadline.us - clock_mono(&clock_system).us), true);
	if (x->attempts) {
		int n = snprintf(x->previous, sizeof x->previous, "%u", x->attempts % 1000);
		add_header(x, STR("grpc-previous-rpc-attempts"),
			(struct str){x->previous, (size_t)n}, false);
	}
	x->request.headers = x->headers;
	x->request.n_headers = x->n_headers;
	x->n_headers = n_headers;
	rpc_reply_init(&x->reply, x->reply_type, x->max_message_bytes, x->arena);
	h2_channel_send(x->loop->channel, &x->request);
}

static void again(struct exchange *x)
{
	uint64_t n = atomic_load_explicit(&x->loop->retries, memory_order_relaxed);
	atomic_store_explicit(&x->loop->retries, n + 1, memory_order_relaxed);
	rpc_reply_done(&x->reply);
	attempt(x);
}

static void on_pause_over(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	again(arg);
}

/* --- retries --- */

/* The token bucket of A6: retries stop while more than a few calls fail. */
static bool pay(struct client_loop *l, const struct status *s)
{
	if (status_is_ok(s))
		l->tokens =
			l->tokens + TOKEN_RATIO < MAX_TOKENS ? l->tokens + TOKEN_RATIO : MAX_TOKENS;
	else if (s->code == STATUS_UNAVAILABLE)
		l->tokens = l->tokens > 1000 ? l->tokens - 1000 : 0;
	return l->tokens > MAX_TOKENS / 2;
}

static int64_t pause_us(const struct exchange *x)
{
	if (x->reply.has_pushback)
		return x->reply.pushback_ms * US_PER_MS;
	int64_t ms = FIRST_PAUSE_MS;
	for (unsigned i = 1; i < x->attempts && ms < MAX_PAUSE_MS; i++)
		ms *= 2;
	if (ms > MAX_PAUSE_MS)
		ms = MAX_PAUSE_MS;
	uint32_t number;
	random_bytes(&random_system, &number, sizeof number);
	return (int64_t)(number % (uint64_t)(ms * US_PER_MS));
}

/* True: there will be another attempt. */
static bool retry(struct exchange *x, const struct status *s)
{
	bool may = pay(x->loop, s);
	if (s->code != STATUS_UNAVAILABLE || !x->may_retry || x->reply.has_data || !may)
		return false;
	if (++x->attempts >= MAX_ATTEMPTS)
		return false;
	if (x->reply.has_pushback && x->reply.pushback_ms < 0)
		return false;
	set_timer(&x->pause, pause_us(x));
	return true;
}

/* --- what comes back --- */

static bool on_header(struct h2_request *r, struct str name, struct str value)
{
	return rpc_reply_header(&container_of(r, struct exchange, request)->reply, name, value);
}

static bool on_data(struct h2_request *r, struct str bytes)
{
	return rpc_reply_data(&container_of(r, struct exchange, request)->reply, bytes);
}

static struct status no_service(const struct h2_request *r)
{
	/* addresses and errno are for operators */
	log_debug("rpc.unavailable", LOG_TEXT("reason", r->reason));
	return status_error(STATUS_UNAVAILABLE, "The service cannot be reached");
}

/* gRPC's own words (its servers say UNAVAILABLE while they stop); our services add details. */
static struct status by_service(struct exchange *x)
{
	struct status s = rpc_reply_end(&x->reply);
	if (s.code == STATUS_UNAVAILABLE && !x->reply.details.n) {
		log_debug("rpc.unavailable", LOG_TEXT("reason", s.message));
		return status_error(STATUS_UNAVAILABLE, "The service cannot be reached");
	}
	return s;
}

static struct status was_reset(const struct exchange *x)
{
	struct status s = rpc_reply_reset(x->request.error_code);
	/* A server whose clock was faster cancels what is past its deadline. */
	if (s.code == STATUS_CANCELLED &&
		clock_mono(&clock_system).us >= x->deadline.us - US_PER_MS)
		return deadline_passed();
	return s;
}

static struct status status_of(struct exchange *x, enum h2_end end)
{
	switch (end) {
	case H2_END_COMPLETE:
		return by_service(x);
	case H2_END_RESET:
		return was_reset(x);
	case H2_END_STOPPED:
		return rpc_reply_error(&x->reply);
	case H2_END_TOO_LARGE:
		return status_error(STATUS_RESOURCE_EXHAUSTED,
			"The headers of the call are larger than the service takes");
	case H2_END_CROWDED:
		return status_error(
			STATUS_UNAVAILABLE, "Too many calls wait for the service; try again later");
	case H2_END_REFUSED:
	case H2_END_LOST:
	case H2_END_UNREACHABLE:
		break;
	}
	return no_service(&x->request);
}

static void on_end(struct h2_request *r, enum h2_end end)
{
	struct exchange *x = container_of(r, struct exchange, request);
	if (end == H2_END_REFUSED && !x->was_refused) {
		x->was_refused = true;
		again(x);
		return;
	}
	struct status s = status_of(x, end);
	if (!retry(x, &s))
		exchange_over(x, s);
}

static const struct h2_request_ops request_ops = {
	.header = on_header, .data = on_data, .end = on_end};

static void exchange_init(struct exchange *x, struct client_loop *l, struct arena *arena)
{
	struct event_base *base = loop_base(l->loop);
	x->loop = l;
	x->arena = arena;
	x->request.ops = &request_ops;
	event_assign(&x->timer, base, -1, 0, on_deadline, x);
	event_assign(&x->pause, base, -1, 0, on_pause_over, x);
	add_fixed(x);
}

static void exchange_start(struct exchange *x)
{
	if (x->deadline.us != MONO_TIME_NEVER.us)
		set_timer(&x->timer, x->deadline.us - clock_mono(&clock_system).us);
	attempt(x);
}

/* --- calls --- */

static void read_headers(struct call *c, const struct rpc_reply *reply)
{
	for (enum call_reply_header h = 0; h < CALL_REPLY_HEADER_COUNT; h++)
		if (reply->headers[h].p)
			c->reply_headers[h] = reply->headers[h];
	struct str id = reply->request_id;
	if (!c->request_id[0] && id.n && id.n < sizeof c->request_id)
		memcpy(c->request_id, id.p, id.n);
}

static void finish_call(struct exchange *x, struct status status)
{
	struct client_call *cc = container_of(x, struct client_call, exchange);
	struct call *c = cc->call;
	read_headers(c, &x->reply);
	if (x->reply.has_status && !status_is_ok(&status))
		c->status_details = x->reply.details;
	if (status_is_ok(&status))
		call_finish(c, x->reply.message);
	else
		call_fail(c, status);
	call_unref(c);
}

static void run_cancel(struct loop_task *task)
{
	struct client_call *cc = container_of(task, struct client_call, cancel);
	struct call *c = cc->call;
	if (!cc->exchange.done)
		exchange_give_up(
			&cc->exchange, status_error(STATUS_CANCELLED, "The call was cancelled"));
	call_unref(c);
}

/* Any thread, and perhaps twice. */
static void on_cancel(struct call *c)
{
	struct client_call *cc = c->context;
	if (atomic_exchange(&cc->cancelled, true))
		return;
	call_ref(c);
	cc->cancel.run = run_cancel;
	loop_post(c->home, &cc->cancel);
}

/* On the home loop. */
static void begin_call(struct call *c)
{
	struct client_call *cc = c->context;
	struct exchange *x = &cc->exchange;
	exchange_init(x, loop_of(cc->client, c->home), c->arena);
	x->finish = finish_call;
	x->deadline = c->deadline;
	x->reply_type = c->method->output->c;
	x->max_message_bytes = cc->client->max_message_bytes;
	x->may_retry = cc->client->may_retry[c->method->index];
	x->request.path = str_of(c->method->path);
	struct status s = add_all_metadata(x, c);
	if (status_is_ok(&s) && c->deadline.us <= clock_mono(&clock_system).us)
		s = deadline_passed();
	if (!status_is_ok(&s)) {
		x->done = true;
		call_fail(c, s);
		call_unref(c);
		return;
	}
	x->request.body = pack(c->request, c->arena);
	exchange_start(x);
}

void rpc_client_call(struct rpc_client *client, struct call *c)
{
	struct client_call *cc = arena_calloc(c->arena, 1, sizeof *cc);
	cc->client = client;
	cc->call = c;
	c->context = cc;
	call_ref(c); /* until it is finished */
	call_ref(c); /* until the hook is set: the call may be over before */
	if (loop_is_current(c->home))
		begin_call(c);
	else
		call_to_loop(c, begin_call);
	call_on_cancel(c, on_cancel);
	call_unref(c);
}

/* --- health --- */

struct check {
	struct exchange exchange;
	struct client_loop *loop;
	struct arena *arena;
	const char *service;
	int64_t timeout_ms;
	struct status status;
	struct loop_task task;
	void (*done)(void *arg, struct status status);
	void *arg;
};

static struct status health_of(const struct exchange *x, const struct status *s)
{
	if (s->code == STATUS_UNIMPLEMENTED)
		return status_ok();
	if (s->code != STATUS_OK && x->reply.has_status)
		return status_error(
			STATUS_UNAVAILABLE, "The service cannot be reached: %s", s->message);
	if (s->code != STATUS_OK)
		return status_error(STATUS_UNAVAILABLE, "The service cannot be reached");
	const Grpc__Health__V1__HealthCheckResponse *reply = (const void *)x->reply.message;
	if (reply->status != GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING)
		return status_error(STATUS_UNAVAILABLE, "The service is not ready");
	return status_ok();
}

static void finish_check(struct exchange *x, struct status status)
{
	struct check *check = container_of(x, struct check, exchange);
	check->done(check->arg, health_of(x, &status));
	arena_free(check->arena); /* and the check with it */
}

static void begin_check(struct loop_task *task)
{
	struct check *check = container_of(task, struct check, task);
	struct exchange *x = &check->exchange;
	Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
	union {
		const char *in;
		char *out;
	} name = {.in = check->service}; /* protobuf-c forgot the const */
	request.service = name.out;
	exchange_init(x, check->loop, check->arena);
	x->finish = finish_check;
	x->deadline = mono_time_add_ms(clock_mono(&clock_system), check->timeout_ms);
	x->reply_type = &grpc__health__v1__health_check_response__descriptor;
	x->max_message_bytes = MAX_HEALTH_BYTES;
	x->request.path = STR("/grpc.health.v1.Health/Check");
	x->request.body = pack(&request.base, check->arena);
	exchange_start(x);
}

void rpc_client_check(struct rpc_client *client, const char *service, int64_t timeout_ms,
	struct loop *loop, void (*done)(void *arg, struct status status), void *arg)
{
	struct arena *arena = arena_new();
	struct check *check = arena_calloc(arena, 1, sizeof *check);
	check->loop = loop_of(client, loop);
	check->arena = arena;
	check->service = arena_strdup(arena, service);
	check->timeout_ms = timeout_ms;
	check->done = done;
	check->arg = arg;
	check->task.run = begin_check;
	loop_post(loop, &check->task);
}

/* --- life --- */

static bool *ask_retry(const struct rpc_client_options *o)
{
	size_t n = schema_method_count(o->schema);
	bool *may = xcalloc(n ? n : 1, sizeof *may);
	for (size_t i = 0; i < n && o->retry; i++) {
		const struct schema_method *m = schema_method_at(o->schema, i);
		may[m->index] = o->retry(m);
	}
	return may;
}

/* What the server is told to be: RFC 9113, 8.3.1. */
static char *authority_of(const struct rpc_client_options *o)
{
	char text[ADDRESS_TEXT_BYTES];
	if (o->address->kind == ADDRESS_UNIX)
		return xstrdup("localhost");
	if (o->tls && o->tls->server_name)
		return xstrdup(o->tls->server_name);
	address_format(o->address, text);
	return xstrdup(text);
}

static void open_loops(struct rpc_client *client, const struct rpc_client_options *o)
{
	uint32_t first;
	random_bytes(&random_system, &first, sizeof first);
	client->n_loops = o->n_loops;
	client->loops = xcalloc(o->n_loops, sizeof *client->loops);
	for (size_t i = 0; i < o->n_loops; i++) {
		struct client_loop *l = &client->loops[i];
		const struct h2_channel_options options = {
			.loop = o->loops[i],
			.address = o->address,
			.tls = client->tls,
			.authority = client->authority,
			.resolver = client->resolver,
			.n_connections = o->n_connections,
			.all_ready = &client->ready,
			.first_address = (first + (unsigned)i) % ADDRESS_RESOLVED_MAX,
			.max_waiting = o->max_waiting,
			.open_timeout_ms = o->open_timeout_ms,
			.keepalive_ms = o->keepalive_ms,
			.keepalive_timeout_ms = o->keepalive_timeout_ms,
		};
		l->client = client;
		l->loop = o->loops[i];
		l->tokens = MAX_TOKENS;
		l->channel = h2_channel_new(&options);
	}
}

struct status rpc_client_new(const struct rpc_client_options *o, struct rpc_client **ret)
{
	_cleanup_(rpc_client_freep) struct rpc_client *client = xnew(struct rpc_client);
	sem_init(&client->stopped, 0, 0);
	if (o->tls && o->address->kind != ADDRESS_UNIX)
		TRY(tls_client_new(o->tls, &client->tls));
	client->authority = authority_of(o);
	client->user_agent = o->user_agent ? xasprintf("%s grpc-c-nghttp2", o->user_agent)
					   : xstrdup("grpc-c-nghttp2");
	client->may_retry = ask_retry(o);
	client->max_message_bytes = o->max_message_bytes ? o->max_message_bytes : MAX_MESSAGE_BYTES;
	if (address_needs_lookup(o->address))
		client->resolver = worker_pool_new("resolver", 1, LOOKUPS_WAITING);
	open_loops(client, o);
	*ret = TAKE_PTR(client);
	return status_ok();
}

static void stop_loop(struct loop_task *task)
{
	struct client_loop *l = container_of(task, struct client_loop, stop);
	h2_channel_free(l->channel);
	l->channel = NULL;
	sem_post(&l->client->stopped);
}

void rpc_client_stop(struct rpc_client *client)
{
	for (size_t i = 0; i < client->n_loops; i++) {
		client->loops[i].stop.run = stop_loop;
		loop_post(client->loops[i].loop, &client->loops[i].stop);
	}
	for (size_t i = 0; i < client->n_loops; i++)
		while (sem_wait(&client->stopped) < 0)
			; /* a signal */
	/* what it still looks up comes back to loops that run */
	worker_pool_free(client->resolver);
	client->resolver = NULL;
}

void rpc_client_free(struct rpc_client *client)
{
	if (!client)
		return;
	for (size_t i = 0; i < client->n_loops; i++)
		h2_channel_free(client->loops[i].channel);
	worker_pool_free(client->resolver);
	tls_client_free(client->tls);
	sem_destroy(&client->stopped);
	free(client->loops);
	free(client->authority);
	free(client->user_agent);
	free(client->may_retry);
	free(client);
}

struct status rpc_client_reload(struct rpc_client *client)
{
	return client->tls ? tls_client_reload(client->tls) : status_ok();
}

struct rpc_client_stats rpc_client_stats(const struct rpc_client *client)
{
	struct rpc_client_stats sum = {0};
	for (size_t i = 0; i < client->n_loops; i++) {
		const struct client_loop *l = &client->loops[i];
		if (!l->channel)
			continue;
		const struct h2_channel_stats *s = h2_channel_stats(l->channel);
		sum.connections += atomic_load_explicit(&s->connections, memory_order_relaxed);
		sum.opened += atomic_load_explicit(&s->opened, memory_order_relaxed);
		sum.failed += atomic_load_explicit(&s->failed, memory_order_relaxed);
		sum.waiting += atomic_load_explicit(&s->waiting, memory_order_relaxed);
		sum.retries += atomic_load_explicit(&l->retries, memory_order_relaxed);
	}
	return sum;
}
