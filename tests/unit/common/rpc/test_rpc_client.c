/* SPDX-License-Identifier: Apache-2.0 */
/* The client against a server that is played frame by frame, also one that plays foul. (What it
 * does with a real one is in test_rpc.c.) */
#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/xalloc.h"
#include "common/codec/schema.h"
#include "common/event/loop.h"
#include "common/net/address.h"
#include "common/rpc/call.h"
#include "common/rpc/rpc_client.h"
#include "proto/pb_schema.h"
#include "tests/lib/h2_peer.h"
#include "tests/lib/test.h"

#include "osmo/token/v1/token_service.pb-c.h"

#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <unistd.h>

enum {
	PATIENCE_S = 30,
	MAX_ANSWER_BYTES = 8 << 20,
};

static struct world {
	struct schema *schema;
	struct loop *loop;
	struct rpc_client *client;
	struct address address;
	int listener;
	struct h2_peer peer, second;
} world;

#define SERVICE "/osmo.token.v1.TokenService/"
#define HEAD ":status: 200\ncontent-type: application/grpc\n"

/* --- calls --- */

struct outgoing {
	struct call call;
	sem_t finished, released;
};

static void finished(struct call *c)
{
	assert_true(loop_is_current(c->home));
	sem_post(&container_of(c, struct outgoing, call)->finished);
}

static void released(struct call *c)
{
	sem_post(&container_of(c, struct outgoing, call)->released);
}

static void wait_for(sem_t *s)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE_S;
	assert_int_equal(sem_timedwait(s, &until), 0);
}

static const Osmo__Token__V1__WhoAmIRequest who = OSMO__TOKEN__V1__WHO_AM_IREQUEST__INIT;
static const Osmo__Token__V1__DeleteRequest gone = OSMO__TOKEN__V1__DELETE_REQUEST__INIT;

static void prepare(struct outgoing *o, const char *path, const ProtobufCMessage *request)
{
	static const struct call_ops ops = {.finished = finished, .release = released};
	call_init(&o->call, &ops);
	sem_init(&o->finished, 0, 0);
	sem_init(&o->released, 0, 0);
	o->call.arena = arena_new();
	o->call.method = schema_find_method(world.schema, str_of(path));
	assert_non_null(o->call.method);
	o->call.request = (ProtobufCMessage *)(uintptr_t)request;
	o->call.home = world.loop;
	o->call.deadline = mono_time_add_ms(clock_mono(&clock_system), PATIENCE_S * 1000);
}

/* WhoAmI may be sent again, Delete may not. */
static void start_read(struct outgoing *o)
{
	prepare(o, SERVICE "WhoAmI", &who.base);
	rpc_client_call(world.client, &o->call);
}

static void start(struct outgoing *o)
{
	prepare(o, SERVICE "Delete", &gone.base);
	rpc_client_call(world.client, &o->call);
}

static void done(struct outgoing *o)
{
	call_unref(&o->call);
	wait_for(&o->released);
	arena_free(o->call.arena);
	sem_destroy(&o->finished);
	sem_destroy(&o->released);
}

static void expect_ok(struct outgoing *o)
{
	wait_for(&o->finished);
	assert_ok(o->call.status);
	done(o);
}

static void expect(struct outgoing *o, enum status_code code, const char *message)
{
	wait_for(&o->finished);
	if (code == STATUS_INTERNAL || code == STATUS_UNKNOWN || code == STATUS_DATA_LOSS)
		message = "internal error"; /* call.h: the details are for the log */
	assert_status(o->call.status, code, message);
	done(o);
}

static void answer(struct h2_peer *p, uint32_t stream)
{
	h2_peer_headers(p, stream, false, HEAD);
	h2_peer_message(p, stream, STR(""));
	h2_peer_headers(p, stream, true, "grpc-status: 0\n");
}

/* --- the world --- */

static bool may_retry(const struct schema_method *m)
{
	return strcmp(m->name, "WhoAmI") == 0;
}

static void open_client(struct rpc_client_options options)
{
	options.address = &world.address;
	options.schema = world.schema;
	options.loops = &world.loop;
	options.n_loops = 1;
	options.retry = may_retry;
	assert_ok(rpc_client_new(&options, &world.client));
}

static void close_client(void)
{
	rpc_client_stop(world.client);
	rpc_client_free(world.client);
}

/* A client, one call of it, and the server's end of their connection. */
static uint32_t open_world(struct outgoing *o, struct rpc_client_options options,
	const nghttp2_settings_entry *settings, size_t n)
{
	world.listener = h2_peer_listen(&world.address);
	open_client(options);
	start(o);
	h2_peer_accept(&world.peer, world.listener, settings, n);
	return h2_peer_request(&world.peer);
}

static uint32_t open_plain(struct outgoing *o)
{
	return open_world(o, (struct rpc_client_options){0}, NULL, 0);
}

static void close_world(void)
{
	close_client();
	if (world.peer.fd >= 0)
		h2_peer_close(&world.peer);
	close(world.listener);
}

/* --- what is sent --- */

static void a_request_is_what_the_protocol_asks_for(void **state)
{
	(void)state;
	world.listener = h2_peer_listen(&world.address);
	open_client((struct rpc_client_options){.user_agent = "test/1"});
	struct outgoing o;
	Osmo__Token__V1__DeleteRequest request = OSMO__TOKEN__V1__DELETE_REQUEST__INIT;
	char name[] = "ci";
	request.name = name;
	prepare(&o, SERVICE "Delete", &request.base);
	o.call.deadline = mono_time_add_ms(clock_mono(&clock_system), 20000);
	o.call.metadata[CALL_AUTHORIZATION] =
		(struct call_metadata){.value = STR("Bearer x"), .count = 1};
	o.call.metadata[CALL_TRACEPARENT] =
		(struct call_metadata){.value = STR("00-1-2-01"), .count = 1};
	snprintf(o.call.request_id, sizeof o.call.request_id, "r-1");
	rpc_client_call(world.client, &o.call);
	struct h2_peer *p = &world.peer;
	h2_peer_accept(p, world.listener, NULL, 0);
	uint32_t stream = h2_peer_request(p);
	char authority[ADDRESS_TEXT_BYTES];
	address_format(&world.address, authority);
	assert_int_equal(strncmp(p->headers, ":method: POST\n:scheme: http\n", 28), 0);
	assert_string_equal(h2_peer_header(p, ":path"), SERVICE "Delete");
	assert_string_equal(h2_peer_header(p, ":authority"), authority);
	assert_string_equal(h2_peer_header(p, "te"), "trailers");
	assert_string_equal(h2_peer_header(p, "content-type"), "application/grpc");
	assert_string_equal(h2_peer_header(p, "user-agent"), "test/1 grpc-c-nghttp2");
	assert_string_equal(h2_peer_header(p, "authorization"), "Bearer x");
	assert_string_equal(h2_peer_header(p, "traceparent"), "00-1-2-01");
	assert_string_equal(h2_peer_header(p, "x-request-id"), "r-1");
	assert_null(h2_peer_header(p, "grpc-previous-rpc-attempts"));
	int timeout_ms;
	char unit;
	assert_int_equal(sscanf(h2_peer_header(p, "grpc-timeout"), "%d%c", &timeout_ms, &unit), 2);
	assert_int_equal(unit, 'm');
	assert_in_range(timeout_ms, 10000, 20000);
	assert_int_equal(p->body_n, 9);
	assert_memory_equal(p->body, "\0\0\0\0\4\x0a\2ci", 9);
	answer(p, stream);
	expect_ok(&o);
	close_world();
}

static void a_call_without_a_deadline_names_none(void **state)
{
	(void)state;
	world.listener = h2_peer_listen(&world.address);
	open_client((struct rpc_client_options){0});
	struct outgoing o;
	prepare(&o, SERVICE "WhoAmI", &who.base);
	o.call.deadline = MONO_TIME_NEVER;
	rpc_client_call(world.client, &o.call);
	h2_peer_accept(&world.peer, world.listener, NULL, 0);
	uint32_t stream = h2_peer_request(&world.peer);
	assert_null(h2_peer_header(&world.peer, "grpc-timeout"));
	answer(&world.peer, stream);
	expect_ok(&o);
	close_world();
}

static void a_large_request_waits_for_the_window(void **state)
{
	(void)state;
	struct outgoing o;
	uint32_t stream = open_plain(&o);
	answer(&world.peer, stream);
	expect_ok(&o);
	static char text[300000];
	memset(text, 'x', sizeof text - 1);
	Osmo__Token__V1__DeleteRequest request = OSMO__TOKEN__V1__DELETE_REQUEST__INIT;
	request.name = text;
	prepare(&o, SERVICE "Delete", &request.base);
	rpc_client_call(world.client, &o.call);
	struct h2_peer *p = &world.peer;
	h2_peer_expect(p, NGHTTP2_HEADERS);
	size_t got = 0;
	while (got < 65535 - 2 * 5) { /* less what the first two calls took of the connection's */
		h2_peer_expect(p, NGHTTP2_DATA);
		got += p->n;
	}
	assert_in_range(got, 1, 65535);
	h2_peer_window(p, 0, 1 << 20);
	h2_peer_window(p, p->stream, 1 << 20);
	do {
		h2_peer_expect(p, NGHTTP2_DATA);
		got += p->n;
	} while (!(p->flags & NGHTTP2_FLAG_END_STREAM));
	assert_in_range(got, sizeof text, sizeof text + 20);
	answer(p, p->stream);
	expect_ok(&o);
	close_world();
}

static void headers_that_the_server_does_not_take_cost_the_call_alone(void **state)
{
	(void)state;
	static const nghttp2_settings_entry small[] = {
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, 1000}};
	struct outgoing o, large;
	uint32_t stream = open_world(&o, (struct rpc_client_options){0}, small, 1);
	static char text[1000];
	memset(text, 'x', sizeof text);
	prepare(&large, SERVICE "WhoAmI", &who.base);
	large.call.metadata[CALL_AUTHORIZATION] =
		(struct call_metadata){.value = {text, sizeof text}, .count = 1};
	rpc_client_call(world.client, &large.call);
	expect(&large, STATUS_RESOURCE_EXHAUSTED,
		"The headers of the call are larger than the service takes");
	answer(&world.peer, stream);
	expect_ok(&o);
	close_world();
}

/* --- what comes back --- */

static void an_answer_may_come_byte_by_byte(void **state)
{
	(void)state;
	struct outgoing o;
	uint32_t stream = open_plain(&o);
	answer(&world.peer, stream);
	expect_ok(&o);
	start_read(&o);
	struct h2_peer *p = &world.peer;
	stream = h2_peer_request(p);
	h2_peer_headers(p, stream, false, ":status: 103\nlink: x\n"); /* one that announces */
	h2_peer_headers(p, stream, false, HEAD "x-osmo-service-version: 9.9\n");
	static const char message[] = "\0\0\0\0\7\x0a\5alice";
	for (size_t i = 0; i < sizeof message - 1; i++) {
		h2_peer_data(p, stream, false, "", 0);
		h2_peer_data(p, stream, false, message + i, 1);
	}
	h2_peer_headers(p, stream, true, "grpc-status: 0\ngrpc-message: fine\n");
	wait_for(&o.finished);
	assert_ok(o.call.status);
	assert_string_equal(((Osmo__Token__V1__WhoAmIResponse *)o.call.reply)->user, "alice");
	assert_str(o.call.reply_headers[CALL_REPLY_SERVICE_VERSION], "9.9");
	done(&o);
	close_world();
}

static void a_large_answer_comes_through_the_window(void **state)
{
	(void)state;
	struct outgoing o;
	uint32_t stream = open_plain(&o);
	struct h2_peer *p = &world.peer;
	answer(p, stream);
	expect_ok(&o);
	start_read(&o);
	stream = h2_peer_request(p);
	const size_t n = 3 << 20;
	/* field 1, a string of n - 5 bytes */
	char *bytes = xcalloc(1, n + 5);
	memset(bytes, 'x', n + 5);
	const uint8_t head[] = {0, (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8),
		(uint8_t)n, 0x0a, (uint8_t)((n - 5) | 0x80), (uint8_t)((n - 5) >> 7 | 0x80),
		(uint8_t)((n - 5) >> 14 | 0x80), (uint8_t)((n - 5) >> 21)};
	memcpy(bytes, head, sizeof head);
	h2_peer_headers(p, stream, false, HEAD);
	long window = 1 << 20; /* what the client's SETTINGS allow */
	for (size_t at = 0; at < n + 5;) {
		size_t k = n + 5 - at < 16384 ? n + 5 - at : 16384;
		while (window < (long)k) {
			h2_peer_expect(p, NGHTTP2_WINDOW_UPDATE);
			if (p->stream == stream)
				window += (long)p->payload[0] << 24 | (long)p->payload[1] << 16 |
					  (long)p->payload[2] << 8 | (long)p->payload[3];
		}
		h2_peer_data(p, stream, false, bytes + at, k);
		window -= (long)k;
		at += k;
	}
	h2_peer_headers(p, stream, true, "grpc-status: 0\n");
	wait_for(&o.finished);
	assert_ok(o.call.status);
	assert_int_equal(strlen(((Osmo__Token__V1__WhoAmIResponse *)o.call.reply)->user), n - 5);
	free(bytes);
	done(&o);
	close_world();
}

static void an_error_without_a_body_is_an_error(void **state)
{
	(void)state;
	struct outgoing o;
	uint32_t stream = open_plain(&o);
	h2_peer_headers(&world.peer, stream, true,
		HEAD "grpc-status: 5\ngrpc-message: caf%C3%A9 is 100%25 %zz gone%\n");
	expect(&o, STATUS_NOT_FOUND, "caf\xc3\xa9 is 100% %zz gone%");
	close_world();
}

/* google.rpc.Status{code: 3, message: "m", details: BadRequest{field_violations: {field: "a.b"}}}
 */
#define DETAILS "CAMSAW0aNgopdHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLkJhZFJlcXVlc3QSCQoHCgNhLmISAA"

static void details_come_with_padding_and_without(void **state)
{
	(void)state;
	static const char *const forms[] = {DETAILS, DETAILS "=="};
	struct outgoing o;
	uint32_t stream = open_plain(&o);
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		char fields[400];
		snprintf(fields, sizeof fields,
			HEAD "grpc-status: 3\ngrpc-message: m\ngrpc-status-details-bin: %s\n",
			forms[i]);
		h2_peer_headers(&world.peer, stream, true, fields);
		wait_for(&o.finished);
		assert_string_equal(o.call.status.field, "a.b");
		assert_status(o.call.status, STATUS_INVALID_ARGUMENT, "m");
		assert_true(o.call.status_details.n > 0);
		done(&o);
		start(&o);
		stream = h2_peer_request(&world.peer);
	}
	answer(&world.peer, stream);
	expect_ok(&o);
	close_world();
}

static void a_status_of_http_becomes_one_of_grpc(void **state)
{
	(void)state;
	static const struct {
		const char *fields;
		enum status_code code;
		const char *message;
	} answers[] = {
		{":status: 401\n", STATUS_UNAUTHENTICATED,
			"The service answered with HTTP status 401"},
		{":status: 403\n", STATUS_PERMISSION_DENIED,
			"The service answered with HTTP status 403"},
		{":status: 404\ncontent-type: text/html\n", STATUS_UNIMPLEMENTED,
			"The service answered with HTTP status 404"},
		{":status: 400\n", STATUS_INTERNAL, NULL},
		{":status: 500\n", STATUS_UNKNOWN, NULL},
		{":status: 503\n", STATUS_UNAVAILABLE, "The service cannot be reached"},
		{":status: 200\ncontent-type: text/html\n", STATUS_UNKNOWN, NULL},
		{":status: 200\ncontent-type: application/grpc-web\n", STATUS_UNKNOWN, NULL},
		{HEAD, STATUS_INTERNAL, NULL},
		{HEAD "grpc-status: 99\n", STATUS_UNKNOWN, NULL},
		{HEAD "grpc-status: -1\n", STATUS_UNKNOWN, NULL},
		{HEAD "grpc-status: \n", STATUS_UNKNOWN, NULL},
		{HEAD "grpc-status: 0\n", STATUS_INTERNAL, NULL}, /* and no message */
		{HEAD "grpc-status: 16\ngrpc-message: who?\n", STATUS_UNAUTHENTICATED, "who?"},
		{":status: 200\ncontent-type: application/grpc+proto\ngrpc-status: 7\n",
			STATUS_PERMISSION_DENIED, ""},
		{HEAD "grpc-status: 5\ngrpc-message: a%ff\n", STATUS_NOT_FOUND, "a"},
	};
	struct outgoing o;
	uint32_t stream = open_plain(&o);
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		h2_peer_headers(&world.peer, stream, true, answers[i].fields);
		expect(&o, answers[i].code, answers[i].message);
		start(&o);
		stream = h2_peer_request(&world.peer);
	}
	answer(&world.peer, stream);
	expect_ok(&o);
	close_world();
}

static void a_reset_becomes_a_status(void **state)
{
	(void)state;
	static const struct {
		uint32_t error;
		enum status_code code;
		const char *message;
	} resets[] = {
		{NGHTTP2_NO_ERROR, STATUS_INTERNAL, NULL},
		{NGHTTP2_PROTOCOL_ERROR, STATUS_INTERNAL, NULL},
		{NGHTTP2_FLOW_CONTROL_ERROR, STATUS_INTERNAL, NULL},
		{NGHTTP2_CANCEL, STATUS_CANCELLED, "The service cancelled the call"},
		{NGHTTP2_ENHANCE_YOUR_CALM, STATUS_RESOURCE_EXHAUSTED, "The service is overloaded"},
		{NGHTTP2_INADEQUATE_SECURITY, STATUS_PERMISSION_DENIED,
			"The service asks for better encryption"},
		{4711, STATUS_INTERNAL, NULL},
	};
	struct outgoing o;
	uint32_t stream = open_plain(&o);
	for (size_t i = 0; i < ARRAY_SIZE(resets); i++) {
		h2_peer_reset(&world.peer, stream, resets[i].error);
		expect(&o, resets[i].code, resets[i].message);
		start(&o);
		stream = h2_peer_request(&world.peer);
	}
	/* half an answer does not make it one */
	h2_peer_headers(&world.peer, stream, false, HEAD);
	h2_peer_message(&world.peer, stream, STR(""));
	h2_peer_reset(&world.peer, stream, NGHTTP2_INTERNAL_ERROR);
	expect(&o, STATUS_INTERNAL, NULL);
	close_world();
}

static void a_message_that_is_wrong_is_refused(void **state)
{
	(void)state;
	static const struct {
		struct str bytes;
		enum status_code code;
		const char *message;
		bool stopped; /* before the end */
	} messages[] = {
		{{"\0\0\0\0", 4}, STATUS_INTERNAL, NULL, false},             /* half a prefix */
		{{"\0\0\0\0\2a", 6}, STATUS_INTERNAL, NULL, false},          /* cut short */
		{{"\1\0\0\0\0", 5}, STATUS_INTERNAL, NULL, true},            /* compressed */
		{{"\0\0\0\0\0\0\0\0\0\0", 10}, STATUS_INTERNAL, NULL, true}, /* two */
		{{"\0\0\0\0\1\xff", 6}, STATUS_INTERNAL, NULL, true},        /* no protobuf */
		{{"\0\0\0\0\3\x0a\1\xff", 8}, STATUS_INTERNAL, NULL, true},  /* no UTF-8 */
		{{"\0\0\0\4\1", 5}, STATUS_RESOURCE_EXHAUSTED,
			"The service's answer has 1025 bytes, at most 1000 are taken", true},
		{{"\0\xff\xff\xff\xff", 5}, STATUS_RESOURCE_EXHAUSTED,
			"The service's answer has 4294967295 bytes, at most 1000 are taken", true},
	};
	struct outgoing o;
	struct h2_peer *p = &world.peer;
	uint32_t stream =
		open_world(&o, (struct rpc_client_options){.max_message_bytes = 1000}, NULL, 0);
	answer(p, stream);
	expect_ok(&o);
	for (size_t i = 0; i < ARRAY_SIZE(messages); i++) {
		start_read(&o);
		stream = h2_peer_request(p);
		h2_peer_headers(p, stream, false, HEAD);
		h2_peer_data(p, stream, false, messages[i].bytes.p, messages[i].bytes.n);
		if (messages[i].stopped) {
			h2_peer_expect(p, NGHTTP2_RST_STREAM);
			assert_int_equal(p->stream, stream);
			assert_int_equal(p->payload[3], NGHTTP2_CANCEL);
		} else {
			h2_peer_headers(p, stream, true, "grpc-status: 0\n");
		}
		expect(&o, messages[i].code, messages[i].message);
	}
	close_world();
}

static void headers_without_end_are_cut_off(void **state)
{
	(void)state;
	struct outgoing o;
	uint32_t stream = open_plain(&o);
	_cleanup_buf_ struct buf fields;
	buf_init(&fields, 1 << 20);
	buf_append_str(&fields, STR(HEAD));
	for (size_t i = 0; i < 20; i++)
		buf_printf(&fields, "x-%zu: %04000d\n", i, 0);
	h2_peer_headers(&world.peer, stream, true, fields.p);
	expect(&o, STATUS_RESOURCE_EXHAUSTED,
		"The service answered with more than 65536 bytes of headers");
	close_world();
}

static void an_early_answer_stops_the_question(void **state)
{
	(void)state;
	struct outgoing o;
	uint32_t stream = open_plain(&o);
	struct h2_peer *p = &world.peer;
	answer(p, stream);
	expect_ok(&o);
	static char text[300000];
	memset(text, 'x', sizeof text - 1);
	Osmo__Token__V1__DeleteRequest request = OSMO__TOKEN__V1__DELETE_REQUEST__INIT;
	request.name = text;
	prepare(&o, SERVICE "Delete", &request.base);
	rpc_client_call(world.client, &o.call);
	h2_peer_expect(p, NGHTTP2_HEADERS);
	stream = p->stream;
	h2_peer_headers(p, stream, true, HEAD "grpc-status: 7\ngrpc-message: no\n");
	expect(&o, STATUS_PERMISSION_DENIED, "no");
	h2_peer_expect(p, NGHTTP2_RST_STREAM);
	assert_int_equal(p->stream, stream);
	close_world();
}

/* --- giving up --- */

static void a_cancelled_call_resets_its_stream(void **state)
{
	(void)state;
	struct outgoing o, other;
	uint32_t stream = open_plain(&o);
	start(&other);
	uint32_t second = h2_peer_request(&world.peer);
	call_cancel(&o.call);
	h2_peer_expect(&world.peer, NGHTTP2_RST_STREAM);
	assert_int_equal(world.peer.stream, stream);
	assert_int_equal(world.peer.payload[3], NGHTTP2_CANCEL);
	expect(&o, STATUS_CANCELLED, "The call was cancelled");
	answer(&world.peer, stream); /* too late, and nobody minds */
	answer(&world.peer, second);
	expect_ok(&other);
	close_world();
}

static void a_call_past_its_deadline_resets_its_stream(void **state)
{
	(void)state;
	struct outgoing o;
	uint32_t stream = open_plain(&o);
	answer(&world.peer, stream);
	expect_ok(&o);
	prepare(&o, SERVICE "Delete", &gone.base);
	o.call.deadline = mono_time_add_ms(clock_mono(&clock_system), 50);
	rpc_client_call(world.client, &o.call);
	stream = h2_peer_request(&world.peer);
	h2_peer_expect(&world.peer, NGHTTP2_RST_STREAM);
	assert_int_equal(world.peer.stream, stream);
	expect(&o, STATUS_DEADLINE_EXCEEDED, "The deadline has passed");
	/* a server that counted faster says CANCEL */
	prepare(&o, SERVICE "Delete", &gone.base);
	o.call.deadline = mono_time_add_ms(clock_mono(&clock_system), 300);
	rpc_client_call(world.client, &o.call);
	stream = h2_peer_request(&world.peer);
	usleep(299500);
	h2_peer_reset(&world.peer, stream, NGHTTP2_CANCEL);
	expect(&o, STATUS_DEADLINE_EXCEEDED, "The deadline has passed");
	close_world();
}

static void a_call_may_be_cancelled_before_there_is_a_connection(void **state)
{
	(void)state;
	world.listener = h2_peer_listen(&world.address);
	open_client((struct rpc_client_options){0});
	struct outgoing o, past;
	start(&o);
	h2_peer_accept_silently(&world.peer, world.listener);
	prepare(&past, SERVICE "Delete", &gone.base);
	past.call.deadline = mono_time_add_ms(clock_mono(&clock_system), 30);
	rpc_client_call(world.client, &past.call);
	assert_int_equal(rpc_client_stats(world.client).connections, 0);
	expect(&past, STATUS_DEADLINE_EXCEEDED, "The deadline has passed");
	call_cancel(&o.call);
	expect(&o, STATUS_CANCELLED, "The call was cancelled");
	assert_int_equal(rpc_client_stats(world.client).waiting, 0);
	close_world();
}

/* --- sending again --- */

static void a_refused_stream_is_sent_again_once(void **state)
{
	(void)state;
	struct outgoing o;
	uint32_t stream = open_plain(&o);
	h2_peer_reset(&world.peer, stream, NGHTTP2_REFUSED_STREAM);
	stream = h2_peer_request(&world.peer);
	assert_null(h2_peer_header(&world.peer, "grpc-previous-rpc-attempts"));
	assert_int_equal(rpc_client_stats(world.client).retries, 1);
	answer(&world.peer, stream);
	expect_ok(&o);
	start(&o);
	h2_peer_reset(&world.peer, h2_peer_request(&world.peer), NGHTTP2_REFUSED_STREAM);
	h2_peer_reset(&world.peer, h2_peer_request(&world.peer), NGHTTP2_REFUSED_STREAM);
	expect(&o, STATUS_UNAVAILABLE, "The service cannot be reached");
	close_world();
}

static void what_reads_is_sent_again_when_the_service_is_unavailable(void **state)
{
	(void)state;
	struct outgoing o;
	struct h2_peer *p = &world.peer;
	answer(p, open_plain(&o));
	expect_ok(&o);
	start_read(&o);
	for (int i = 0; i < 3; i++) {
		uint32_t stream = h2_peer_request(p);
		const char *before = h2_peer_header(p, "grpc-previous-rpc-attempts");
		assert_string_equal(before ? before : "0", i == 0 ? "0" : i == 1 ? "1" : "2");
		h2_peer_headers(p, stream, true, HEAD "grpc-status: 14\n");
	}
	answer(p, h2_peer_request(p));
	expect_ok(&o);

	start(&o); /* it does not read */
	h2_peer_headers(p, h2_peer_request(p), true, HEAD "grpc-status: 14\n");
	expect(&o, STATUS_UNAVAILABLE, "The service cannot be reached");

	start_read(&o); /* the service says: not again */
	h2_peer_headers(
		p, h2_peer_request(p), true, HEAD "grpc-status: 14\ngrpc-retry-pushback-ms: -1\n");
	expect(&o, STATUS_UNAVAILABLE, "The service cannot be reached");

	start_read(&o); /* the service says when */
	h2_peer_headers(
		p, h2_peer_request(p), true, HEAD "grpc-status: 14\ngrpc-retry-pushback-ms: 1\n");
	answer(p, h2_peer_request(p));
	expect_ok(&o);

	start_read(&o); /* an answer had begun */
	uint32_t stream = h2_peer_request(p);
	h2_peer_headers(p, stream, false, HEAD);
	h2_peer_message(p, stream, STR(""));
	h2_peer_headers(p, stream, true, "grpc-status: 14\n");
	expect(&o, STATUS_UNAVAILABLE, "The service cannot be reached");
	close_world();
}

/* After an answer: does another attempt come, or is the call over? */
static bool is_asked_again(const struct h2_peer *p, struct outgoing *o)
{
	for (int i = 0; i < PATIENCE_S * 1000; i++) {
		struct pollfd fd = {.fd = p->fd, .events = POLLIN};
		if (sem_trywait(&o->finished) == 0)
			return false;
		if (poll(&fd, 1, 1) == 1)
			return true;
	}
	fail_msg("neither an answer nor another attempt");
	return false;
}

static void retries_stop_while_most_calls_fail(void **state)
{
	(void)state;
	struct outgoing o;
	struct h2_peer *p = &world.peer;
	answer(p, open_plain(&o));
	expect_ok(&o);
	unsigned attempts = 0;
	for (int i = 0; i < 60; i++) {
		start_read(&o);
		do {
			h2_peer_headers(p, h2_peer_request(p), true,
				HEAD "grpc-status: 14\ngrpc-retry-pushback-ms: 0\n");
			attempts++;
		} while (is_asked_again(p, &o));
		assert_int_equal(o.call.status.code, STATUS_UNAVAILABLE);
		done(&o);
	}
	/* 50 failures empty the bucket by half: from then on each call is one attempt */
	assert_in_range(attempts, 60 + 30, 60 + 50);
	close_world();
}

/* --- connections --- */

static void a_broken_connection_fails_its_calls_and_is_made_again(void **state)
{
	(void)state;
	struct outgoing o, again;
	open_plain(&o);
	start_read(&again);
	h2_peer_request(&world.peer);
	h2_peer_close(&world.peer);
	expect(&o, STATUS_UNAVAILABLE, "The service cannot be reached");
	h2_peer_accept(&world.peer, world.listener, NULL, 0);
	answer(&world.peer, h2_peer_request(&world.peer)); /* what reads was sent again */
	expect_ok(&again);
	assert_int_equal(rpc_client_stats(world.client).connections, 1);
	assert_int_equal(rpc_client_stats(world.client).opened, 2);
	close_world();
}

static void goaway_loses_no_call(void **state)
{
	(void)state;
	struct outgoing a, b, c;
	struct h2_peer *p = &world.peer, *next = &world.second;
	uint32_t first = open_plain(&a);
	start(&b);
	uint32_t second = h2_peer_request(p);
	assert_true(second > first);
	h2_peer_goaway(p, first, NGHTTP2_NO_ERROR, ""); /* the first is worked on */
	h2_peer_accept(next, world.listener, NULL, 0);
	uint32_t again = h2_peer_request(next); /* the second was not */
	start(&c);
	uint32_t third = h2_peer_request(next);
	answer(p, first);
	expect_ok(&a);
	assert_true(h2_peer_is_closed(p)); /* nothing is left to do there */
	answer(next, third);
	answer(next, again);
	expect_ok(&b);
	expect_ok(&c);
	h2_peer_close(p);
	world.peer.fd = -1;
	close_client();
	h2_peer_close(next);
	close(world.listener);
}

static void no_more_calls_at_once_than_the_server_allows(void **state)
{
	(void)state;
	static const nghttp2_settings_entry two[] = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 2}};
	struct outgoing calls[5];
	struct h2_peer *p = &world.peer;
	uint32_t first =
		open_world(&calls[0], (struct rpc_client_options){.max_waiting = 2}, two, 1);
	for (size_t i = 1; i < 5; i++)
		start(&calls[i]);
	uint32_t second = h2_peer_request(p);
	expect(&calls[4], STATUS_UNAVAILABLE,
		"Too many calls wait for the service; try again later");
	assert_int_equal(rpc_client_stats(world.client).waiting, 2);
	h2_peer_frame(p, NGHTTP2_PING, 0, 0, "12345678", 8);
	h2_peer_expect(p, NGHTTP2_PING); /* it would have come before this */
	answer(p, second);
	expect_ok(&calls[1]);
	uint32_t third = h2_peer_request(p);
	call_cancel(&calls[0].call); /* makes room as well */
	expect(&calls[0], STATUS_CANCELLED, "The call was cancelled");
	uint32_t fourth = h2_peer_request(p);
	assert_true(first < third && third < fourth);
	answer(p, third);
	answer(p, fourth);
	expect_ok(&calls[2]);
	expect_ok(&calls[3]);
	close_world();
}

struct turn {
	struct loop_task task;
	sem_t over;
};

static void on_turn(struct loop_task *task)
{
	sem_post(&container_of(task, struct turn, task)->over);
}

/* What was begun in one turn of the loop is written at its end: the next one is behind that. */
static void let_the_loop_write(void)
{
	struct turn t = {.task.run = on_turn};
	sem_init(&t.over, 0, 0);
	for (int i = 0; i < 2; i++) {
		loop_post(world.loop, &t.task);
		wait_for(&t.over);
	}
	sem_destroy(&t.over);
}

/* What cannot be written must not pile up: calls wait for room, and those past the limit fail. */
static void a_server_that_does_not_read_gets_no_more_calls(void **state)
{
	(void)state;
	enum {
		MANY = 1500 /* of 8 KB: more than sockets hold */
	};
	static struct outgoing calls[MANY];
	static char text[8000];
	struct outgoing o;
	struct h2_peer *p = &world.peer;
	answer(p, open_world(&o, (struct rpc_client_options){.max_waiting = 10}, NULL, 0));
	expect_ok(&o);
	memset(text, 'x', sizeof text);
	unsigned crowded = 0;
	for (size_t i = 0; i < MANY; i++) {
		prepare(&calls[i], SERVICE "Delete", &gone.base);
		calls[i].call.metadata[CALL_AUTHORIZATION] =
			(struct call_metadata){.value = {text, sizeof text}, .count = 1};
		rpc_client_call(world.client, &calls[i].call);
		if (i % 10 == 9)
			let_the_loop_write();
	}
	for (size_t i = 0; i < MANY; i++)
		call_cancel(&calls[i].call);
	for (size_t i = 0; i < MANY; i++) {
		wait_for(&calls[i].finished);
		crowded += calls[i].call.status.code == STATUS_UNAVAILABLE;
		done(&calls[i]);
	}
	assert_in_range(crowded, 1, MANY - 1);
	assert_int_equal(rpc_client_stats(world.client).waiting, 0);
	/* it goes on when the server reads again */
	h2_peer_frame(p, NGHTTP2_PING, 0, 0, "12345678", 8);
	h2_peer_expect(p, NGHTTP2_PING);
	start(&o);
	h2_peer_expect(p, NGHTTP2_HEADERS);
	answer(p, p->stream);
	expect_ok(&o);
	close_world();
}

static void a_server_that_breaks_the_rules_is_left(void **state)
{
	(void)state;
	static const struct str nonsense[] = {
		{"HTTP/1.1 400 Bad Request\r\n\r\n", 28},
		{"\0\0\0\1\5\0\0\0\0", 9},              /* HEADERS on stream 0 */
		{"\0\0\5\0\0\0\0\0\7abcde", 14},        /* DATA on a stream that never was */
		{"\xff\xff\xff\0\0\0\0\0\1", 9},        /* a frame of 16 MiB */
		{"\0\0\3\1\4\0\0\0\1\xff\xff\xff", 12}, /* no HPACK */
		{"\0\0\6\4\0\0\0\0\0\0\4\xff\xff\xff\xff", 15}, /* a window that cannot be */
		{"\0\0\4\x08\0\0\0\0\0\0\0\0\0", 13},           /* WINDOW_UPDATE by 0 */
	};
	for (size_t i = 0; i < ARRAY_SIZE(nonsense); i++) {
		struct outgoing o;
		world.listener = h2_peer_listen(&world.address);
		open_client((struct rpc_client_options){0});
		start(&o);
		h2_peer_accept(&world.peer, world.listener, NULL, 0);
		h2_peer_request(&world.peer);
		h2_peer_raw(&world.peer, nonsense[i].p, nonsense[i].n);
		assert_true(h2_peer_is_closed(&world.peer));
		expect(&o, STATUS_UNAVAILABLE, "The service cannot be reached");
		close_world();
	}
}

/* It says hello and goodbye, and breaks the rules, all in one segment: nghttp2 gives up at so many
 * PINGs before the channel could hear of the hello. */
static void a_server_that_leaves_before_it_was_ready_is_left(void **state)
{
	(void)state;
	enum {
		PINGS = 1100,
		PING_BYTES = 9 + 8
	};
	static const char ping[PING_BYTES + 1] = "\0\0\10\6\0\0\0\0\0abcdefgh";
	_cleanup_buf_ struct buf all;
	buf_init(&all, 1 << 16);
	buf_append(&all, "\0\0\0\4\0\0\0\0\0", 9);
	buf_append(&all, "\0\0\10\7\0\0\0\0\0\0\0\0\1\0\0\0\0", 17);
	for (size_t i = 0; i < PINGS; i++)
		buf_append(&all, ping, PING_BYTES);
	struct outgoing o;
	world.listener = h2_peer_listen(&world.address);
	open_client((struct rpc_client_options){0});
	start(&o);
	h2_peer_accept_silently(&world.peer, world.listener);
	h2_peer_raw(&world.peer, all.p, all.n);
	expect(&o, STATUS_UNAVAILABLE, "The service cannot be reached");
	h2_peer_close(&world.peer);
	h2_peer_accept(&world.peer, world.listener, NULL, 0);
	while (rpc_client_stats(world.client).connections == 0)
		usleep(1000);
	assert_int_equal(rpc_client_stats(world.client).connections, 1);
	close_world();
}

static void a_server_that_says_nothing_is_no_server(void **state)
{
	(void)state;
	world.listener = h2_peer_listen(&world.address);
	open_client((struct rpc_client_options){.open_timeout_ms = 50});
	struct outgoing o;
	start(&o);
	h2_peer_accept_silently(&world.peer, world.listener);
	expect(&o, STATUS_UNAVAILABLE, "The service cannot be reached");
	assert_true(h2_peer_is_closed(&world.peer));
	/* until one comes that speaks */
	h2_peer_close(&world.peer);
	h2_peer_accept(&world.peer, world.listener, NULL, 0);
	while (rpc_client_stats(world.client).connections == 0)
		usleep(1000);
	start(&o);
	answer(&world.peer, h2_peer_request(&world.peer));
	expect_ok(&o);
	close_world();
}

static int64_t now_ms(void)
{
	return clock_mono(&clock_system).us / US_PER_MS;
}

static void a_server_that_hangs_up_is_not_called_in_a_loop(void **state)
{
	(void)state;
	struct outgoing o;
	struct h2_peer *p = &world.peer;
	answer(p, open_plain(&o));
	expect_ok(&o);
	h2_peer_close(p);
	h2_peer_accept(p, world.listener, NULL, 0); /* at once */
	start(&o);
	answer(p, h2_peer_request(p));
	expect_ok(&o);
	int64_t before = now_ms();
	h2_peer_close(p);
	while (rpc_client_stats(world.client).connections)
		usleep(1000);
	start(&o); /* waits for the connection to come, because the last one was of use */
	h2_peer_accept(p, world.listener, NULL, 0);
	assert_in_range(now_ms() - before, 45, PATIENCE_S * 1000);
	answer(p, h2_peer_request(p));
	expect_ok(&o);
	h2_peer_close(p);
	h2_peer_accept(p, world.listener, NULL, 0);
	while (rpc_client_stats(world.client).opened < 4)
		usleep(1000);
	h2_peer_close(p); /* this one was not */
	while (rpc_client_stats(world.client).connections)
		usleep(1000);
	start(&o);
	expect(&o, STATUS_UNAVAILABLE, "The service cannot be reached");
	close_world();
}

static void a_silent_connection_is_probed_and_given_up(void **state)
{
	(void)state;
	struct outgoing o;
	struct h2_peer *p = &world.peer;
	open_world(&o,
		(struct rpc_client_options){.keepalive_ms = 100, .keepalive_timeout_ms = 1000},
		NULL, 0);
	h2_peer_expect(p, NGHTTP2_PING);
	h2_peer_frame(p, NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, p->payload, 8);
	h2_peer_expect(p, NGHTTP2_PING); /* no answer any more */
	assert_true(h2_peer_is_closed(p));
	expect(&o, STATUS_UNAVAILABLE, "The service cannot be reached");
	close_world();
}

static void pings_are_fewer_when_the_server_asks_for_it(void **state)
{
	(void)state;
	struct outgoing o;
	struct h2_peer *p = &world.peer;
	uint32_t stream = open_world(&o,
		(struct rpc_client_options){.keepalive_ms = 200, .keepalive_timeout_ms = 10000},
		NULL, 0);
	h2_peer_expect(p, NGHTTP2_PING);
	h2_peer_goaway(p, stream, NGHTTP2_ENHANCE_YOUR_CALM, "too_many_pings");
	int64_t before = now_ms();
	h2_peer_accept(&world.second, world.listener, NULL, 0);
	h2_peer_expect(&world.second, NGHTTP2_PING);
	assert_in_range(now_ms() - before, 390, PATIENCE_S * 1000);
	answer(p, stream);
	expect_ok(&o);
	h2_peer_close(&world.second);
	close_world();
}

static void every_address_of_a_name_is_tried(void **state)
{
	(void)state;
	world.listener = h2_peer_listen(&world.address);
	uint16_t port = world.address.port;
	assert_ok(address_parse(STR("localhost:1"), &world.address)); /* ::1 as well */
	world.address.port = port;
	for (int i = 0; i < 8; i++) { /* it begins with any of them */
		struct outgoing o;
		open_client((struct rpc_client_options){0});
		start(&o);
		h2_peer_accept(&world.peer, world.listener, NULL, 0);
		answer(&world.peer, h2_peer_request(&world.peer));
		expect_ok(&o);
		close_client();
		h2_peer_close(&world.peer);
	}
	close(world.listener);
}

static void a_name_that_is_unknown_fails_the_call(void **state)
{
	(void)state;
	assert_ok(address_parse(STR("no-such-host.invalid:1"), &world.address));
	open_client((struct rpc_client_options){0});
	struct outgoing o;
	start(&o);
	expect(&o, STATUS_UNAVAILABLE, "The service cannot be reached");
	close_client();
}

static void a_stop_waits_for_no_attempt(void **state)
{
	(void)state;
	assert_ok(address_parse(STR("no-such-host.invalid:1"), &world.address));
	struct outgoing o;
	open_client((struct rpc_client_options){0}); /* never used */
	close_client();
	open_client((struct rpc_client_options){0});
	start(&o);
	call_cancel(&o.call);
	wait_for(&o.finished);
	done(&o);
	close_client(); /* while it looks the name up */
	world.listener = h2_peer_listen(&world.address);
	open_client((struct rpc_client_options){0});
	start(&o);
	h2_peer_accept_silently(&world.peer, world.listener);
	call_cancel(&o.call);
	expect(&o, STATUS_CANCELLED, "The call was cancelled");
	close_world(); /* while it connects */
}

static void a_stop_says_goodbye(void **state)
{
	(void)state;
	struct outgoing o;
	answer(&world.peer, open_plain(&o));
	expect_ok(&o);
	close_client();
	h2_peer_expect(&world.peer, NGHTTP2_GOAWAY);
	assert_true(h2_peer_is_closed(&world.peer));
	h2_peer_close(&world.peer);
	close(world.listener);
}

static int open_schema(void **state)
{
	(void)state;
	assert_ok(pb_schema_new(&world.schema));
	world.loop = loop_new();
	loop_start(world.loop, "loop");
	return 0;
}

static int close_schema(void **state)
{
	(void)state;
	loop_stop(world.loop);
	loop_join(world.loop);
	loop_free(world.loop);
	schema_free(world.schema);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_is_what_the_protocol_asks_for),
		cmocka_unit_test(a_call_without_a_deadline_names_none),
		cmocka_unit_test(a_large_request_waits_for_the_window),
		cmocka_unit_test(headers_that_the_server_does_not_take_cost_the_call_alone),
		cmocka_unit_test(an_answer_may_come_byte_by_byte),
		cmocka_unit_test(a_large_answer_comes_through_the_window),
		cmocka_unit_test(an_error_without_a_body_is_an_error),
		cmocka_unit_test(details_come_with_padding_and_without),
		cmocka_unit_test(a_status_of_http_becomes_one_of_grpc),
		cmocka_unit_test(a_reset_becomes_a_status),
		cmocka_unit_test(a_message_that_is_wrong_is_refused),
		cmocka_unit_test(headers_without_end_are_cut_off),
		cmocka_unit_test(an_early_answer_stops_the_question),
		cmocka_unit_test(a_cancelled_call_resets_its_stream),
		cmocka_unit_test(a_call_past_its_deadline_resets_its_stream),
		cmocka_unit_test(a_call_may_be_cancelled_before_there_is_a_connection),
		cmocka_unit_test(a_refused_stream_is_sent_again_once),
		cmocka_unit_test(what_reads_is_sent_again_when_the_service_is_unavailable),
		cmocka_unit_test(retries_stop_while_most_calls_fail),
		cmocka_unit_test(a_broken_connection_fails_its_calls_and_is_made_again),
		cmocka_unit_test(goaway_loses_no_call),
		cmocka_unit_test(no_more_calls_at_once_than_the_server_allows),
		cmocka_unit_test(a_server_that_does_not_read_gets_no_more_calls),
		cmocka_unit_test(a_server_that_breaks_the_rules_is_left),
		cmocka_unit_test(a_server_that_leaves_before_it_was_ready_is_left),
		cmocka_unit_test(a_server_that_says_nothing_is_no_server),
		cmocka_unit_test(a_server_that_hangs_up_is_not_called_in_a_loop),
		cmocka_unit_test(a_silent_connection_is_probed_and_given_up),
		cmocka_unit_test(pings_are_fewer_when_the_server_asks_for_it),
		cmocka_unit_test(every_address_of_a_name_is_tried),
		cmocka_unit_test(a_name_that_is_unknown_fails_the_call),
		cmocka_unit_test(a_stop_waits_for_no_attempt),
		cmocka_unit_test(a_stop_says_goodbye),
	};
	return cmocka_run_group_tests_name(__FILE__, tests, open_schema, close_schema);
}
