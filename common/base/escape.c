/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/escape.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* The character at the start of @s, and its bytes; 0 where it is malformed. */
static size_t next_character(struct str s, uint32_t *ret)
{
	size_t n = str_utf8_character(s);
	if (!n)
		return 0;
	unsigned char c = (unsigned char)s.p[0];
	uint32_t code = n == 1 ? c : c & (0xFFu >> (n + 1));
	for (size_t i = 1; i < n; i++)
		code = code << 6 | ((unsigned char)s.p[i] & 0x3F);
	*ret = code;
	return n;
}

static bool is_harmful(uint32_t code)
{
	return code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x2028 || code == 0x2029 ||
	       (code >= 0x202A && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
}

static void append_json_character(struct buf *out, struct str bytes, uint32_t code)
{
	if (code == '"' || code == '\\')
		buf_printf(out, "\\%c", (char)code);
	else if (code == '\n')
		buf_append(out, "\\n", 2);
	else if (is_harmful(code))
		buf_printf(out, "\\u%04x", code);
	else
		buf_append_str(out, bytes);
}

bool escape_json(struct buf *out, struct str s, size_t max_bytes)
{
	size_t i = 0;
	while (i < s.n) {
		uint32_t code;
		size_t n = next_character(str_sub(s, i, s.n), &code);
		if (i + (n ? n : 1) > max_bytes)
			return false;
		if (n)
			append_json_character(out, str_sub(s, i, n), code);
		else
			buf_printf(out, "\\u%04x", (unsigned char)s.p[i]);
		i += n ? n : 1;
	}
	return true;
}

struct shown shown(struct str s)
{
	static const char more[] = "...";
	struct shown ret;
	size_t used = 0;
	for (size_t i = 0; i < s.n;) {
		char one[12];
		uint32_t code = 0;
		size_t n = next_character(str_sub(s, i, s.n), &code);
		if (!n || (is_harmful(code) && code < 0x100))
			snprintf(one, sizeof one, "\\x%02x",
				n ? (unsigned)code : (unsigned char)s.p[i]);
		else if (is_harmful(code))
			snprintf(one, sizeof one, "\\u%04x", code);
		else
			snprintf(one, sizeof one, "%.*s", (int)n, s.p + i);
		size_t length = strlen(one);
		if (used + length + sizeof more > sizeof ret.text) {
			memcpy(ret.text + used, more, sizeof more);
			return ret;
		}
		memcpy(ret.text + used, one, length);
		used += length;
		i += n ? n : 1;
	}
	ret.text[used] = '\0';
	return ret;
}
