/* SPDX-License-Identifier: Apache-2.0 */
/* The protocol as data: what the generated C leaves out, read from the embedded descriptor set.
 *
 * protobuf-c's descriptors know field numbers, types and offsets; JSON names, maps, options
 * (google.api.http, our own) and comments are in the FileDescriptorSet only. A struct schema pairs
 * the two once at start, so that transcoder, router, reflection and the method table share one
 * view.
 *
 * Ownership: everything belongs to the struct schema and lives as long as it does.
 * Threads: immutable after schema_new, so any. */
#pragma once

#include "common/base/cleanup.h"
#include "common/base/status.h"
#include "common/base/str.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct schema;

/* Messages that have a JSON form of their own (the ProtoJSON mapping). */
enum schema_well_known {
	SCHEMA_PLAIN,
	SCHEMA_ANY,
	SCHEMA_DURATION,
	SCHEMA_EMPTY,
	SCHEMA_FIELD_MASK,
	SCHEMA_LIST_VALUE,
	SCHEMA_STRUCT,
	SCHEMA_TIMESTAMP,
	SCHEMA_VALUE,
	SCHEMA_WRAPPER, /* BoolValue, StringValue, ... */
};

struct schema_enum {
	const char *full_name;
	const ProtobufCEnumDescriptor *c;
	bool is_null_value; /* google.protobuf.NullValue */
	const char *comment;
	const char *const *value_comments; /* one per c->values */
};

struct schema_field {
	const char *json_name;  /* lowerCamelCase, or what json_name says */
	struct str json_key;    /* the same, as JSON text with a colon: "pageSize": */
	const char *proto_name; /* as in the .proto */
	const ProtobufCFieldDescriptor *c;
	const struct schema_message *message;  /* of TYPE_MESSAGE, else NULL */
	const struct schema_enum *enumeration; /* of TYPE_ENUM, else NULL */
	bool is_map;         /* message is then the XxxEntry with key = 1, value = 2 */
	const char *comment; /* leading comment, trimmed; "" if none */
};

struct schema_message {
	const char *full_name; /* "osmo.token.v1.Token" */
	const ProtobufCMessageDescriptor *c;
	const struct schema_field *fields; /* in the order of the .proto */
	size_t n_fields;
	enum schema_well_known well_known;
	bool is_map_entry;
	const char *comment;
};

struct schema_method {
	size_t index;     /* dense, 0 .. schema_method_count - 1: for tables beside the schema */
	const char *path; /* "/osmo.token.v1.TokenService/Set" */
	const char *service_name; /* "osmo.token.v1.TokenService" */
	const char *name;         /* "Set" */
	const struct schema_message *input, *output;
	bool client_streaming, server_streaming;
	const char *comment;
	const uint8_t *options; /* serialised google.protobuf.MethodOptions, or NULL */
	size_t options_size;
};

struct schema_service {
	const char *full_name;
	const struct schema_method *const *methods;
	size_t n_methods;
	const char *comment;
};

/* What of the generated code a schema is about: services, and messages that no service names (those
 * that travel in a google.protobuf.Any). */
struct schema_roots {
	const ProtobufCServiceDescriptor *const *services;
	size_t n_services;
	const ProtobufCMessageDescriptor *const *messages;
	size_t n_messages;
};

/* Pairs the descriptor set at @bytes (which must outlive the schema) with the generated roots, and
 * with every message that they reach.
 *
 * INTERNAL  the two do not fit: a build error of ours, named in the message */
struct status schema_new(
	const uint8_t *bytes, size_t size, const struct schema_roots *roots, struct schema **ret);
void schema_free(struct schema *s);
DEFINE_CLEANUP(struct schema *, schema_free);

size_t schema_service_count(const struct schema *s);
const struct schema_service *schema_service_at(const struct schema *s, size_t index);
size_t schema_method_count(const struct schema *s);
const struct schema_method *schema_method_at(const struct schema *s, size_t index);
/* By gRPC path; NULL if there is none. Constant time: every gRPC call comes through here. */
const struct schema_method *schema_find_method(const struct schema *s, struct str path);
/* By full name, or by the generated descriptor; NULL if the services do not reach it. */
const struct schema_message *schema_find_message(const struct schema *s, struct str full_name);
const struct schema_message *schema_message_of(
	const struct schema *s, const ProtobufCMessageDescriptor *c);
/* By json_name or by proto_name; NULL if there is none. */
const struct schema_field *schema_find_field(const struct schema_message *m, struct str name);

/* The bytes of option (extension) number @field of a method, which is a message; false if the
 * method does not state it. The first one counts. */
bool schema_method_option(const struct schema_method *m, uint32_t field, struct str *ret);

/* For reflection: the serialised FileDescriptorProto, unchanged, of the file with this name, or of
 * the file that defines this fully qualified symbol (service, method, message, field, enum, ...),
 * or that extends @extendee with number @field. False if there is none. Valid while the schema
 * lives. */
bool schema_file_by_name(const struct schema *s, struct str name, struct str *ret);
bool schema_file_by_symbol(const struct schema *s, struct str symbol, struct str *ret);
bool schema_file_by_extension(
	const struct schema *s, struct str extendee, int32_t field, struct str *ret);
/* The numbers of all extensions of @extendee, at most @max of them into @ret; returns how many
 * there are. */
size_t schema_extension_numbers(
	const struct schema *s, struct str extendee, int32_t *ret, size_t max);
