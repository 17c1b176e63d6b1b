/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP/1.1 server of one loop: connections in, exchanges out.
 *
 * It knows nothing of the application. Every complete request becomes a struct http_exchange that
 * the handler answers exactly once with http_exchange_reply, now or later; everything before that
 * (framing, limits, deadlines, TLS, gzip, requests that are wrong) and behind it (keep-alive,
 * clients that do not read, draining) is done here. Requests of a connection are handled one after
 * the other, pipelined ones too, so answers are in order.
 *
 * Deadlines are of the whole head, the whole body, the whole reply: a slow drip does not prolong
 * them. The time a handler takes is its own affair.
 *
 * Threads: everything here happens on the loop's thread, or before the loop runs; the counters may
 * be read by any thread. SIGPIPE must be ignored or blocked. */
#pragma once

#include "common/base/cleanup.h"
#include "common/base/status.h"
#include "common/base/str.h"
#include "gateway/http_parser.h"
#include "gateway/http_reply.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct clock;
struct http_exchange;
struct http_server;
struct loop;
struct sockaddr;
struct tls_server;

/* --- exchanges --- */

/* The request; its views live until http_exchange_reply. */
const struct http_request *http_exchange_request(const struct http_exchange *x);
/* The address of the client; AF_UNIX for a unix socket. Lives as long as @x. */
const struct sockaddr *http_exchange_peer(const struct http_exchange *x);
/* The same for logs: "10.0.0.1:5000", "[::1]:5000", "unix". Lives as long as @x. */
const char *http_exchange_peer_text(const struct http_exchange *x);
/* Who the client certificate names (common/net/tls.h), or NULL. Lives as long as @x. */
const char *http_exchange_tls_identity(const struct http_exchange *x);
bool http_exchange_is_tls(const struct http_exchange *x);

/* @fn(@arg) is called once, on the loop and never inside this call, if the client is gone before
 * the reply. The exchange stays valid and is still answered once, best soon; that reply goes
 * nowhere. A NULL @fn takes the wish back. */
void http_exchange_on_cancel(struct http_exchange *x, void (*fn)(void *arg), void *arg);
bool http_exchange_is_cancelled(const struct http_exchange *x);

/* Answers and frees @x. Everything in @r is borrowed for the call. To HEAD the body is not sent but
 * counted. */
void http_exchange_reply(struct http_exchange *x, const struct http_reply *r);

/* --- servers --- */

/* A request that never became an exchange. */
struct http_error {
	enum http_error_kind kind;
	int status;                         /* HTTP */
	enum status_code code;              /* the same as a google.rpc.Code */
	const char *message;                /* for a person */
	const struct http_request *request; /* what was understood of it: method and path may be
					       empty, headers be missing */
	const char *peer_text;              /* for the log */
};

struct http_handler {
	void *self;
	/* Owns @x until it was answered. May answer at once. */
	void (*handle)(void *self, struct http_exchange *x);
	/* Words an error: @r has the status and `application/json`; what is appended to @body
	 * becomes the body, unless @r->body was set. @r has the headers that the error calls
	 * for; further ones need to live until the next event of the loop only. NULL:
	 * {"code":…,"message":…,"details":[]} of google.rpc.Status.
	 */
	void (*render_error)(
		void *self, const struct http_error *e, struct buf *body, struct http_reply *r);
};

struct http_server_options {
	struct http_limits limits;
	uint32_t max_connections;   /* of this server; past it the oldest idle one makes room, else
				       503 */
	uint32_t max_output_bytes;  /* unsent replies of a connection: past it none is begun */
	size_t max_unsent_bytes;    /* of all connections: past it the client that has been slow to
				       read for the longest is given up */
	uint32_t header_timeout_ms; /* from the first byte (or accept) to the end of the head; TLS
				       too */
	uint32_t body_timeout_ms;   /* from the end of the head to the end of the body */
	uint32_t idle_timeout_ms;   /* between requests */
	uint32_t write_timeout_ms;  /* from a reply to its last byte in the kernel's hands */
	uint32_t linger_timeout_ms; /* how long a client may still send after its last reply */
	uint32_t gone_grace_ms;     /* end of input with a reply due: half-closed or gone? */
	uint32_t drain_idle_ms;     /* idle_timeout_ms of a server that stops */
	bool gzip;                  /* compress replies for clients that ask */
	const struct clock *clock;  /* NULL: the system's */
};

#define HTTP_SERVER_OPTIONS_DEFAULT                                                                \
	((struct http_server_options){.limits = HTTP_LIMITS_DEFAULT,                               \
		.max_connections = 10000,                                                          \
		.max_output_bytes = 256 * 1024,                                                    \
		.max_unsent_bytes = 64 * 1024 * 1024,                                              \
		.header_timeout_ms = 10000,                                                        \
		.body_timeout_ms = 30000,                                                          \
		.idle_timeout_ms = 75000,                                                          \
		.write_timeout_ms = 30000,                                                         \
		.linger_timeout_ms = 2000,                                                         \
		.gone_grace_ms = 200,                                                              \
		.drain_idle_ms = 1000,                                                             \
		.gzip = true})

/* One writer, the loop; any thread may read with http_counter_get. */
typedef _Atomic uint64_t http_counter;

struct http_server_stats {
	http_counter connections;   /* open now */
	http_counter accepted;      /* since the start */
	http_counter refused;       /* answered 503 at the cap */
	http_counter given_up;      /* closed in the middle of a reply, at max_unsent_bytes */
	http_counter accept_errors; /* out of file descriptors and the like */
	http_counter handshake_errors;
	http_counter requests;  /* handed to the handler */
	http_counter in_flight; /* of them not answered yet */
	http_counter cancelled; /* of them the client left early */
	http_counter
		replies_by_class[6]; /* [2]: 2xx; those of errors included, those to nobody not */
	http_counter errors[HTTP_ERROR_COUNT];
	http_counter bytes_in, bytes_out; /* of plain HTTP, before TLS */
};

static inline uint64_t http_counter_get(const http_counter *c)
{
	return atomic_load_explicit(c, memory_order_relaxed);
}

/* @handler and @options are copied. */
struct http_server *http_server_new(struct loop *loop, const struct http_server_options *options,
	const struct http_handler *handler);
/* Every exchange was answered. Open connections are closed. NULL is allowed. */
void http_server_free(struct http_server *s);
DEFINE_CLEANUP(struct http_server *, http_server_free);

/* Accepts on the listening socket @takes_fd (common/net/listener.h); with @tls, which outlives the
 * server, connections begin with a handshake. Several sockets may be added. */
void http_server_listen(struct http_server *s, int takes_fd, struct tls_server *tls);
/* Serves one connected socket as if it had been accepted. */
void http_server_adopt(struct http_server *s, int takes_fd, struct tls_server *tls);

/* Drains: takes what is in the listen queues, closes them, answers with `Connection: close`, closes
 * idle connections, finishes what is in flight. After @grace_ms connections that are left are
 * closed and their exchanges cancelled. @on_stopped is called once, when no connection and no
 * exchange is left, on the loop and never inside this call. A second call can only shorten the
 * grace. */
void http_server_stop(
	struct http_server *s, uint32_t grace_ms, void (*on_stopped)(void *arg), void *arg);

const struct http_server_stats *http_server_stats(const struct http_server *s);
