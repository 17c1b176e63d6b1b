/* SPDX-License-Identifier: Apache-2.0 */
/* Streams: grpc.health.v1.Health/Watch, and server reflection.
 *
 * A watch writes one message at a time; a change meanwhile waits in `pending`, the newest wins. A
 * reflection stream reads one request and writes one response in turn. Both end when the peer
 * closes or cancels, when the connection breaks, or by server_stream_end_all. */
#include "common/codec/schema.h"
#include "common/rpc/reflection.h"
#include "common/rpc/rpc_message.h"
#include "common/rpc/server_call.h"

#include "grpc/health/v1/health.pb-c.h"

/* False when there are too many, or when the server is going away; the call is answered then. */
static bool stream_begin(struct server_call *c)
{
	struct rpc_server *s = c->queue->server;
	struct status status = status_ok();
	pthread_mutex_lock(&s->streams.lock);
	if (s->streams.ending) {
		status = status_error(STATUS_UNAVAILABLE, "The server is shutting down");
	} else if (s->streams.n >= s->options.max_watchers) {
		status = status_error(STATUS_RESOURCE_EXHAUSTED,
			"There are %u watches and reflection streams already, the most that is "
			"allowed",
			s->streams.n);
	} else {
		s->streams.n++;
		list_add_tail(&s->streams.list, &c->stream.link);
	}
	pthread_mutex_unlock(&s->streams.lock);
	if (status_is_ok(&status))
		return true;
	server_call_refuse(c, status);
	return false;
}

static void stream_end(struct server_call *c)
{
	struct rpc_server *s = c->queue->server;
	pthread_mutex_lock(&s->streams.lock);
	s->streams.n--;
	list_remove(&c->stream.link);
	pthread_mutex_unlock(&s->streams.lock);
}

static void start_batch(struct server_call *c, const grpc_op *ops, size_t n, struct cq_tag *tag,
	void (*run)(struct cq_tag *, bool))
{
	tag->run = run;
	cq_start_batch(c->rpc, ops, n, tag);
}

/* From now on the end of the peer is heard of; the batch takes over a reference. */
static void listen_for_close(struct server_call *c, void (*run)(struct cq_tag *, bool))
{
	grpc_op op = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER};
	op.data.recv_close_on_server.cancelled = &c->was_cancelled;
	start_batch(c, &op, 1, &c->stream.closed, run);
}

static grpc_op *add_initial_metadata(grpc_op *op)
{
	op->op = GRPC_OP_SEND_INITIAL_METADATA;
	return op + 1;
}

static grpc_op *add_message(struct server_call *c, grpc_op *op, const ProtobufCMessage *message)
{
	c->reply = rpc_message_pack(message);
	op->op = GRPC_OP_SEND_MESSAGE;
	op->data.send_message.send_message = c->reply;
	return op + 1;
}

/* Watches */

static void on_state_written(struct cq_tag *tag, bool ok);

/* Under the stream's lock. */
static void write_state(struct server_call *c)
{
	grpc_op ops[2] = {0};
	grpc_op *op = c->stream.begun ? ops : add_initial_metadata(ops);
	Grpc__Health__V1__HealthCheckResponse message =
		GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
	message.status = (Grpc__Health__V1__HealthCheckResponse__ServingStatus)c->stream.pending;
	op = add_message(c, op, &message.base);
	c->stream.begun = c->stream.writing = true;
	c->stream.written_state = c->stream.pending;
	call_ref(&c->call);
	start_batch(c, ops, (size_t)(op - ops), &c->stream.written, on_state_written);
}

static void on_state_written(struct cq_tag *tag, bool ok)
{
	struct server_call *c = container_of(tag, struct server_call, stream.written);
	pthread_mutex_lock(&c->stream.lock);
	grpc_byte_buffer_destroy(c->reply);
	c->reply = NULL;
	c->stream.writing = false;
	if (ok && !c->stream.over && c->stream.pending != c->stream.written_state)
		write_state(c);
	pthread_mutex_unlock(&c->stream.lock);
	call_unref(&c->call);
}

static void on_state_changed(struct health_watcher *w, enum health_state state)
{
	struct server_call *c = container_of(w, struct server_call, stream.watcher);
	pthread_mutex_lock(&c->stream.lock);
	c->stream.pending = state;
	if (!c->stream.writing && !c->stream.over)
		write_state(c);
	pthread_mutex_unlock(&c->stream.lock);
}

static void on_watch_closed(struct cq_tag *tag, bool ok)
{
	(void)ok;
	struct server_call *c = container_of(tag, struct server_call, stream.closed);
	pthread_mutex_lock(&c->stream.lock);
	c->stream.over = true;
	pthread_mutex_unlock(&c->stream.lock);
	health_unwatch(c->queue->server->options.health, &c->stream.watcher);
	stream_end(c);
	call_unref(&c->call);
}

void server_stream_watch(struct server_call *c)
{
	if (!stream_begin(c))
		return;
	const Grpc__Health__V1__HealthCheckRequest *request = (void *)c->call.request;
	c->stream.begun = c->stream.writing = c->stream.over = false;
	c->stream.watcher.changed = on_state_changed;
	health_watch(
		c->queue->server->options.health, &c->stream.watcher, str_of(request->service));
	listen_for_close(c, on_watch_closed);
}

/* Reflection */

static void on_request(struct cq_tag *tag, bool ok);

static void read_request(struct server_call *c, grpc_op *ops, size_t n)
{
	ops[n].op = GRPC_OP_RECV_MESSAGE;
	ops[n].data.recv_message.recv_message = &c->request;
	start_batch(c, ops, n + 1, &c->stream.read, on_request);
}

static void on_response_written(struct cq_tag *tag, bool ok)
{
	struct server_call *c = container_of(tag, struct server_call, stream.written);
	grpc_byte_buffer_destroy(c->reply);
	c->reply = NULL;
	arena_reset(c->arena);
	if (!ok) {
		server_call_send_status(c, status_ok()); /* to nobody */
		return;
	}
	grpc_op op = {0};
	read_request(c, &op, 0);
}

static struct status respond(struct server_call *c)
{
	ProtobufCMessage *request;
	struct status s = server_call_unpack(c, reflection_request_type, &request);
	grpc_byte_buffer_destroy(c->request);
	c->request = NULL;
	TRY(s);
	grpc_op op = {0};
	add_message(c, &op, reflection_answer(c->queue->server->options.schema, request, c->arena));
	start_batch(c, &op, 1, &c->stream.written, on_response_written);
	return status_ok();
}

static void on_request(struct cq_tag *tag, bool ok)
{
	struct server_call *c = container_of(tag, struct server_call, stream.read);
	if (!ok || !c->request) {
		server_call_send_status(c, status_ok());
		return;
	}
	struct status s = respond(c);
	if (!status_is_ok(&s))
		server_call_send_status(c, s);
}

static void on_reflection_closed(struct cq_tag *tag, bool ok)
{
	(void)ok;
	struct server_call *c = container_of(tag, struct server_call, stream.closed);
	stream_end(c);
	call_unref(&c->call);
}

void server_stream_reflect(struct server_call *c)
{
	if (!stream_begin(c))
		return;
	call_ref(&c->call);
	listen_for_close(c, on_reflection_closed);
	grpc_op ops[2] = {0};
	read_request(c, ops, (size_t)(add_initial_metadata(ops) - ops));
}

void server_stream_end_all(struct rpc_server *s)
{
	pthread_mutex_lock(&s->streams.lock);
	s->streams.ending = true;
	list_for_each (node, &s->streams.list) {
		struct server_call *c = container_of(node, struct server_call, stream.link);
		grpc_call_cancel_with_status(
			c->rpc, GRPC_STATUS_UNAVAILABLE, "The server is shutting down", NULL);
	}
	pthread_mutex_unlock(&s->streams.lock);
}
