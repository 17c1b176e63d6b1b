/* SPDX-License-Identifier: Apache-2.0 */
/* A call: one request and one answer, whatever carries them.
 *
 * The gRPC server and the HTTP gateway both make one from what they read and hand it to a
 * call_handler: the service's interceptor chain, or (in the gateway alone) a gRPC client. A call
 * knows nothing of its transport; it is finished exactly once, and its memory (arena) dies with it.
 *
 * Life:   call_init -> call_handler_start -> ... -> call_finish -> ops->finished (the transport
 *         writes the answer) -> last call_unref -> ops->release
 * The transport holds a reference from call_init on and drops it when the answer is out. Whoever
 * works on a call asynchronously holds one of its own (call_ref), because the transport may give up
 * first: the peer is gone, or the deadline passed.
 *
 * Threads: a call is worked on by one thread at a time. It starts on the thread that read it: a
 * loop thread (HTTP) or a completion-queue thread (gRPC; on_loop is false). Timers and stores need
 * a loop: call_to_loop moves the call to its home. call_finish, call_cancel, call_ref and
 * call_unref may be called from any thread. */
#pragma once

#include "common/base/arena.h"
#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/base/str.h"
#include "common/event/loop.h"

#include <netinet/in.h>
#include <protobuf-c/protobuf-c.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct call;
struct schema_method;

/* The only headers and metadata that cross into a call; all others are dropped at the door.
 * Names are compared without case. */
enum call_metadata_key {
	CALL_AUTHORIZATION,  /* authorization */
	CALL_OSMO_AUTH,      /* x-osmo-auth */
	CALL_OSMO_USER,      /* x-osmo-user: kept for a trusted proxy or with dev login only */
	CALL_OSMO_ROLES,     /* x-osmo-roles: likewise */
	CALL_CLIENT_VERSION, /* x-osmo-client-version */
	CALL_REQUEST_ID,     /* x-request-id */
	CALL_TRACEPARENT,    /* traceparent */
	CALL_TRACESTATE,     /* tracestate */
	CALL_USER_AGENT,     /* user-agent */
	CALL_FORWARDED_FOR,  /* x-forwarded-for: kept for a trusted proxy only */
	CALL_METADATA_COUNT,
};

struct call_metadata {
	struct str value; /* of the first one; borrowed from the transport while the call lives */
	unsigned count;   /* how many the peer sent */
};

/* Lower-case name of a key. */
const char *call_metadata_name(enum call_metadata_key key);
/* False when @name is not on the allow-list. */
bool call_metadata_key_of(struct str name, enum call_metadata_key *ret);

struct call_peer;

/* Who may name an identity other than the peer's own. A transport asks for each key for which
 * call_metadata_is_identity holds, and drops the value when the answer is no, before anything reads
 * it. */
struct call_trust {
	bool (*keeps)(const struct call_trust *self, const struct call_peer *peer,
		enum call_metadata_key key);
};
/* x-osmo-user, x-osmo-roles, x-forwarded-for */
bool call_metadata_is_identity(enum call_metadata_key key);

struct call_peer {
	struct str text;                 /* "127.0.0.1:40000", "unix" */
	struct sockaddr_storage address; /* ss_family AF_UNIX for a unix socket */
	struct str tls_identity; /* of a verified client certificate: its SPIFFE or other URI, else
				  * its common name; empty without one */
};

enum {
	CALL_REQUEST_ID_BYTES = 72
};

/* Response headers beside the answer, few and known. */
enum call_reply_header {
	CALL_REPLY_SERVICE_VERSION,  /* x-osmo-service-version */
	CALL_REPLY_WWW_AUTHENTICATE, /* www-authenticate */
	CALL_REPLY_NO_STORE,         /* cache-control: no-store, the value is ignored */
	CALL_REPLY_HEADER_COUNT,
};
const char *call_reply_header_name(enum call_reply_header header);

struct call_ops {
	/* The answer is in call->status and call->reply; any thread, once. */
	void (*finished)(struct call *call);
	/* Nobody holds the call any more; any thread, once. */
	void (*release)(struct call *call);
};

typedef void(call_cancel_fn)(struct call *call);

/* Something that is let go of with the call, embedded in what it is about (in the call's arena). */
struct call_release {
	struct call_release *next_;
	void (*run)(struct call_release *self);
};

struct call {
	/* Set by the transport before the start. */
	const struct call_ops *ops;
	const struct schema_method *method;
	struct arena *arena;       /* of this call; the transport frees it on release */
	ProtobufCMessage *request; /* in the arena */
	struct call_metadata metadata[CALL_METADATA_COUNT];
	struct call_peer peer;
	struct mono_time received;
	struct mono_time deadline; /* of the peer, or MONO_TIME_NEVER */
	struct loop *home;         /* where asynchronous work of this call happens */
	bool on_loop;              /* the current thread is home's */
	const char *transport;     /* "grpc", "http": for logs and metrics */

	/* Set on the way. */
	char request_id[CALL_REQUEST_ID_BYTES]; /* by request_id_assign; "" before */
	void *context;                          /* of the handler that the call was handed to */
	/* Told of the end, before ops->finished, with status and reply in place; NULL: nobody. */
	void (*observe)(struct call *call);

	/* The answer, by call_finish. */
	struct status status;
	ProtobufCMessage *reply; /* in the arena (or constant); NULL unless status is OK */
	struct str reply_headers[CALL_REPLY_HEADER_COUNT]; /* p == NULL: not sent */
	struct str status_details; /* a serialised google.rpc.Status with details, or empty: then
				    * status_details_of makes it */

	/* Private. */
	atomic_uint refs_;
	atomic_bool finished_;
	atomic_bool cancelled_;
	_Atomic(call_cancel_fn *) on_cancel_;
	struct loop_task task_;
	void (*on_loop_)(struct call *call);
	struct call_release *releases_;
};

/* Zeroes @call, sets ops and one reference (the transport's). */
void call_init(struct call *call, const struct call_ops *ops);
void call_ref(struct call *call);
void call_unref(struct call *call);
/* Runs @release when nobody holds the call any more, before ops->release, the last added first. On
 * the thread that works on the call. */
void call_at_release(struct call *call, struct call_release *release);

/* Answers with @reply, which is in the call's arena or constant. The first of call_finish and
 * call_fail wins and returns true; later ones return false and change nothing.
 * After it, call->status and call->reply are the transport's. */
bool call_finish(struct call *call, ProtobufCMessage *reply);
/* Answers with an error. The message and details of one that is our fault (INTERNAL, UNKNOWN,
 * DATA_LOSS) are for call->observe and its log only: behind it they are replaced by the request id,
 * under which the log has them. */
bool call_fail(struct call *call, struct status status);
bool call_is_finished(const struct call *call);

/* The transport says: the peer is gone. Whoever still works on the call may stop. The caller holds
 * a reference. */
void call_cancel(struct call *call);
bool call_is_cancelled(const struct call *call);
/* For a handler with something to stop: @fn runs when the call is cancelled, on the thread that
 * cancels it, or at once if it was cancelled before. It may run twice when the two happen at the
 * same time, and after the call was finished. */
void call_on_cancel(struct call *call, call_cancel_fn *fn);

/* Runs @run on the call's home loop, later; holds a reference until it returned. */
void call_to_loop(struct call *call, void (*run)(struct call *call));

/* Memory for protobuf-c from an arena; freeing is a no-op. The result lives as long as the arena.
 */
ProtobufCAllocator call_allocator(struct arena *arena);

/* A serialised google.rpc.Status in @arena: code, message, and as details a google.rpc.BadRequest
 * for a field at fault, a google.rpc.QuotaFailure for a quota that is used up, else a
 * google.rpc.RetryInfo for UNAVAILABLE and RESOURCE_EXHAUSTED, and a google.rpc.RequestInfo for an
 * error that is our fault, if @request_id is not empty. */
struct str status_details_of(
	const struct status *status, const char *request_id, struct arena *arena);
/* That of a failed call, in its arena. */
struct str call_status_details(struct call *call);

/* Where a call goes. */
struct call_handler {
	/* Takes the call: it will be finished, now (inside this) or later. Any thread that a
	 * transport reads on. */
	void (*start)(struct call_handler *self, struct call *call);
	/* Can calls be answered at the moment (the store answers, the service is reachable)?
	 * Runs @done on @home later, with OK or the reason. */
	void (*check_ready)(struct call_handler *self, struct loop *home,
		void (*done)(void *arg, struct status status), void *arg);
};

static inline void call_handler_start(struct call_handler *handler, struct call *call)
{
	handler->start(handler, call);
}
