/* SPDX-License-Identifier: Apache-2.0 */
#include "common/codec/json_reader.h"
#include "common/codec/pbjson.h"
#include "proto/pb_schema.h"
#include "tests/lib/all_types/all_types_schema.h"
#include "tests/lib/test.h"

#include "all_types.pb-c.h"
#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"
#include "osmo/token/v1/token_service.pb-c.h"

#include <math.h>

static struct schema *schema;
static const struct schema_message *all_types;
static struct arena *arena;

static int setup(void **state)
{
	(void)state;
	schema = all_types_schema_new();
	all_types = schema_find_message(schema, STR("test.v1.AllTypes"));
	arena = arena_new();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(arena);
	schema_free(schema);
	return 0;
}

static struct status read_all(struct str json, Test__V1__AllTypes **ret)
{
	const struct pbjson_in in = {.schema = schema, .arena = arena};
	ProtobufCMessage *message = pbjson_message_new(all_types, arena);
	TRY(pbjson_read(&in, all_types, json, message));
	*ret = (Test__V1__AllTypes *)message;
	return status_ok();
}

/* {"@name": @value} is read, and the field is written as @wanted (NULL: as it was read). */
static void assert_field(const char *name, const char *value, const char *wanted)
{
	char *json = arena_printf(arena, "{\"%s\": %s}", name, value);
	Test__V1__AllTypes *message = NULL;
	assert_ok(read_all(str_of(json), &message));
	_cleanup_buf_ struct buf out;
	buf_init(&out, 100000);
	assert_ok(pbjson_write_field(
		schema, schema_find_field(all_types, str_of(name)), &message->base, &out));
	assert_str(buf_str(&out), wanted ? wanted : value);

	/* what was written is read and written the same again */
	json = arena_printf(arena, "{\"%s\": %s}", name, buf_str(&out).p);
	assert_ok(read_all(str_of(json), &message));
	buf_reset(&out);
	assert_ok(pbjson_write_field(
		schema, schema_find_field(all_types, str_of(name)), &message->base, &out));
	assert_str(buf_str(&out), wanted ? wanted : value);
}

/* {"@name": @value} is refused, and @field named. */
static void assert_refused(const char *name, const char *value, const char *field, const char *text)
{
	char *json = arena_printf(arena, "{\"%s\": %s}", name, value);
	Test__V1__AllTypes *message = NULL;
	struct status status = read_all(str_of(json), &message);
	assert_null(message);
	assert_string_equal(status.field, field);
	assert_status(status, STATUS_INVALID_ARGUMENT, arena_printf(arena, "%s: %s", field, text));
}

static void integers_of_32_bits(void **state)
{
	(void)state;
	const char *const names[] = {"int32Field", "sint32Field", "sfixed32Field"};
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		assert_field(names[i], "0", NULL);
		assert_field(names[i], "2147483647", NULL);
		assert_field(names[i], "-2147483648", NULL);
		assert_field(names[i], "\"-12\"", "-12");
		assert_field(names[i], "1.0", "1");
		assert_field(names[i], "1e5", "100000");
		assert_field(names[i], "\"1e5\"", "100000");
		assert_field(names[i], "null", "0");
		assert_refused(names[i], "2147483648", names[i],
			"expected an integer of 32 bits, got '2147483648'");
		assert_refused(names[i], "-2147483649", names[i],
			"expected an integer of 32 bits, got '-2147483649'");
		assert_refused(
			names[i], "1.5", names[i], "expected an integer of 32 bits, got '1.5'");
		assert_refused(
			names[i], "\"\"", names[i], "expected an integer of 32 bits, got ''");
		assert_refused(
			names[i], "\" 1\"", names[i], "expected an integer of 32 bits, got ' 1'");
		assert_refused(
			names[i], "\"01\"", names[i], "expected an integer of 32 bits, got '01'");
		assert_refused(
			names[i], "\"0x1\"", names[i], "expected an integer of 32 bits, got '0x1'");
		assert_refused(names[i], "true", names[i],
			"expected an integer of 32 bits, got a boolean");
		assert_refused(
			names[i], "[1]", names[i], "expected an integer of 32 bits, got an array");
	}
}

static void unsigned_integers_of_32_bits(void **state)
{
	(void)state;
	assert_field("uint32Field", "4294967295", NULL);
	assert_field("fixed32Field", "4294967295", NULL);
	assert_field("uint32Field", "-0", "0");
	assert_refused("uint32Field", "4294967296", "uint32Field",
		"expected an integer in 0..4294967295, got '4294967296'");
	assert_refused("fixed32Field", "-1", "fixed32Field",
		"expected an integer in 0..4294967295, got '-1'");
}

static void integers_of_64_bits_are_strings_out_and_either_in(void **state)
{
	(void)state;
	assert_field("int64Field", "\"9223372036854775807\"", NULL);
	assert_field("int64Field", "-9223372036854775808", "\"-9223372036854775808\"");
	assert_field("sint64Field", "9007199254740993", "\"9007199254740993\"");
	assert_field("sfixed64Field", "\"1e3\"", "\"1000\"");
	assert_field("uint64Field", "18446744073709551615", "\"18446744073709551615\"");
	assert_field("fixed64Field", "\"18446744073709551615\"", NULL);
	assert_refused("int64Field", "9223372036854775808", "int64Field",
		"expected an integer of 64 bits, got '9223372036854775808'");
	assert_refused("uint64Field", "18446744073709551616", "uint64Field",
		"expected an integer in 0..18446744073709551615, got '18446744073709551616'");
	assert_refused("uint64Field", "-1", "uint64Field",
		"expected an integer in 0..18446744073709551615, got '-1'");
}

static void reals(void **state)
{
	(void)state;
	assert_field("doubleField", "0.1", NULL);
	assert_field("doubleField", "\"0.1\"", "0.1");
	assert_field("doubleField", "-1.5e300", "-1.5e+300");
	assert_field("doubleField", "\"NaN\"", NULL);
	assert_field("doubleField", "\"Infinity\"", NULL);
	assert_field("floatField", "\"-Infinity\"", NULL);
	assert_field("floatField", "\"NaN\"", NULL);
	assert_field("floatField", "0.1", NULL);
	assert_field("floatField", "1", NULL);
	assert_refused(
		"doubleField", "1e309", "doubleField", "expected a number of 64 bits, got '1e309'");
	assert_refused(
		"floatField", "1e39", "floatField", "expected a number of 32 bits, got '1e39'");
	assert_refused(
		"doubleField", "\"nan\"", "doubleField", "expected a number of 64 bits, got 'nan'");
	assert_refused(
		"doubleField", "\"\"", "doubleField", "expected a number of 64 bits, got ''");
	Test__V1__AllTypes *message = NULL;
	assert_int_equal(
		read_all(STR("{\"doubleField\":NaN}"), &message).code, STATUS_INVALID_ARGUMENT);
}

static void booleans_strings_and_bytes(void **state)
{
	(void)state;
	assert_field("boolField", "true", NULL);
	assert_field("boolField", "false", NULL);
	assert_refused(
		"boolField", "\"true\"", "boolField", "expected true or false, got a string");
	assert_refused("boolField", "1", "boolField", "expected true or false, got a number");
	assert_field("stringField", "\"\\u00e9\\n\"", "\"é\\n\"");
	assert_refused("stringField", "5", "stringField", "expected a string, got a number");
	assert_field("bytesField", "\"AQID/+8=\"", NULL);
	assert_field("bytesField", "\"AQID_-8\"", "\"AQID/+8=\"");
	assert_field("bytesField", "\"\"", NULL);
	assert_refused("bytesField", "\"!\"", "bytesField", "expected base64, got '!'");
}

static void enums_by_name_in_any_case_or_by_number(void **state)
{
	(void)state;
	assert_field("color", "\"GREEN\"", NULL);
	assert_field("color", "\"green\"", "\"GREEN\"");
	assert_field("color", "2", "\"GREEN\"");
	assert_field("color", "-1", "\"INFRARED\"");
	assert_field("color", "77", NULL);
	assert_refused("color", "\"BLUE\"", "color",
		"expected one of INFRARED, COLOR_UNSPECIFIED, RED, GREEN, got 'BLUE'");
	assert_refused("color", "1.5", "color", "expected a name, got '1.5'");
	assert_refused(
		"color", "true", "color", "expected the name of an enum value, got a boolean");
}

static void repeated_fields(void **state)
{
	(void)state;
	assert_field("int32s", "[]", NULL);
	assert_field("int32s", "null", "[]");
	assert_field("int32s", "[1,2,3,4,5,6,7,8,9]", NULL);
	assert_field("uint64s", "[1,\"2\"]", "[\"1\",\"2\"]");
	assert_field("strings", "[\"a\",\"\",\"b\",\"c\",\"d\"]", NULL);
	assert_field("bytesList", "[\"AQ==\",\"\"]", NULL);
	assert_field("bools", "[true,false]", NULL);
	assert_field("colors", "[\"RED\",2]", "[\"RED\",\"GREEN\"]");
	assert_field("floats", "[1.5,\"NaN\"]", NULL);
	assert_field("timestamps", "[\"1970-01-01T00:00:00Z\"]", NULL);
	assert_field("values", "[null,1,\"a\",{\"b\":[]}]", NULL);
	assert_refused("strings", "[\"a\",null]", "strings[1]", "null is not allowed in an array");
	assert_refused("strings", "\"a\"", "strings", "expected an array, got a string");
	assert_refused("strings", "{}", "strings", "expected an array, got an object");
	assert_refused(
		"int32s", "[0,1,\"x\"]", "int32s[2]", "expected an integer of 32 bits, got 'x'");
	assert_refused("inners", "[{},{\"inners\":[{\"number\":{}}]}]",
		"inners[1].inners[0].number", "expected an integer of 32 bits, got an object");
}

static void maps(void **state)
{
	(void)state;
	assert_field("stringMap", "{\"a\":\"b\",\"\":\"c\"}", NULL);
	assert_field("boolMap", "{\"true\":1,\"false\":\"2\"}", "{\"true\":\"1\",\"false\":\"2\"}");
	assert_field("colorMap", "{\"18446744073709551615\":\"RED\"}", NULL);
	assert_field("innerMap", "{\"-5\":{\"number\":1}}",
		"{\"-5\":{\"number\":1,\"text\":\"\",\"inner\":null,\"inners\":[]}}");
	assert_field("valueMap", "{\"n\":null}", NULL);
	assert_refused("stringMap", "{\"a\":null}", "stringMap.a", "null is not allowed in a map");
	assert_refused("stringMap", "[]", "stringMap", "expected an object, got an array");
	assert_refused(
		"boolMap", "{\"yes\":1}", "boolMap.yes", "expected true or false, got 'yes'");
	assert_refused("innerMap", "{\"1.0\":{}}", "innerMap.1.0",
		"expected an integer of 32 bits, got '1.0'");
	assert_refused("innerMap", "{\"1\":{\"number\":\"x\"}}", "innerMap.1.number",
		"expected an integer of 32 bits, got 'x'");
	Test__V1__AllTypes *message = NULL;
	assert_status(read_all(STR("{\"stringMap\":{\"a\":\"\",\"a\":\"\"}}"), &message),
		STATUS_INVALID_ARGUMENT, "not valid JSON: the key 'a' stands twice in one object");
}

static void a_map_value_that_was_not_on_the_wire_is_its_default(void **state)
{
	(void)state;
	Test__V1__AllTypes__InnerMapEntry entry = TEST__V1__ALL_TYPES__INNER_MAP_ENTRY__INIT;
	Test__V1__AllTypes__InnerMapEntry *entries[] = {&entry};
	Test__V1__AllTypes message = TEST__V1__ALL_TYPES__INIT;
	message.n_inner_map = 1;
	message.inner_map = entries;
	_cleanup_buf_ struct buf out;
	buf_init(&out, 1000);
	assert_ok(pbjson_write_field(
		schema, schema_find_field(all_types, STR("innerMap")), &message.base, &out));
	assert_str(
		buf_str(&out), "{\"0\":{\"number\":0,\"text\":\"\",\"inner\":null,\"inners\":[]}}");
}

static void fields_have_two_names_and_may_be_given_once(void **state)
{
	(void)state;
	assert_field("int32_field", "5", NULL);
	assert_field("odd_name", "\"x\"", NULL);
	Test__V1__AllTypes empty = TEST__V1__ALL_TYPES__INIT, *message = &empty;
	assert_ok(read_all(STR("{\"odd \\\"name\\\"\":\"y\"}"), &message));
	assert_string_equal(message->odd_name, "y");
	assert_status(read_all(STR("{\"int32Field\":1,\"int32_field\":1}"), &message),
		STATUS_INVALID_ARGUMENT, "int32_field: the field is given twice");
	assert_status(read_all(STR("{\"int32Field\":1,\"int32Field\":1}"), &message),
		STATUS_INVALID_ARGUMENT, "int32Field: the field is given twice");
}

static void an_unknown_field_is_refused_or_skipped_as_asked(void **state)
{
	(void)state;
	assert_refused("inner", "{\"nope\":1}", "inner.nope", "there is no field of this name");
	const struct pbjson_in in = {.schema = schema, .arena = arena, .ignore_unknown = true};
	ProtobufCMessage *message = pbjson_message_new(all_types, arena);
	assert_ok(pbjson_read(&in, all_types,
		STR("{\"nope\":[{\"a\":null}],\"inner\":{\"x\":{}},\"int32Field\":7}"), message));
	assert_int_equal(((Test__V1__AllTypes *)message)->int32_field, 7);
	assert_status(pbjson_read(&in, all_types, STR("{\"nope\":{\"a\":1,\"a\":1}}"), message),
		STATUS_INVALID_ARGUMENT, "not valid JSON: the key 'a' stands twice in one object");
}

static void a_oneof_takes_one_member(void **state)
{
	(void)state;
	assert_field("choiceNumber", "0", NULL);
	assert_field("choiceText", "\"\"", NULL);
	assert_field("choiceNull", "null", NULL);
	Test__V1__AllTypes empty = TEST__V1__ALL_TYPES__INIT, *message = &empty;
	assert_ok(read_all(STR("{\"choiceNumber\":null,\"choiceText\":\"a\"}"), &message));
	assert_int_equal(message->choice_case, TEST__V1__ALL_TYPES__CHOICE_CHOICE_TEXT);
	assert_ok(read_all(STR("{\"choiceNull\":null}"), &message));
	assert_int_equal(message->choice_case, TEST__V1__ALL_TYPES__CHOICE_CHOICE_NULL);
	assert_status(read_all(STR("{\"choiceNumber\":1,\"choiceText\":\"a\"}"), &message),
		STATUS_INVALID_ARGUMENT,
		"choiceText: another member of the same oneof is given already");
}

static void well_known_messages_have_their_own_form(void **state)
{
	(void)state;
	assert_field(
		"timestamp", "\"2026-05-01T14:00:00.5+02:00\"", "\"2026-05-01T12:00:00.500Z\"");
	assert_field("duration", "\"1.5s\"", "\"1.500s\"");
	assert_field("fieldMask", "\"fooBar,baz.quxQuux\"", NULL);
	assert_field("fieldMask", "\"\"", NULL);
	assert_field("empty", "{}", NULL);
	assert_field("object", "{\"a\":1,\"b\":[null,true,\"x\",{}]}", NULL);
	assert_field("value", "null", NULL);
	assert_field("value", "[1,[2]]", NULL);
	assert_field("value", "1.5", NULL);
	assert_field("list", "[{},[]]", NULL);
	assert_field("nullValue", "null", NULL);
	assert_field("nullValue", "\"NULL_VALUE\"", "null");
	assert_field("timestamp", "null", NULL);
	assert_refused("timestamp", "\"today\"", "timestamp",
		"expected a time like 2026-05-01T12:00:00Z, got 'today'");
	assert_refused("timestamp", "5", "timestamp", "expected a string, got a number");
	assert_refused("duration", "\"1\"", "duration", "expected a duration like 1.5s, got '1'");
	assert_refused("fieldMask", "\"foo_bar\"", "fieldMask",
		"expected field paths in camelCase, separated by ',', got 'foo_bar'");
	assert_refused("empty", "{\"a\":1}", "empty.a", "there is no field of this name");
	assert_refused("object", "[]", "object", "expected an object, got an array");
	assert_refused("list", "{}", "list", "expected an array, got an object");
}

static void wrappers_are_bare_values_or_null(void **state)
{
	(void)state;
	assert_field("boolWrapper", "false", NULL);
	assert_field("bytesWrapper", "\"AQ==\"", NULL);
	assert_field("doubleWrapper", "1.5", NULL);
	assert_field("floatWrapper", "\"Infinity\"", NULL);
	assert_field("int32Wrapper", "0", NULL);
	assert_field("int64Wrapper", "5", "\"5\"");
	assert_field("stringWrapper", "\"\"", NULL);
	assert_field("uint32Wrapper", "4294967295", NULL);
	assert_field("uint64Wrapper", "\"18446744073709551615\"", NULL);
	assert_field("stringWrapper", "null", NULL);
	assert_refused(
		"int32Wrapper", "\"x\"", "int32Wrapper", "expected an integer of 32 bits, got 'x'");
	assert_refused("boolWrapper", "{\"value\":true}", "boolWrapper",
		"expected true or false, got an object");
}

static void an_any_names_its_type(void **state)
{
	(void)state;
	assert_field("any", "{}", NULL);
	assert_field("any",
		"{\"number\":5,\"@type\":\"type.googleapis.com/test.v1.AllTypes.Inner\"}",
		"{\"@type\":\"type.googleapis.com/"
		"test.v1.AllTypes.Inner\",\"number\":5,\"text\":\"\","
		"\"inner\":null,\"inners\":[]}");
	assert_field("any",
		"{\"@type\":\"type.googleapis.com/google.protobuf.Duration\",\"value\":\"1s\"}",
		NULL);
	assert_field("any",
		"{\"@type\":\"type.googleapis.com/google.protobuf.Any\",\"value\":{\"@type\":"
		"\"type.googleapis.com/google.protobuf.Int64Value\",\"value\":\"7\"}}",
		NULL);
	assert_refused("any", "{\"number\":5}", "any", "expected a member \"@type\"");
	assert_refused("any", "{\"@type\":\"type.googleapis.com/x.Y\"}", "any",
		"expected an @type that is known here, got 'type.googleapis.com/x.Y'");
	assert_refused("any", "{\"@type\":\"type.googleapis.com/google.protobuf.Duration\"}", "any",
		"expected a member \"value\"");
	assert_refused("any",
		"{\"@type\":\"type.googleapis.com/test.v1.AllTypes.Inner\",\"nope\":1}", "any.nope",
		"there is no field of this name");
}

static void messages_without_a_json_form_are_reported(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf out;
	buf_init(&out, 100000);
	Google__Protobuf__Timestamp time = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	time.seconds = INT64_MAX;
	Test__V1__AllTypes message = TEST__V1__ALL_TYPES__INIT;
	message.timestamp = &time;
	assert_status(pbjson_write(schema, all_types, &message.base, &out), STATUS_INTERNAL,
		"a google.protobuf.Timestamp is out of range: 9223372036854775807 s, 0 ns");
	message.timestamp = NULL;
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
	any.type_url = (char *)(uintptr_t) "type.googleapis.com/x.Y";
	message.any = &any;
	assert_status(pbjson_write(schema, all_types, &message.base, &out), STATUS_INTERNAL,
		"a google.protobuf.Any of type 'x.Y' is not known here");
	message.any = NULL;
	Google__Protobuf__Value value = GOOGLE__PROTOBUF__VALUE__INIT;
	value.kind_case = GOOGLE__PROTOBUF__VALUE__KIND_NUMBER_VALUE;
	value.number_value = NAN;
	message.value = &value;
	assert_status(pbjson_write(schema, all_types, &message.base, &out), STATUS_INTERNAL,
		"a google.protobuf.Value is not a finite number");
	message.value = NULL;
	Test__V1__AllTypes__Inner inner[PBJSON_MAX_DEPTH + 1];
	for (size_t i = 0; i < ARRAY_SIZE(inner); i++) {
		test__v1__all_types__inner__init(&inner[i]);
		inner[i].inner = i ? &inner[i - 1] : NULL;
	}
	message.inner = &inner[PBJSON_MAX_DEPTH - 2];
	assert_ok(pbjson_write(schema, all_types, &message.base, &out));
	message.inner = &inner[PBJSON_MAX_DEPTH];
	assert_status(pbjson_write(schema, all_types, &message.base, &out), STATUS_INTERNAL,
		"messages are nested deeper than 200");
}

static void a_reply_longer_than_the_buffer_is_reported(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf out;
	buf_init(&out, 20);
	Test__V1__AllTypes message = TEST__V1__ALL_TYPES__INIT;
	assert_status(pbjson_write(schema, all_types, &message.base, &out),
		STATUS_RESOURCE_EXHAUSTED, "the JSON would be longer than 20 bytes");
}

static void the_document_is_an_object_and_nothing_behind_it(void **state)
{
	(void)state;
	Test__V1__AllTypes *message = NULL;
	assert_ok(read_all(STR(" {} "), &message));
	assert_status(read_all(STR("[]"), &message), STATUS_INVALID_ARGUMENT,
		"expected an object, got an array");
	assert_status(read_all(STR("null"), &message), STATUS_INVALID_ARGUMENT,
		"expected an object, got null");
	assert_status(read_all(STR(""), &message), STATUS_INVALID_ARGUMENT,
		"not valid JSON: unexpected end at line 1, column 1");
	assert_status(read_all(STR("{} x"), &message), STATUS_INVALID_ARGUMENT,
		"not valid JSON: something after the value at line 1, column 4");
}

static void all_fields_are_written_zero_or_not(void **state)
{
	(void)state;
	struct schema *services = NULL;
	assert_ok(pb_schema_new(&services));
	_cleanup_buf_ struct buf out;
	buf_init(&out, 1000);
	char *roles[] = {(char *)(uintptr_t) "osmo-user", (char *)(uintptr_t) "a\"b"};
	Osmo__Token__V1__Token token = OSMO__TOKEN__V1__TOKEN__INIT;
	token.name = (char *)(uintptr_t) "my-token";
	token.kind = OSMO__TOKEN__V1__KIND__SERVICE;
	token.n_roles = 2;
	token.roles = roles;
	assert_ok(pbjson_write(
		services, schema_message_of(services, token.base.descriptor), &token.base, &out));
	assert_str(buf_str(&out),
		"{\"name\":\"my-token\",\"user\":\"\",\"kind\":\"SERVICE\",\"description\":\"\","
		"\"roles\":[\"osmo-user\",\"a\\\"b\"],\"expireDate\":\"\",\"createTime\":null,"
		"\"lastUsedTime\":null,\"lastUsedAddress\":\"\",\"oldSecretUntil\":null}");
	schema_free(services);
}

static void an_unset_value_is_left_out_because_null_is_a_value(void **state)
{
	(void)state;
	Test__V1__AllTypes message = TEST__V1__ALL_TYPES__INIT;
	_cleanup_buf_ struct buf out;
	buf_init(&out, 10000);
	assert_ok(pbjson_write(schema, all_types, &message.base, &out));
	assert_non_null(strstr(out.p, "\"timestamp\":null"));
	assert_null(strstr(out.p, "\"value\":"));
}

static struct status read_text(const char *name, struct str text, Test__V1__AllTypes *message)
{
	const struct pbjson_in in = {.schema = schema, .arena = arena};
	return pbjson_read_text(
		&in, schema_find_field(all_types, str_of(name)), text, name, &message->base);
}

static void bare_text_of_a_url_fills_a_field(void **state)
{
	(void)state;
	Test__V1__AllTypes m = TEST__V1__ALL_TYPES__INIT;
	assert_ok(read_text("int32Field", STR("-5"), &m));
	assert_int_equal(m.int32_field, -5);
	assert_ok(read_text("boolField", STR("true"), &m));
	assert_true(m.bool_field);
	assert_ok(read_text("color", STR("green"), &m));
	assert_int_equal(m.color, TEST__V1__COLOR__GREEN);
	assert_ok(read_text("color", STR("1"), &m));
	assert_int_equal(m.color, TEST__V1__COLOR__RED);
	assert_ok(read_text("strings", STR("a"), &m));
	assert_ok(read_text("strings", STR("b c"), &m));
	assert_int_equal(m.n_strings, 2);
	assert_string_equal(m.strings[1], "b c");
	assert_ok(read_text("timestamp", STR("1970-01-01T00:00:05Z"), &m));
	assert_int_equal(m.timestamp->seconds, 5);
	assert_ok(read_text("stringWrapper", STR(""), &m));
	assert_string_equal(m.string_wrapper->value, "");
	assert_status(read_text("int32Field", STR(""), &m), STATUS_INVALID_ARGUMENT,
		"int32Field: expected an integer of 32 bits, got ''");
	assert_status(read_text("stringField", STR("a\0b"), &m), STATUS_INVALID_ARGUMENT,
		"stringField: expected UTF-8 text without NUL");
	assert_status(read_text("stringField", STR("\xFF"), &m), STATUS_INVALID_ARGUMENT,
		"stringField: expected UTF-8 text without NUL");
	assert_status(read_text("inner", STR("x"), &m), STATUS_INVALID_ARGUMENT,
		"inner: an object cannot be given as text");
	assert_status(read_text("stringMap", STR("x"), &m), STATUS_INVALID_ARGUMENT,
		"stringMap: an object cannot be given as text");
}

static void a_field_alone_is_a_document(void **state)
{
	(void)state;
	const struct pbjson_in in = {.schema = schema, .arena = arena};
	Test__V1__AllTypes m = TEST__V1__ALL_TYPES__INIT;
	assert_ok(pbjson_read_field(
		&in, schema_find_field(all_types, STR("inner")), STR("{\"number\": 3}"), &m.base));
	assert_int_equal(m.inner->number, 3);
	assert_ok(pbjson_read_field(
		&in, schema_find_field(all_types, STR("strings")), STR("[\"a\"]"), &m.base));
	assert_int_equal(m.n_strings, 1);
	assert_status(pbjson_read_field(&in, schema_find_field(all_types, STR("inner")),
			      STR("{\"number\": \"x\"}"), &m.base),
		STATUS_INVALID_ARGUMENT, "inner.number: expected an integer of 32 bits, got 'x'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(integers_of_32_bits),
		cmocka_unit_test(unsigned_integers_of_32_bits),
		cmocka_unit_test(integers_of_64_bits_are_strings_out_and_either_in),
		cmocka_unit_test(reals),
		cmocka_unit_test(booleans_strings_and_bytes),
		cmocka_unit_test(enums_by_name_in_any_case_or_by_number),
		cmocka_unit_test(repeated_fields),
		cmocka_unit_test(maps),
		cmocka_unit_test(a_map_value_that_was_not_on_the_wire_is_its_default),
		cmocka_unit_test(fields_have_two_names_and_may_be_given_once),
		cmocka_unit_test(an_unknown_field_is_refused_or_skipped_as_asked),
		cmocka_unit_test(a_oneof_takes_one_member),
		cmocka_unit_test(well_known_messages_have_their_own_form),
		cmocka_unit_test(wrappers_are_bare_values_or_null),
		cmocka_unit_test(an_any_names_its_type),
		cmocka_unit_test(messages_without_a_json_form_are_reported),
		cmocka_unit_test(a_reply_longer_than_the_buffer_is_reported),
		cmocka_unit_test(the_document_is_an_object_and_nothing_behind_it),
		cmocka_unit_test(all_fields_are_written_zero_or_not),
		cmocka_unit_test(an_unset_value_is_left_out_because_null_is_a_value),
		cmocka_unit_test(bare_text_of_a_url_fills_a_field),
		cmocka_unit_test(a_field_alone_is_a_document),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
