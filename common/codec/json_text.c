/* SPDX-License-Identifier: Apache-2.0 */
#include "common/codec/json_text.h"

#include <stdint.h>

/* What stands for a byte: itself, a short escape, or PLAIN/LONG/WIDE below. */
enum {
	PLAIN = 0,
	LONG = 1, /* \u00XX */
	WIDE = 2, /* part of a UTF-8 sequence */
};

static unsigned char class_of(unsigned char c)
{
	switch (c) {
	case '"':
	case '\\':
		return c;
	case '\b':
		return 'b';
	case '\f':
		return 'f';
	case '\n':
		return 'n';
	case '\r':
		return 'r';
	case '\t':
		return 't';
	case 0x7F:
		return LONG;
	default:
		return c < 0x20 ? LONG : c < 0x80 ? PLAIN : WIDE;
	}
}

static bool append_escape(struct buf *out, unsigned char c, unsigned char class)
{
	static const char digits[] = "0123456789abcdef";
	if (class != LONG)
		return buf_append(out, (char[]){'\\', (char)class}, 2);
	return buf_append(out, (char[]){'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]}, 6);
}

bool json_append_string(struct buf *out, struct str s)
{
	bool ok = buf_append_char(out, '"');
	size_t run = 0, i = 0; /* s[run..i) goes out as it is */
	while (i < s.n) {
		unsigned char c = (unsigned char)s.p[i], class = class_of(c);
		size_t n = class == PLAIN  ? 1
			   : class == WIDE ? str_utf8_character(str_sub(s, i, s.n))
					   : 0;
		if (n) {
			i += n;
			continue;
		}
		ok &= buf_append(out, s.p + run, i - run);
		ok &= class == WIDE ? buf_append_str(out, STR("\xEF\xBF\xBD"))
				    : append_escape(out, c, class);
		run = ++i;
	}
	ok &= buf_append(out, s.p + run, i - run);
	return ok & buf_append_char(out, '"');
}
