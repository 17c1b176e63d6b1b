/* SPDX-License-Identifier: Apache-2.0 */
/* From an HTTP request to the request message of an RPC, and from its reply to JSON, as the rule of
 * the route says (google/api/http.proto).
 *
 * The body is read first, then the variables of the path, then the query: what the path says wins.
 * Memory is the arena's. Threads: any, each call by itself. */
#pragma once

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/str.h"
#include "common/codec/schema.h"
#include "gateway/dialect.h"
#include "gateway/refusal.h"
#include "gateway/router.h"

#include <protobuf-c/protobuf-c.h>

struct transcode_input {
	const struct dialect *dialect;
	struct str query;        /* behind '?', not decoded; may be empty */
	struct str content_type; /* the header; empty if there is none */
	struct str body;         /* empty: there is no body, whatever content_type says */
};

/* *@ret: the request message, of type match->route->method->input.
 *
 * 400  JSON or a parameter is wrong: status.field is its path
 * 415  a body that is not application/json in UTF-8 */
struct refusal transcode_request(const struct schema *schema, const struct route_match *match,
	const struct transcode_input *in, struct arena *arena, ProtobufCMessage **ret);

/* Appends the body of a good answer. Errors are those of pbjson_write. */
struct status transcode_reply(const struct schema *schema, const struct route *route,
	const ProtobufCMessage *reply, struct buf *out);
