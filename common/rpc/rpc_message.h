/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC's byte buffers and the bytes of messages.
 *
 * gRPC would inflate compressed messages itself, but looks at the size only before: a megabyte of
 * gzip becomes a gigabyte. So it is told to leave them alone, and they are inflated here. Pure. */
#pragma once

#include "common/base/arena.h"
#include "common/base/status.h"
#include "common/base/str.h"

#include <grpc/byte_buffer.h>
#include <protobuf-c/protobuf-c.h>

/* The bytes of @from in one piece, in @arena or in @from itself.
 *
 * RESOURCE_EXHAUSTED  more than @max_bytes
 * INVALID_ARGUMENT    what is said to be compressed is not */
struct status rpc_message_bytes(
	grpc_byte_buffer *from, size_t max_bytes, struct arena *arena, struct str *ret);

/* The caller's (grpc_byte_buffer_destroy). */
grpc_byte_buffer *rpc_message_pack(const ProtobufCMessage *message);
