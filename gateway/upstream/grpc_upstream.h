/* SPDX-License-Identifier: Apache-2.0 */
/* The gateway's way to a service elsewhere: a call_handler that is a gRPC client.
 *
 * In the service's own process no upstream is needed: the gateway hands its calls to the handler of
 * the interceptor chain.
 *
 * Only methods that read (their route is a GET) are sent again when they fail; a Set whose answer
 * got lost is the caller's to repeat, with its request_id. Threads: any. */
#pragma once

#include "common/base/cleanup.h"
#include "common/base/status.h"

#include <stdint.h>

struct address;
struct call_handler;
struct grpc_upstream;
struct loop;
struct metrics;
struct schema;
struct tls_client_options;

struct grpc_upstream_options {
	const struct address *address;
	const struct tls_client_options *tls; /* NULL: none */
	struct loop **loops;                  /* borrowed; where calls are at home */
	size_t n_loops;
	unsigned n_connections;      /* of each loop; 0: 1 */
	const struct schema *schema; /* borrowed */
	const char *user_agent;      /* NULL: that of the client alone */
	int64_t ready_timeout_ms;    /* of one health check; 0: 2 s */
};

/* Does not connect yet. Errors as rpc_client_new. */
struct status grpc_upstream_new(const struct grpc_upstream_options *o, struct grpc_upstream **ret);
/* As rpc_client_stop: while the loops run. */
void grpc_upstream_stop(struct grpc_upstream *u);
/* After grpc_upstream_stop, or if the loops never ran. NULL is allowed. */
void grpc_upstream_free(struct grpc_upstream *u);
DEFINE_CLEANUP(struct grpc_upstream *, grpc_upstream_free);

/* Reads the files of tls again. Errors as rpc_client_reload. */
struct status grpc_upstream_reload(struct grpc_upstream *u);

/* Metrics of the connections; @u must outlive @m. */
void grpc_upstream_register(struct grpc_upstream *u, struct metrics *m);

/* check_ready asks the health of the service as a whole. */
struct call_handler *grpc_upstream_handler(struct grpc_upstream *u);
