/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/buf.h"
#include "common/codec/json_reader.h"
#include "tests/lib/test.h"

#include <stdio.h>
#include <stdlib.h>

static struct arena *arena;

static int make_arena(void **state)
{
	(void)state;
	arena = arena_new();
	return 0;
}

static int free_arena(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

static struct status check(struct str text)
{
	struct json_reader r;
	if (json_reader_init(&r, text, arena) && json_skip(&r))
		json_read_end(&r);
	return r.status;
}

static void assert_refused(struct str text, const char *what)
{
	char message[256];
	snprintf(message, sizeof message, "not valid JSON: %s", what);
	assert_status(check(text), STATUS_INVALID_ARGUMENT, message);
}

static void documents_of_rfc_8259_are_taken(void **state)
{
	(void)state;
	const char *const documents[] = {
		"null",
		"true",
		" false ",
		"0",
		"-0",
		"-1.5e+10",
		"1E5",
		"\"\"",
		"[]",
		"{}",
		"[1,2 , 3]",
		"\t{\n\"a\" : {\"b\":[{}]},\r\"c\":null}",
		"\"\\u00e9\\\"\\/\\b\"",
		"\"\\ud83d\\ude00\"",
		"\"\x7f\"",
	};
	for (size_t i = 0; i < ARRAY_SIZE(documents); i++)
		assert_ok(check(str_of(documents[i])));
}

static void what_is_not_json_is_refused_with_its_place(void **state)
{
	(void)state;
	assert_refused(STR(""), "unexpected end at line 1, column 1");
	assert_refused(STR("  "), "unexpected end at line 1, column 3");
	assert_refused(STR("{"), "unexpected end at line 1, column 2");
	assert_refused(STR("[1,]"), "expected a value at line 1, column 4");
	assert_refused(STR("[,1]"), "expected a value at line 1, column 2");
	assert_refused(STR("[1 2]"), "expected ',' or ']' at line 1, column 4");
	assert_refused(STR("{\"a\":1,}"), "expected a key in quotes at line 1, column 8");
	assert_refused(STR("{a:1}"), "expected a key in quotes at line 1, column 2");
	assert_refused(STR("{\"a\" 1}"), "expected ':' at line 1, column 6");
	assert_refused(STR("{\"a\":1]"), "expected ',' or '}' at line 1, column 7");
	assert_refused(STR("{\"a\":}"), "expected a value at line 1, column 6");
	assert_refused(STR("tru"), "expected a value at line 1, column 1");
	assert_refused(STR("nul"), "expected a value at line 1, column 1");
	assert_refused(STR("NaN"), "expected a value at line 1, column 1");
	assert_refused(STR("'a'"), "expected a value at line 1, column 1");
	assert_refused(STR("{}\n {}"), "something after the value at line 2, column 2");
	assert_refused(STR("// x\n{}"), "expected a value at line 1, column 1");
	assert_refused(STR("\xEF\xBB\xBF{}"), "expected a value at line 1, column 1");
	assert_refused(STR("{}\0"), "something after the value at line 1, column 3");
}

static void malformed_numbers_are_refused(void **state)
{
	(void)state;
	assert_refused(STR("-"), "a malformed number at line 1, column 1");
	assert_refused(STR("1."), "a malformed number at line 1, column 1");
	assert_refused(STR("1e"), "a malformed number at line 1, column 1");
	assert_refused(STR("01"), "something after the value at line 1, column 2");
	assert_refused(STR("+1"), "expected a value at line 1, column 1");
	assert_refused(STR(".5"), "expected a value at line 1, column 1");
	assert_refused(STR("0x10"), "something after the value at line 1, column 2");
}

static void malformed_strings_are_refused(void **state)
{
	(void)state;
	assert_refused(STR("\"abc"), "unexpected end of a string at line 1, column 5");
	assert_refused(STR("\"abc\\\""), "unexpected end of a string at line 1, column 7");
	assert_refused(STR("\"a\nb\""), "an unescaped control character at line 1, column 3");
	assert_refused(STR("\"\\x41\""), "an unknown escape at line 1, column 2");
	assert_refused(STR("\"\\"), "an unknown escape at line 1, column 2");
	assert_refused(STR("\"\\u12g4\""), "a malformed \\u escape at line 1, column 2");
	assert_refused(STR("\"\\u12"), "a malformed \\u escape at line 1, column 2");
	assert_refused(STR("\"\\ud800\""), "a lone surrogate at line 1, column 2");
	assert_refused(STR("\"\\udc00\""), "a lone surrogate at line 1, column 2");
	assert_refused(STR("\"\\ud800\\u0041\""), "a lone surrogate at line 1, column 2");
	assert_refused(STR("\"\\ud800\\ud800\""), "a lone surrogate at line 1, column 2");
	assert_refused(STR("\"a\\u0000\""), "\\u0000, which is not allowed, at line 1, column 3");
	assert_refused(STR("\"a\xFF\""), "bytes that are not UTF-8 at line 1, column 3");
	assert_refused(STR("\"\xED\xA0\x80\""), "bytes that are not UTF-8 at line 1, column 2");
}

static void a_key_twice_in_one_object_is_refused(void **state)
{
	(void)state;
	assert_ok(check(STR("{\"a\":{\"a\":1},\"b\":{\"a\":1}}")));
	assert_refused(STR("{\"a\":1,\"b\":2,\"a\":3}"), "the key 'a' stands twice in one object");
	assert_refused(STR("[{\"\\u0061\":1,\"a\":3}]"), "the key 'a' stands twice in one object");

	_cleanup_buf_ struct buf text; /* so many that they are sorted */
	buf_init(&text, 100000);
	buf_append_str(&text, STR("{\"k500\":0"));
	for (int i = 0; i < 1000; i++)
		buf_printf(&text, ",\"k%d\":0", i);
	buf_append_char(&text, '}');
	assert_refused(buf_str(&text), "the key 'k500' stands twice in one object");

	_cleanup_buf_ struct buf key; /* a message holds whole characters of it */
	buf_init(&key, 1000);
	buf_append_char(&key, 'k');
	for (int i = 0; i < 100; i++)
		buf_append_str(&key, STR("\xC3\xA9"));
	buf_reset(&text);
	buf_printf(&text, "{\"%s\":0,\"%s\":1}", key.p, key.p);
	struct status s = check(buf_str(&text));
	assert_int_equal(s.code, STATUS_INVALID_ARGUMENT);
	assert_true(str_is_utf8(str_of(s.message)));
}

static void nesting_deeper_than_100_is_refused(void **state)
{
	(void)state;
	char text[2 * JSON_MAX_DEPTH + 2];
	memset(text, '[', JSON_MAX_DEPTH);
	memset(text + JSON_MAX_DEPTH, ']', JSON_MAX_DEPTH);
	assert_ok(check((struct str){text, sizeof text - 2}));
	memset(text, '[', JSON_MAX_DEPTH + 1);
	memset(text + JSON_MAX_DEPTH + 1, ']', JSON_MAX_DEPTH + 1);
	assert_refused(
		(struct str){text, sizeof text}, "nesting deeper than 100 at line 1, column 101");
}

static void too_many_values_are_refused(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf text;
	buf_init(&text, 1000000);
	buf_append_char(&text, '[');
	for (int i = 0; i < JSON_MAX_VALUES; i++)
		buf_append_str(&text, i ? STR(",0") : STR("0"));
	buf_append_char(&text, ']');
	assert_refused(
		buf_str(&text), "more than 100000 values, too many at line 1, column 200000");
}

static void strings_are_decoded(void **state)
{
	(void)state;
	const struct {
		const char *json, *text;
	} rows[] = {
		{"\"plain\"", "plain"},
		{"\"a\\n\\t\\r\\b\\f\\\\\\/\\\"z\"", "a\n\t\r\b\f\\/\"z"},
		{"\"\\u00E9\\u20ac\\uD83D\\uDE00!\"", "é€😀!"},
		{"\"é\\u0041€\"", "éA€"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct json_reader r;
		struct str text;
		assert_true(json_reader_init(&r, str_of(rows[i].json), arena));
		assert_true(json_read_string(&r, &text));
		assert_str(text, rows[i].text);
		assert_true(json_read_end(&r));
	}
}

static void a_cut_document_is_never_taken_and_never_read_beyond(void **state)
{
	(void)state;
	const struct str whole =
		STR("{\"a\":[1.5e3,\"x\\ud83d\\ude00\\n\",true,null],\"b\":{\"c\":\"é\"}}");
	assert_ok(check(whole));
	for (size_t n = 0; n < whole.n; n++) {
		char *exact = malloc(n ? n : 1); /* a sanitizer sees a byte too many */
		memcpy(exact, whole.p, n);
		struct status status = check((struct str){exact, n});
		assert_int_equal(status.code, STATUS_INVALID_ARGUMENT);
		free(exact);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(documents_of_rfc_8259_are_taken),
		cmocka_unit_test(what_is_not_json_is_refused_with_its_place),
		cmocka_unit_test(malformed_numbers_are_refused),
		cmocka_unit_test(malformed_strings_are_refused),
		cmocka_unit_test(a_key_twice_in_one_object_is_refused),
		cmocka_unit_test(nesting_deeper_than_100_is_refused),
		cmocka_unit_test(too_many_values_are_refused),
		cmocka_unit_test(strings_are_decoded),
		cmocka_unit_test(a_cut_document_is_never_taken_and_never_read_beyond),
	};
	return cmocka_run_group_tests(tests, make_arena, free_arena);
}
