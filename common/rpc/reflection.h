/* SPDX-License-Identifier: Apache-2.0 */
/* Server reflection: one request in, one response out, from the schema.
 *
 * The versions v1 and v1alpha of the protocol differ in their package names only, so the messages
 * of v1 serve both. Pure. */
#pragma once

#include "common/base/arena.h"

#include <protobuf-c/protobuf-c.h>

struct schema;

/* @request is a grpc.reflection.v1.ServerReflectionRequest, the result a ServerReflectionResponse
 * in
 * @arena, which points into @request and @schema. */
ProtobufCMessage *reflection_answer(
	const struct schema *schema, ProtobufCMessage *request, struct arena *arena);
extern const ProtobufCMessageDescriptor *const reflection_request_type;
