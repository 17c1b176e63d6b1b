/* SPDX-License-Identifier: Apache-2.0 */
/* Text from outside, made safe to stand inside a line that people and programs read.
 *
 * Escaped are: control characters of both ranges (a terminal obeys U+009B as it does ESC [), line
 * and paragraph separators, direction overrides, and bytes that are not UTF-8. Pure. */
#pragma once

#include "common/base/buf.h"
#include "common/base/str.h"

#include <stdbool.h>

/* Appends @s as the inside of a JSON string; a byte that is not UTF-8 becomes \u00XX. At most
 * @max_bytes of @s are taken, cut at a character. True when all of it was. */
bool escape_json(struct buf *out, struct str s, size_t max_bytes);

/* For messages: printf("got '%s'", shown(value).text). Quotes and backslashes stay as they are,
 * control characters become \xXX or \uXXXX, and what is long ends with "...". */
struct shown {
	char text[256];
};
struct shown shown(struct str s);
