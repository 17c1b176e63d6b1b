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
struct rpc_client_tls;
struct schema;

struct grpc_upstream_options {
	const struct address *address;
	const struct rpc_client_tls *tls; /* NULL: none */
	unsigned n_channels;              /* 0: 1 */
	const struct schema *schema;      /* borrowed */
	int64_t ready_timeout_ms;         /* of one health check; 0: 2 s */
};

/* Does not connect yet. Errors as rpc_client_new. */
struct status grpc_upstream_new(const struct grpc_upstream_options *o, struct grpc_upstream **ret);
/* No call may be under way. NULL is allowed. */
void grpc_upstream_free(struct grpc_upstream *u);
DEFINE_CLEANUP(struct grpc_upstream *, grpc_upstream_free);

/* check_ready asks the health of the service as a whole. */
struct call_handler *grpc_upstream_handler(struct grpc_upstream *u);
