/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC metadata to and from a struct call, by the allow-list of call.h. */
#pragma once

#include "common/rpc/call.h"

#include <grpc/grpc.h>

/* Fills call->metadata, whose values point into @from; call->peer must be known. What names an
 * identity is kept only where @trust (or NULL: nobody) says so. */
void rpc_metadata_read(
	const grpc_metadata_array *from, const struct call_trust *trust, struct call *call);

/* The value of the first entry named @key, or an empty string. */
struct str rpc_metadata_find(const grpc_metadata_array *from, struct str key);

enum {
	RPC_METADATA_MAX = CALL_METADATA_COUNT > CALL_REPLY_HEADER_COUNT + 2
				   ? CALL_METADATA_COUNT
				   : CALL_REPLY_HEADER_COUNT + 2
};

/* Metadata to send; owns its values. */
struct rpc_metadata {
	grpc_metadata entries[RPC_METADATA_MAX];
	size_t n;
};

/* @key is constant; @value is copied. */
void rpc_metadata_add(struct rpc_metadata *m, const char *key, struct str value);
void rpc_metadata_clear(struct rpc_metadata *m);
