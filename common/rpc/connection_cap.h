/* SPDX-License-Identifier: Apache-2.0 */
/* A bound on the connections of a gRPC server, which gRPC 1.51 does not have.
 *
 * Why it must be there: each connection is a file descriptor, and when they run out the listener of
 * gRPC 1.51 stops accepting for ever. How: gRPC shows every socket that it accepts to a "socket
 * mutator"; ours counts, and shuts a socket that is one too many, so that gRPC finds it closed.
 * gRPC does not say when a connection ends: when the count reaches the cap, or is asked for, those
 * that are gone are found by looking (the number in our table no longer names the same socket).
 *
 * gRPC 1.57 and later have an option of their own (grpc.max_allowed_incoming_connections), which
 * the server sets as well; when nothing older is supported, this file can go.
 * Threads: any. */
#pragma once

#include <grpc/grpc.h>
#include <stdint.h>

struct connection_cap;

/* One reference is the caller's; gRPC holds its own. */
struct connection_cap *connection_cap_new(unsigned max);
void connection_cap_unref(struct connection_cap *c);

/* For the arguments of a server. */
grpc_arg connection_cap_arg(struct connection_cap *c);

/* Nobody is let in any more. */
void connection_cap_close(struct connection_cap *c);
/* Looks now: how many are open? */
unsigned connection_cap_look(struct connection_cap *c);
/* The same, up to 100 ms ago: for metrics. */
unsigned connection_cap_count(struct connection_cap *c);
uint64_t connection_cap_refused(struct connection_cap *c);
