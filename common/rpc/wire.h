/* SPDX-License-Identifier: Apache-2.0 */
/* From bytes that a peer sent to a message in an arena, after the checks that protobuf-c leaves
 * out.
 *
 * protobuf-c does not look at UTF-8 (which proto3 strings must be), cuts a string silently at a
 * NUL, recurses as deep as the bytes say and makes a struct of a hundred bytes out of two. Pure. */
#pragma once

#include "common/base/arena.h"
#include "common/base/status.h"

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

enum {
	WIRE_MAX_DEPTH = 100,    /* of nested messages, as in every other implementation */
	WIRE_MAX_FIELDS = 16384, /* of a request */
};

/* INVALID_ARGUMENT  malformed; a string field is not UTF-8 or has a NUL (status.field names it);
 *                   too deep or too many fields */
struct status wire_parse(const ProtobufCMessageDescriptor *type, const uint8_t *p, size_t n,
	struct arena *arena, ProtobufCMessage **ret);
/* The same of an answer, which may be a list of thousands: it comes from whom we asked, and nothing
 * but its length bounds its fields. */
struct status wire_parse_answer(const ProtobufCMessageDescriptor *type, const uint8_t *p, size_t n,
	struct arena *arena, ProtobufCMessage **ret);
