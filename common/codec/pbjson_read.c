/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/base64.h"
#include "common/base/xalloc.h"
#include "common/codec/json_number.h"
#include "common/codec/json_reader.h"
#include "common/codec/pbjson.h"
#include "common/codec/pbmember.h"
#include "common/codec/pbtime.h"

#include <math.h>
#include <string.h>

enum {
	FIRST_ELEMENTS = 4,
	SEEN_FIELDS = 64, /* so many fields of a message are marked in one word */
	MAX_SHOWN_BYTES = 60,
};

/* One step from the document to the value that is being read. */
struct step {
	const struct step *up;
	struct str name;
	size_t index; /* of a step without a name */
};

struct reader {
	struct json_reader in;
	const struct pbjson_in *options;
	const struct step *path;
};

static bool read_message(
	struct reader *r, const struct schema_message *m, ProtobufCMessage *message);
static bool read_element(struct reader *r, const struct schema_field *f, void *slot);

/* ---- errors ---- */

/* As much of a text as an error shows, whole characters. */
static struct str shown(struct str text)
{
	if (text.n <= MAX_SHOWN_BYTES)
		return text;
	text.n = MAX_SHOWN_BYTES;
	text.n = str_utf8_prefix(text);
	return text;
}

static void append_path(struct buf *out, const struct step *step)
{
	if (!step)
		return;
	append_path(out, step->up);
	if (step->name.p) {
		if (out->n)
			buf_append_char(out, '.');
		buf_append_str(out, shown(step->name));
	} else {
		buf_printf(out, "[%zu]", step->index);
	}
}

/* The first error is kept; always false. */
static bool fail(struct reader *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool fail(struct reader *r, const char *format, ...)
{
	if (json_failed(&r->in))
		return false;
	_cleanup_buf_ struct buf path, text;
	buf_init(&path, sizeof r->in.status.message);
	buf_init(&text, sizeof r->in.status.message);
	append_path(&path, r->path);
	va_list args;
	va_start(args, format);
	buf_vprintf(&text, format, args);
	va_end(args);
	r->in.status = path.n ? status_invalid(path.p, "%s: %s", path.p, buf_str(&text).p)
			      : status_invalid("", "%s", buf_str(&text).p);
	return false;
}

static bool fail_value(struct reader *r, const char *wanted, struct str got)
{
	return fail(r, "expected %s, got '%.*s'", wanted, STR_ARG(shown(got)));
}

/* A value of the wrong kind is not shown: it may be a secret in the wrong place. */
static bool want(struct reader *r, enum json_kind kind, const char *wanted)
{
	const enum json_kind got = json_peek(&r->in);
	if (got == kind)
		return true;
	if (got == JSON_KIND_NONE) /* no JSON: the reader says what and where */
		return json_skip(&r->in);
	return fail(r, "expected %s, got %s", wanted, json_kind_name(got));
}

/* ---- scalars, from the text of a number or string ---- */

static const char *const expected[] = {
	[PROTOBUF_C_TYPE_INT32] = "an integer of 32 bits",
	[PROTOBUF_C_TYPE_SINT32] = "an integer of 32 bits",
	[PROTOBUF_C_TYPE_SFIXED32] = "an integer of 32 bits",
	[PROTOBUF_C_TYPE_INT64] = "an integer of 64 bits",
	[PROTOBUF_C_TYPE_SINT64] = "an integer of 64 bits",
	[PROTOBUF_C_TYPE_SFIXED64] = "an integer of 64 bits",
	[PROTOBUF_C_TYPE_UINT32] = "an integer in 0..4294967295",
	[PROTOBUF_C_TYPE_FIXED32] = "an integer in 0..4294967295",
	[PROTOBUF_C_TYPE_UINT64] = "an integer in 0..18446744073709551615",
	[PROTOBUF_C_TYPE_FIXED64] = "an integer in 0..18446744073709551615",
	[PROTOBUF_C_TYPE_FLOAT] = "a number of 32 bits",
	[PROTOBUF_C_TYPE_DOUBLE] = "a number of 64 bits",
	[PROTOBUF_C_TYPE_BOOL] = "true or false",
	[PROTOBUF_C_TYPE_ENUM] = "a name",
	[PROTOBUF_C_TYPE_STRING] = "a string",
	[PROTOBUF_C_TYPE_BYTES] = "base64",
	[PROTOBUF_C_TYPE_MESSAGE] = "an object",
};

/* An integer between -@max - 1 (0 if unsigned) and @max. */
static bool parse_integer(struct reader *r, ProtobufCType type, struct str text, uint64_t max,
	bool is_signed, int64_t *ret)
{
	bool negative;
	uint64_t magnitude;
	if (!json_number_is_valid(text) || !json_number_to_integer(text, &negative, &magnitude) ||
		magnitude > max + (negative ? is_signed : 0) || (negative && !is_signed))
		return fail_value(r, expected[type], text);
	*ret = (int64_t)(negative ? 0 - magnitude : magnitude);
	return true;
}

/* "NaN" and the infinities are strings in JSON; @quoted says that the text is one. */
static bool parse_real(
	struct reader *r, ProtobufCType type, struct str text, bool quoted, void *slot)
{
	double value = 0;
	float single = 0;
	if (quoted && str_eq(text, STR("NaN")))
		single = (float)(value = NAN);
	else if (quoted && str_eq(text, STR("Infinity")))
		single = (float)(value = INFINITY);
	else if (quoted && str_eq(text, STR("-Infinity")))
		single = (float)(value = -INFINITY);
	else if (!json_number_is_valid(text) ||
		 !(type == PROTOBUF_C_TYPE_FLOAT ? json_number_to_float(text, &single)
						 : json_number_to_double(text, &value)))
		return fail_value(r, expected[type], text);
	if (type == PROTOBUF_C_TYPE_FLOAT)
		*(float *)slot = single;
	else
		*(double *)slot = value;
	return true;
}

static bool parse_number(
	struct reader *r, ProtobufCType type, struct str text, bool quoted, void *slot)
{
	int64_t value = 0;
	switch (type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_ENUM:
		if (!parse_integer(r, type, text, INT32_MAX, true, &value))
			return false;
		*(int32_t *)slot = (int32_t)value;
		return true;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		if (!parse_integer(r, type, text, UINT32_MAX, false, &value))
			return false;
		*(uint32_t *)slot = (uint32_t)value;
		return true;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		return parse_integer(r, type, text, INT64_MAX, true, slot);
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		return parse_integer(r, type, text, UINT64_MAX, false, slot);
	case PROTOBUF_C_TYPE_FLOAT:
	case PROTOBUF_C_TYPE_DOUBLE:
		return parse_real(r, type, text, quoted, slot);
	case PROTOBUF_C_TYPE_BOOL:
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_BYTES:
	case PROTOBUF_C_TYPE_MESSAGE:
		break;
	}
	return fail_value(r, expected[type], text);
}

/* Up to five names, to say what is expected. */
static bool fail_enum(struct reader *r, const struct schema_enum *e, struct str text)
{
	_cleanup_buf_ struct buf names;
	buf_init(&names, 200);
	for (unsigned i = 0; i < e->c->n_values && i < 5; i++)
		buf_printf(&names, "%s%s", i ? ", " : "", e->c->values[i].name);
	return fail(r, "expected one of %s%s, got '%.*s'", buf_str(&names).p,
		e->c->n_values > 5 ? ", ..." : "", STR_ARG(shown(text)));
}

static bool parse_enum_name(
	struct reader *r, const struct schema_enum *e, struct str text, void *slot)
{
	const ProtobufCEnumValueIndex *found = NULL;
	for (unsigned i = 0; i < e->c->n_value_names; i++) {
		const ProtobufCEnumValueIndex *v = &e->c->values_by_name[i];
		if (str_eq(text, str_of(v->name))) {
			found = v;
			break;
		}
		if (!found && str_eq_nocase(text, str_of(v->name)))
			found = v;
	}
	if (!found)
		return fail_enum(r, e, text);
	*(int *)slot = e->c->values[found->index].value;
	return true;
}

static bool parse_bytes(struct reader *r, struct str text, ProtobufCBinaryData *slot)
{
	_cleanup_buf_ struct buf bytes;
	buf_init(&bytes, text.n + 2); /* base64_decode asks for a little more than it needs */
	if (!base64_decode(&bytes, text))
		return fail_value(r, expected[PROTOBUF_C_TYPE_BYTES], text);
	const struct str copy = arena_str(r->options->arena, buf_str(&bytes));
	slot->len = copy.n;
	slot->data = copy.n ? (uint8_t *)(uintptr_t)copy.p : NULL;
	return true;
}

static bool parse_bool(struct reader *r, struct str text, void *slot)
{
	const bool truth = str_eq(text, STR("true"));
	if (!truth && !str_eq(text, STR("false")))
		return fail_value(r, expected[PROTOBUF_C_TYPE_BOOL], text);
	*(protobuf_c_boolean *)slot = truth;
	return true;
}

static void *set_member(ProtobufCMessage *message, const struct schema_field *f)
{
	return (char *)message + f->c->offset;
}

static bool parse_time(struct reader *r, const struct schema_message *m, struct str text,
	ProtobufCMessage *message)
{
	struct pbtime t;
	if (m->well_known == SCHEMA_TIMESTAMP ? !pbtime_parse_timestamp(text, &t)
					      : !pbtime_parse_duration(text, &t))
		return fail_value(r,
			m->well_known == SCHEMA_TIMESTAMP ? "a time like 2026-05-01T12:00:00Z"
							  : "a duration like 1.5s",
			text);
	*(int64_t *)set_member(message, &m->fields[0]) = t.seconds;
	*(int32_t *)set_member(message, &m->fields[1]) = t.nanos;
	return true;
}

/* "a.fooBar" as "a.foo_bar"; NULL for a path that no field mask has. */
static char *snake_case(struct arena *arena, struct str path)
{
	char *const text = arena_alloc(arena, path.n * 2 + 1), *to = text;
	for (size_t i = 0; i < path.n; i++) {
		const char c = path.p[i];
		const bool upper = c >= 'A' && c <= 'Z';
		if (!upper && !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '.')
			return NULL;
		if (upper)
			*to++ = '_';
		*to++ = (char)(upper ? c - 'A' + 'a' : c);
	}
	*to = '\0';
	return path.n ? text : NULL;
}

static bool parse_field_mask(struct reader *r, const struct schema_message *m, struct str text,
	ProtobufCMessage *message)
{
	struct str rest = text, path;
	size_t n = 0;
	if (str_empty(text))
		return true;
	char **paths = arena_calloc(r->options->arena, text.n / 2 + 1, sizeof *paths);
	while (str_split(&rest, ',', &path)) {
		char *snake = snake_case(r->options->arena, path);
		if (!snake)
			return fail_value(r, "field paths in camelCase, separated by ','", text);
		paths[n++] = snake;
	}
	*(size_t *)((char *)message + m->fields[0].c->quantifier_offset) = n;
	*(char ***)set_member(message, &m->fields[0]) = paths;
	return true;
}

static bool is_text_message(const struct schema_message *m)
{
	return m->well_known == SCHEMA_TIMESTAMP || m->well_known == SCHEMA_DURATION ||
	       m->well_known == SCHEMA_FIELD_MASK;
}

static bool parse_text_message(struct reader *r, const struct schema_message *m, struct str text,
	ProtobufCMessage *message)
{
	return m->well_known == SCHEMA_FIELD_MASK ? parse_field_mask(r, m, text, message)
						  : parse_time(r, m, text, message);
}

static ProtobufCMessage *new_message(struct reader *r, const struct schema_message *m)
{
	return pbjson_message_new(m, r->options->arena);
}

/* The value that bare text stands for: a key of a map, or a value in a URL. */
static bool parse_text(struct reader *r, const struct schema_field *f, struct str text, void *slot)
{
	switch (f->c->type) {
	case PROTOBUF_C_TYPE_BOOL:
		return parse_bool(r, text, slot);
	case PROTOBUF_C_TYPE_STRING:
		*(char **)slot = arena_strndup(r->options->arena, text.p, text.n);
		return true;
	case PROTOBUF_C_TYPE_BYTES:
		return parse_bytes(r, text, slot);
	case PROTOBUF_C_TYPE_ENUM:
		return json_number_is_valid(text) ? parse_number(r, f->c->type, text, true, slot)
						  : parse_enum_name(r, f->enumeration, text, slot);
	case PROTOBUF_C_TYPE_MESSAGE: {
		ProtobufCMessage *message = *(ProtobufCMessage **)slot = new_message(r, f->message);
		if (f->message->well_known == SCHEMA_WRAPPER)
			return parse_text(r, &f->message->fields[0], text,
				set_member(message, &f->message->fields[0]));
		return parse_text_message(r, f->message, text, message);
	}
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_FLOAT:
	case PROTOBUF_C_TYPE_DOUBLE:
		break;
	}
	return parse_number(r, f->c->type, text, true, slot);
}

/* ---- values ---- */

static bool read_number(struct reader *r, ProtobufCType type, void *slot)
{
	struct str text;
	const bool quoted = json_peek(&r->in) == JSON_KIND_STRING;
	if (!quoted && !want(r, JSON_KIND_NUMBER, expected[type]))
		return false;
	return (quoted ? json_read_string(&r->in, &text) : json_read_number(&r->in, &text)) &&
	       parse_number(r, type, text, quoted, slot);
}

static bool read_enum(struct reader *r, const struct schema_enum *e, void *slot)
{
	struct str text;
	switch (json_peek(&r->in)) {
	case JSON_KIND_NULL:
		*(int *)slot = 0;
		return e->is_null_value ? json_read_null(&r->in)
					: want(r, JSON_KIND_STRING, "the name of an enum value");
	case JSON_KIND_NUMBER:
		return json_read_number(&r->in, &text) &&
		       parse_number(r, PROTOBUF_C_TYPE_ENUM, text, false, slot);
	case JSON_KIND_STRING:
		return json_read_string(&r->in, &text) && parse_enum_name(r, e, text, slot);
	case JSON_KIND_NONE:
	case JSON_KIND_BOOL:
	case JSON_KIND_ARRAY:
	case JSON_KIND_OBJECT:
		break;
	}
	return want(r, JSON_KIND_STRING, "the name of an enum value");
}

/* One value that is not null (but where null is a value), into @slot. */
static bool read_element(struct reader *r, const struct schema_field *f, void *slot)
{
	struct str text;
	bool truth;
	switch (f->c->type) {
	case PROTOBUF_C_TYPE_BOOL:
		if (!want(r, JSON_KIND_BOOL, expected[f->c->type]) ||
			!json_read_bool(&r->in, &truth))
			return false;
		*(protobuf_c_boolean *)slot = truth;
		return true;
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_BYTES:
		return want(r, JSON_KIND_STRING, "a string") && json_read_string(&r->in, &text) &&
		       parse_text(r, f, text, slot);
	case PROTOBUF_C_TYPE_ENUM:
		return read_enum(r, f->enumeration, slot);
	case PROTOBUF_C_TYPE_MESSAGE:
		*(ProtobufCMessage **)slot = new_message(r, f->message);
		return read_message(r, f->message, *(ProtobufCMessage **)slot);
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_FLOAT:
	case PROTOBUF_C_TYPE_DOUBLE:
		break;
	}
	return read_number(r, f->c->type, slot);
}

/* google.protobuf.Value and NullValue have null as a value; elsewhere it is "not given". */
static bool null_is_a_value(const struct schema_field *f)
{
	return (f->message && f->message->well_known == SCHEMA_VALUE) ||
	       (f->enumeration && f->enumeration->is_null_value);
}

static bool refuse_null(struct reader *r, const struct schema_field *f, const char *where)
{
	if (json_peek(&r->in) == JSON_KIND_NULL && !null_is_a_value(f))
		return fail(r, "null is not allowed in %s", where);
	return true;
}

/* Room for one more element; the slot is zeroed. */
static void *add_element(struct reader *r, const struct schema_field *f, ProtobufCMessage *message)
{
	const size_t size = pbmember_size(f);
	size_t *n = (size_t *)(void *)((char *)message + f->c->quantifier_offset);
	char **elements = set_member(message, f);
	/* full at FIRST_ELEMENTS times a power of two */
	if (*n == 0 || (*n >= FIRST_ELEMENTS && (*n & (*n - 1)) == 0)) {
		char *grown = arena_alloc(r->options->arena, (*n ? *n * 2 : FIRST_ELEMENTS) * size);
		if (*n)
			memcpy(grown, *elements, *n * size);
		*elements = grown;
	}
	void *slot = *elements + (*n)++ * size;
	memset(slot, 0, size);
	return slot;
}

static bool read_array(struct reader *r, const struct schema_field *f, ProtobufCMessage *message)
{
	struct json_level level;
	if (!want(r, JSON_KIND_ARRAY, "an array") || !json_enter(&r->in, &level))
		return false;
	struct step step = {.up = r->path};
	r->path = &step;
	for (; json_next_element(&r->in, &level); step.index++)
		if (!refuse_null(r, f, "an array") ||
			!read_element(r, f, add_element(r, f, message)))
			break;
	r->path = step.up;
	return !json_failed(&r->in);
}

static bool is_plain_integer(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!(s.p[i] >= '0' && s.p[i] <= '9') && s.p[i] != '-')
			return false;
	return !str_eq(s, STR("-0"));
}

static bool read_map_entry(struct reader *r, const struct schema_field *f, struct str key_text,
	ProtobufCMessage *message)
{
	const struct schema_field *key = &f->message->fields[0], *value = &f->message->fields[1];
	ProtobufCMessage *entry = new_message(r, f->message);
	/* one spelling for each number, or "1" and "1.0" would be two keys that are one */
	if (key->c->type != PROTOBUF_C_TYPE_STRING && key->c->type != PROTOBUF_C_TYPE_BOOL &&
		!is_plain_integer(key_text))
		return fail_value(r, expected[key->c->type], key_text);
	return parse_text(r, key, key_text, set_member(entry, key)) &&
	       refuse_null(r, value, "a map") && read_element(r, value, set_member(entry, value)) &&
	       (*(ProtobufCMessage **)add_element(r, f, message) = entry);
}

static bool read_map(struct reader *r, const struct schema_field *f, ProtobufCMessage *message)
{
	struct json_level level;
	struct step step = {.up = r->path};
	if (!want(r, JSON_KIND_OBJECT, "an object") || !json_enter(&r->in, &level))
		return false;
	r->path = &step;
	while (json_next_member(&r->in, &level, &step.name))
		if (!read_map_entry(r, f, step.name, message))
			break;
	r->path = step.up;
	return !json_failed(&r->in);
}

/* Marks a singular field as set: the case of a oneof, or has_ of proto2. */
static bool mark_set(struct reader *r, const struct schema_field *f, ProtobufCMessage *message)
{
	void *quantifier = (char *)message + f->c->quantifier_offset;
	if (pbmember_in_oneof(f)) {
		if (pbmember_case(message, f) && !pbmember_is_case(message, f))
			return fail(r, "another member of the same oneof is given already");
		*(uint32_t *)quantifier = f->c->id;
	} else if (f->c->label == PROTOBUF_C_LABEL_OPTIONAL && f->c->quantifier_offset) {
		*(protobuf_c_boolean *)quantifier = true;
	}
	return true;
}

static bool read_field(struct reader *r, const struct schema_field *f, ProtobufCMessage *message)
{
	const bool repeated = f->c->label == PROTOBUF_C_LABEL_REPEATED;
	if (json_peek(&r->in) == JSON_KIND_NULL && (repeated || !null_is_a_value(f)))
		return json_read_null(&r->in);
	if (f->is_map)
		return read_map(r, f, message);
	if (repeated)
		return read_array(r, f, message);
	return mark_set(r, f, message) && read_element(r, f, set_member(message, f));
}

/* ---- messages ---- */

/* One member of an object; @seen marks the fields that were there, by both of their names. */
static bool read_member(struct reader *r, const struct schema_message *m, struct str key,
	uint64_t *seen, ProtobufCMessage *message)
{
	const struct schema_field *f = schema_find_field(m, key);
	if (!f) {
		if (r->options->ignore_unknown)
			return json_skip(&r->in);
		return fail(r, "there is no field of this name");
	}
	const size_t index = (size_t)(f - m->fields);
	if (seen[index / SEEN_FIELDS] >> index % SEEN_FIELDS & 1)
		return fail(r, "the field is given twice");
	seen[index / SEEN_FIELDS] |= UINT64_C(1) << index % SEEN_FIELDS;
	return read_field(r, f, message);
}

/* @type_key: a member that is not a field, "@type" of an Any; or empty. */
static bool read_members(struct reader *r, const struct schema_message *m, struct str type_key,
	ProtobufCMessage *message)
{
	struct json_level level;
	struct step step = {.up = r->path};
	uint64_t one_word = 0, *seen = &one_word;
	if (!want(r, JSON_KIND_OBJECT, expected[PROTOBUF_C_TYPE_MESSAGE]) ||
		!json_enter(&r->in, &level))
		return false;
	if (m->n_fields > SEEN_FIELDS)
		seen = arena_calloc(r->options->arena, m->n_fields / SEEN_FIELDS + 1, sizeof *seen);
	r->path = &step;
	while (json_next_member(&r->in, &level, &step.name)) {
		if (type_key.n && str_eq(step.name, type_key)
				? !json_skip(&r->in)
				: !read_member(r, m, step.name, seen, message))
			break;
	}
	r->path = step.up;
	return !json_failed(&r->in);
}

static bool read_value_message(
	struct reader *r, const struct schema_message *m, ProtobufCMessage *message)
{
	/* by kind: the index of the member of google.protobuf.Value */
	static const int members[] = {
		[JSON_KIND_NONE] = -1,
		[JSON_KIND_NULL] = 0,
		[JSON_KIND_NUMBER] = 1,
		[JSON_KIND_STRING] = 2,
		[JSON_KIND_BOOL] = 3,
		[JSON_KIND_OBJECT] = 4,
		[JSON_KIND_ARRAY] = 5,
	};
	const int index = members[json_peek(&r->in)];
	if (index < 0)
		return json_skip(&r->in);
	const struct schema_field *f = &m->fields[index];
	return mark_set(r, f, message) && read_element(r, f, set_member(message, f));
}

/* Looks ahead for "@type", which may stand anywhere in the object. */
static bool find_type(struct reader *r, struct str *ret, size_t *ret_n_members)
{
	const struct json_reader before = r->in;
	struct json_level level;
	struct str key;
	*ret = (struct str){NULL, 0};
	*ret_n_members = 0;
	if (!want(r, JSON_KIND_OBJECT, expected[PROTOBUF_C_TYPE_MESSAGE]) ||
		!json_enter(&r->in, &level))
		return false;
	while (json_next_member(&r->in, &level, &key)) {
		++*ret_n_members;
		if (!str_eq(key, STR("@type"))) {
			if (!json_skip(&r->in))
				return false;
		} else if (!want(r, JSON_KIND_STRING, "a string as @type") ||
			   !json_read_string(&r->in, ret)) {
			return false;
		}
	}
	if (json_failed(&r->in))
		return false;
	r->in = before;
	return true;
}

/* The content of an Any whose type has a form of its own: {"@type": ..., "value": ...}. */
static bool read_any_value(
	struct reader *r, const struct schema_message *m, ProtobufCMessage *message)
{
	struct json_level level;
	struct step step = {.up = r->path};
	bool found = false;
	if (!json_enter(&r->in, &level))
		return false;
	r->path = &step;
	while (json_next_member(&r->in, &level, &step.name)) {
		if (str_eq(step.name, STR("@type"))) {
			json_skip(&r->in);
		} else if (str_eq(step.name, STR("value"))) {
			found = read_message(r, m, message);
		} else {
			fail(r, "there is no field of this name");
		}
	}
	r->path = step.up;
	return !json_failed(&r->in) && (found || fail(r, "expected a member \"value\""));
}

static bool read_any(struct reader *r, const struct schema_message *m, ProtobufCMessage *message)
{
	struct arena *arena = r->options->arena;
	struct str url;
	size_t n_members;
	if (!find_type(r, &url, &n_members))
		return false;
	if (!n_members)
		return json_skip(&r->in);
	struct str name = url;
	for (size_t at; (at = str_index(name, '/')) < name.n;)
		name = str_sub(name, at + 1, name.n);
	const struct schema_message *inner = r->options->schema && name.n < url.n
						     ? schema_find_message(r->options->schema, name)
						     : NULL;
	if (!inner)
		return url.p ? fail_value(r, "an @type that is known here", url)
			     : fail(r, "expected a member \"@type\"");
	ProtobufCMessage *content = new_message(r, inner);
	if (inner->well_known == SCHEMA_PLAIN ? !read_members(r, inner, STR("@type"), content)
					      : !read_any_value(r, inner, content))
		return false;
	*(char **)set_member(message, &m->fields[0]) = arena_strndup(arena, url.p, url.n);
	ProtobufCBinaryData *value = set_member(message, &m->fields[1]);
	value->data = arena_alloc(arena, protobuf_c_message_get_packed_size(content));
	value->len = protobuf_c_message_pack(content, value->data);
	return true;
}

static bool read_text_message(
	struct reader *r, const struct schema_message *m, ProtobufCMessage *message)
{
	struct str text;
	return want(r, JSON_KIND_STRING, "a string") && json_read_string(&r->in, &text) &&
	       parse_text_message(r, m, text, message);
}

static bool read_message(
	struct reader *r, const struct schema_message *m, ProtobufCMessage *message)
{
	switch (m->well_known) {
	case SCHEMA_PLAIN:
	case SCHEMA_EMPTY:
		break;
	case SCHEMA_WRAPPER:
		return refuse_null(r, &m->fields[0], "a wrapper") &&
		       read_element(r, &m->fields[0], set_member(message, &m->fields[0]));
	case SCHEMA_STRUCT:
		return read_map(r, &m->fields[0], message);
	case SCHEMA_LIST_VALUE:
		return read_array(r, &m->fields[0], message);
	case SCHEMA_TIMESTAMP:
	case SCHEMA_DURATION:
	case SCHEMA_FIELD_MASK:
		return read_text_message(r, m, message);
	case SCHEMA_VALUE:
		return read_value_message(r, m, message);
	case SCHEMA_ANY:
		return read_any(r, m, message);
	}
	return read_members(r, m, (struct str){NULL, 0}, message);
}

/* ---- the door ---- */

ProtobufCMessage *pbjson_message_new(const struct schema_message *m, struct arena *arena)
{
	ProtobufCMessage *message = arena_alloc(arena, m->c->sizeof_message);
	protobuf_c_message_init(m->c, message);
	return message;
}

struct status pbjson_read(const struct pbjson_in *in, const struct schema_message *m,
	struct str text, ProtobufCMessage *message)
{
	struct reader r = {.options = in};
	if (json_reader_init(&r.in, text, in->arena) && read_message(&r, m, message))
		json_read_end(&r.in);
	return r.in.status;
}

struct status pbjson_read_field(const struct pbjson_in *in, const struct schema_field *f,
	struct str text, ProtobufCMessage *message)
{
	const struct step step = {.name = str_of(f->json_name)};
	struct reader r = {.options = in, .path = &step};
	if (json_reader_init(&r.in, text, in->arena) && read_field(&r, f, message))
		json_read_end(&r.in);
	return r.in.status;
}

bool pbjson_field_is_text(const struct schema_field *f)
{
	return !f->message || (!f->is_map && (f->message->well_known == SCHEMA_WRAPPER ||
						     is_text_message(f->message)));
}

struct status pbjson_read_text(const struct pbjson_in *in, const struct schema_field *f,
	struct str text, const char *path, ProtobufCMessage *message)
{
	const struct step step = {.name = str_of(path)};
	struct reader r = {.in = {.status = status_ok()}, .options = in, .path = &step};
	if (!pbjson_field_is_text(f))
		fail(&r, "an object cannot be given as text");
	else if (!str_is_utf8(text) || memchr(text.p ? text.p : "", 0, text.n))
		fail(&r, "expected UTF-8 text without NUL");
	else if (f->c->label == PROTOBUF_C_LABEL_REPEATED)
		parse_text(&r, f, text, add_element(&r, f, message));
	else if (mark_set(&r, f, message))
		parse_text(&r, f, text, set_member(message, f));
	return r.in.status;
}

ProtobufCMessage *pbjson_submessage(
	const struct pbjson_in *in, const struct schema_field *f, ProtobufCMessage *message)
{
	ProtobufCMessage **slot = set_member(message, f);
	if (pbmember_in_oneof(f) && !pbmember_is_case(message, f)) {
		if (pbmember_case(message, f))
			return NULL;
		*(uint32_t *)((char *)message + f->c->quantifier_offset) = f->c->id;
		*slot = NULL;
	}
	if (!*slot)
		*slot = pbjson_message_new(f->message, in->arena);
	return *slot;
}
