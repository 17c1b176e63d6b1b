/* SPDX-License-Identifier: Apache-2.0 */
/* One unary gRPC call as an HTTP/2 request of the command line's own client (gRPC over HTTP2), so
 * that `osmo` needs no gRPC library. Not repeated, not redirected. Threads: one at a time. */
#pragma once

#include "cli/http_client.h"
#include "common/base/status.h"

#include <protobuf-c/protobuf-c.h>

struct grpc_target {
	struct http_client *http;
	const char *url;           /* http://HOST:PORT: HTTP/2 at once; https://: by ALPN */
	const char *authorization; /* "Authorization: Bearer …", or NULL */
};

/* Calls @method ("package.Service/Method") with @request; *ret is the reply, a message of @reply
 * (protobuf_c_message_free_unpacked).
 *
 * The status of the service; UNAVAILABLE, INTERNAL  no answer, or one that is not gRPC's */
struct status grpc_unary(const struct grpc_target *target, const char *method,
	const ProtobufCMessage *request, const ProtobufCMessageDescriptor *reply,
	ProtobufCMessage **ret);
