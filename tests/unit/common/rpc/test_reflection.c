/* SPDX-License-Identifier: Apache-2.0 */
#include "common/codec/schema.h"
#include "common/rpc/reflection.h"
#include "proto/pb_schema.h"
#include "tests/lib/test.h"

#include "google/protobuf/descriptor.pb-c.h"
#include "grpc/reflection/v1/reflection.pb-c.h"

typedef Grpc__Reflection__V1__ServerReflectionRequest request_t;
typedef Grpc__Reflection__V1__ServerReflectionResponse response_t;

static struct schema *schema;
static struct arena *arena;

static int set_up(void **state)
{
	(void)state;
	assert_ok(pb_schema_new(&schema));
	arena = arena_new();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	schema_free(schema);
	arena_free(arena);
	return 0;
}

/* Over the wire, as a client sees it. */
static response_t *ask(request_t *request)
{
	ProtobufCMessage *reply = reflection_answer(schema, &request->base, arena);
	size_t n = protobuf_c_message_get_packed_size(reply);
	uint8_t *bytes = arena_alloc(arena, n);
	protobuf_c_message_pack(reply, bytes);
	return grpc__reflection__v1__server_reflection_response__unpack(NULL, n, bytes);
}

static void free_response(response_t *r)
{
	grpc__reflection__v1__server_reflection_response__free_unpacked(r, NULL);
}

static request_t request_of(
	Grpc__Reflection__V1__ServerReflectionRequest__MessageRequestCase what, char *text)
{
	request_t request = GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__INIT;
	request.message_request_case = what;
	request.file_by_filename = text;
	return request;
}

#define CASE(name) GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_##name

static void assert_is_file(response_t *r, const char *name)
{
	assert_non_null(r->file_descriptor_response);
	assert_int_equal(r->file_descriptor_response->n_file_descriptor_proto, 1);
	const ProtobufCBinaryData *bytes = r->file_descriptor_response->file_descriptor_proto;
	Google__Protobuf__FileDescriptorProto *file =
		google__protobuf__file_descriptor_proto__unpack(NULL, bytes->len, bytes->data);
	assert_non_null(file);
	assert_string_equal(file->name, name);
	google__protobuf__file_descriptor_proto__free_unpacked(file, NULL);
	free_response(r);
}

static void assert_is_error(response_t *r, enum status_code code)
{
	assert_int_equal(r->message_response_case,
		GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ERROR_RESPONSE);
	assert_int_equal(r->error_response->error_code, code);
	free_response(r);
}

static void all_services_are_listed(void **state)
{
	(void)state;
	char star[] = "*";
	request_t request = request_of(CASE(LIST_SERVICES), star);
	response_t *r = ask(&request);
	assert_non_null(r->list_services_response);
	const char *const wanted[] = {"osmo.token.v1.TokenService", "grpc.health.v1.Health",
		"grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"};
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		bool found = false;
		for (size_t j = 0; j < r->list_services_response->n_service; j++)
			found |=
				strcmp(r->list_services_response->service[j]->name, wanted[i]) == 0;
		assert_true(found);
	}
	assert_string_equal(r->original_request->list_services, "*");
	free_response(r);
}

static void a_file_is_found_by_name_and_by_symbol(void **state)
{
	(void)state;
	char file[] = "osmo/token/v1/token_service.proto";
	char method[] = "osmo.token.v1.TokenService.Set";
	request_t by_name = request_of(CASE(FILE_BY_FILENAME), file);
	assert_is_file(ask(&by_name), file);
	request_t by_symbol = request_of(CASE(FILE_CONTAINING_SYMBOL), method);
	assert_is_file(ask(&by_symbol), file);
}

static void a_file_is_found_by_an_extension_that_it_declares(void **state)
{
	(void)state;
	char type[] = "google.protobuf.MethodOptions";
	Grpc__Reflection__V1__ExtensionRequest extension =
		GRPC__REFLECTION__V1__EXTENSION_REQUEST__INIT;
	extension.containing_type = type;
	extension.extension_number = 72295728;
	request_t request = request_of(CASE(FILE_CONTAINING_EXTENSION), NULL);
	request.file_containing_extension = &extension;
	assert_is_file(ask(&request), "google/api/annotations.proto");
	extension.extension_number = 72295729;
	assert_is_error(ask(&request), STATUS_NOT_FOUND);
}

static void the_extensions_of_a_message_are_listed(void **state)
{
	(void)state;
	char type[] = "google.protobuf.MethodOptions";
	request_t request = request_of(CASE(ALL_EXTENSION_NUMBERS_OF_TYPE), type);
	response_t *r = ask(&request);
	const Grpc__Reflection__V1__ExtensionNumberResponse *numbers =
		r->all_extension_numbers_response;
	assert_non_null(numbers);
	assert_string_equal(numbers->base_type_name, type);
	bool found = false;
	for (size_t i = 0; i < numbers->n_extension_number; i++)
		found |= numbers->extension_number[i] == 72295728;
	assert_true(found);
	free_response(r);
}

static void what_does_not_exist_is_not_found(void **state)
{
	(void)state;
	char nothing[] = "no.such.thing";
	request_t request = request_of(CASE(FILE_BY_FILENAME), nothing);
	assert_is_error(ask(&request), STATUS_NOT_FOUND);
	request = request_of(CASE(FILE_CONTAINING_SYMBOL), nothing);
	assert_is_error(ask(&request), STATUS_NOT_FOUND);
	request = request_of(CASE(ALL_EXTENSION_NUMBERS_OF_TYPE), nothing);
	assert_is_error(ask(&request), STATUS_NOT_FOUND);
}

static void a_request_for_nothing_is_invalid(void **state)
{
	(void)state;
	request_t request = request_of(CASE(_NOT_SET), NULL);
	assert_is_error(ask(&request), STATUS_INVALID_ARGUMENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_services_are_listed),
		cmocka_unit_test(a_file_is_found_by_name_and_by_symbol),
		cmocka_unit_test(a_file_is_found_by_an_extension_that_it_declares),
		cmocka_unit_test(the_extensions_of_a_message_are_listed),
		cmocka_unit_test(what_does_not_exist_is_not_found),
		cmocka_unit_test(a_request_for_nothing_is_invalid),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
