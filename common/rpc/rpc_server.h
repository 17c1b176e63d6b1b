/* SPDX-License-Identifier: Apache-2.0 */
/* The gRPC server: calls from the network to a call_handler, and its answers back.
 *
 * Unary methods of the schema become a struct call (call.h); grpc.health.v1.Health and server
 * reflection are answered here and never reach the handler.
 *
 * Threads: each of the server's own threads waits on one completion queue of gRPC's, reads calls
 * and starts the handler right there (call->on_loop is false); a call that is finished inside the
 * start is answered by that thread, any other by the thread that finishes it. call->home goes
 * round the loops. New, start and free are for one thread at a time.
 *
 * Limits: past max_calls a call is refused before its message is read (RESOURCE_EXHAUSTED), because
 * gRPC itself queues without bound; a connection past max_connections is closed at once. */
#pragma once

#include "common/base/cleanup.h"
#include "common/base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct address;
struct call_handler;
struct call_trust;
struct health;
struct loop;
struct rpc_server;
struct schema;
struct schema_method;
struct tls_options;

/* What it points to is borrowed while the server lives, but for listen, loops and tls, which are
 * copied. A number that is 0 is the default. */
struct rpc_server_options {
	const struct address *listen;
	size_t n_listen;
	mode_t unix_mode;              /* of a unix socket's file; 0660 */
	const struct tls_options *tls; /* for TCP; NULL: none. Unix sockets go without. */

	unsigned n_threads; /* one per core */
	struct loop *const *loops;
	size_t n_loops;

	struct call_handler *handler;
	const struct schema *schema;
	struct health *health;
	const struct call_trust *trust; /* NULL: nobody names identities */
	bool reflection;

	size_t max_message_bytes;     /* 1 MiB, of a request, after decompression as well */
	size_t max_metadata_bytes;    /* 32 KiB, with 32 bytes for each entry (RFC 9113, 10.5.1) */
	unsigned max_streams;         /* 128 a connection */
	unsigned max_connections;     /* 10,000, and less where the limit of open files says so */
	unsigned max_calls;           /* 4,096 at once */
	unsigned max_watchers;        /* 1,024 health watches and reflection streams */
	int64_t max_deadline_ms;      /* cap of a call's deadline; none */
	int64_t handshake_timeout_ms; /* 10 s, from accept to the first HTTP/2 frame */
	int64_t min_ping_interval_ms; /* 10 s; who pings more often is sent away */
	int64_t keepalive_ms;         /* 120 s: a connection so long silent is pinged, and closed
				       * when it does not answer within 20 s */
};

/* Binds all addresses, and serves once rpc_server_start was called.
 *
 * FAILED_PRECONDITION  an address is in use
 * INVALID_ARGUMENT     an address is not of this machine; a file of tls is wrong
 * UNAVAILABLE          a name does not resolve */
struct status rpc_server_new(const struct rpc_server_options *options, struct rpc_server **ret);
void rpc_server_start(struct rpc_server *s);

/* What address @i of options->listen is really bound to: the kernel's port where 0 was asked for.
 */
const struct address *rpc_server_address(const struct rpc_server *s, size_t i);

/* Reads the files of tls again; connections made from now on use them. On failure nothing changes.
 * Any thread. Errors as rpc_server_new; OK without tls. */
struct status rpc_server_reload(struct rpc_server *s);

/* Ends the service gently: health is shut down, watches end, nobody new is let in, connections are
 * told to go elsewhere and served until they have; calls that are not done after @grace_ms are
 * cancelled. @done runs on @loop when no call is left. Any thread, once. */
void rpc_server_drain(struct rpc_server *s, int64_t grace_ms, struct loop *loop,
	void (*done)(void *arg), void *arg);

/* After the drain is done, or when the server was never started. NULL is allowed. */
void rpc_server_free(struct rpc_server *s);
DEFINE_CLEANUP(struct rpc_server *, rpc_server_free);

struct rpc_server_stats {
	unsigned calls;       /* in flight */
	unsigned connections; /* open, up to 100 ms ago */
	uint64_t refused_calls;
	uint64_t refused_connections;
};
/* Any thread. */
struct rpc_server_stats rpc_server_stats(struct rpc_server *s);
