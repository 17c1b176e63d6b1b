/* SPDX-License-Identifier: Apache-2.0 */
#include "common/codec/schema.h"

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/xalloc.h"
#include "common/codec/json_text.h"

#include "google/protobuf/descriptor.pb-c.h"

#include <stdlib.h>
#include <string.h>

/* uthash's own choice, Jenkins' hash, falls through switch labels, which clang warns of. */
#define HASH_FUNCTION(key, n, hash) HASH_FNV(key, n, hash)
#include <uthash.h>

/* Field numbers of google/protobuf/descriptor.proto: the paths of SourceCodeInfo are made of them.
 */
enum {
	FILE_SET_FILE = 1,
	FILE_MESSAGE = 4,
	FILE_ENUM = 5,
	FILE_SERVICE = 6,
	MESSAGE_FIELD = 2,
	MESSAGE_NESTED = 3,
	MESSAGE_ENUM = 4,
	ENUM_VALUE = 2,
	SERVICE_METHOD = 2,
};

enum {
	PATH_MAX_DEPTH = 64,
	WIRE_TYPE_LENGTH = 2
};

/* Where something stands in its file. */
struct location {
	int32_t path[PATH_MAX_DEPTH];
	size_t n;
};

struct file {
	const char *name;
	struct str bytes; /* the serialised FileDescriptorProto, in the caller's memory */
};

struct symbol {
	const char *name;
	uint32_t file;
};

struct extension {
	const char *extendee;
	int32_t number;
	uint32_t file;
};

struct method_entry {
	struct schema_method method;
	UT_hash_handle hh; /* by method.path */
};

struct message_entry {
	struct schema_message message;
	UT_hash_handle by_name;
	UT_hash_handle by_descriptor;
};

struct enum_entry {
	struct schema_enum enumeration;
	UT_hash_handle hh; /* by descriptor */
};

struct schema {
	struct arena *arena;
	struct file *files;
	size_t n_files;
	struct symbol *symbols; /* sorted by name */
	size_t n_symbols, symbols_capacity;
	struct extension *extensions;
	size_t n_extensions;
	struct schema_service *services;
	size_t n_services;
	const struct schema_method **methods;
	size_t n_methods;
	struct method_entry *methods_by_path;
	struct message_entry *messages_by_name, *messages_by_descriptor;
	struct enum_entry *enums;
};

/* What a message, an enum or a service is in the descriptor set; needed while a schema is made. */
struct definition {
	const char *name;
	const Google__Protobuf__FileDescriptorProto *file;
	const void *proto; /* DescriptorProto, EnumDescriptorProto, ServiceDescriptorProto */
	struct location at;
};

struct builder {
	struct schema *s;
	Google__Protobuf__FileDescriptorProto **protos; /* one per file of the schema */
	struct definition *definitions;                 /* sorted by name */
	size_t n_definitions, definitions_capacity;
};

/* ---- the serialised set ---- */

static bool read_varint(struct str *rest, uint64_t *ret)
{
	uint64_t value = 0;
	for (unsigned shift = 0; shift < 64 && rest->n; shift += 7) {
		uint8_t byte = (uint8_t)*rest->p;
		rest->p++;
		rest->n--;
		value |= (uint64_t)(byte & 0x7F) << shift;
		if (!(byte & 0x80)) {
			*ret = value;
			return true;
		}
	}
	return false;
}

/* Cuts the next field off @rest; @ret_value is the content of a length-delimited one, else empty.
 */
static bool read_field(struct str *rest, uint32_t *ret_number, struct str *ret_value)
{
	static const size_t fixed_size[8] = {[1] = 8, [5] = 4};
	uint64_t tag, n;
	if (!read_varint(rest, &tag) || tag > UINT32_MAX)
		return false;
	unsigned wire_type = tag & 7;
	*ret_number = (uint32_t)(tag >> 3);
	*ret_value = (struct str){rest->p, 0};
	if (wire_type == 0)
		return read_varint(rest, &n);
	if (wire_type == WIRE_TYPE_LENGTH) {
		if (!read_varint(rest, &n))
			return false;
	} else {
		n = fixed_size[wire_type];
	}
	if (n > rest->n || (!n && wire_type != WIRE_TYPE_LENGTH))
		return false;
	*ret_value = (struct str){rest->p, wire_type == WIRE_TYPE_LENGTH ? (size_t)n : 0};
	rest->p += n;
	rest->n -= (size_t)n;
	return true;
}

static struct status read_files(struct builder *b, struct str set)
{
	struct schema *s = b->s;
	struct str rest = set;
	while (rest.n) {
		const size_t at = set.n - rest.n;
		uint32_t number;
		struct str value;
		if (!read_field(&rest, &number, &value) || number != FILE_SET_FILE)
			return status_error(STATUS_INTERNAL,
				"descriptor set: no file of a FileDescriptorSet at byte %zu", at);
		s->files = xreallocarray(s->files, s->n_files + 1, sizeof *s->files);
		b->protos = xreallocarray(b->protos, s->n_files + 1, sizeof *b->protos);
		Google__Protobuf__FileDescriptorProto *proto =
			google__protobuf__file_descriptor_proto__unpack(
				NULL, value.n, (const uint8_t *)value.p);
		if (!proto)
			return status_error(STATUS_INTERNAL,
				"descriptor set: file number %zu cannot be read", s->n_files);
		struct file *file = &s->files[s->n_files];
		*file = (struct file){
			.name = arena_strdup(s->arena, proto->name),
			.bytes = value,
		};
		b->protos[s->n_files++] = proto;
	}
	return status_ok();
}

/* ---- names ---- */

static struct location below(const struct location *parent, int32_t number, size_t index)
{
	struct location at = *parent;
	if (at.n + 2 <= PATH_MAX_DEPTH) {
		at.path[at.n++] = number;
		at.path[at.n++] = (int32_t)index;
	}
	return at;
}

static const char *join(struct schema *s, const char *scope, const char *name)
{
	return scope[0] ? arena_printf(s->arena, "%s.%s", scope, name)
			: arena_strdup(s->arena, name);
}

static const char *add_symbol(struct builder *b, size_t file, const char *scope, const char *name)
{
	struct schema *s = b->s;
	if (s->n_symbols == s->symbols_capacity) {
		s->symbols_capacity = s->symbols_capacity ? s->symbols_capacity * 2 : 256;
		s->symbols = xreallocarray(s->symbols, s->symbols_capacity, sizeof *s->symbols);
	}
	const char *full_name = join(s, scope, name);
	s->symbols[s->n_symbols++] = (struct symbol){full_name, (uint32_t)file};
	return full_name;
}

static void add_definition(struct builder *b, size_t file, const char *full_name, const void *proto,
	const struct location *at)
{
	if (b->n_definitions == b->definitions_capacity) {
		b->definitions_capacity =
			b->definitions_capacity ? b->definitions_capacity * 2 : 64;
		b->definitions = xreallocarray(
			b->definitions, b->definitions_capacity, sizeof *b->definitions);
	}
	b->definitions[b->n_definitions++] = (struct definition){
		.name = full_name, .file = b->protos[file], .proto = proto, .at = *at};
}

static void add_extensions(struct builder *b, size_t file, const char *scope,
	Google__Protobuf__FieldDescriptorProto *const *fields, size_t n)
{
	struct schema *s = b->s;
	for (size_t i = 0; i < n; i++) {
		add_symbol(b, file, scope, fields[i]->name);
		const char *extendee = fields[i]->extendee;
		s->extensions =
			xreallocarray(s->extensions, s->n_extensions + 1, sizeof *s->extensions);
		s->extensions[s->n_extensions++] = (struct extension){
			.extendee = arena_strdup(s->arena, extendee + (extendee[0] == '.')),
			.number = fields[i]->number,
			.file = (uint32_t)file,
		};
	}
}

/* The values of an enum are named beside it, not inside it (C++ scoping). */
static void add_enum(struct builder *b, size_t file, const char *scope,
	const Google__Protobuf__EnumDescriptorProto *proto, const struct location *at)
{
	add_definition(b, file, add_symbol(b, file, scope, proto->name), proto, at);
	for (size_t i = 0; i < proto->n_value; i++)
		add_symbol(b, file, scope, proto->value[i]->name);
}

static void add_message(struct builder *b, size_t file, const char *scope,
	const Google__Protobuf__DescriptorProto *proto, const struct location *at)
{
	const char *name = add_symbol(b, file, scope, proto->name);
	add_definition(b, file, name, proto, at);
	for (size_t i = 0; i < proto->n_field; i++)
		add_symbol(b, file, name, proto->field[i]->name);
	for (size_t i = 0; i < proto->n_oneof_decl; i++)
		add_symbol(b, file, name, proto->oneof_decl[i]->name);
	add_extensions(b, file, name, proto->extension, proto->n_extension);
	for (size_t i = 0; i < proto->n_enum_type; i++) {
		struct location inner = below(at, MESSAGE_ENUM, i);
		add_enum(b, file, name, proto->enum_type[i], &inner);
	}
	for (size_t i = 0; i < proto->n_nested_type; i++) {
		struct location inner = below(at, MESSAGE_NESTED, i);
		add_message(b, file, name, proto->nested_type[i], &inner);
	}
}

static void add_service(struct builder *b, size_t file, const char *scope,
	const Google__Protobuf__ServiceDescriptorProto *proto, const struct location *at)
{
	const char *name = add_symbol(b, file, scope, proto->name);
	add_definition(b, file, name, proto, at);
	for (size_t i = 0; i < proto->n_method; i++)
		add_symbol(b, file, name, proto->method[i]->name);
}

static void add_file(struct builder *b, size_t file)
{
	const Google__Protobuf__FileDescriptorProto *proto = b->protos[file];
	const char *package = proto->package ? proto->package : "";
	const struct location top = {.n = 0};
	for (size_t i = 0; i < proto->n_message_type; i++) {
		struct location at = below(&top, FILE_MESSAGE, i);
		add_message(b, file, package, proto->message_type[i], &at);
	}
	for (size_t i = 0; i < proto->n_enum_type; i++) {
		struct location at = below(&top, FILE_ENUM, i);
		add_enum(b, file, package, proto->enum_type[i], &at);
	}
	for (size_t i = 0; i < proto->n_service; i++) {
		struct location at = below(&top, FILE_SERVICE, i);
		add_service(b, file, package, proto->service[i], &at);
	}
	add_extensions(b, file, package, proto->extension, proto->n_extension);
}

static int compare_symbols(const void *a, const void *b)
{
	return strcmp(((const struct symbol *)a)->name, ((const struct symbol *)b)->name);
}

static int compare_definitions(const void *a, const void *b)
{
	return strcmp(((const struct definition *)a)->name, ((const struct definition *)b)->name);
}

static struct status find_definition(
	const struct builder *b, const char *full_name, const struct definition **ret)
{
	const struct definition wanted = {.name = full_name};
	*ret = bsearch(
		&wanted, b->definitions, b->n_definitions, sizeof wanted, compare_definitions);
	if (!*ret)
		return status_error(STATUS_INTERNAL,
			"descriptor set: %s is in the generated code but not in the set",
			full_name);
	return status_ok();
}

/* ---- comments ---- */

/* The leading comment of what stands at @at: without the blank at the start of each line, trimmed.
 */
static const char *comment_at(struct schema *s, const Google__Protobuf__FileDescriptorProto *file,
	const struct location *at)
{
	const Google__Protobuf__SourceCodeInfo *info = file->source_code_info;
	for (size_t i = 0; info && i < info->n_location; i++) {
		const Google__Protobuf__SourceCodeInfo__Location *l = info->location[i];
		if (l->n_path != at->n ||
			memcmp(l->path, at->path, at->n * sizeof at->path[0]) != 0)
			continue;
		if (!l->leading_comments)
			break;
		char *text = arena_strdup(s->arena, l->leading_comments), *to = text;
		for (const char *from = text; *from; from++)
			if (*from != ' ' || (from != text && from[-1] != '\n'))
				*to++ = *from;
		*to = '\0';
		struct str trimmed = str_trim(str_of(text));
		return arena_strndup(s->arena, trimmed.p, trimmed.n);
	}
	return "";
}

/* ---- messages and enums ---- */

static bool same_type(
	const ProtobufCFieldDescriptor *c, const Google__Protobuf__FieldDescriptorProto *proto)
{
	/* by ProtobufCType; the numbers of descriptor.proto's Type are another order */
	static const int types[] = {
		[PROTOBUF_C_TYPE_INT32] = 5,
		[PROTOBUF_C_TYPE_SINT32] = 17,
		[PROTOBUF_C_TYPE_SFIXED32] = 15,
		[PROTOBUF_C_TYPE_INT64] = 3,
		[PROTOBUF_C_TYPE_SINT64] = 18,
		[PROTOBUF_C_TYPE_SFIXED64] = 16,
		[PROTOBUF_C_TYPE_UINT32] = 13,
		[PROTOBUF_C_TYPE_FIXED32] = 7,
		[PROTOBUF_C_TYPE_UINT64] = 4,
		[PROTOBUF_C_TYPE_FIXED64] = 6,
		[PROTOBUF_C_TYPE_FLOAT] = 2,
		[PROTOBUF_C_TYPE_DOUBLE] = 1,
		[PROTOBUF_C_TYPE_BOOL] = 8,
		[PROTOBUF_C_TYPE_ENUM] = 14,
		[PROTOBUF_C_TYPE_STRING] = 9,
		[PROTOBUF_C_TYPE_BYTES] = 12,
		[PROTOBUF_C_TYPE_MESSAGE] = 11,
	};
	bool repeated =
		proto->label == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__LABEL__LABEL_REPEATED;
	return types[c->type] == (int)proto->type &&
	       (c->label == PROTOBUF_C_LABEL_REPEATED) == repeated &&
	       strcmp(c->name, proto->name) == 0;
}

static enum schema_well_known well_known_of(const char *full_name)
{
	static const struct {
		const char *name;
		enum schema_well_known kind;
	} kinds[] = {
		{"Any", SCHEMA_ANY},
		{"BoolValue", SCHEMA_WRAPPER},
		{"BytesValue", SCHEMA_WRAPPER},
		{"DoubleValue", SCHEMA_WRAPPER},
		{"Duration", SCHEMA_DURATION},
		{"Empty", SCHEMA_EMPTY},
		{"FieldMask", SCHEMA_FIELD_MASK},
		{"FloatValue", SCHEMA_WRAPPER},
		{"Int32Value", SCHEMA_WRAPPER},
		{"Int64Value", SCHEMA_WRAPPER},
		{"ListValue", SCHEMA_LIST_VALUE},
		{"StringValue", SCHEMA_WRAPPER},
		{"Struct", SCHEMA_STRUCT},
		{"Timestamp", SCHEMA_TIMESTAMP},
		{"UInt32Value", SCHEMA_WRAPPER},
		{"UInt64Value", SCHEMA_WRAPPER},
		{"Value", SCHEMA_VALUE},
	};
	struct str name = str_of(full_name);
	const struct str package = STR("google.protobuf.");
	if (!str_starts_with(name, package))
		return SCHEMA_PLAIN;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (str_eq(str_sub(name, package.n, name.n), str_of(kinds[i].name)))
			return kinds[i].kind;
	return SCHEMA_PLAIN;
}

static struct status get_enum(
	struct builder *b, const ProtobufCEnumDescriptor *c, const struct schema_enum **ret)
{
	struct enum_entry *entry;
	HASH_FIND_PTR(b->s->enums, &c, entry);
	if (!entry) {
		const struct definition *d;
		TRY(find_definition(b, c->name, &d));
		const Google__Protobuf__EnumDescriptorProto *proto = d->proto;
		const char **comments = arena_calloc(b->s->arena, c->n_values, sizeof *comments);
		for (size_t i = 0; i < c->n_values; i++) {
			comments[i] = "";
			for (size_t k = 0; k < proto->n_value; k++) {
				struct location at = below(&d->at, ENUM_VALUE, k);
				if (strcmp(proto->value[k]->name, c->values[i].name) == 0)
					comments[i] = comment_at(b->s, d->file, &at);
			}
		}
		entry = arena_calloc(b->s->arena, 1, sizeof *entry);
		entry->enumeration = (struct schema_enum){
			.full_name = c->name,
			.c = c,
			.is_null_value = strcmp(c->name, "google.protobuf.NullValue") == 0,
			.comment = comment_at(b->s, d->file, &d->at),
			.value_comments = comments,
		};
		HASH_ADD_PTR(b->s->enums, enumeration.c, entry);
	}
	*ret = &entry->enumeration;
	return status_ok();
}

static struct status get_message(
	struct builder *b, const ProtobufCMessageDescriptor *c, const struct schema_message **ret);

/* "name": as it stands in a JSON object. */
static struct str json_key(struct schema *s, const char *json_name)
{
	_cleanup_buf_ struct buf text;
	buf_init(&text, SIZE_MAX / 2);
	json_append_string(&text, str_of(json_name));
	buf_append_char(&text, ':');
	return arena_str(s->arena, buf_str(&text));
}

static struct status fill_field(struct builder *b, const struct definition *d, size_t index,
	const ProtobufCMessageDescriptor *c_message, struct schema_field *f)
{
	const Google__Protobuf__DescriptorProto *message = d->proto;
	const Google__Protobuf__FieldDescriptorProto *proto = message->field[index];
	const ProtobufCFieldDescriptor *c =
		protobuf_c_message_descriptor_get_field(c_message, (unsigned)proto->number);
	if (!c || !same_type(c, proto))
		return status_error(STATUS_INTERNAL,
			"descriptor set: %s.%s is not the field of the generated code", d->name,
			proto->name);
	const struct location at = below(&d->at, MESSAGE_FIELD, index);
	f->json_name = arena_strdup(b->s->arena, proto->json_name ? proto->json_name : c->name);
	f->json_key = json_key(b->s, f->json_name);
	f->proto_name = c->name;
	f->c = c;
	f->comment = comment_at(b->s, d->file, &at);
	if (c->type == PROTOBUF_C_TYPE_ENUM)
		return get_enum(b, c->descriptor, &f->enumeration);
	if (c->type == PROTOBUF_C_TYPE_MESSAGE) {
		TRY(get_message(b, c->descriptor, &f->message));
		f->is_map = f->message->is_map_entry;
	}
	return status_ok();
}

/* The message of a generated descriptor; made, with all that it reaches, when it is first asked
 * for. The recursion is as deep as the nesting of types in our own .proto files. */
static struct status get_message(
	struct builder *b, const ProtobufCMessageDescriptor *c, const struct schema_message **ret)
{
	struct schema *s = b->s;
	struct message_entry *entry;
	HASH_FIND(by_descriptor, s->messages_by_descriptor, &c, sizeof c, entry);
	if (entry) {
		*ret = &entry->message;
		return status_ok();
	}
	const struct definition *d;
	TRY(find_definition(b, c->name, &d));
	const Google__Protobuf__DescriptorProto *proto = d->proto;
	if (proto->n_field != c->n_fields)
		return status_error(STATUS_INTERNAL,
			"descriptor set: %s has %zu fields, %u in the generated code", c->name,
			proto->n_field, c->n_fields);
	struct schema_field *fields = arena_calloc(s->arena, proto->n_field, sizeof *fields);
	entry = arena_calloc(s->arena, 1, sizeof *entry);
	entry->message = (struct schema_message){
		.full_name = c->name,
		.c = c,
		.fields = fields,
		.n_fields = proto->n_field,
		.well_known = well_known_of(c->name),
		.is_map_entry = proto->options && proto->options->map_entry,
		.comment = comment_at(s, d->file, &d->at),
	};
	/* known before its fields are, because a message may contain itself */
	HASH_ADD(by_descriptor, s->messages_by_descriptor, message.c, sizeof c, entry);
	HASH_ADD_KEYPTR(by_name, s->messages_by_name, c->name, strlen(c->name), entry);
	for (size_t i = 0; i < proto->n_field; i++)
		TRY(fill_field(b, d, i, c, &fields[i]));
	*ret = &entry->message;
	return status_ok();
}

/* ---- services ---- */

static struct status fill_method(struct builder *b, const struct schema_service *service,
	const struct definition *d, size_t index, const ProtobufCMethodDescriptor *c,
	struct schema_method *m)
{
	struct schema *s = b->s;
	const Google__Protobuf__ServiceDescriptorProto *service_proto = d->proto;
	const Google__Protobuf__MethodDescriptorProto *proto = service_proto->method[index];
	if (strcmp(proto->name, c->name) != 0)
		return status_error(STATUS_INTERNAL,
			"descriptor set: %s.%s is not the method of the generated code", d->name,
			proto->name);
	const struct location at = below(&d->at, SERVICE_METHOD, index);
	m->index = s->n_methods;
	m->path = arena_printf(s->arena, "/%s/%s", service->full_name, c->name);
	m->service_name = service->full_name;
	m->name = c->name;
	m->client_streaming = proto->client_streaming;
	m->server_streaming = proto->server_streaming;
	m->comment = comment_at(s, d->file, &at);
	if (proto->options) {
		size_t size = protobuf_c_message_get_packed_size(&proto->options->base);
		uint8_t *bytes = arena_alloc(s->arena, size);
		m->options_size = protobuf_c_message_pack(&proto->options->base, bytes);
		m->options = bytes;
	}
	TRY(get_message(b, c->input, &m->input));
	return get_message(b, c->output, &m->output);
}

static struct status fill_service(
	struct builder *b, const ProtobufCServiceDescriptor *c, struct schema_service *service)
{
	struct schema *s = b->s;
	const struct definition *d;
	TRY(find_definition(b, c->name, &d));
	const Google__Protobuf__ServiceDescriptorProto *proto = d->proto;
	if (proto->n_method != c->n_methods)
		return status_error(STATUS_INTERNAL,
			"descriptor set: %s has %zu methods, %u in the generated code", c->name,
			proto->n_method, c->n_methods);
	const struct schema_method **methods =
		arena_calloc(s->arena, c->n_methods, sizeof *methods);
	*service = (struct schema_service){
		.full_name = c->name,
		.methods = methods,
		.n_methods = c->n_methods,
		.comment = comment_at(s, d->file, &d->at),
	};
	s->methods = xreallocarray(s->methods, s->n_methods + c->n_methods + 1, sizeof *s->methods);
	for (size_t i = 0; i < c->n_methods; i++) {
		struct method_entry *entry = arena_calloc(s->arena, 1, sizeof *entry);
		TRY(fill_method(b, service, d, i, &c->methods[i], &entry->method));
		methods[i] = s->methods[s->n_methods++] = &entry->method;
		HASH_ADD_KEYPTR(hh, s->methods_by_path, entry->method.path,
			strlen(entry->method.path), entry);
	}
	return status_ok();
}

static struct status build(struct builder *b, struct str set, const struct schema_roots *roots)
{
	struct schema *s = b->s;
	TRY(read_files(b, set));
	if (!b->protos)
		return status_error(STATUS_INTERNAL, "descriptor set: it is empty");
	for (size_t i = 0; i < s->n_files; i++)
		add_file(b, i);
	if (!b->n_definitions)
		return status_error(STATUS_INTERNAL, "descriptor set: it defines nothing");
	qsort(s->symbols, s->n_symbols, sizeof *s->symbols, compare_symbols);
	qsort(b->definitions, b->n_definitions, sizeof *b->definitions, compare_definitions);
	s->services = arena_calloc(s->arena, roots->n_services, sizeof *s->services);
	s->n_services = roots->n_services;
	for (size_t i = 0; i < roots->n_services; i++)
		TRY(fill_service(b, roots->services[i], &s->services[i]));
	for (size_t i = 0; i < roots->n_messages; i++) {
		const struct schema_message *m;
		TRY(get_message(b, roots->messages[i], &m));
	}
	return status_ok();
}

struct status schema_new(
	const uint8_t *bytes, size_t size, const struct schema_roots *roots, struct schema **ret)
{
	_cleanup_(schema_freep) struct schema *s = xnew(struct schema);
	s->arena = arena_new();
	struct builder b = {.s = s};
	struct status status = build(&b, (struct str){(const char *)bytes, size}, roots);
	for (size_t i = 0; b.protos && i < s->n_files; i++)
		google__protobuf__file_descriptor_proto__free_unpacked(b.protos[i], NULL);
	free(b.protos);
	free(b.definitions);
	TRY(status);
	*ret = TAKE_PTR(s);
	return status_ok();
}

void schema_free(struct schema *s)
{
	if (!s)
		return;
	HASH_CLEAR(hh, s->methods_by_path);
	HASH_CLEAR(by_name, s->messages_by_name);
	HASH_CLEAR(by_descriptor, s->messages_by_descriptor);
	HASH_CLEAR(hh, s->enums);
	free(s->files);
	free(s->symbols);
	free(s->extensions);
	free(s->methods);
	arena_free(s->arena);
	free(s);
}

/* ---- queries ---- */

size_t schema_service_count(const struct schema *s)
{
	return s->n_services;
}

const struct schema_service *schema_service_at(const struct schema *s, size_t index)
{
	return &s->services[index];
}

size_t schema_method_count(const struct schema *s)
{
	return s->n_methods;
}

const struct schema_method *schema_method_at(const struct schema *s, size_t index)
{
	return s->methods[index];
}

const struct schema_method *schema_find_method(const struct schema *s, struct str path)
{
	struct method_entry *entry;
	if (str_empty(path))
		return NULL;
	HASH_FIND(hh, s->methods_by_path, path.p, path.n, entry);
	return entry ? &entry->method : NULL;
}

const struct schema_message *schema_find_message(const struct schema *s, struct str full_name)
{
	struct message_entry *entry;
	if (str_empty(full_name))
		return NULL;
	HASH_FIND(by_name, s->messages_by_name, full_name.p, full_name.n, entry);
	return entry ? &entry->message : NULL;
}

const struct schema_message *schema_message_of(
	const struct schema *s, const ProtobufCMessageDescriptor *c)
{
	struct message_entry *entry;
	HASH_FIND(by_descriptor, s->messages_by_descriptor, &c, sizeof c, entry);
	return entry ? &entry->message : NULL;
}

const struct schema_field *schema_find_field(const struct schema_message *m, struct str name)
{
	for (size_t i = 0; i < m->n_fields; i++)
		if (str_eq(name, str_of(m->fields[i].json_name)) ||
			str_eq(name, str_of(m->fields[i].proto_name)))
			return &m->fields[i];
	return NULL;
}

bool schema_method_option(const struct schema_method *m, uint32_t field, struct str *ret)
{
	struct str rest = {(const char *)m->options, m->options_size};
	while (rest.n) {
		uint32_t number;
		struct str value;
		if (!read_field(&rest, &number, &value))
			return false;
		if (number == field) {
			*ret = value;
			return true;
		}
	}
	return false;
}

static const struct file *find_file(const struct schema *s, struct str name)
{
	for (size_t i = 0; i < s->n_files; i++)
		if (str_eq(name, str_of(s->files[i].name)))
			return &s->files[i];
	return NULL;
}

bool schema_file_by_name(const struct schema *s, struct str name, struct str *ret)
{
	const struct file *file = find_file(s, name);
	if (!file)
		return false;
	*ret = file->bytes;
	return true;
}

bool schema_file_by_symbol(const struct schema *s, struct str symbol, struct str *ret)
{
	size_t low = 0, high = s->n_symbols;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = str_cmp(symbol, str_of(s->symbols[middle].name));
		if (order == 0) {
			*ret = s->files[s->symbols[middle].file].bytes;
			return true;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return false;
}

bool schema_file_by_extension(
	const struct schema *s, struct str extendee, int32_t field, struct str *ret)
{
	for (size_t i = 0; i < s->n_extensions; i++) {
		const struct extension *e = &s->extensions[i];
		if (e->number == field && str_eq(extendee, str_of(e->extendee))) {
			*ret = s->files[e->file].bytes;
			return true;
		}
	}
	return false;
}

size_t schema_extension_numbers(
	const struct schema *s, struct str extendee, int32_t *ret, size_t max)
{
	size_t count = 0;
	for (size_t i = 0; i < s->n_extensions; i++) {
		if (!str_eq(extendee, str_of(s->extensions[i].extendee)))
			continue;
		if (count < max)
			ret[count] = s->extensions[i].number;
		count++;
	}
	return count;
}
