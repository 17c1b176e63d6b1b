/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON/HTTP gateway: HTTP requests become calls, their answers become HTTP replies.
 *
 * What it serves follows from the schema's google.api.http rules; calls go to a call_handler, in
 * this process or over gRPC, and nothing above that handler knows which. Beside them it answers
 * /healthz, /readyz, /metrics and /openapi.json.
 *
 * Threads: made, stopped and freed by one thread; each request lives on the loop of its connection.
 */
#pragma once

#include "common/base/cleanup.h"
#include "common/base/status.h"
#include "common/base/str.h"
#include "gateway/http_server.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct address;
struct call_handler;
struct call_trust;
struct gateway;
struct loop;
struct metrics;
struct schema;
struct tls_server;

/* What it points to is borrowed while the gateway lives. */
struct gateway_options {
	const struct address *listen;
	struct tls_server *tls; /* or NULL */
	struct loop *const *loops;
	size_t n_loops;
	struct call_handler *upstream;
	const struct schema *schema;
	const struct call_trust *trust; /* NULL: nobody names identities */
	struct metrics *metrics;        /* also what /metrics shows; */
	bool show_metrics;              /* else it is 404 */
	bool counts_calls;              /* no handler in this process does */
	struct http_server_options
		http;        /* max_connections and max_unsent_bytes are for the whole listener */
	int64_t max_call_ms; /* cap of a call's deadline */
	const struct str *cors_origins; /* "https://app.example.com", or "*" for anybody */
	size_t n_cors_origins;
	const char *version; /* for /openapi.json */
};

/* Binds the address; serves once the loops run.
 *
 * FAILED_PRECONDITION, INVALID_ARGUMENT, UNAVAILABLE  of the address (common/net/listener.h)
 * INTERNAL  a route in the .proto files is wrong */
struct status gateway_new(const struct gateway_options *options, struct gateway **ret);
/* What is really bound. */
const struct address *gateway_address(const struct gateway *g);
/* /readyz says no from now on, whatever the upstream says; connections go on. Any thread. */
void gateway_set_draining(struct gateway *g);
/* Stops accepting and finishes what is in flight, at most @grace_ms; @done runs on @loop. Before
 * the loops are stopped. */
void gateway_stop(struct gateway *g, uint32_t grace_ms, struct loop *loop, void (*done)(void *arg),
	void *arg);
/* After gateway_stop, or if the loops never ran. NULL is allowed. */
void gateway_free(struct gateway *g);
DEFINE_CLEANUP(struct gateway *, gateway_free);
