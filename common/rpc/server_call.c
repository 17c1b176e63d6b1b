/* SPDX-License-Identifier: Apache-2.0 */
#include "common/rpc/server_call.h"

#include "common/base/xalloc.h"
#include "common/codec/schema.h"
#include "common/rpc/rpc_credentials.h"
#include "common/rpc/rpc_message.h"
#include "common/rpc/slices.h"
#include "common/rpc/wire.h"

#include "grpc/health/v1/health.pb-c.h"

#include <assert.h>
#include <grpc/slice.h>
#include <grpc/support/alloc.h>
#include <grpc/support/time.h>

enum answer {
	RUNNING, /* the handler's start has not returned */
	WAITING, /* it has; whoever finishes the call sends the answer */
	ANSWERED,
};

enum {
	/* A slot whose metadata array has grown past it is not kept so large. */
	METADATA_KEPT = 64,
};

static void on_requested(struct cq_tag *tag, bool ok);
static void on_received(struct cq_tag *tag, bool ok);
static void on_closed(struct cq_tag *tag, bool ok);
static void on_sent(struct cq_tag *tag, bool ok);
static void answer_now(struct cq_start *s);

/* Slots */

static struct server_call *slot_new(struct server_queue *q)
{
	struct server_call *c = xnew(struct server_call);
	c->queue = q;
	c->requested.run = on_requested;
	c->received.run = on_received;
	c->closed.run = on_closed;
	c->sent.run = on_sent;
	c->answer_soon.start = answer_now;
	grpc_call_details_init(&c->details);
	grpc_metadata_array_init(&c->metadata);
	c->arena = arena_new();
	list_init(&c->stream.link);
	pthread_mutex_init(&c->stream.lock, NULL);
	return c;
}

static void slot_free(struct server_call *c)
{
	grpc_metadata_array_destroy(&c->metadata);
	grpc_call_details_destroy(&c->details);
	arena_free(c->arena);
	pthread_mutex_destroy(&c->stream.lock);
	free(c);
}

static struct server_call *slot_take(struct server_queue *q)
{
	if (!q->own.free)
		q->own.free =
			atomic_exchange_explicit(&q->shared.returned, NULL, memory_order_acquire);
	struct server_call *c = q->own.free;
	if (!c)
		return slot_new(q);
	q->own.free = c->next;
	return c;
}

static void slot_give_back(struct server_call *c)
{
	struct server_queue *q = c->queue;
	if (cq_is_current(q->cq)) {
		c->next = q->own.free;
		q->own.free = c;
		return;
	}
	struct server_call *head = atomic_load_explicit(&q->shared.returned, memory_order_relaxed);
	do {
		c->next = head;
	} while (!atomic_compare_exchange_weak_explicit(
		&q->shared.returned, &head, c, memory_order_release, memory_order_relaxed));
}

static void slot_clean(struct server_call *c)
{
	if (c->request)
		grpc_byte_buffer_destroy(c->request);
	if (c->reply)
		grpc_byte_buffer_destroy(c->reply);
	c->request = c->reply = NULL;
	rpc_metadata_clear(&c->initial);
	rpc_metadata_clear(&c->trailing);
	grpc_slice_unref(c->message);
	c->message = grpc_empty_slice();
	grpc_call_unref(c->rpc);
	grpc_call_details_destroy(&c->details);
	grpc_call_details_init(&c->details);
	if (c->metadata.capacity > METADATA_KEPT) {
		grpc_metadata_array_destroy(&c->metadata);
		grpc_metadata_array_init(&c->metadata);
	}
	c->metadata.count = 0;
	arena_reset(c->arena);
}

static void release(struct call *call)
{
	struct server_call *c = container_of(call, struct server_call, call);
	struct rpc_server *s = c->queue->server;
	slot_clean(c);
	slot_give_back(c);
	server_let_go(s);
}

/* The answer */

static void add_reply_headers(struct rpc_metadata *m, const struct call *call)
{
	/* a good answer needs no name: a header that differs each time costs the peer's HPACK table
	 */
	if (call->request_id[0] && call->status.code != STATUS_OK)
		rpc_metadata_add(m, call_metadata_name(CALL_REQUEST_ID), str_of(call->request_id));
	for (enum call_reply_header h = 0; h < CALL_REPLY_HEADER_COUNT; h++)
		if (call->reply_headers[h].p)
			rpc_metadata_add(m, call_reply_header_name(h),
				h == CALL_REPLY_NO_STORE ? STR("no-store")
							 : call->reply_headers[h]);
}

static grpc_op *add_close(struct server_call *c, grpc_op *op)
{
	op->op = GRPC_OP_RECV_CLOSE_ON_SERVER;
	op->data.recv_close_on_server.cancelled = &c->was_cancelled;
	return op + 1;
}

/* gRPC's percent-encoding leaves spaces as they are, at the ends too, where a header value must
 * have none (RFC 9113, 8.2.1): a strict peer resets the call, and its status with it. The details
 * have the whole text. */
static struct str wire_message(const struct status *status)
{
	struct str s = str_of(status->message);
	while (s.n && s.p[0] == ' ')
		s = str_sub(s, 1, s.n - 1);
	while (s.n && s.p[s.n - 1] == ' ')
		s.n--;
	return s;
}

static grpc_op *add_status(struct server_call *c, grpc_op *op)
{
	op->op = GRPC_OP_SEND_STATUS_FROM_SERVER;
	op->data.send_status_from_server.status = (grpc_status_code)c->call.status.code;
	op->data.send_status_from_server.trailing_metadata_count = c->trailing.n;
	op->data.send_status_from_server.trailing_metadata = c->trailing.entries;
	if (!status_is_ok(&c->call.status)) {
		c->message = slice_copy(wire_message(&c->call.status));
		op->data.send_status_from_server.status_details = &c->message;
	}
	return op + 1;
}

/* A success has its headers in front, an error behind: it is one frame then ("trailers only"). */
static void send_answer(struct server_call *c, bool with_close)
{
	struct call *call = &c->call;
	bool ok = status_is_ok(&call->status);
	grpc_op ops[4] = {0};
	grpc_op *op = ops;
	add_reply_headers(ok ? &c->initial : &c->trailing, call);
	op->op = GRPC_OP_SEND_INITIAL_METADATA;
	op->data.send_initial_metadata.count = c->initial.n;
	op->data.send_initial_metadata.metadata = c->initial.entries;
	op++;
	if (ok) {
		c->reply = rpc_message_pack(call->reply);
		op->op = GRPC_OP_SEND_MESSAGE;
		op->data.send_message.send_message = c->reply;
		op++;
	} else {
		rpc_metadata_add(
			&c->trailing, "grpc-status-details-bin", call_status_details(call));
	}
	op = add_status(c, op);
	if (with_close)
		op = add_close(c, op);
	cq_start_batch(c->rpc, ops, (size_t)(op - ops), &c->sent);
}

static void answer_now(struct cq_start *s)
{
	send_answer(container_of(s, struct server_call, answer_soon), true);
}

static void on_sent(struct cq_tag *tag, bool ok)
{
	(void)ok; /* a peer that is gone does not matter any more */
	call_unref(&container_of(tag, struct server_call, sent)->call);
}

static void on_closed(struct cq_tag *tag, bool ok)
{
	(void)ok;
	struct server_call *c = container_of(tag, struct server_call, closed);
	if (c->was_cancelled)
		call_cancel(&c->call);
	call_unref(&c->call);
}

static void finished(struct call *call)
{
	struct server_call *c = container_of(call, struct server_call, call);
	if (atomic_exchange_explicit(&c->answer, ANSWERED, memory_order_acq_rel) == WAITING)
		send_answer(c, false);
}

static const struct call_ops ops_of_calls = {.finished = finished, .release = release};

/* On the queue's thread, when the handler's start has returned. */
static void settle(struct server_call *c)
{
	int running = RUNNING;
	if (atomic_load_explicit(&c->answer, memory_order_acquire) == RUNNING) {
		/* From the exchange on the call may be answered, sent and let go elsewhere. */
		call_ref(&c->call);
		if (atomic_compare_exchange_strong_explicit(&c->answer, &running, WAITING,
			    memory_order_acq_rel, memory_order_acquire)) {
			grpc_op close = {0};
			add_close(c, &close);
			cq_start_batch(c->rpc, &close, 1, &c->closed);
			return;
		}
		call_unref(&c->call);
	}
	cq_start_soon(c->queue->cq, &c->answer_soon);
}

void server_call_refuse(struct server_call *c, struct status status)
{
	call_fail(&c->call, status);
	settle(c);
}

void server_call_send_status(struct server_call *c, struct status status)
{
	grpc_op op = {0};
	c->call.status = status;
	add_status(c, &op);
	cq_start_batch(c->rpc, &op, 1, &c->sent);
}

/* The request */

struct status server_call_unpack(
	struct server_call *c, const ProtobufCMessageDescriptor *type, ProtobufCMessage **ret)
{
	struct str bytes;
	TRY(rpc_message_bytes(
		c->request, c->queue->server->options.max_message_bytes, c->arena, &bytes));
	return wire_parse(type, (const uint8_t *)bytes.p, bytes.n, c->arena, ret);
}

static void check_health(struct server_call *c)
{
	const Grpc__Health__V1__HealthCheckRequest *request = (void *)c->call.request;
	enum health_state state =
		health_get(c->queue->server->options.health, str_of(request->service));
	if (state == HEALTH_SERVICE_UNKNOWN) {
		call_fail(&c->call,
			status_error(STATUS_NOT_FOUND, "Unknown service '%s'", request->service));
		return;
	}
	Grpc__Health__V1__HealthCheckResponse *reply = arena_alloc(c->arena, sizeof *reply);
	grpc__health__v1__health_check_response__init(reply);
	reply->status = (Grpc__Health__V1__HealthCheckResponse__ServingStatus)state;
	call_finish(&c->call, &reply->base);
}

static void dispatch(struct server_call *c)
{
	switch (c->method) {
	case SERVER_UNARY:
		call_handler_start(c->queue->server->options.handler, &c->call);
		settle(c);
		return;
	case SERVER_HEALTH_CHECK:
		check_health(c);
		settle(c);
		return;
	case SERVER_HEALTH_WATCH:
		server_stream_watch(c);
		return;
	case SERVER_REFLECTION: /* begin() did these */
	case SERVER_UNSUPPORTED:
		break;
	}
	assert(false);
}

static void on_received(struct cq_tag *tag, bool ok)
{
	struct server_call *c = container_of(tag, struct server_call, received);
	if (!ok || !c->request) {
		server_call_refuse(c, status_error(STATUS_INVALID_ARGUMENT,
					      "The request message is missing or cut short"));
		return;
	}
	struct status s = server_call_unpack(c, c->call.method->input->c, &c->call.request);
	grpc_byte_buffer_destroy(c->request);
	c->request = NULL;
	if (status_is_ok(&s))
		dispatch(c);
	else
		server_call_refuse(c, s);
}

static void receive(struct server_call *c)
{
	grpc_op op = {.op = GRPC_OP_RECV_MESSAGE};
	op.data.recv_message.recv_message = &c->request;
	cq_start_batch(c->rpc, &op, 1, &c->received);
}

static void fill_peer(struct server_call *c)
{
	char *peer = grpc_call_get_peer(c->rpc);
	rpc_peer_parse(str_of(peer), c->peer, &c->call.peer);
	gpr_free(peer);
	if (c->queue->server->tls)
		c->call.peer.tls_identity = rpc_tls_identity(c->rpc, c->arena);
}

static struct mono_time deadline_of(
	gpr_timespec deadline, struct mono_time now, int64_t max_deadline_ms)
{
	struct mono_time cap =
		max_deadline_ms ? mono_time_add_ms(now, max_deadline_ms) : MONO_TIME_NEVER;
	if (gpr_time_cmp(deadline, gpr_inf_future(deadline.clock_type)) == 0)
		return cap;
	gpr_timespec left = gpr_time_sub(deadline, gpr_now(deadline.clock_type));
	struct mono_time own =
		mono_time_add_ms(now, (int64_t)gpr_timespec_to_micros(left) / US_PER_MS);
	return own.us < cap.us ? own : cap;
}

static void fill(struct server_call *c)
{
	struct server_queue *q = c->queue;
	const struct rpc_server_options *o = &q->server->options;
	struct call *call = &c->call;
	call->arena = c->arena;
	call->received = clock_mono(&clock_system);
	call->deadline = deadline_of(c->details.deadline, call->received, o->max_deadline_ms);
	call->home = q->server->loops[q->own.next_loop++ % o->n_loops];
	call->transport = "grpc";
	fill_peer(c);
	rpc_metadata_read(&c->metadata, o->trust, call);
}

/* The path is a stranger's text, and not always text. */
static struct status unknown_method(struct str path)
{
	for (size_t i = 0; i < path.n; i++)
		if (path.p[i] <= 0x20 || path.p[i] >= 0x7f)
			return status_error(STATUS_UNIMPLEMENTED, "Unknown method");
	return status_error(STATUS_UNIMPLEMENTED, "Unknown method '%.*s'", STR_ARG(path));
}

static void begin(struct server_call *c)
{
	struct rpc_server *s = c->queue->server;
	unsigned holds = atomic_fetch_add_explicit(&s->holds, 1, memory_order_relaxed);
	call_init(&c->call, &ops_of_calls);
	c->call.arena = c->arena;
	atomic_store_explicit(&c->answer, RUNNING, memory_order_relaxed);
	c->was_cancelled = 0;
	if (holds > s->options.max_calls) {
		atomic_fetch_add_explicit(&s->refused_calls, 1, memory_order_relaxed);
		server_call_refuse(c, status_error(STATUS_RESOURCE_EXHAUSTED,
					      "The server is busy with %u calls; try again later",
					      s->options.max_calls));
		return;
	}
	struct str path = slice_str(&c->details.method);
	c->call.method = schema_find_method(s->options.schema, path);
	c->method = c->call.method ? (enum server_method)s->methods[c->call.method->index]
				   : SERVER_UNSUPPORTED;
	if (c->method == SERVER_UNSUPPORTED) {
		server_call_refuse(c, unknown_method(path));
		return;
	}
	fill(c);
	if (c->method == SERVER_REFLECTION)
		server_stream_reflect(c);
	else
		receive(c);
}

/* Queues */

static void wait_for_call(struct server_queue *q)
{
	struct server_call *c = slot_take(q);
	cq_hand_over(&c->requested);
	grpc_call_error error = grpc_server_request_call(q->server->core, &c->rpc, &c->details,
		&c->metadata, cq_core(q->cq), cq_core(q->cq), &c->requested);
	assert(error == GRPC_CALL_OK);
	(void)error;
}

static void on_requested(struct cq_tag *tag, bool ok)
{
	struct server_call *c = container_of(tag, struct server_call, requested);
	if (!ok) { /* the server is shut down */
		slot_give_back(c);
		return;
	}
	wait_for_call(c->queue);
	begin(c);
}

void server_queue_open(struct server_queue *q, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		wait_for_call(q);
}

static void free_all(struct server_call *list)
{
	while (list) {
		struct server_call *next = list->next;
		slot_free(list);
		list = next;
	}
}

void server_queue_close(struct server_queue *q)
{
	free_all(q->own.free);
	free_all(atomic_exchange(&q->shared.returned, NULL));
	q->own.free = NULL;
}
