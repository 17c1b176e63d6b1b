/* SPDX-License-Identifier: Apache-2.0 */
/* A gRPC client: carries a struct call to a service elsewhere and brings its answer back.
 *
 * A connection is made at the first call, kept, watched by pings and made again when it breaks,
 * with a growing pause between attempts. Calls fail at once (UNAVAILABLE) while there is none.
 *
 * Retries are gRPC's own (gRFC A6): a call that certainly never reached the service is sent again
 * by itself; a method that options->retry names, also when it failed with UNAVAILABLE, up to 4
 * attempts with growing, jittered pauses, inside the call's deadline, and only while most calls
 * succeed (token bucket).
 *
 * Threads: rpc_client_call and rpc_client_check may be called by any; answers come on the home loop
 * of the call. The client has a thread per channel, which waits for them. */
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

struct rpc_client_tls {
	const char *ca_file;   /* PEM bundle; NULL: the system's */
	const char *cert_file; /* of the client, with key_file; or NULL */
	const char *key_file;
	const char
		*server_name; /* that the certificate must hold, if it is not the host; or NULL */
};

/* Nothing is borrowed but the schema. A number that is 0 is the default. */
struct rpc_client_options {
	const struct address *address;
	const struct rpc_client_tls *tls; /* NULL: none; not for a unix socket */
	unsigned n_channels;              /* connections, and threads; 1 */
	const struct schema *schema;
	/* True for the methods that may be sent again; NULL: none. Asked once per method. */
	bool (*retry)(const struct schema_method *m);
	size_t max_message_bytes; /* 4 MiB, of an answer */
	int64_t keepalive_ms; /* 30 s: so long without an answer, and the connection is probed */
};

/* Does not connect yet.
 *
 * INVALID_ARGUMENT  a file of tls cannot be used; the message names it */
struct status rpc_client_new(const struct rpc_client_options *options, struct rpc_client **ret);
/* No call may be under way. NULL is allowed. */
void rpc_client_free(struct rpc_client *c);
DEFINE_CLEANUP(struct rpc_client *, rpc_client_free);

/* Sends @call->request to @call->method with the metadata that @call carries, x-forwarded-for
 * with the peer's address added, and its deadline; finishes @call on its home loop with the reply,
 * or with the status and details of the service. What cannot be sent at all is finished at once.
 * Cancelling @call cancels the RPC. Uses call->context. */
void rpc_client_call(struct rpc_client *c, struct call *call);

/* Asks grpc.health.v1 for @service and runs @done on @loop: OK, or the reason why not. Counts a
 * service that does not know the health protocol as healthy once it answers. */
void rpc_client_check(struct rpc_client *c, const char *service, int64_t timeout_ms,
	struct loop *loop, void (*done)(void *arg, struct status status), void *arg);
