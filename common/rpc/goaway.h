/* SPDX-License-Identifier: Apache-2.0 */
/* Tells the connections of a server to go elsewhere, while it still takes calls.
 *
 * gRPC has no such function: grpc_server_shutdown_and_notify sends GOAWAY and, in the same moment,
 * stops taking calls, so those that were on their way then are answered with CANCELLED, and every
 * rolling restart under load loses some. RFC 9113, 6.8 says how it goes without loss: send GOAWAY,
 * serve what still comes, close when the streams are done. gRPC does just that for connections that
 * have grown old, and so does this where core_context.h can; a shutdown is otherwise as gRPC has
 * it.
 *
 * It can go when grpc.h has a function for it. Threads: any. */
#pragma once

#include <grpc/grpc.h>
#include <stdbool.h>

/* True when the frames are under way; connections that were told before are not told again. False
 * when this gRPC cannot. */
bool goaway_send(grpc_server *server);
