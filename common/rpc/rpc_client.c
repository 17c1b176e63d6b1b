/* SPDX-License-Identifier: Apache-2.0 */
#include "common/rpc/rpc_client.h"

#include "common/base/buf.h"
#include "common/base/log.h"
#include "common/base/xalloc.h"
#include "common/codec/schema.h"
#include "common/net/address.h"
#include "common/rpc/call.h"
#include "common/rpc/cq.h"
#include "common/rpc/library.h"
#include "common/rpc/rpc_credentials.h"
#include "common/rpc/rpc_message.h"
#include "common/rpc/rpc_metadata.h"
#include "common/rpc/slices.h"
#include "common/rpc/wire.h"

#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"
#include "grpc/health/v1/health.pb-c.h"

#include <grpc/slice.h>
#include <grpc/support/time.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>

struct channel {
	grpc_channel *core;
	struct cq *cq;
};

struct rpc_client {
	struct channel *channels;
	unsigned n_channels;
	size_t max_message_bytes;
	atomic_uint next; /* channel */
};

enum {
	KEEPALIVE_TIMEOUT_MS = 10000,
	CONNECT_TIMEOUT_MS = 5000,
	FIRST_BACKOFF_MS = 100,
	MAX_BACKOFF_MS = 2000,
};

/* One RPC: all its six operations are one batch. */
struct exchange {
	struct cq_tag done;
	grpc_call *rpc;
	struct rpc_metadata metadata;
	grpc_byte_buffer *request, *reply;
	grpc_metadata_array initial, trailing;
	grpc_status_code code;
	grpc_slice message;
};

/* The exchange of a struct call, in its arena. */
struct client_call {
	struct exchange exchange;
	struct call *call;
	size_t max_message_bytes;
	pthread_mutex_t lock; /* canceller and completion */
	bool done;
};

/* Exchanges */

static void exchange_start(
	struct exchange *x, struct channel *channel, const char *path, gpr_timespec deadline)
{
	grpc_metadata_array_init(&x->initial);
	grpc_metadata_array_init(&x->trailing);
	x->message = grpc_empty_slice();
	x->rpc = grpc_channel_create_call(channel->core, NULL, GRPC_PROPAGATE_DEFAULTS,
		cq_core(channel->cq), grpc_slice_from_static_string(path), NULL, deadline, NULL);
}

static void exchange_send(struct exchange *x)
{
	grpc_op ops[6] = {
		{.op = GRPC_OP_SEND_INITIAL_METADATA},
		{.op = GRPC_OP_SEND_MESSAGE},
		{.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
		{.op = GRPC_OP_RECV_INITIAL_METADATA},
		{.op = GRPC_OP_RECV_MESSAGE},
		{.op = GRPC_OP_RECV_STATUS_ON_CLIENT},
	};
	ops[0].data.send_initial_metadata.count = x->metadata.n;
	ops[0].data.send_initial_metadata.metadata = x->metadata.entries;
	ops[1].data.send_message.send_message = x->request;
	ops[3].data.recv_initial_metadata.recv_initial_metadata = &x->initial;
	ops[4].data.recv_message.recv_message = &x->reply;
	ops[5].data.recv_status_on_client.trailing_metadata = &x->trailing;
	ops[5].data.recv_status_on_client.status = &x->code;
	ops[5].data.recv_status_on_client.status_details = &x->message;
	cq_start_batch(x->rpc, ops, ARRAY_SIZE(ops), &x->done);
}

static void exchange_done(struct exchange *x)
{
	rpc_metadata_clear(&x->metadata);
	grpc_byte_buffer_destroy(x->request);
	if (x->reply)
		grpc_byte_buffer_destroy(x->reply);
	grpc_metadata_array_destroy(&x->initial);
	grpc_metadata_array_destroy(&x->trailing);
	grpc_slice_unref(x->message);
	grpc_call_unref(x->rpc);
}

static gpr_timespec timespec_of(struct mono_time deadline)
{
	if (deadline.us == MONO_TIME_NEVER.us)
		return gpr_inf_future(GPR_CLOCK_MONOTONIC);
	int64_t left = deadline.us - clock_mono(&clock_system).us;
	return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_micros(left, GPR_TIMESPAN));
}

/* What is sent */

static bool add_all(
	struct rpc_metadata *m, enum call_metadata_key key, struct str value, unsigned count)
{
	/* Whoever looks for doubles over there finds one; which value it had does not matter. */
	for (unsigned i = 0; i < count && i < 2; i++)
		if (!rpc_metadata_add(m, call_metadata_name(key), value))
			return false;
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

static bool add_forwarded_for(struct rpc_metadata *m, const struct call *c)
{
	struct str before = c->metadata[CALL_FORWARDED_FOR].value;
	struct str host = peer_host(&c->peer);
	if (!before.n && !host.n)
		return true;
	const char *comma = before.n && host.n ? ", " : "";
	return rpc_metadata_add(m, call_metadata_name(CALL_FORWARDED_FOR),
		str_of(arena_printf(
			c->arena, "%.*s%s%.*s", STR_ARG(before), comma, STR_ARG(host))));
}

/* A credential or version with bytes that gRPC does not carry is a bad one, for the service to
 * refuse as it refuses the others. */
static bool add_or_spoil(
	struct rpc_metadata *m, enum call_metadata_key key, struct str value, unsigned count)
{
	return add_all(m, key, value, count) || add_all(m, key, STR("?"), count);
}

static bool add_metadata(struct rpc_metadata *m, const struct call *c, enum call_metadata_key key)
{
	const struct call_metadata *own = &c->metadata[key];
	switch (key) {
	case CALL_FORWARDED_FOR:
		return add_forwarded_for(m, c);
	case CALL_REQUEST_ID:
		if (c->request_id[0])
			return add_all(m, key, str_of(c->request_id), 1);
		return add_all(m, key, own->value, own->count);
	case CALL_USER_AGENT: /* gRPC sends its own */
		return true;
	case CALL_AUTHORIZATION:
	case CALL_OSMO_AUTH:
	case CALL_CLIENT_VERSION:
		return add_or_spoil(m, key, own->value, own->count);
	case CALL_TRACEPARENT: /* nothing that depends on them is worth a refusal */
	case CALL_TRACESTATE:
		(void)add_all(m, key, own->value, own->count);
		return true;
	case CALL_OSMO_USER:
	case CALL_OSMO_ROLES:
	case CALL_METADATA_COUNT:
		break;
	}
	return add_all(m, key, own->value, own->count);
}

static struct status fill_metadata(struct rpc_metadata *m, const struct call *c)
{
	for (enum call_metadata_key key = 0; key < CALL_METADATA_COUNT; key++)
		if (!add_metadata(m, c, key))
			return status_error(STATUS_INVALID_ARGUMENT,
				"Header '%s' must be printable ASCII text",
				call_metadata_name(key));
	return status_ok();
}

/* What comes back */

static void read_headers(struct call *c, const grpc_metadata_array *from)
{
	for (enum call_reply_header h = 0; h < CALL_REPLY_HEADER_COUNT; h++) {
		struct str value = rpc_metadata_find(from, str_of(call_reply_header_name(h)));
		if (value.p)
			c->reply_headers[h] = arena_str(c->arena, value);
	}
	struct str id = rpc_metadata_find(from, str_of(call_metadata_name(CALL_REQUEST_ID)));
	if (!c->request_id[0] && id.n < sizeof c->request_id && id.n)
		memcpy(c->request_id, id.p, id.n);
}

static void read_field(const Google__Protobuf__Any *detail, struct arena *arena, struct status *s)
{
	if (strcmp(detail->type_url, "type.googleapis.com/google.rpc.BadRequest") != 0)
		return;
	ProtobufCMessage *message;
	struct status parsed = wire_parse(&google__rpc__bad_request__descriptor, detail->value.data,
		detail->value.len, arena, &message);
	const Google__Rpc__BadRequest *bad = status_is_ok(&parsed) ? (void *)message : NULL;
	if (bad && bad->n_field_violations)
		snprintf(s->field, sizeof s->field, "%s", bad->field_violations[0]->field);
}

/* Details that are not a google.rpc.Status are none. */
static void read_details(struct call *c, const grpc_metadata_array *trailing, struct status *s)
{
	struct str details = rpc_metadata_find(trailing, STR("grpc-status-details-bin"));
	ProtobufCMessage *message;
	if (!details.n)
		return;
	struct status parsed = wire_parse(&google__rpc__status__descriptor,
		(const uint8_t *)details.p, details.n, c->arena, &message);
	if (!status_is_ok(&parsed))
		return;
	c->status_details = arena_str(c->arena, details);
	const Google__Rpc__Status *status = (void *)message;
	for (size_t i = 0; i < status->n_details; i++)
		read_field(status->details[i], c->arena, s);
}

static enum status_code code_of(grpc_status_code code)
{
	return (int)code >= 0 && (int)code < STATUS_CODE_COUNT ? (enum status_code)code
							       : STATUS_UNKNOWN;
}

static struct status failure(struct call *c, const struct exchange *x)
{
	struct str message = slice_str(&x->message);
	struct status s = status_error(code_of(x->code), "%.*s", STR_ARG(message));
	read_details(c, &x->trailing, &s);
	if (s.code == STATUS_UNAVAILABLE && x->trailing.count == 0) {
		/* gRPC's own words, with addresses and errno: for operators */
		log_debug("grpc.unavailable", LOG_STR("reason", message));
		return status_error(STATUS_UNAVAILABLE, "The service cannot be reached");
	}
	return s;
}

static struct status read_reply(struct client_call *cc, ProtobufCMessage **ret)
{
	struct call *c = cc->call;
	struct str bytes;
	if (!cc->exchange.reply)
		return status_error(STATUS_INTERNAL, "The service answered without a message");
	TRY(rpc_message_bytes(cc->exchange.reply, cc->max_message_bytes, c->arena, &bytes));
	struct status s =
		wire_parse(c->method->output->c, (const uint8_t *)bytes.p, bytes.n, c->arena, ret);
	if (!status_is_ok(&s))
		return status_error(STATUS_INTERNAL, "The service's answer: %s", s.message);
	return s;
}

static void finish(struct client_call *cc)
{
	struct call *c = cc->call;
	const struct exchange *x = &cc->exchange;
	read_headers(c, &x->initial);
	read_headers(c, &x->trailing);
	ProtobufCMessage *reply = NULL;
	struct status s = x->code == GRPC_STATUS_OK ? read_reply(cc, &reply) : failure(c, x);
	if (status_is_ok(&s))
		call_finish(c, reply);
	else
		call_fail(c, s);
}

static void on_loop(struct call *c)
{
	struct client_call *cc = c->context;
	finish(cc);
	exchange_done(&cc->exchange);
	call_unref(c);
}

static void on_done(struct cq_tag *tag, bool ok)
{
	(void)ok; /* RECV_STATUS always succeeds */
	struct client_call *cc = container_of(tag, struct client_call, exchange.done);
	pthread_mutex_lock(&cc->lock);
	cc->done = true;
	pthread_mutex_unlock(&cc->lock);
	call_to_loop(cc->call, on_loop);
}

/* Calls */

static void on_cancel(struct call *c)
{
	struct client_call *cc = c->context;
	pthread_mutex_lock(&cc->lock);
	if (!cc->done)
		grpc_call_cancel(cc->exchange.rpc, NULL);
	pthread_mutex_unlock(&cc->lock);
}

static struct channel *choose(struct rpc_client *client)
{
	unsigned i = atomic_fetch_add_explicit(&client->next, 1, memory_order_relaxed);
	return &client->channels[i % client->n_channels];
}

void rpc_client_call(struct rpc_client *client, struct call *c)
{
	struct client_call *cc = arena_calloc(c->arena, 1, sizeof *cc);
	struct status s = fill_metadata(&cc->exchange.metadata, c);
	if (status_is_ok(&s) && c->deadline.us <= clock_mono(&clock_system).us)
		s = status_error(STATUS_DEADLINE_EXCEEDED, "The deadline has passed");
	if (!status_is_ok(&s)) {
		rpc_metadata_clear(&cc->exchange.metadata);
		call_fail(c, s);
		return;
	}
	call_ref(c);
	cc->call = c;
	cc->max_message_bytes = client->max_message_bytes;
	pthread_mutex_init(&cc->lock, NULL);
	cc->exchange.done.run = on_done;
	cc->exchange.request = rpc_message_pack(c->request);
	exchange_start(&cc->exchange, choose(client), c->method->path, timespec_of(c->deadline));
	c->context = cc;
	call_ref(c); /* until the hook is set: the call may be over before */
	exchange_send(&cc->exchange);
	call_on_cancel(c, on_cancel);
	call_unref(c);
}

/* Health */

struct check {
	struct exchange exchange;
	struct loop_task task;
	struct loop *loop;
	struct status status;
	void (*done)(void *arg, struct status status);
	void *arg;
};

static struct status state_of(struct check *check)
{
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	struct str bytes;
	ProtobufCMessage *message;
	if (!check->exchange.reply)
		return status_error(STATUS_INTERNAL, "The service answered without a message");
	TRY(rpc_message_bytes(check->exchange.reply, 4096, arena, &bytes));
	TRY(wire_parse(&grpc__health__v1__health_check_response__descriptor,
		(const uint8_t *)bytes.p, bytes.n, arena, &message));
	const Grpc__Health__V1__HealthCheckResponse *reply = (void *)message;
	if (reply->status != GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING)
		return status_error(STATUS_UNAVAILABLE, "The service is not ready");
	return status_ok();
}

static void on_check_answered(struct loop_task *task)
{
	struct check *check = container_of(task, struct check, task);
	check->done(check->arg, check->status);
	free(check);
}

static void on_check_done(struct cq_tag *tag, bool ok)
{
	(void)ok;
	struct check *check = container_of(tag, struct check, exchange.done);
	const struct exchange *x = &check->exchange;
	if (x->code == GRPC_STATUS_OK)
		check->status = state_of(check);
	else if (x->code == GRPC_STATUS_UNIMPLEMENTED)
		check->status = status_ok();
	else
		check->status = status_error(STATUS_UNAVAILABLE,
			"The service cannot be reached: %.*s", STR_ARG(slice_str(&x->message)));
	exchange_done(&check->exchange);
	loop_post(check->loop, &check->task);
}

void rpc_client_check(struct rpc_client *client, const char *service, int64_t timeout_ms,
	struct loop *loop, void (*done)(void *arg, struct status status), void *arg)
{
	Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
	union {
		const char *in;
		char *out;
	} name = {.in = service}; /* protobuf-c forgot the const */
	request.service = name.out;
	struct check *check = xnew(struct check);
	check->loop = loop;
	check->done = done;
	check->arg = arg;
	check->task.run = on_check_answered;
	check->exchange.done.run = on_check_done;
	check->exchange.request = rpc_message_pack(&request.base);
	exchange_start(&check->exchange, choose(client), "/grpc.health.v1.Health/Check",
		timespec_of(mono_time_add_ms(clock_mono(&clock_system), timeout_ms)));
	exchange_send(&check->exchange);
}

/* Channels */

/* gRFC A6: who is sent again, how often and when. NULL when nobody is. The caller frees it. */
static char *service_config(const struct rpc_client_options *o)
{
	_cleanup_buf_ struct buf names;
	buf_init(&names, 1 << 20);
	for (size_t i = 0; o->retry && i < schema_method_count(o->schema); i++) {
		const struct schema_method *m = schema_method_at(o->schema, i);
		if (o->retry(m))
			buf_printf(&names, "%s{\"service\":\"%s\",\"method\":\"%s\"}",
				names.n ? "," : "", m->service_name, m->name);
	}
	if (!names.n)
		return NULL;
	return xasprintf("{\"methodConfig\":[{\"name\":[%s],\"retryPolicy\":{\"maxAttempts\":4,"
			 "\"initialBackoff\":\"0.05s\",\"maxBackoff\":\"1s\","
			 "\"backoffMultiplier\":2,\"retryableStatusCodes\":[\"UNAVAILABLE\"]}}],"
			 "\"retryThrottling\":{\"maxTokens\":100,\"tokenRatio\":0.1}}",
		names.p);
}

static void format_target(const struct address *a, char ret[ADDRESS_TEXT_BYTES + 8])
{
	static const char *const schemes[] = {
		[ADDRESS_NAME] = "dns:///",
		[ADDRESS_IPV4] = "ipv4:",
		[ADDRESS_IPV6] = "ipv6:",
		[ADDRESS_UNIX] = "",
	};
	char text[ADDRESS_TEXT_BYTES];
	address_format(a, text);
	snprintf(ret, ADDRESS_TEXT_BYTES + 8, "%s%s", schemes[a->kind], text);
}

static int to_int(uint64_t value)
{
	return value > INT_MAX ? INT_MAX : (int)value;
}

static grpc_channel *core_new(
	const struct rpc_client_options *o, grpc_channel_credentials *c, const char *config)
{
	size_t max_bytes = o->max_message_bytes ? o->max_message_bytes : 4 << 20;
	int64_t keepalive_ms = o->keepalive_ms ? o->keepalive_ms : 30000;
	grpc_arg args[20] = {
		/* a connection of its own for each channel */
		library_int_arg(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1),
		/* http_proxy in the environment is not about us */
		library_int_arg(GRPC_ARG_ENABLE_HTTP_PROXY, 0),
		library_int_arg(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1),
		library_int_arg(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, to_int(max_bytes)),
		library_int_arg(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0),
		library_int_arg(GRPC_ARG_ENABLE_CHANNELZ, 0),
		/* small messages need no window that grows, nor the pings that measure it */
		library_int_arg(GRPC_ARG_HTTP2_BDP_PROBE, 0),
		library_int_arg(GRPC_ARG_KEEPALIVE_TIME_MS, to_int((uint64_t)keepalive_ms)),
		library_int_arg(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, KEEPALIVE_TIMEOUT_MS),
		library_int_arg(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1),
		library_int_arg(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0),
		library_int_arg(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, CONNECT_TIMEOUT_MS),
		library_int_arg(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, FIRST_BACKOFF_MS),
		library_int_arg(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, MAX_BACKOFF_MS),
	};
	size_t n = 14;
	if (config)
		args[n++] = library_string_arg(GRPC_ARG_SERVICE_CONFIG, config);
	if (o->address->kind == ADDRESS_NAME)
		args[n++] = library_string_arg(GRPC_ARG_LB_POLICY_NAME, "round_robin");
	if (o->tls && o->tls->server_name)
		args[n++] =
			library_string_arg(GRPC_SSL_TARGET_NAME_OVERRIDE_ARG, o->tls->server_name);
	char target[ADDRESS_TEXT_BYTES + 8];
	format_target(o->address, target);
	return grpc_channel_create(target, c, &(grpc_channel_args){.num_args = n, .args = args});
}

static void open_channels(
	struct rpc_client *client, const struct rpc_client_options *o, grpc_channel_credentials *c)
{
	_cleanup_free_ char *config = service_config(o);
	client->n_channels = o->n_channels ? o->n_channels : 1;
	client->channels = xcalloc(client->n_channels, sizeof *client->channels);
	for (unsigned i = 0; i < client->n_channels; i++) {
		char name[16];
		snprintf(name, sizeof name, "upstream%u", i % 1000);
		client->channels[i].core = core_new(o, c, config);
		client->channels[i].cq = cq_new(name);
		cq_start(client->channels[i].cq);
	}
}

static struct status open_client(const struct rpc_client_options *o, struct rpc_client *client)
{
	grpc_channel_credentials *c = NULL;
	if (o->tls && o->address->kind != ADDRESS_UNIX)
		TRY(client_tls_credentials(o->tls, &c));
	else
		c = grpc_insecure_credentials_create();
	client->max_message_bytes = o->max_message_bytes ? o->max_message_bytes : 4 << 20;
	open_channels(client, o, c);
	grpc_channel_credentials_release(c);
	return status_ok();
}

struct status rpc_client_new(const struct rpc_client_options *options, struct rpc_client **ret)
{
	_cleanup_(rpc_client_freep) struct rpc_client *client = xnew(struct rpc_client);
	library_ref();
	sigset_t before;
	library_block_signals(&before);
	struct status s = open_client(options, client);
	library_restore_signals(&before);
	TRY(s);
	*ret = TAKE_PTR(client);
	return status_ok();
}

void rpc_client_free(struct rpc_client *client)
{
	if (!client)
		return;
	for (unsigned i = 0; i < client->n_channels; i++) {
		grpc_channel_destroy(client->channels[i].core);
		cq_stop(client->channels[i].cq);
		cq_free(client->channels[i].cq);
	}
	library_unref();
	free(client->channels);
	free(client);
}
