/* SPDX-License-Identifier: Apache-2.0 */
#include "common/rpc/reflection.h"

#include "common/base/status.h"
#include "common/codec/schema.h"

#include "grpc/reflection/v1/reflection.pb-c.h"

typedef Grpc__Reflection__V1__ServerReflectionRequest request_t;
typedef Grpc__Reflection__V1__ServerReflectionResponse response_t;

const ProtobufCMessageDescriptor *const reflection_request_type =
	&grpc__reflection__v1__server_reflection_request__descriptor;

enum {
	MAX_EXTENSIONS = 256
};

static void set_error(response_t *r, struct arena *arena, enum status_code code, const char *text)
{
	Grpc__Reflection__V1__ErrorResponse *error = arena_alloc(arena, sizeof *error);
	grpc__reflection__v1__error_response__init(error);
	error->error_code = (int32_t)code;
	error->error_message = arena_strdup(arena, text);
	r->error_response = error;
	r->message_response_case =
		GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ERROR_RESPONSE;
}

/* One file; a client that wants its imports asks for them by name. */
static void set_file(response_t *r, struct arena *arena, bool found, struct str bytes)
{
	if (!found) {
		set_error(r, arena, STATUS_NOT_FOUND, "not found");
		return;
	}
	Grpc__Reflection__V1__FileDescriptorResponse *files = arena_alloc(arena, sizeof *files);
	grpc__reflection__v1__file_descriptor_response__init(files);
	ProtobufCBinaryData *file = arena_alloc(arena, sizeof *file);
	/* protobuf-c forgot the const; packing only reads */
	*file = (ProtobufCBinaryData){.len = bytes.n, .data = (uint8_t *)(uintptr_t)bytes.p};
	files->n_file_descriptor_proto = 1;
	files->file_descriptor_proto = file;
	r->file_descriptor_response = files;
	r->message_response_case =
		GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_FILE_DESCRIPTOR_RESPONSE;
}

static void set_extension_numbers(
	response_t *r, struct arena *arena, const struct schema *schema, char *type)
{
	if (!schema_find_message(schema, str_of(type)) &&
		!schema_file_by_symbol(schema, str_of(type), &(struct str){0})) {
		set_error(r, arena, STATUS_NOT_FOUND, "not found");
		return;
	}
	Grpc__Reflection__V1__ExtensionNumberResponse *numbers =
		arena_alloc(arena, sizeof *numbers);
	grpc__reflection__v1__extension_number_response__init(numbers);
	numbers->base_type_name = type;
	numbers->extension_number =
		arena_alloc(arena, MAX_EXTENSIONS * sizeof *numbers->extension_number);
	size_t n = schema_extension_numbers(
		schema, str_of(type), numbers->extension_number, MAX_EXTENSIONS);
	numbers->n_extension_number = n < MAX_EXTENSIONS ? n : MAX_EXTENSIONS;
	r->all_extension_numbers_response = numbers;
	r->message_response_case =
		GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ALL_EXTENSION_NUMBERS_RESPONSE;
}

static void set_services(response_t *r, struct arena *arena, const struct schema *schema)
{
	size_t n = schema_service_count(schema);
	Grpc__Reflection__V1__ListServiceResponse *list = arena_alloc(arena, sizeof *list);
	grpc__reflection__v1__list_service_response__init(list);
	list->service = arena_alloc(arena, n * sizeof *list->service);
	list->n_service = n;
	for (size_t i = 0; i < n; i++) {
		list->service[i] = arena_alloc(arena, sizeof **list->service);
		grpc__reflection__v1__service_response__init(list->service[i]);
		list->service[i]->name =
			arena_strdup(arena, schema_service_at(schema, i)->full_name);
	}
	r->list_services_response = list;
	r->message_response_case =
		GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_LIST_SERVICES_RESPONSE;
}

ProtobufCMessage *reflection_answer(
	const struct schema *schema, ProtobufCMessage *message, struct arena *arena)
{
	request_t *request = (request_t *)message;
	response_t *r = arena_alloc(arena, sizeof *r);
	grpc__reflection__v1__server_reflection_response__init(r);
	r->valid_host = request->host;
	r->original_request = request;
	struct str file = {NULL, 0};
	switch (request->message_request_case) {
	case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_BY_FILENAME:
		set_file(r, arena,
			schema_file_by_name(schema, str_of(request->file_by_filename), &file),
			file);
		return &r->base;
	case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_SYMBOL:
		set_file(r, arena,
			schema_file_by_symbol(
				schema, str_of(request->file_containing_symbol), &file),
			file);
		return &r->base;
	case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_EXTENSION:
		set_file(r, arena,
			schema_file_by_extension(schema,
				str_of(request->file_containing_extension->containing_type),
				request->file_containing_extension->extension_number, &file),
			file);
		return &r->base;
	case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_ALL_EXTENSION_NUMBERS_OF_TYPE:
		set_extension_numbers(r, arena, schema, request->all_extension_numbers_of_type);
		return &r->base;
	case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_LIST_SERVICES:
		set_services(r, arena, schema);
		return &r->base;
	case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST__NOT_SET:
	case _GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST__CASE_IS_INT_SIZE:
		break;
	}
	set_error(r, arena, STATUS_INVALID_ARGUMENT, "message_request is not set");
	return &r->base;
}
