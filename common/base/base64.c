/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/base64.h"

#include <stdint.h>

static const char alphabets[2][65] = {
	[BASE64_STANDARD] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
	[BASE64_URL] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
};

bool base64_encode(struct buf *out, enum base64_alphabet alphabet, const void *p, size_t n)
{
	const unsigned char *in = p;
	const char *digits = alphabets[alphabet];
	char *at = buf_reserve(out, (n + 2) / 3 * 4);
	if (!at)
		return false;
	char *start = at;
	for (size_t i = 0; i < n; i += 3) {
		size_t left = n - i;
		uint32_t group = (uint32_t)in[i] << 16;
		if (left > 1)
			group |= (uint32_t)in[i + 1] << 8;
		if (left > 2)
			group |= in[i + 2];
		*at++ = digits[group >> 18];
		*at++ = digits[group >> 12 & 63];
		if (left > 1)
			*at++ = digits[group >> 6 & 63];
		else if (alphabet == BASE64_STANDARD)
			*at++ = '=';
		if (left > 2)
			*at++ = digits[group & 63];
		else if (alphabet == BASE64_STANDARD)
			*at++ = '=';
	}
	*at = '\0';
	out->n += (size_t)(at - start);
	return true;
}

static int digit_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+' || c == '-')
		return 62;
	if (c == '/' || c == '_')
		return 63;
	return -1;
}

bool base64_decode(struct buf *out, struct str text)
{
	size_t padding = 0;
	while (padding < 2 && text.n && text.p[text.n - 1] == '=') {
		text.n--;
		padding++;
	}
	if (text.n % 4 == 1 || (padding && (text.n + padding) % 4 != 0))
		return false;
	char *at = buf_reserve(out, text.n / 4 * 3 + (text.n % 4 ? text.n % 4 - 1 : 0));
	if (!at)
		return false;
	char *start = at;
	uint32_t bits = 0;
	unsigned count = 0;
	for (size_t i = 0; i < text.n; i++) {
		int value = digit_value(text.p[i]);
		if (value < 0)
			return false;
		bits = bits << 6 | (uint32_t)value;
		count += 6;
		if (count >= 8) {
			count -= 8;
			*at++ = (char)(bits >> count & 0xFF);
			bits &= (1u << count) - 1;
		}
	}
	if (bits)
		return false;
	*at = '\0';
	out->n += (size_t)(at - start);
	return true;
}

void hex_encode(const void *p, size_t n, char *ret)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *in = p;
	for (size_t i = 0; i < n; i++) {
		ret[2 * i] = digits[in[i] >> 4];
		ret[2 * i + 1] = digits[in[i] & 15];
	}
	ret[2 * n] = '\0';
}

int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool hex_decode(struct str text, void *ret, size_t n)
{
	unsigned char *out = ret;
	if (text.n != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++) {
		int high = hex_value(text.p[2 * i]), low = hex_value(text.p[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		out[i] = (unsigned char)(high << 4 | low);
	}
	return true;
}
