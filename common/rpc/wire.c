/* SPDX-License-Identifier: Apache-2.0 */
#include "common/rpc/wire.h"

#include "common/base/buf.h"
#include "common/rpc/call.h" /* call_allocator */

enum wire_type {
	WIRE_VARINT = 0,
	WIRE_FIXED64 = 1,
	WIRE_BYTES = 2,
	WIRE_FIXED32 = 5,
};

/* A message being read, and the way to it from the outermost one. */
struct level {
	const struct level *parent;
	const ProtobufCMessageDescriptor *type;
	const uint8_t *start, *p, *end;
	const ProtobufCFieldDescriptor *field; /* at hand */
	const uint8_t *field_start;
};

struct check {
	const uint8_t *start;
	size_t n_fields, max_fields;
	unsigned depth;
};

static bool read_varint(struct level *l, uint64_t *ret)
{
	uint64_t value = 0;
	for (unsigned shift = 0; shift < 64 && l->p < l->end; shift += 7) {
		uint8_t byte = *l->p++;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*ret = value;
			return true;
		}
	}
	return false;
}

static bool skip(struct level *l, uint64_t n)
{
	if (n > (uint64_t)(l->end - l->p))
		return false;
	l->p += n;
	return true;
}

static bool skip_value(struct level *l, unsigned wire_type)
{
	uint64_t n;
	switch (wire_type) {
	case WIRE_VARINT:
		return read_varint(l, &n);
	case WIRE_FIXED64:
		return skip(l, 8);
	case WIRE_FIXED32:
		return skip(l, 4);
	case WIRE_BYTES:
		return read_varint(l, &n) && skip(l, n);
	default: /* groups, which proto3 does not have, and what is not assigned */
		return false;
	}
}

static struct status malformed(const struct check *check, const struct level *l)
{
	return status_error(STATUS_INVALID_ARGUMENT,
		"The request message is malformed: byte %zu is no part of a %s",
		(size_t)(l->p - check->start), l->type->name);
}

/* Which one of a repeated field is at hand: counted only when it is to be named. */
static size_t index_at_hand(const struct level *l)
{
	struct level again = *l;
	again.p = l->start;
	again.end = l->field_start;
	size_t index = 0;
	uint64_t tag;
	while (read_varint(&again, &tag) && skip_value(&again, tag & 7))
		index += (tag >> 3) == l->field->id;
	return index;
}

static void append_path(struct buf *out, const struct level *l)
{
	if (l->parent) {
		append_path(out, l->parent);
		buf_append_char(out, '.');
	}
	buf_append_str(out, str_of(l->field->name));
	if (l->field->label == PROTOBUF_C_LABEL_REPEATED)
		buf_printf(out, "[%zu]", index_at_hand(l));
}

static struct status wrong_text(const struct level *l, const char *what)
{
	_cleanup_buf_ struct buf path;
	buf_init(&path, 4096);
	append_path(&path, l);
	return status_invalid(path.p, "%s: %s", path.p, what);
}

static struct status check_text(const struct level *l, struct str text)
{
	if (memchr(text.p, '\0', text.n))
		return wrong_text(l, "must not contain a NUL character");
	if (!str_is_utf8(text))
		return wrong_text(l, "must be UTF-8 text");
	return status_ok();
}

static struct status check_message(struct check *check, struct level *l);

static struct status check_bytes(struct check *check, struct level *l, const uint8_t *p, size_t n)
{
	if (l->field->type == PROTOBUF_C_TYPE_STRING)
		return check_text(l, (struct str){(const char *)p, n});
	if (l->field->type != PROTOBUF_C_TYPE_MESSAGE)
		return status_ok();
	struct level inner = {
		.parent = l, .type = l->field->descriptor, .start = p, .p = p, .end = p + n};
	return check_message(check, &inner);
}

static struct status check_message(struct check *check, struct level *l)
{
	if (++check->depth > WIRE_MAX_DEPTH)
		return status_error(STATUS_INVALID_ARGUMENT,
			"The request message is nested deeper than %d", WIRE_MAX_DEPTH);
	while (l->p < l->end) {
		if (++check->n_fields > check->max_fields)
			return status_error(STATUS_INVALID_ARGUMENT,
				"The request message has more than %zu fields", check->max_fields);
		l->field_start = l->p;
		uint64_t tag;
		if (!read_varint(l, &tag) || tag >> 3 == 0 || tag > UINT32_MAX)
			return malformed(check, l);
		l->field = protobuf_c_message_descriptor_get_field(l->type, (unsigned)(tag >> 3));
		if (l->field && (tag & 7) == WIRE_BYTES) {
			uint64_t n;
			if (!read_varint(l, &n) || n > (uint64_t)(l->end - l->p))
				return malformed(check, l);
			TRY(check_bytes(check, l, l->p, n));
			l->p += n;
		} else if (!skip_value(l, tag & 7)) {
			return malformed(check, l);
		}
	}
	check->depth--;
	return status_ok();
}

static struct status parse(const ProtobufCMessageDescriptor *type, const uint8_t *p, size_t n,
	size_t max_fields, struct arena *arena, ProtobufCMessage **ret)
{
	struct check check = {.start = p, .max_fields = max_fields};
	struct level outermost = {.type = type, .start = p, .p = p, .end = p + n};
	TRY(check_message(&check, &outermost));
	ProtobufCAllocator allocator = call_allocator(arena);
	ProtobufCMessage *message = protobuf_c_message_unpack(type, &allocator, n, p);
	if (!message)
		return status_error(STATUS_INVALID_ARGUMENT,
			"The request message is malformed: a field is not of the type that a %s "
			"has",
			type->name);
	*ret = message;
	return status_ok();
}

struct status wire_parse(const ProtobufCMessageDescriptor *type, const uint8_t *p, size_t n,
	struct arena *arena, ProtobufCMessage **ret)
{
	return parse(type, p, n, WIRE_MAX_FIELDS, arena, ret);
}

struct status wire_parse_answer(const ProtobufCMessageDescriptor *type, const uint8_t *p, size_t n,
	struct arena *arena, ProtobufCMessage **ret)
{
	return parse(type, p, n, SIZE_MAX, arena, ret);
}
