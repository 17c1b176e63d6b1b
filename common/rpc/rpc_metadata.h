/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC metadata to and from a struct call, by the allow-list of call.h. */
#pragma once

#include "common/rpc/call.h"

#include <assert.h>
#include <grpc/grpc.h>
#include <stdbool.h>

/* Fills call->metadata, whose values point into @from; call->peer must be known. What names an
 * identity is kept only where @trust (or NULL: nobody) says so. */
void rpc_metadata_read(
	const grpc_metadata_array *from, const struct call_trust *trust, struct call *call);

enum {
	RPC_METADATA_MAX =
		CALL_REPLY_HEADER_COUNT + 2, /* the request's id, the details of an error */
};

/* Metadata to send; owns its values. */
struct rpc_metadata {
	grpc_metadata entries[RPC_METADATA_MAX];
	size_t n;
};

/* @key is constant; @value is copied. False, and nothing is added, when it has bytes that gRPC does
 * not send (of a text: outside 0x20..0x7e). */
bool rpc_metadata_add(struct rpc_metadata *m, const char *key, struct str value);
void rpc_metadata_clear(struct rpc_metadata *m);
