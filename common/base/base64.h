/* SPDX-License-Identifier: Apache-2.0 */
/* base64 (RFC 4648, section 4) and base64url (section 5), and hexadecimal. Pure. */
#pragma once

#include "common/base/buf.h"
#include "common/base/str.h"

#include <stdbool.h>
#include <stddef.h>

enum base64_alphabet {
	BASE64_STANDARD,
	BASE64_URL
};

/* Appends the text of @n bytes; the standard alphabet is padded, the URL alphabet is not. */
bool base64_encode(struct buf *out, enum base64_alphabet alphabet, const void *p, size_t n);
/* Appends the bytes of @text, in either alphabet, padded or not; false when it is malformed (a
 * character outside, a length that cannot be, bits behind the end that are not zero). */
bool base64_decode(struct buf *out, struct str text);

/* Of a digit, of either case: 0 to 15; -1 of any other character. */
int hex_value(char c);
/* Lower case; @ret has room for 2 * @n + 1 bytes. */
void hex_encode(const void *p, size_t n, char *ret);
/* Exactly 2 * @n digits of either case; false otherwise. */
bool hex_decode(struct str text, void *ret, size_t n);
