/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/str.h"

#include "common/base/xalloc.h"

static unsigned char lower(char c)
{
	unsigned char u = (unsigned char)c;
	return u >= 'A' && u <= 'Z' ? (unsigned char)(u | 0x20) : u;
}

bool str_eq_nocase(struct str a, struct str b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (lower(a.p[i]) != lower(b.p[i]))
			return false;
	return true;
}

int str_cmp(struct str a, struct str b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int order = n ? memcmp(a.p, b.p, n) : 0;
	if (order)
		return order;
	return a.n < b.n ? -1 : a.n > b.n;
}

bool str_starts_with(struct str s, struct str prefix)
{
	return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

bool str_ends_with(struct str s, struct str suffix)
{
	return s.n >= suffix.n &&
	       (suffix.n == 0 || memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str str_trim(struct str s)
{
	while (s.n && is_space(s.p[0])) {
		s.p++;
		s.n--;
	}
	while (s.n && is_space(s.p[s.n - 1]))
		s.n--;
	return s;
}

struct str str_sub(struct str s, size_t start, size_t n)
{
	if (start >= s.n)
		return (struct str){s.p ? s.p + s.n : NULL, 0};
	if (n > s.n - start)
		n = s.n - start;
	return (struct str){s.p + start, n};
}

size_t str_index(struct str s, char c)
{
	const char *at = s.n ? memchr(s.p, c, s.n) : NULL;
	return at ? (size_t)(at - s.p) : s.n;
}

bool str_split(struct str *rest, char sep, struct str *part)
{
	if (!rest->p)
		return false;
	size_t at = str_index(*rest, sep);
	*part = (struct str){rest->p, at};
	if (at == rest->n)
		*rest = (struct str){NULL, 0};
	else
		*rest = (struct str){rest->p + at + 1, rest->n - at - 1};
	return true;
}

bool str_to_u64(struct str s, uint64_t *ret)
{
	uint64_t value = 0;
	if (!s.n)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		if (__builtin_mul_overflow(value, 10u, &value) ||
			__builtin_add_overflow(value, (uint64_t)(s.p[i] - '0'), &value))
			return false;
	}
	*ret = value;
	return true;
}

bool str_to_i64(struct str s, int64_t *ret)
{
	bool negative = s.n && s.p[0] == '-';
	uint64_t value;
	if (!str_to_u64(negative ? str_sub(s, 1, s.n) : s, &value))
		return false;
	if (value > (uint64_t)INT64_MAX + (negative ? 1 : 0))
		return false;
	*ret = negative ? (int64_t)(0 - value) : (int64_t)value;
	return true;
}

char *str_dup(struct str s)
{
	return xstrndup(s.p, s.n);
}

/* Table 3-7 of the Unicode standard: the bounds of the second byte depend on the first. */
size_t str_utf8_character(struct str s)
{
	if (!s.n)
		return 0;
	const unsigned char *p = (const unsigned char *)s.p;
	const unsigned char c = p[0];
	size_t more;
	unsigned char low = 0x80, high = 0xBF;
	if (c < 0x80)
		return 1;
	if (c >= 0xC2 && c <= 0xDF) {
		more = 1;
	} else if (c >= 0xE0 && c <= 0xEF) {
		more = 2;
		if (c == 0xE0)
			low = 0xA0;
		if (c == 0xED)
			high = 0x9F;
	} else if (c >= 0xF0 && c <= 0xF4) {
		more = 3;
		if (c == 0xF0)
			low = 0x90;
		if (c == 0xF4)
			high = 0x8F;
	} else {
		return 0;
	}
	if (s.n <= more || p[1] < low || p[1] > high)
		return 0;
	for (size_t k = 2; k <= more; k++)
		if (p[k] < 0x80 || p[k] > 0xBF)
			return 0;
	return more + 1;
}

size_t str_utf8_prefix(struct str s)
{
	size_t i = 0;
	while (i < s.n) {
		uint64_t eight; /* most text is ASCII: eight bytes at a time */
		if (s.n - i >= sizeof eight) {
			memcpy(&eight, s.p + i, sizeof eight);
			if (!(eight & UINT64_C(0x8080808080808080))) {
				i += sizeof eight;
				continue;
			}
		}
		size_t n = str_utf8_character((struct str){s.p + i, s.n - i});
		if (!n)
			break;
		i += n;
	}
	return i;
}
