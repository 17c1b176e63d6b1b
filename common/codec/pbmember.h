/* SPDX-License-Identifier: Apache-2.0 */
/* Where a field is in a generated struct. Pure; the message outlives what is returned. */
#pragma once

#include "common/codec/schema.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline const void *pbmember_at(const ProtobufCMessage *message, unsigned offset)
{
	return (const char *)message + offset;
}

/* The member itself: an int32_t, a char *, a ProtobufCMessage *, ... */
static inline const void *pbmember(const ProtobufCMessage *message, const struct schema_field *f)
{
	return pbmember_at(message, f->c->offset);
}

/* Of a repeated field. */
static inline size_t pbmember_count(const ProtobufCMessage *message, const struct schema_field *f)
{
	return *(const size_t *)pbmember_at(message, f->c->quantifier_offset);
}

static inline const void *pbmember_elements(
	const ProtobufCMessage *message, const struct schema_field *f)
{
	return *(const void *const *)pbmember(message, f);
}

static inline bool pbmember_in_oneof(const struct schema_field *f)
{
	return f->c->flags & PROTOBUF_C_FIELD_FLAG_ONEOF;
}

/* The case enum of a oneof: the number of the member that is set, or 0. */
static inline uint32_t pbmember_case(const ProtobufCMessage *message, const struct schema_field *f)
{
	return *(const uint32_t *)pbmember_at(message, f->c->quantifier_offset);
}

static inline bool pbmember_is_case(const ProtobufCMessage *message, const struct schema_field *f)
{
	return pbmember_case(message, f) == f->c->id;
}

/* Bytes of one value of the field. */
size_t pbmember_size(const struct schema_field *f);
