/* SPDX-License-Identifier: Apache-2.0 */
/* Who is at the other end of a gRPC connection.
 *
 * gRPC names peers "ipv4:10.0.0.1:5000", "ipv6:%5B::1%5D:5000", "unix:/run/x.sock". Pure. */
#pragma once

#include "common/base/str.h"
#include "common/rpc/call.h"

#include <stdbool.h>

enum {
	RPC_PEER_BYTES = 64 /* "[v6]:port" with a scope */
};

/* Fills address and text of @ret; the text is in @buffer, or constant. What cannot be read has the
 * family AF_UNSPEC and the text "unknown", which no list of trusted networks holds. */
void rpc_peer_parse(struct str uri, char buffer[RPC_PEER_BYTES], struct call_peer *ret);
