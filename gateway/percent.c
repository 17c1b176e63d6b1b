/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/percent.h"

#include "common/base/base64.h" /* hex_decode */

bool percent_decode(struct str s, enum percent_mode mode, struct arena *arena, struct str *ret)
{
	if (str_index(s, '%') == s.n && (mode != PERCENT_QUERY || str_index(s, '+') == s.n)) {
		*ret = s;
		return true;
	}
	char *const text = arena_alloc(arena, s.n + 1), *to = text;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (c == '+' && mode == PERCENT_QUERY) {
			c = ' ';
		} else if (c == '%') {
			if (s.n - i < 3 || !hex_decode(str_sub(s, i + 1, 2), &c, 1))
				return false;
			if (c == '/' && mode == PERCENT_KEEP_SLASH) {
				*to++ = s.p[i++];
				*to++ = s.p[i++];
				c = s.p[i];
			} else {
				i += 2;
			}
		}
		*to++ = c;
	}
	*to = '\0';
	*ret = (struct str){text, (size_t)(to - text)};
	return true;
}
