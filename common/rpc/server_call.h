/* SPDX-License-Identifier: Apache-2.0 */
/* One call of the gRPC server, from its arrival to its end. Private to the server: rpc_server.c
 * makes the queues, server_call.c runs unary calls, server_stream.c watches and reflection.
 *
 * A unary call:
 *
 *     requested ─► received ─► handler ─┬─ finished inside ──► answer + RECV_CLOSE ─► sent ─► free
 *                                       └─ later: RECV_CLOSE ─► closed ┐
 *                                             finished ─► answer ─► sent ┴─► free
 *
 * RECV_CLOSE tells of cancellation, which is of no interest where the answer is there already: one
 * batch and one trip through the queue less. Each batch under way holds a reference of the call,
 * and what drops the last one (any thread) gives the slot back to its queue. */
#pragma once

#include "common/base/arena.h"
#include "common/base/list.h"
#include "common/rpc/call.h"
#include "common/rpc/cq.h"
#include "common/rpc/health.h"
#include "common/rpc/rpc_metadata.h"
#include "common/rpc/rpc_peer.h"
#include "common/rpc/rpc_server.h"

#include <grpc/grpc.h>
#include <pthread.h>
#include <stdatomic.h>

enum server_method {
	SERVER_UNARY,
	SERVER_HEALTH_CHECK,
	SERVER_HEALTH_WATCH,
	SERVER_REFLECTION,
	SERVER_UNSUPPORTED,
};

/* A completion queue, its thread, and the calls that it waits for. */
struct server_queue {
	struct rpc_server *server;
	struct cq *cq;
	struct {
		struct server_call *free; /* slots at rest */
		size_t next_loop;
	} own; /* the queue's thread only, once it runs */
	struct {
		_Atomic(struct server_call *) returned; /* slots that other threads gave back */
	} shared;
};

/* What a watch or a reflection stream has beside the call. */
struct server_stream {
	struct list link; /* server->streams */
	struct cq_tag closed, read, written;
	struct health_watcher watcher;
	pthread_mutex_t lock; /* of a watch, for what is below */
	bool writing, over;
	bool begun;                /* the initial metadata is out */
	enum health_state pending; /* the newest state, to be written after what is under way */
	enum health_state written_state;
};

struct server_call {
	struct call call;
	struct server_queue *queue;
	struct server_call *next; /* in a list of free slots */
	struct cq_tag requested, received, closed, sent;
	struct cq_start answer_soon;
	atomic_int answer; /* enum answer in server_call.c */

	grpc_call *rpc;
	grpc_call_details details;
	grpc_metadata_array metadata;
	grpc_byte_buffer *request, *reply;
	struct rpc_metadata initial, trailing;
	grpc_slice message; /* of the status */
	int was_cancelled;
	enum server_method method;
	struct arena *arena;
	char peer[RPC_PEER_BYTES];
	struct server_stream stream;
};

struct rpc_server {
	struct rpc_server_options options; /* with the defaults filled in */
	grpc_server *core;
	struct server_queue *queues;
	unsigned n_queues;
	struct loop **loops;
	uint8_t *methods; /* enum server_method by schema_method.index */
	struct server_tls *tls;
	struct connection_cap *cap;
	struct server_listener *listeners;
	bool started;

	atomic_uint holds; /* calls in flight, and one of the server until it is shut down */
	_Atomic uint64_t refused_calls;
	struct {
		pthread_mutex_t lock;
		struct list list;
		unsigned n;
		bool ending;
	} streams;
	struct {
		struct cq_tag tag;
		struct loop *loop;
		struct event *timer;
		struct mono_time until; /* the grace */
		struct mono_time told;  /* when GOAWAY went out last */
		struct loop_task task;
		void (*done)(void *arg);
		void *arg;
		bool complete;
	} drain;
};

/* Before the queue's thread runs: @n calls are waited for from now on. */
void server_queue_open(struct server_queue *q, unsigned n);
/* When its thread has ended. */
void server_queue_close(struct server_queue *q);

/* One hold of the server less; the last one completes the drain. */
void server_let_go(struct rpc_server *s);

/* Answers before or instead of the handler; takes the call over. */
void server_call_refuse(struct server_call *c, struct status status);
/* For streams: the message that was received, in the call's arena. */
struct status server_call_unpack(
	struct server_call *c, const ProtobufCMessageDescriptor *type, ProtobufCMessage **ret);
/* For streams: ends the call; the batch takes over the caller's reference. */
void server_call_send_status(struct server_call *c, struct status status);

/* Both take the call over; call->request of a watch is there, a reflection stream reads its own. */
void server_stream_watch(struct server_call *c);
void server_stream_reflect(struct server_call *c);
/* Ends all streams, and every later one at once. */
void server_stream_end_all(struct rpc_server *s);
