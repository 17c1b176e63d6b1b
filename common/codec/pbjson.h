/* SPDX-License-Identifier: Apache-2.0 */
/* ProtoJSON (protobuf.dev/programming-guides/json) to and from any generated message, through its
 * schema: no message is named here.
 *
 * Reading is strict (json_reader.h): a field that is unknown, given twice (also once by each of its
 * two names, or two members of a oneof), of another type or out of range is an error that says
 * where and what was expected. Names of enum values are read in any case of letters. `null` is the
 * default of a field, and an error inside a repeated field.
 *
 * Writing puts out all fields, zero or not: an unset message is `null`; an unset member of a oneof,
 * or an unset google.protobuf.Value, is left out.
 *
 * Memory: what is read lives in the arena. Threads: any, each call by itself. */
#pragma once

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/status.h"
#include "common/base/str.h"
#include "common/codec/schema.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

enum {
	PBJSON_MAX_DEPTH = 200 /* of messages when writing; reading has JSON_MAX_DEPTH */
};

struct pbjson_in {
	const struct schema *schema; /* resolves google.protobuf.Any; may be NULL */
	struct arena *arena;
	bool ignore_unknown; /* skip unknown fields */
};

/* An empty message in @arena. */
ProtobufCMessage *pbjson_message_new(const struct schema_message *m, struct arena *arena);

/* Reads the JSON document @text into @message, an empty message of type @m.
 *
 * INVALID_ARGUMENT  with the path of the field at fault as status.field, if it is about one */
struct status pbjson_read(const struct pbjson_in *in, const struct schema_message *m,
	struct str text, ProtobufCMessage *message);
/* Reads the JSON document @text into one field of @message, as if it stood there behind the name of
 * the field. */
struct status pbjson_read_field(const struct pbjson_in *in, const struct schema_field *f,
	struct str text, ProtobufCMessage *message);
/* Reads bare @text (of a URL: no quotes, no escapes) into a field: scalars, enums and the messages
 * that are text in JSON; one more element of a repeated field. @path names it in errors. */
struct status pbjson_read_text(const struct pbjson_in *in, const struct schema_field *f,
	struct str text, const char *path, ProtobufCMessage *message);
/* False if pbjson_read_text cannot serve the type: messages and maps. */
bool pbjson_field_is_text(const struct schema_field *f);
/* The message inside a singular message field, made if it is not there; NULL if another member of
 * its oneof is. */
ProtobufCMessage *pbjson_submessage(
	const struct pbjson_in *in, const struct schema_field *f, ProtobufCMessage *message);

/* Appends @message, of type @m, to @out. @schema resolves google.protobuf.Any; may be NULL.
 *
 * RESOURCE_EXHAUSTED  @out is full
 * INTERNAL            the message has no JSON form: a time out of range, an Any of unknown type,
 * nesting deeper than PBJSON_MAX_DEPTH */
struct status pbjson_write(const struct schema *schema, const struct schema_message *m,
	const ProtobufCMessage *message, struct buf *out);
/* The value of one field alone. */
struct status pbjson_write_field(const struct schema *schema, const struct schema_field *f,
	const ProtobufCMessage *message, struct buf *out);
