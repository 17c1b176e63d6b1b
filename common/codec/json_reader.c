/* SPDX-License-Identifier: Apache-2.0 */
#include "common/codec/json_reader.h"

#include "common/base/base64.h"
#include "common/base/escape.h"
#include "common/codec/json_number.h"

#include <stdlib.h>
#include <string.h>

enum {
	FEW_KEYS = 16 /* so many are compared each with each */
};

/* Records the first error, with where it is; always false. */
static bool fail_at(struct json_reader *r, size_t at, const char *what)
{
	if (json_failed(r))
		return false;
	size_t line = 1, start = 0;
	for (size_t i = 0; i < at && i < r->text.n; i++) {
		if (r->text.p[i] == '\n') {
			line++;
			start = i + 1;
		}
	}
	r->status = status_error(STATUS_INVALID_ARGUMENT,
		"not valid JSON: %s at line %zu, column %zu", what, line, at - start + 1);
	return false;
}

static bool fail(struct json_reader *r, const char *what)
{
	return fail_at(r, r->at, what);
}

bool json_reader_init(struct json_reader *r, struct str text, struct arena *arena)
{
	*r = (struct json_reader){.text = text, .arena = arena, .status = status_ok()};
	size_t valid = str_utf8_prefix(text);
	return valid == text.n || fail_at(r, valid, "bytes that are not UTF-8");
}

/* The next byte, or -1 at the end. */
static int peek_byte(const struct json_reader *r)
{
	return r->at < r->text.n ? (unsigned char)r->text.p[r->at] : -1;
}

static int peek_token(struct json_reader *r)
{
	int c;
	while ((c = peek_byte(r)) == ' ' || c == '\t' || c == '\n' || c == '\r')
		r->at++;
	return c;
}

enum json_kind json_peek(struct json_reader *r)
{
	int c = peek_token(r);
	if (json_failed(r))
		return JSON_KIND_NONE;
	switch (c) {
	case 'n':
		return JSON_KIND_NULL;
	case 't':
	case 'f':
		return JSON_KIND_BOOL;
	case '"':
		return JSON_KIND_STRING;
	case '[':
		return JSON_KIND_ARRAY;
	case '{':
		return JSON_KIND_OBJECT;
	default:
		return c == '-' || (c >= '0' && c <= '9') ? JSON_KIND_NUMBER : JSON_KIND_NONE;
	}
}

const char *json_kind_name(enum json_kind kind)
{
	static const char *const names[] = {
		[JSON_KIND_NONE] = "nothing",
		[JSON_KIND_NULL] = "null",
		[JSON_KIND_BOOL] = "a boolean",
		[JSON_KIND_NUMBER] = "a number",
		[JSON_KIND_STRING] = "a string",
		[JSON_KIND_ARRAY] = "an array",
		[JSON_KIND_OBJECT] = "an object",
	};
	return names[kind];
}

/* Before each value: it is of the wanted kind, and one more is not too many. */
static bool expect(struct json_reader *r, enum json_kind kind)
{
	enum json_kind got = json_peek(r);
	if (got == JSON_KIND_NONE)
		return fail(r, peek_byte(r) < 0 ? "unexpected end" : "expected a value");
	if (got != kind)
		return fail(r, "a value of another kind");
	if (++r->n_values > JSON_MAX_VALUES)
		return fail(r, "more than 100000 values, too many");
	return true;
}

static bool read_literal(struct json_reader *r, struct str word)
{
	if (!str_eq(str_sub(r->text, r->at, word.n), word))
		return fail(r, "expected a value");
	r->at += word.n;
	return true;
}

bool json_read_null(struct json_reader *r)
{
	return expect(r, JSON_KIND_NULL) && read_literal(r, STR("null"));
}

bool json_read_bool(struct json_reader *r, bool *ret)
{
	if (!expect(r, JSON_KIND_BOOL))
		return false;
	bool value = peek_byte(r) == 't';
	if (!read_literal(r, value ? STR("true") : STR("false")))
		return false;
	*ret = value;
	return true;
}

bool json_read_number(struct json_reader *r, struct str *ret)
{
	if (!expect(r, JSON_KIND_NUMBER))
		return false;
	size_t n = json_number_prefix(str_sub(r->text, r->at, r->text.n));
	if (!n)
		return fail(r, "a malformed number");
	*ret = str_sub(r->text, r->at, n);
	r->at += n;
	return true;
}

/* ---- strings ---- */

/* The XXXX of \uXXXX; -1 when it is no number. */
static int read_hex4(struct json_reader *r)
{
	int value = 0;
	for (int i = 0; i < 4; i++) {
		int digit = hex_value((char)peek_byte(r));
		if (digit < 0)
			return -1;
		value = value << 4 | digit;
		r->at++;
	}
	return value;
}

/* After "\u": a code point, of two escapes if it is beyond the basic plane. */
static bool read_code_point(struct json_reader *r, size_t start, uint32_t *ret)
{
	int unit = read_hex4(r);
	if (unit < 0)
		return fail_at(r, start, "a malformed \\u escape");
	if (unit == 0)
		return fail_at(r, start, "\\u0000, which is not allowed,");
	*ret = (uint32_t)unit;
	if (unit < 0xD800 || unit > 0xDFFF)
		return true;
	if (unit > 0xDBFF || !str_eq(str_sub(r->text, r->at, 2), STR("\\u")))
		return fail_at(r, start, "a lone surrogate");
	r->at += 2;
	int low = read_hex4(r);
	if (low < 0xDC00 || low > 0xDFFF)
		return fail_at(r, start, "a lone surrogate");
	*ret = 0x10000 + ((*ret - 0xD800) << 10) + ((uint32_t)low - 0xDC00);
	return true;
}

static char *put_utf8(char *to, uint32_t c)
{
	if (c < 0x80) {
		*to++ = (char)c;
		return to;
	}
	if (c < 0x800) {
		*to++ = (char)(0xC0 | c >> 6);
	} else {
		if (c < 0x10000) {
			*to++ = (char)(0xE0 | c >> 12);
		} else {
			*to++ = (char)(0xF0 | c >> 18);
			*to++ = (char)(0x80 | (c >> 12 & 0x3F));
		}
		*to++ = (char)(0x80 | (c >> 6 & 0x3F));
	}
	*to++ = (char)(0x80 | (c & 0x3F));
	return to;
}

/* After a backslash. */
static bool read_escape(struct json_reader *r, char **to)
{
	static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
	const size_t start = r->at - 1;
	int c = peek_byte(r);
	r->at += c >= 0;
	if (c == 'u') {
		uint32_t code_point;
		if (!read_code_point(r, start, &code_point))
			return false;
		*to = put_utf8(*to, code_point);
		return true;
	}
	const char *letter = c > 0 ? strchr(letters, c) : NULL;
	if (!letter)
		return fail_at(r, start, "an unknown escape");
	*(*to)++ = meanings[letter - letters];
	return true;
}

/* Moves to the next quote, backslash or end; an error for a control character. */
static bool skip_plain(struct json_reader *r)
{
	const struct str text = r->text;
	size_t i = r->at;
	while (i < text.n && text.p[i] != '"' && text.p[i] != '\\' &&
		(unsigned char)text.p[i] >= 0x20)
		i++;
	r->at = i;
	if (i == text.n)
		return fail(r, "unexpected end of a string");
	return text.p[i] == '"' || text.p[i] == '\\' || fail(r, "an unescaped control character");
}

/* A string of which the part before @start of the escapes is plain. No escape is shorter than what
 * it stands for, so the rest of the text bounds the result; its end is looked for first. */
static bool read_escaped(struct json_reader *r, struct str plain, struct str *ret)
{
	size_t end = r->at;
	while (end < r->text.n && r->text.p[end] != '"')
		end += r->text.p[end] == '\\' ? 2 : 1;
	char *const text = arena_alloc(r->arena, plain.n + (end - r->at) + 1), *to = text;
	memcpy(to, plain.p, plain.n);
	to += plain.n;
	for (;;) {
		const size_t start = r->at;
		if (!skip_plain(r))
			return false;
		memcpy(to, r->text.p + start, r->at - start);
		to += r->at - start;
		if (r->text.p[r->at++] == '"')
			break;
		if (!read_escape(r, &to))
			return false;
	}
	*ret = (struct str){text, (size_t)(to - text)};
	return true;
}

static bool read_quoted(struct json_reader *r, struct str *ret)
{
	const size_t start = ++r->at;
	if (!skip_plain(r))
		return false;
	*ret = str_sub(r->text, start, r->at - start);
	if (r->text.p[r->at] == '\\')
		return read_escaped(r, *ret, ret);
	r->at++;
	return true;
}

bool json_read_string(struct json_reader *r, struct str *ret)
{
	return expect(r, JSON_KIND_STRING) && read_quoted(r, ret);
}

/* ---- arrays and objects ---- */

bool json_enter(struct json_reader *r, struct json_level *level)
{
	enum json_kind kind = json_peek(r);
	if (!expect(r, kind == JSON_KIND_ARRAY ? JSON_KIND_ARRAY : JSON_KIND_OBJECT))
		return false;
	if (r->depth == JSON_MAX_DEPTH)
		return fail(r, "nesting deeper than 100");
	r->depth++;
	r->at++;
	*level = (struct json_level){.close = kind == JSON_KIND_ARRAY ? ']' : '}'};
	return true;
}

static int compare_keys(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static bool fail_duplicate(struct json_reader *r, struct str key)
{
	r->status = status_error(STATUS_INVALID_ARGUMENT,
		"not valid JSON: the key '%s' stands twice in one object", shown(key).text);
	return false;
}

/* At the end of an object. Sorting instead of hashing: nothing that a sender chooses makes it slow.
 */
static bool check_keys(struct json_reader *r, struct json_level *level)
{
	struct str *keys = level->keys;
	if (level->n_keys <= FEW_KEYS) {
		for (size_t i = 1; i < level->n_keys; i++)
			for (size_t k = 0; k < i; k++)
				if (str_eq(keys[i], keys[k]))
					return fail_duplicate(r, keys[i]);
		return true;
	}
	qsort(keys, level->n_keys, sizeof *keys, compare_keys);
	for (size_t i = 1; i < level->n_keys; i++)
		if (str_eq(keys[i], keys[i - 1]))
			return fail_duplicate(r, keys[i]);
	return true;
}

static void add_key(struct json_reader *r, struct json_level *level, struct str key)
{
	if (level->n_keys == level->keys_capacity) {
		size_t capacity = level->keys_capacity ? level->keys_capacity * 2 : FEW_KEYS;
		struct str *keys = arena_alloc(r->arena, capacity * sizeof *keys);
		if (level->n_keys)
			memcpy(keys, level->keys, level->n_keys * sizeof *keys);
		level->keys = keys;
		level->keys_capacity = capacity;
	}
	level->keys[level->n_keys++] = key;
}

/* Past the comma to the next element, or past the closing bracket: then false. */
static bool next(struct json_reader *r, struct json_level *level)
{
	if (json_failed(r))
		return false;
	const int c = peek_token(r);
	if (c == level->close) {
		r->at++;
		r->depth--;
		return false;
	}
	if (!level->started) {
		level->started = true;
		return true;
	}
	if (c != ',')
		return fail(r, c < 0                 ? "unexpected end"
			       : level->close == ']' ? "expected ',' or ']'"
						     : "expected ',' or '}'");
	r->at++;
	return true;
}

bool json_next_element(struct json_reader *r, struct json_level *level)
{
	return next(r, level);
}

bool json_next_member(struct json_reader *r, struct json_level *level, struct str *ret_key)
{
	if (!next(r, level)) {
		if (!json_failed(r))
			check_keys(r, level);
		return false;
	}
	if (peek_token(r) != '"')
		return fail(r, peek_byte(r) < 0 ? "unexpected end" : "expected a key in quotes");
	if (!read_quoted(r, ret_key))
		return false;
	if (peek_token(r) != ':')
		return fail(r, peek_byte(r) < 0 ? "unexpected end" : "expected ':'");
	r->at++;
	add_key(r, level, *ret_key);
	return true;
}

bool json_skip(struct json_reader *r)
{
	struct json_level level;
	struct str text;
	bool truth;
	switch (json_peek(r)) {
	case JSON_KIND_NULL:
		return json_read_null(r);
	case JSON_KIND_BOOL:
		return json_read_bool(r, &truth);
	case JSON_KIND_NUMBER:
		return json_read_number(r, &text);
	case JSON_KIND_STRING:
		return json_read_string(r, &text);
	case JSON_KIND_ARRAY:
		if (json_enter(r, &level))
			while (json_next_element(r, &level))
				if (!json_skip(r))
					return false;
		return !json_failed(r);
	case JSON_KIND_OBJECT:
		if (json_enter(r, &level))
			while (json_next_member(r, &level, &text))
				if (!json_skip(r))
					return false;
		return !json_failed(r);
	case JSON_KIND_NONE:
		break;
	}
	return expect(r, JSON_KIND_NULL); /* says what is wrong */
}

bool json_read_end(struct json_reader *r)
{
	return !json_failed(r) && (peek_token(r) < 0 || fail(r, "something after the value"));
}
