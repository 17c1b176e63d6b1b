/* SPDX-License-Identifier: Apache-2.0 */
#include "common/rpc/wire.h"
#include "tests/lib/test.h"

#include "google/protobuf/struct.pb-c.h"
#include "osmo/token/v1/token_service.pb-c.h"

static struct status parse(
	const ProtobufCMessageDescriptor *type, const void *p, size_t n, struct arena *arena)
{
	ProtobufCMessage *message;
	return wire_parse(type, p, n, arena, &message);
}

#define SET(bytes, arena)                                                                          \
	parse(&osmo__token__v1__set_request__descriptor, bytes, sizeof bytes - 1, arena)

static void a_message_is_read_into_the_arena(void **state)
{
	(void)state;
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	ProtobufCMessage *message;
	static const uint8_t bytes[] = {0x0a, 2, 'c', 'i', 0x10, 1, 0x22, 1, 'a', 0x22, 1, 'b'};
	assert_ok(wire_parse(
		&osmo__token__v1__set_request__descriptor, bytes, sizeof bytes, arena, &message));
	const Osmo__Token__V1__SetRequest *request = (void *)message;
	assert_string_equal(request->name, "ci");
	assert_int_equal(request->kind, OSMO__TOKEN__V1__KIND__SERVICE);
	assert_int_equal(request->n_roles, 2);
	assert_string_equal(request->roles[1], "b");
}

static void no_bytes_are_a_message_of_defaults(void **state)
{
	(void)state;
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	assert_ok(SET("", arena));
}

static void unknown_fields_are_no_error(void **state)
{
	(void)state;
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	/* field 99 as varint, fixed64, bytes, fixed32 */
	assert_ok(SET("\x98\x06\x07\x99\x06"
		      "12345678\x9a\x06\x02\xff\xff\x9d\x06"
		      "1234",
		arena));
}

static void text_that_is_no_utf8_is_refused_with_its_field(void **state)
{
	(void)state;
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	struct status s = SET("\x0a\x02\xff\xfe", arena);
	assert_string_equal(s.field, "name");
	assert_status(s, STATUS_INVALID_ARGUMENT, "name: must be UTF-8 text");
}

static void the_element_of_a_list_is_named(void **state)
{
	(void)state;
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	struct status s = SET("\x22\x01"
			      "a\x0a\x01n\x22\x01"
			      "b\x22\x02\xc3\x28",
		arena);
	assert_string_equal(s.field, "roles[2]");
	assert_status(s, STATUS_INVALID_ARGUMENT, "roles[2]: must be UTF-8 text");
}

static void a_field_of_an_inner_message_is_named_with_its_path(void **state)
{
	(void)state;
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	/* ListResponse.tokens[1].description */
	static const char bytes[] = "\x0a\x00\x0a\x03\x22\x01\x80";
	assert_status(
		parse(&osmo__token__v1__list_response__descriptor, bytes, sizeof bytes - 1, arena),
		STATUS_INVALID_ARGUMENT, "tokens[1].description: must be UTF-8 text");
}

static void a_nul_in_text_is_refused(void **state)
{
	(void)state;
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	assert_status(SET("\x0a\x03"
			  "a\0b",
			      arena),
		STATUS_INVALID_ARGUMENT, "name: must not contain a NUL character");
}

static void bytes_that_are_no_message_are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t n;
	} bad[] = {
		{"\x0a", 1}, /* no length */
		{"\x0a\x05"
		 "ab",
			4},                                               /* too short */
		{"\x0b", 1},                                              /* a group */
		{"\x0e", 1},                                              /* wire type 6 */
		{"\x02\x00", 2},                                          /* field 0 */
		{"\x10", 1},                                              /* no value */
		{"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12}, /* 11 bytes */
		{"\xff\xff\xff\xff\xff\x01", 6},                          /* field too large */
		{"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11},     /* length 2^64-1 */
		{"\x99\x06"
		 "1234567",
			9},      /* 7 of 8 bytes */
		{"\x08\x01", 2}, /* name as a number */
	};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_(arena_freep) struct arena *arena = arena_new();
		struct status s = parse(
			&osmo__token__v1__set_request__descriptor, bad[i].bytes, bad[i].n, arena);
		if (s.code != STATUS_INVALID_ARGUMENT || !strstr(s.message, "malformed"))
			fail_msg("case %zu: %s", i, s.message);
	}
}

/* google.protobuf.Value { list_value { values { ... } } }, @depth times. */
static size_t nest(uint8_t *end, unsigned depth)
{
	size_t n = 0;
	for (unsigned i = 0; i < depth; i++) {
		const uint8_t tag = i % 2 ? 0x32 : 0x0a; /* Value.list_value, ListValue.values */
		size_t length = n;
		uint8_t varint[10];
		size_t v = 0;
		do {
			varint[v++] = (uint8_t)((length & 0x7f) | (length > 0x7f ? 0x80 : 0));
			length >>= 7;
		} while (length);
		n += v + 1;
		end[-(ptrdiff_t)n] = tag;
		memcpy(end - n + 1, varint, v);
	}
	return n;
}

static void nesting_is_bounded(void **state)
{
	(void)state;
	static uint8_t bytes[1 << 20];
	uint8_t *end = bytes + sizeof bytes;
	static const ProtobufCMessageDescriptor *const types[] = {
		&google__protobuf__value__descriptor, &google__protobuf__list_value__descriptor};
	for (unsigned depth = 98; depth <= 100; depth++) {
		_cleanup_(arena_freep) struct arena *arena = arena_new();
		size_t n = nest(end, depth);
		struct status s = parse(types[depth % 2], end - n, n, arena);
		assert_int_equal(
			s.code, depth < WIRE_MAX_DEPTH ? STATUS_OK : STATUS_INVALID_ARGUMENT);
	}
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	size_t n = nest(end, 200000);
	assert_status(parse(types[0], end - n, n, arena), STATUS_INVALID_ARGUMENT,
		"The request message is nested deeper than 100");
}

static void the_number_of_fields_of_a_request_is_bounded(void **state)
{
	(void)state;
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	static uint8_t bytes[2 * (WIRE_MAX_FIELDS + 1)];
	for (size_t i = 0; i < sizeof bytes; i += 2)
		bytes[i] = 0x22; /* an empty role */
	assert_ok(parse(&osmo__token__v1__set_request__descriptor, bytes, sizeof bytes - 2, arena));
	assert_status(parse(&osmo__token__v1__set_request__descriptor, bytes, sizeof bytes, arena),
		STATUS_INVALID_ARGUMENT, "The request message has more than 16384 fields");
	ProtobufCMessage *answer; /* a page of tokens may have more */
	assert_ok(wire_parse_answer(
		&osmo__token__v1__set_request__descriptor, bytes, sizeof bytes, arena, &answer));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_is_read_into_the_arena),
		cmocka_unit_test(no_bytes_are_a_message_of_defaults),
		cmocka_unit_test(unknown_fields_are_no_error),
		cmocka_unit_test(text_that_is_no_utf8_is_refused_with_its_field),
		cmocka_unit_test(the_element_of_a_list_is_named),
		cmocka_unit_test(a_field_of_an_inner_message_is_named_with_its_path),
		cmocka_unit_test(a_nul_in_text_is_refused),
		cmocka_unit_test(bytes_that_are_no_message_are_refused),
		cmocka_unit_test(nesting_is_bounded),
		cmocka_unit_test(the_number_of_fields_of_a_request_is_bounded),
	};
	return RUN_TESTS(tests);
}
