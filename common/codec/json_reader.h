/* SPDX-License-Identifier: Apache-2.0 */
/* Strict JSON (RFC 8259), read value by value without a tree.
 *
 * A pull reader: the caller asks for the value that it expects, so that a message is filled
 * straight from the text, and numbers stay text until their field says what they are (an uint64
 * above INT64_MAX, 9007199254740993, 1e5: exact). Refused, with line and column: what is not RFC
 * 8259 (comments, trailing commas and bytes, unescaped control characters), invalid UTF-8, lone
 * surrogates, \u0000, the same key twice in one object, nesting deeper than JSON_MAX_DEPTH, more
 * than JSON_MAX_VALUES values.
 *
 * Errors: the first one stays in reader.status, and every function returns false from then on.
 * Memory: strings are in the text, or in the arena if they had escapes. Threads: one at a time. */
#pragma once

#include "common/base/arena.h"
#include "common/base/status.h"
#include "common/base/str.h"

#include <stdbool.h>
#include <stddef.h>

enum {
	JSON_MAX_DEPTH = 100,
	/* A value of three bytes ("{},") becomes a message of a hundred; this bounds the product.
	 */
	JSON_MAX_VALUES = 100000,
};

enum json_kind {
	JSON_KIND_NONE, /* the end of the text, or no JSON at all */
	JSON_KIND_NULL,
	JSON_KIND_BOOL,
	JSON_KIND_NUMBER,
	JSON_KIND_STRING,
	JSON_KIND_ARRAY,
	JSON_KIND_OBJECT,
};

struct json_reader {
	struct str text;
	size_t at;
	struct arena *arena;
	unsigned depth;
	size_t n_values;
	struct status status;
};

/* One array or object that is being read. */
struct json_level {
	char close;
	bool started;
	struct str *keys; /* of an object, to find one that stands twice */
	size_t n_keys, keys_capacity;
};

/* False, with an error, when @text is not UTF-8. */
bool json_reader_init(struct json_reader *r, struct str text, struct arena *arena);

/* The kind of the next value, which stays where it is. */
enum json_kind json_peek(struct json_reader *r);
/* "a string", "an array", ..., for error messages. */
const char *json_kind_name(enum json_kind kind);

/* Each reads a value of its kind, and is an error for another kind. */
bool json_read_null(struct json_reader *r);
bool json_read_bool(struct json_reader *r, bool *ret);
bool json_read_number(struct json_reader *r, struct str *ret);
bool json_read_string(struct json_reader *r, struct str *ret);
/* Reads a value of any kind, checks it as strictly, and drops it. */
bool json_skip(struct json_reader *r);

/* Reads "[" or "{". Then json_next_element or json_next_member is true for each element; false at
 * the end, or on an error (look at json_failed). */
bool json_enter(struct json_reader *r, struct json_level *level);
bool json_next_element(struct json_reader *r, struct json_level *level);
bool json_next_member(struct json_reader *r, struct json_level *level, struct str *ret_key);

/* True when nothing but blanks follows; an error otherwise. */
bool json_read_end(struct json_reader *r);

static inline bool json_failed(const struct json_reader *r)
{
	return r->status.code != STATUS_OK;
}
