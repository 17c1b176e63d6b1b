/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/base64.h"
#include "common/base/xalloc.h"
#include "common/codec/json_number.h"
#include "common/codec/json_text.h"
#include "common/codec/pbjson.h"
#include "common/codec/pbmember.h"
#include "common/codec/pbtime.h"

#include <math.h>
#include <stdlib.h>

struct writer {
	const struct schema *schema;
	struct buf *out;
	struct status status; /* the first error; what is written behind it does not count */
	unsigned depth;
};

static void write_message(
	struct writer *w, const struct schema_message *m, const ProtobufCMessage *message);

static void fail(struct writer *w, struct status status)
{
	if (w->status.code == STATUS_OK)
		w->status = status;
}

static void write_text(struct writer *w, const char *text, size_t n)
{
	buf_append(w->out, text, n);
}

static void write_quoted(struct writer *w, const char *text, size_t n)
{
	buf_append_char(w->out, '"');
	buf_append(w->out, text, n);
	buf_append_char(w->out, '"');
}

static void write_null(struct writer *w)
{
	buf_append_str(w->out, STR("null"));
}

static void write_real(struct writer *w, double value, bool is_float)
{
	char text[JSON_NUMBER_BYTES];
	if (isnan(value))
		buf_append_str(w->out, STR("\"NaN\""));
	else if (isinf(value))
		buf_append_str(w->out, value < 0 ? STR("\"-Infinity\"") : STR("\"Infinity\""));
	else
		write_text(w, text,
			is_float ? json_format_float((float)value, text)
				 : json_format_double(value, text));
}

static void write_bytes(struct writer *w, const ProtobufCBinaryData *data)
{
	buf_append_char(w->out, '"');
	base64_encode(w->out, BASE64_STANDARD, data->data, data->len);
	buf_append_char(w->out, '"');
}

static void write_enum(struct writer *w, const struct schema_enum *e, int number)
{
	if (e->is_null_value) {
		write_null(w);
		return;
	}
	const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(e->c, number);
	if (value) {
		json_append_string(w->out, str_of(value->name));
	} else {
		char text[JSON_NUMBER_BYTES];
		write_text(w, text, json_format_i64(number, text));
	}
}

/* The value at @slot. */
static void write_value(struct writer *w, const struct schema_field *f, const void *slot)
{
	char text[JSON_NUMBER_BYTES];
	switch (f->c->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
		write_text(w, text, json_format_i64(*(const int32_t *)slot, text));
		break;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		write_text(w, text, json_format_u64(*(const uint32_t *)slot, text));
		break;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		write_quoted(w, text, json_format_i64(*(const int64_t *)slot, text));
		break;
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		write_quoted(w, text, json_format_u64(*(const uint64_t *)slot, text));
		break;
	case PROTOBUF_C_TYPE_FLOAT:
		write_real(w, (double)*(const float *)slot, true);
		break;
	case PROTOBUF_C_TYPE_DOUBLE:
		write_real(w, *(const double *)slot, false);
		break;
	case PROTOBUF_C_TYPE_BOOL:
		buf_append_str(
			w->out, *(const protobuf_c_boolean *)slot ? STR("true") : STR("false"));
		break;
	case PROTOBUF_C_TYPE_ENUM:
		write_enum(w, f->enumeration, *(const int *)slot);
		break;
	case PROTOBUF_C_TYPE_STRING:
		json_append_string(w->out, str_of(*(char *const *)slot));
		break;
	case PROTOBUF_C_TYPE_BYTES:
		write_bytes(w, slot);
		break;
	case PROTOBUF_C_TYPE_MESSAGE:
		write_message(w, f->message, *(ProtobufCMessage *const *)slot);
		break;
	}
}

static void write_array(
	struct writer *w, const struct schema_field *f, const ProtobufCMessage *message)
{
	const size_t n = pbmember_count(message, f), size = pbmember_size(f);
	const char *element = pbmember_elements(message, f);
	buf_append_char(w->out, '[');
	for (size_t i = 0; i < n; i++, element += size) {
		if (i)
			buf_append_char(w->out, ',');
		write_value(w, f, element);
	}
	buf_append_char(w->out, ']');
}

/* A value that is not on the wire is the default of its type. */
static void write_default(struct writer *w, const struct schema_message *m)
{
	_cleanup_free_ ProtobufCMessage *empty = xcalloc(1, m->c->sizeof_message);
	protobuf_c_message_init(m->c, empty);
	write_message(w, m, empty);
}

/* A key is a value of its type, in quotes if that has none of its own. */
static void write_map_entry(
	struct writer *w, const struct schema_message *m, const ProtobufCMessage *entry)
{
	const struct schema_field *key = &m->fields[0], *value = &m->fields[1];
	const bool is_quoted = key->c->type == PROTOBUF_C_TYPE_STRING || pbmember_size(key) == 8;
	if (!is_quoted)
		buf_append_char(w->out, '"');
	write_value(w, key, pbmember(entry, key));
	if (!is_quoted)
		buf_append_char(w->out, '"');
	buf_append_char(w->out, ':');
	const void *slot = pbmember(entry, value);
	if (value->c->type == PROTOBUF_C_TYPE_MESSAGE && !*(ProtobufCMessage *const *)slot)
		write_default(w, value->message);
	else
		write_value(w, value, slot);
}

static void write_map(
	struct writer *w, const struct schema_field *f, const ProtobufCMessage *message)
{
	const size_t n = pbmember_count(message, f);
	ProtobufCMessage *const *entries = pbmember_elements(message, f);
	buf_append_char(w->out, '{');
	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_append_char(w->out, ',');
		write_map_entry(w, f->message, entries[i]);
	}
	buf_append_char(w->out, '}');
}

static void write_field(
	struct writer *w, const struct schema_field *f, const ProtobufCMessage *message)
{
	if (f->is_map)
		write_map(w, f, message);
	else if (f->c->label == PROTOBUF_C_LABEL_REPEATED)
		write_array(w, f, message);
	else if (f->c->type == PROTOBUF_C_TYPE_MESSAGE &&
		 !*(ProtobufCMessage *const *)pbmember(message, f))
		write_null(w);
	else
		write_value(w, f, pbmember(message, f));
}

/* An unset google.protobuf.Value too: `null` is one of its values. */
static bool is_left_out(const struct schema_field *f, const ProtobufCMessage *message)
{
	if (pbmember_in_oneof(f))
		return !pbmember_is_case(message, f);
	return f->message && f->message->well_known == SCHEMA_VALUE &&
	       f->c->label != PROTOBUF_C_LABEL_REPEATED &&
	       !*(ProtobufCMessage *const *)pbmember(message, f);
}

/* All fields, each behind ',' but for the first of an object that is empty so far. */
static void write_fields(struct writer *w, const struct schema_message *m,
	const ProtobufCMessage *message, bool first)
{
	for (size_t i = 0; i < m->n_fields; i++) {
		const struct schema_field *f = &m->fields[i];
		if (is_left_out(f, message))
			continue;
		if (!first)
			buf_append_char(w->out, ',');
		first = false;
		buf_append_str(w->out, f->json_key);
		write_field(w, f, message);
	}
}

/* ---- messages that have a form of their own ---- */

static void write_time(struct writer *w, const struct schema_message *m,
	const ProtobufCMessage *message, bool is_duration)
{
	const struct pbtime t = {
		.seconds = *(const int64_t *)pbmember(message, &m->fields[0]),
		.nanos = *(const int32_t *)pbmember(message, &m->fields[1]),
	};
	char text[PBTIME_TEXT_BYTES];
	if (is_duration ? pbtime_format_duration(t, text) : pbtime_format_timestamp(t, text))
		write_quoted(w, text, strlen(text));
	else
		fail(w, status_error(STATUS_INTERNAL, "a %s is out of range: %lld s, %d ns",
				m->full_name, (long long)t.seconds, t.nanos));
}

/* foo_bar as fooBar, if that can be read back. */
static bool append_camel_case(struct buf *out, const char *path)
{
	for (const char *p = path; *p; p++) {
		if (*p >= 'A' && *p <= 'Z')
			return false;
		if (*p != '_') {
			buf_append_char(out, *p);
			continue;
		}
		if (p[1] < 'a' || p[1] > 'z')
			return false;
		buf_append_char(out, (char)(*++p - 'a' + 'A'));
	}
	return true;
}

static void write_field_mask(
	struct writer *w, const struct schema_message *m, const ProtobufCMessage *message)
{
	const size_t n = pbmember_count(message, &m->fields[0]);
	char *const *paths = pbmember_elements(message, &m->fields[0]);
	_cleanup_buf_ struct buf text;
	buf_init(&text, w->out->max_);
	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_append_char(&text, ',');
		if (!append_camel_case(&text, paths[i]))
			fail(w, status_error(STATUS_INTERNAL,
					"the path '%s' of a field mask has no JSON form",
					paths[i]));
	}
	json_append_string(w->out, buf_str(&text));
}

/* The member of google.protobuf.Value that is set. */
static void write_value_message(
	struct writer *w, const struct schema_message *m, const ProtobufCMessage *message)
{
	for (size_t i = 0; i < m->n_fields; i++) {
		const struct schema_field *f = &m->fields[i];
		if (!pbmember_is_case(message, f))
			continue;
		if (f->c->type == PROTOBUF_C_TYPE_DOUBLE &&
			!isfinite(*(const double *)pbmember(message, f)))
			fail(w, status_error(STATUS_INTERNAL,
					"a google.protobuf.Value is not a finite number"));
		write_field(w, f, message);
		return;
	}
	write_null(w);
}

static void write_any(
	struct writer *w, const struct schema_message *m, const ProtobufCMessage *message)
{
	const struct str url = str_of(*(char *const *)pbmember(message, &m->fields[0]));
	const ProtobufCBinaryData *value = pbmember(message, &m->fields[1]);
	if (str_empty(url)) {
		buf_append_str(w->out, STR("{}"));
		return;
	}
	struct str name = url;
	for (size_t at; (at = str_index(name, '/')) < name.n;)
		name = str_sub(name, at + 1, name.n);
	const struct schema_message *inner =
		w->schema ? schema_find_message(w->schema, name) : NULL;
	ProtobufCMessage *content =
		inner ? protobuf_c_message_unpack(inner->c, NULL, value->len, value->data) : NULL;
	if (!content) {
		fail(w, status_error(STATUS_INTERNAL, "a google.protobuf.Any of type '%.*s' %s",
				STR_ARG(name), inner ? "does not hold it" : "is not known here"));
		return;
	}
	buf_append_str(w->out, STR("{\"@type\":"));
	json_append_string(w->out, url);
	if (inner->well_known == SCHEMA_PLAIN) {
		write_fields(w, inner, content, false);
	} else {
		buf_append_str(w->out, STR(",\"value\":"));
		write_message(w, inner, content);
	}
	buf_append_char(w->out, '}');
	protobuf_c_message_free_unpacked(content, NULL);
}

static void write_message(
	struct writer *w, const struct schema_message *m, const ProtobufCMessage *message)
{
	if (w->depth == PBJSON_MAX_DEPTH) {
		fail(w, status_error(STATUS_INTERNAL, "messages are nested deeper than %d",
				PBJSON_MAX_DEPTH));
		return;
	}
	w->depth++;
	switch (m->well_known) {
	case SCHEMA_PLAIN:
	case SCHEMA_EMPTY:
		buf_append_char(w->out, '{');
		write_fields(w, m, message, true);
		buf_append_char(w->out, '}');
		break;
	case SCHEMA_WRAPPER:
	case SCHEMA_STRUCT:
	case SCHEMA_LIST_VALUE:
		write_field(w, &m->fields[0], message);
		break;
	case SCHEMA_TIMESTAMP:
		write_time(w, m, message, false);
		break;
	case SCHEMA_DURATION:
		write_time(w, m, message, true);
		break;
	case SCHEMA_FIELD_MASK:
		write_field_mask(w, m, message);
		break;
	case SCHEMA_VALUE:
		write_value_message(w, m, message);
		break;
	case SCHEMA_ANY:
		write_any(w, m, message);
		break;
	}
	w->depth--;
}

static struct status finish(struct writer *w)
{
	TRY(w->status);
	if (buf_overflown(w->out))
		return status_quota(
			"message", "the JSON would be longer than %zu bytes", w->out->max_);
	return status_ok();
}

struct status pbjson_write(const struct schema *schema, const struct schema_message *m,
	const ProtobufCMessage *message, struct buf *out)
{
	struct writer w = {.schema = schema, .out = out, .status = status_ok()};
	write_message(&w, m, message);
	return finish(&w);
}

struct status pbjson_write_field(const struct schema *schema, const struct schema_field *f,
	const ProtobufCMessage *message, struct buf *out)
{
	struct writer w = {.schema = schema, .out = out, .status = status_ok()};
	write_field(&w, f, message);
	return finish(&w);
}
