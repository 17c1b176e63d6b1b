/* SPDX-License-Identifier: Apache-2.0 */
/* The answer to a unary gRPC call, read from the fields and bytes of an HTTP/2 stream
 * (PROTOCOL-HTTP2.md of gRPC), whatever a server makes of that.
 *
 * Feed it what arrives, then ask for the end. A head without grpc-status whose stream ends there,
 * an answer that is no gRPC at all, a message that is cut short or too long, two messages, a status
 * that is no number: all of them become a status. What is kept is bounded: max_message_bytes, and
 * RPC_REPLY_MAX_HEADER_BYTES of fields. Pure. Threads: one at a time. */
#pragma once

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/status.h"
#include "common/base/str.h"
#include "common/rpc/call.h" /* reply headers */

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	RPC_REPLY_MAX_HEADER_BYTES = 64 * 1024,
	RPC_REPLY_PREFIX_BYTES = 5, /* in front of a message: compressed?, length */
};

struct rpc_reply {
	/* What came, all in the arena; p == NULL: it did not. */
	struct str headers[CALL_REPLY_HEADER_COUNT];
	struct str request_id;
	struct str details;  /* a well-formed google.rpc.Status */
	bool has_status;     /* grpc-status came: the service itself speaks */
	bool has_data;       /* a part of a message came: the call must not be sent again */
	int64_t pushback_ms; /* grpc-retry-pushback-ms: not again before; -1: never again */
	bool has_pushback;
	ProtobufCMessage *message; /* NULL: none */

	/* Private. */
	struct arena *arena_;
	const ProtobufCMessageDescriptor *type_;
	size_t max_message_bytes_;
	struct status error_; /* what is wrong with it, the first thing */
	int http_status_, grpc_status_;
	bool is_grpc_; /* by its content-type */
	struct str grpc_message_;
	size_t header_bytes_;
	uint8_t prefix_[RPC_REPLY_PREFIX_BYTES];
	size_t prefix_n_;
	size_t message_n_; /* announced */
	struct buf part_;  /* of a message that comes in pieces */
};

/* @type of the message; it and the texts are made in @arena. rpc_reply_done must follow. */
void rpc_reply_init(struct rpc_reply *r, const ProtobufCMessageDescriptor *type,
	size_t max_message_bytes, struct arena *arena);
void rpc_reply_done(struct rpc_reply *r);

/* False: it is worth nothing more, rpc_reply_end says why. */
bool rpc_reply_header(struct rpc_reply *r, struct str name, struct str value);
bool rpc_reply_data(struct rpc_reply *r, struct str bytes);
/* The stream ended as it should: OK and r->message, or what went wrong. */
struct status rpc_reply_end(struct rpc_reply *r);
/* It was stopped by a false of the above. */
struct status rpc_reply_error(const struct rpc_reply *r);

/* What a stream that was reset means (PROTOCOL-HTTP2.md, "Errors"). */
struct status rpc_reply_reset(uint32_t http2_error);
