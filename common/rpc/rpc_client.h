/* SPDX-License-Identifier: Apache-2.0 */
/* A gRPC client: carries a struct call to a service elsewhere and brings its answer back.
 *
 * Each loop has connections of its own (common/h2/h2_channel.h), and a call goes out on one of its
 * home loop: there is no other thread in between, and the calls that begin in one turn of a loop
 * leave in one write. A connection is made at the first call, kept, watched by pings and made again
 * when it breaks, with a growing pause between attempts. Calls wait for a connection that is being
 * made, and fail at once (UNAVAILABLE) when the last attempts all failed.
 *
 * A call that certainly never reached the service is sent again once by itself (gRFC A6,
 * "transparent"); a method that options->retry names, also when it failed with UNAVAILABLE, up to 4
 * attempts with growing, jittered pauses, inside the call's deadline, not if the service says that
 * it must not be, and only while most calls of the loop succeed (token bucket).
 *
 * Threads: rpc_client_call and rpc_client_check may be called by any; answers come on the home loop
 * of the call. */
#pragma once

#include "common/base/cleanup.h"
#include "common/base/status.h"
#include "common/base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct address;
struct call;
struct loop;
struct rpc_client;
struct schema;
struct schema_method;
struct tls_client_options;

/* Nothing is borrowed but the loops and the schema. A number that is 0 is the default. */
struct rpc_client_options {
	const struct address *address;
	const struct tls_client_options *tls; /* NULL: none; not for a unix socket */
	struct loop **loops;                  /* where calls are at home */
	size_t n_loops;
	unsigned
		n_connections; /* of each loop, at least; 1. More where a name has more addresses */
	const struct schema *schema;
	/* True for the methods that may be sent again; NULL: none. Asked once per method. */
	bool (*retry)(const struct schema_method *m);
	const char *user_agent;   /* in front of that of the client; NULL: that alone */
	size_t max_message_bytes; /* 4 MiB, of an answer */
	size_t max_waiting;       /* calls of a loop that wait for a connection; 1000 */
	int64_t open_timeout_ms;  /* 5 s, of an attempt to connect */
	int64_t keepalive_ms;     /* 30 s: so long without a byte, and the connection is probed */
	int64_t keepalive_timeout_ms; /* 10 s, of a probe */
};

/* Does not connect yet.
 *
 * INVALID_ARGUMENT  a file of tls cannot be used; the message names it */
struct status rpc_client_new(const struct rpc_client_options *options, struct rpc_client **ret);
/* Closes the connections; the loops must run, and the caller is none of them. No call may be under
 * way, and none may follow. */
void rpc_client_stop(struct rpc_client *c);
/* After rpc_client_stop, or if the loops never ran. NULL is allowed. */
void rpc_client_free(struct rpc_client *c);
DEFINE_CLEANUP(struct rpc_client *, rpc_client_free);

/* Reads the files of tls again, for the connections to come; on failure the old ones stay in use.
 * (Files that changed are read again without being asked, before the next connection.)
 *
 * INVALID_ARGUMENT  as rpc_client_new */
struct status rpc_client_reload(struct rpc_client *c);

/* Sends @call->request to @call->method with the metadata that @call carries, x-forwarded-for
 * with the peer's address added, and its deadline; finishes @call on its home loop, which is one of
 * the client's, with the reply, or with the status and details of the service. What cannot be sent
 * at all is finished at once. Cancelling @call cancels the RPC. Uses call->context. */
void rpc_client_call(struct rpc_client *c, struct call *call);

/* Asks grpc.health.v1 for @service and runs @done on @loop, which is one of the client's: OK, or
 * the reason why not. Counts a service that does not know the health protocol as healthy once it
 * answers. */
void rpc_client_check(struct rpc_client *c, const char *service, int64_t timeout_ms,
	struct loop *loop, void (*done)(void *arg, struct status status), void *arg);

/* Of all loops together. */
struct rpc_client_stats {
	uint64_t connections; /* open */
	uint64_t opened;      /* since the start */
	uint64_t failed;      /* attempts to connect, since the start */
	uint64_t waiting;     /* calls without a connection */
	uint64_t retries;     /* calls that were sent again, since the start */
};
struct rpc_client_stats rpc_client_stats(const struct rpc_client *c);
