/* SPDX-License-Identifier: Apache-2.0 */
/* JSON into a message of every kind of field, out again, and in again: the second text equals the
 * first, and the packed bytes too. Beside it, jansson and our reader agree on what JSON is. */
#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/codec/json_reader.h"
#include "common/codec/pbjson.h"
#include "tests/lib/all_types/all_types_schema.h"

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "fuzz_pbjson: %s\n", what);
	abort();
}

/* jansson has limits of its own: what it says about numbers that are too large, NUL and depth is
 * another matter. */
static void compare_with_jansson(struct str text, const struct json_reader *r)
{
	json_error_t error;
	if (str_index(text, '\0') < text.n)
		return; /* to jansson the end of the text */
	json_t *value = json_loadb(text.p ? text.p : "", text.n,
		JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
	if (value) {
		const bool ours = !json_failed(r) || strstr(r->status.message, "\\u0000") ||
				  strstr(r->status.message, "nesting deeper") ||
				  strstr(r->status.message, "too many");
		must(ours, "jansson takes what the reader refuses");
	} else if (!json_failed(r)) {
		must(json_error_code(&error) == json_error_numeric_overflow,
			"the reader takes what jansson refuses");
	}
	json_decref(value);
}

static void round_trip(const struct schema *schema, struct str text, struct arena *arena)
{
	static const struct schema_message *m;
	m = m ? m : schema_find_message(schema, STR("test.v1.AllTypes"));
	const struct pbjson_in in = {
		.schema = schema, .arena = arena, .ignore_unknown = text.n % 2 == 1};
	ProtobufCMessage *first = pbjson_message_new(m, arena);
	ProtobufCMessage *second = pbjson_message_new(m, arena);
	_cleanup_buf_ struct buf once, twice;
	buf_init(&once, SIZE_MAX / 4);
	buf_init(&twice, SIZE_MAX / 4);
	struct status status = pbjson_read(&in, m, text, first);
	if (status.code != STATUS_OK) {
		must(status.code == STATUS_INVALID_ARGUMENT, "an error of another code");
		must(status.message[0] && str_is_utf8(str_of(status.message)) &&
				str_is_utf8(str_of(status.field)),
			"an error without a proper text");
		return;
	}
	status = pbjson_write(schema, m, first, &once);
	must(status.code == STATUS_OK, status.message);
	status = pbjson_read(&in, m, buf_str(&once), second);
	must(status.code == STATUS_OK, status.message);
	status = pbjson_write(schema, m, second, &twice);
	must(status.code == STATUS_OK, status.message);
	must(str_eq(buf_str(&once), buf_str(&twice)), "the second text differs");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct schema *schema;
	if (!schema)
		schema = all_types_schema_new();
	const struct str text = {(const char *)data, size};
	struct arena *arena = arena_new();
	struct json_reader r;
	if (json_reader_init(&r, text, arena) && json_skip(&r))
		json_read_end(&r);
	compare_with_jansson(text, &r);
	round_trip(schema, text, arena);
	arena_free(arena);
	return 0;
}
