/* SPDX-License-Identifier: Apache-2.0 */
/* Two things that gRPC does not offer, done with what is inside it.
 *
 * What a batch sets in motion inside gRPC waits in an "execution context" on the stack, and runs
 * when that goes away. Each function of gRPC's API makes its own; hence thirty calls that came in
 * one packet are answered by thirty writes to the socket, a third of what a call costs. Batches
 * that share a context go into one write for each connection.
 *
 * Only gRPC can make a context. grpc_byte_buffer_destroy does, and releases the bytes inside of it,
 * so that a slice with a release function of ours has one around it. Which functions of gRPC may be
 * called there is known of the versions that were looked at (1.51, in Debian 12 and Ubuntu 24.04);
 * on others nothing here is to be called. */
#pragma once

#include <grpc/grpc.h>
#include <stdbool.h>
#include <stddef.h>

/* True where core_context_run makes a context. */
bool core_context_is_known(void);
/* Runs @fn now, in this thread; what it started has gone its way on the return. */
void core_context_run(void (*fn)(void *arg), void *arg);

/* In a context: grpc_call_start_batch. */
grpc_call_error core_start_batch(grpc_call *call, const grpc_op *ops, size_t n, void *tag);
/* In a context: GOAWAY to all connections, which nothing else is done to. */
void core_send_goaways(grpc_server *server);
