/* SPDX-License-Identifier: Apache-2.0 */
#include "common/codec/schema.h"
#include "proto/descriptor_set.h"
#include "proto/pb_schema.h"
#include "tests/lib/test.h"

#include "google/api/http.pb-c.h"
#include "google/protobuf/descriptor.pb-c.h"
#include "osmo/compat/v1/compat_service.pb-c.h"
#include "osmo/token/v1/token_service.pb-c.h"

#include <stdio.h>

static struct schema *schema;

static int make_schema(void **state)
{
	(void)state;
	assert_ok(pb_schema_new(&schema));
	return 0;
}

static int free_schema(void **state)
{
	(void)state;
	schema_free(schema);
	return 0;
}

static void every_method_is_found_by_its_path(void **state)
{
	(void)state;
	size_t count = 0;
	for (size_t i = 0; i < schema_service_count(schema); i++) {
		const struct schema_service *service = schema_service_at(schema, i);
		for (size_t k = 0; k < service->n_methods; k++, count++) {
			const struct schema_method *m = service->methods[k];
			assert_int_equal(m->index, count);
			assert_ptr_equal(schema_method_at(schema, count), m);
			assert_ptr_equal(schema_find_method(schema, str_of(m->path)), m);
			assert_string_equal(m->service_name, service->full_name);
		}
	}
	assert_int_equal(count, schema_method_count(schema));
	assert_null(schema_find_method(schema, STR("")));
	assert_null(schema_find_method(schema, STR("/osmo.token.v1.TokenService/set")));
	assert_null(schema_find_method(schema, STR("osmo.token.v1.TokenService/Set")));
}

static void a_method_knows_its_messages_and_comment(void **state)
{
	(void)state;
	const struct schema_method *m =
		schema_find_method(schema, STR("/osmo.token.v1.TokenService/List"));
	assert_non_null(m);
	assert_string_equal(m->name, "List");
	assert_ptr_equal(m->input->c, &osmo__token__v1__list_request__descriptor);
	assert_ptr_equal(m->output->c, &osmo__token__v1__list_response__descriptor);
	assert_false(m->client_streaming);
	assert_false(m->server_streaming);
	assert_string_equal(m->comment,
		"Lists the caller's own tokens, or all service tokens, ordered by name. "
		"Administrators may ask for\nthe tokens of another user, or of all users.");
}

static void a_method_option_is_the_serialised_message(void **state)
{
	(void)state;
	const struct schema_method *m =
		schema_find_method(schema, STR("/osmo.token.v1.TokenService/Set"));
	struct str bytes;
	assert_true(schema_method_option(m, 72295728, &bytes));
	Google__Api__HttpRule *rule =
		google__api__http_rule__unpack(NULL, bytes.n, (const uint8_t *)bytes.p);
	assert_non_null(rule);
	assert_string_equal(rule->post, "/v1/tokens");
	assert_string_equal(rule->body, "*");
	google__api__http_rule__free_unpacked(rule, NULL);
	assert_true(schema_method_option(m, 51000, &bytes));
	assert_false(schema_method_option(m, 51001, &bytes));
}

static void fields_are_in_the_order_of_the_proto_and_found_by_both_names(void **state)
{
	(void)state;
	const struct schema_message *m =
		schema_find_message(schema, STR("osmo.token.v1.ListRequest"));
	assert_non_null(m);
	assert_int_equal(m->n_fields, 5);
	assert_string_equal(m->fields[0].proto_name, "kind");
	assert_string_equal(m->fields[0].enumeration->full_name, "osmo.token.v1.Kind");
	assert_string_equal(m->fields[1].json_name, "pageSize");
	assert_str(m->fields[1].json_key, "\"pageSize\":");
	assert_string_equal(m->fields[1].comment,
		"At most this many tokens; 0 is 100; more than 1,000 is 1,000.");
	assert_ptr_equal(schema_find_field(m, STR("page_size")), &m->fields[1]);
	assert_ptr_equal(schema_find_field(m, STR("pageSize")), &m->fields[1]);
	assert_null(schema_find_field(m, STR("pagesize")));
	assert_null(schema_find_field(m, STR("pageSize\0")));
	assert_null(schema_find_field(m, STR("")));
}

static void json_name_of_the_proto_wins(void **state)
{
	(void)state;
	const struct schema_message *m =
		schema_message_of(schema, &osmo__compat__v1__token_object__descriptor);
	assert_string_equal(m->fields[0].json_name, "user_name");
	assert_null(schema_find_field(m, STR("userName")));
}

static void comments_of_several_lines_lose_their_indent_only(void **state)
{
	(void)state;
	const struct schema_message *m = schema_find_message(schema, STR("osmo.token.v1.Token"));
	assert_string_equal(schema_find_field(m, STR("name"))->comment,
		"Unique among the tokens of one owner and kind: a letter, then letters, digits, "
		"\"_\" and \"-\",\nnot ending in \"_\" or \"-\"; 255 bytes at most.");
	const struct schema_enum *kind = schema_find_field(m, STR("kind"))->enumeration;
	assert_string_equal(kind->comment,
		"What a token stands for, or what a principal is. In JSON and in URLs in either "
		"case of letters.");
	assert_string_equal(kind->value_comments[0],
		"A person; a token of a person carries the configured "
		"default roles.");
}

static void well_known_messages_and_maps_are_recognised(void **state)
{
	(void)state;
	const struct {
		const char *name;
		enum schema_well_known kind;
	} rows[] = {
		{"google.protobuf.Timestamp", SCHEMA_TIMESTAMP},
		{"google.protobuf.Struct", SCHEMA_STRUCT},
		{"google.protobuf.Value", SCHEMA_VALUE},
		{"google.protobuf.ListValue", SCHEMA_LIST_VALUE},
		{"google.protobuf.StringValue", SCHEMA_WRAPPER},
		{"google.protobuf.BoolValue", SCHEMA_WRAPPER},
		{"google.protobuf.Any", SCHEMA_ANY},
		{"google.protobuf.Duration", SCHEMA_DURATION},
		{"osmo.token.v1.Token", SCHEMA_PLAIN},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct schema_message *m = schema_find_message(schema, str_of(rows[i].name));
		assert_non_null(m);
		assert_int_equal(m->well_known, rows[i].kind);
	}
	const struct schema_message *object =
		schema_find_message(schema, STR("google.protobuf.Struct"));
	assert_true(object->fields[0].is_map);
	assert_true(schema_find_message(schema, STR("google.protobuf.Value"))
			    ->fields[0]
			    .enumeration->is_null_value);
	assert_null(schema_find_message(schema, STR("google.protobuf.FileDescriptorSet")));
}

static const char *file_name(struct str bytes, char ret[128])
{
	Google__Protobuf__FileDescriptorProto *file =
		google__protobuf__file_descriptor_proto__unpack(
			NULL, bytes.n, (const uint8_t *)bytes.p);
	assert_non_null(file);
	snprintf(ret, 128, "%s", file->name);
	google__protobuf__file_descriptor_proto__free_unpacked(file, NULL);
	return ret;
}

static void reflection_finds_the_file_of_any_symbol(void **state)
{
	(void)state;
	const char *const symbols[] = {
		"osmo.token.v1.TokenService",
		"osmo.token.v1.TokenService.Set",
		"osmo.token.v1.Token",
		"osmo.token.v1.Token.name",
		"osmo.token.v1.Kind",
		"osmo.token.v1.SERVICE",
	};
	char name[128];
	struct str bytes;
	for (size_t i = 0; i < ARRAY_SIZE(symbols); i++) {
		assert_true(schema_file_by_symbol(schema, str_of(symbols[i]), &bytes));
		assert_string_equal(file_name(bytes, name), "osmo/token/v1/token_service.proto");
	}
	assert_true(schema_file_by_symbol(schema, STR("google.protobuf.Value.kind"), &bytes));
	assert_string_equal(file_name(bytes, name), "google/protobuf/struct.proto");
	assert_true(schema_file_by_symbol(schema, STR("google.api.http"), &bytes));
	assert_string_equal(file_name(bytes, name), "google/api/annotations.proto");
	assert_false(schema_file_by_symbol(schema, STR("osmo.token.v1"), &bytes));
	assert_false(schema_file_by_symbol(schema, STR(""), &bytes));
}

static void reflection_serves_files_unchanged(void **state)
{
	(void)state;
	struct str bytes;
	assert_true(schema_file_by_name(schema, STR("osmo/token/v1/auth_service.proto"), &bytes));
	assert_true(bytes.p > (const char *)pb_descriptor_set &&
		    bytes.p + bytes.n <= (const char *)pb_descriptor_set_end);
	assert_false(schema_file_by_name(schema, STR("osmo/token/v1/none.proto"), &bytes));
}

static void reflection_knows_extensions(void **state)
{
	(void)state;
	int32_t numbers[8];
	struct str bytes;
	char name[128];
	const struct str options = STR("google.protobuf.MethodOptions");
	assert_int_equal(schema_extension_numbers(schema, options, numbers, 8), 2);
	assert_true(numbers[0] == 51000 || numbers[1] == 51000);
	assert_int_equal(schema_extension_numbers(schema, options, numbers, 1), 2);
	assert_int_equal(
		schema_extension_numbers(schema, STR("osmo.token.v1.Token"), numbers, 8), 0);
	assert_true(schema_file_by_extension(schema, options, 51000, &bytes));
	assert_string_equal(file_name(bytes, name), "osmo/options/v1/access.proto");
	assert_false(schema_file_by_extension(schema, options, 7, &bytes));
}

static void a_set_that_is_cut_short_or_foreign_is_refused(void **state)
{
	(void)state;
	const ProtobufCServiceDescriptor *const services[] = {
		&osmo__token__v1__token_service__descriptor};
	const struct schema_roots roots = {.services = services, .n_services = 1};
	struct schema *none = NULL;
	assert_status(schema_new(pb_descriptor_set, 0, &roots, &none), STATUS_INTERNAL,
		"descriptor set: it is empty");
	assert_status(schema_new(pb_descriptor_set, 10, &roots, &none), STATUS_INTERNAL,
		"descriptor set: no file of a FileDescriptorSet at byte 0");
	assert_null(none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_method_is_found_by_its_path),
		cmocka_unit_test(a_method_knows_its_messages_and_comment),
		cmocka_unit_test(a_method_option_is_the_serialised_message),
		cmocka_unit_test(fields_are_in_the_order_of_the_proto_and_found_by_both_names),
		cmocka_unit_test(json_name_of_the_proto_wins),
		cmocka_unit_test(comments_of_several_lines_lose_their_indent_only),
		cmocka_unit_test(well_known_messages_and_maps_are_recognised),
		cmocka_unit_test(reflection_finds_the_file_of_any_symbol),
		cmocka_unit_test(reflection_serves_files_unchanged),
		cmocka_unit_test(reflection_knows_extensions),
		cmocka_unit_test(a_set_that_is_cut_short_or_foreign_is_refused),
	};
	return cmocka_run_group_tests(tests, make_schema, free_schema);
}
