/* SPDX-License-Identifier: Apache-2.0 */
#include "common/codec/json_number.h"

#include "common/base/xalloc.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t digits(struct str s, size_t at)
{
	size_t n = 0;
	while (at + n < s.n && s.p[at + n] >= '0' && s.p[at + n] <= '9')
		n++;
	return n;
}

size_t json_number_prefix(struct str s)
{
	size_t at = s.n && s.p[0] == '-';
	size_t n = digits(s, at);
	if (!n)
		return 0;
	at += s.p[at] == '0' ? 1 : n; /* no leading zeros */
	if (at < s.n && s.p[at] == '.') {
		n = digits(s, at + 1);
		if (!n)
			return 0;
		at += 1 + n;
	}
	if (at < s.n && (s.p[at] == 'e' || s.p[at] == 'E')) {
		size_t sign = at + 1 < s.n && (s.p[at + 1] == '+' || s.p[at + 1] == '-');
		n = digits(s, at + 1 + sign);
		if (!n)
			return 0;
		at += 1 + sign + n;
	}
	return at;
}

bool json_number_is_valid(struct str s)
{
	return s.n && json_number_prefix(s) == s.n;
}

/* The exponent of "e-12", saturated far outside of what matters. */
static int64_t exponent_of(struct str s)
{
	int64_t value = 0;
	bool negative = s.n && s.p[0] == '-';
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] >= '0' && s.p[i] <= '9' && value < INT32_MAX)
			value = value * 10 + (s.p[i] - '0');
	return negative ? -value : value;
}

/* The digits without the point, as if it stood behind them: 12.30e1 is 1230 times 10^-1. */
bool json_number_to_integer(struct str s, bool *ret_negative, uint64_t *ret_magnitude)
{
	size_t e = str_index(s, 'e');
	if (e == s.n)
		e = str_index(s, 'E');
	const struct str mantissa = str_sub(s, 0, e);
	const size_t point = str_index(mantissa, '.');
	int64_t exponent = exponent_of(str_sub(s, e + 1, s.n));
	if (point < mantissa.n)
		exponent -= (int64_t)(mantissa.n - point - 1);

	/* trailing zeros belong to the exponent, so that 1.0 and 100e-2 are integers */
	size_t end = mantissa.n;
	while (end && (mantissa.p[end - 1] == '0' || mantissa.p[end - 1] == '.'))
		exponent += mantissa.p[--end] == '0';
	uint64_t value = 0;
	for (size_t i = 0; i < end; i++) {
		if (mantissa.p[i] < '0' || mantissa.p[i] > '9')
			continue;
		if (__builtin_mul_overflow(value, 10u, &value) ||
			__builtin_add_overflow(value, (uint64_t)(mantissa.p[i] - '0'), &value))
			return false;
	}
	if (value && exponent < 0)
		return false;
	for (; value && exponent > 0; exponent--)
		if (__builtin_mul_overflow(value, 10u, &value))
			return false;
	*ret_negative = value && s.n && s.p[0] == '-';
	*ret_magnitude = value;
	return true;
}

/* strtod wants a NUL behind the text, which a number inside a document has not. */
static const char *terminated(struct str s, char *stack, size_t size, char **ret_heap)
{
	*ret_heap = NULL;
	if (s.n >= size)
		return *ret_heap = xstrndup(s.p, s.n);
	memcpy(stack, s.p, s.n);
	stack[s.n] = '\0';
	return stack;
}

/* glibc's own constant object: nothing is allocated. */
static locale_t c_locale(void)
{
	return newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

bool json_number_to_double(struct str s, double *ret)
{
	char stack[128];
	_cleanup_free_ char *heap = NULL;
	double value = strtod_l(terminated(s, stack, sizeof stack, &heap), NULL, c_locale());
	if (!isfinite(value))
		return false;
	*ret = value;
	return true;
}

bool json_number_to_float(struct str s, float *ret)
{
	char stack[128];
	_cleanup_free_ char *heap = NULL;
	float value = strtof_l(terminated(s, stack, sizeof stack, &heap), NULL, c_locale());
	if (!isfinite(value))
		return false;
	*ret = value;
	return true;
}

/* 15 digits name most doubles, 17 name each; 6 and 9 for floats. */
static size_t format_real(
	double value, int least, int most, bool is_float, char ret[JSON_NUMBER_BYTES])
{
	const locale_t c = c_locale(), before = uselocale(c);
	int n = 0;
	for (int precision = least; precision <= most; precision++) {
		n = snprintf(ret, JSON_NUMBER_BYTES, "%.*g", precision, value);
		if (is_float ? strtof_l(ret, NULL, c) == (float)value
			     : strtod_l(ret, NULL, c) == value)
			break;
	}
	uselocale(before);
	return (size_t)n;
}

size_t json_format_double(double value, char ret[JSON_NUMBER_BYTES])
{
	return format_real(value, 15, 17, false, ret);
}

size_t json_format_float(float value, char ret[JSON_NUMBER_BYTES])
{
	return format_real((double)value, 6, 9, true, ret);
}

static size_t format_integer(bool negative, uint64_t magnitude, char ret[JSON_NUMBER_BYTES])
{
	char text[24], *const end = text + sizeof text, *at = end;
	do
		*--at = (char)('0' + magnitude % 10);
	while (magnitude /= 10);
	if (negative)
		*--at = '-';
	const size_t n = (size_t)(end - at);
	memcpy(ret, at, n);
	ret[n] = '\0';
	return n;
}

size_t json_format_u64(uint64_t value, char ret[JSON_NUMBER_BYTES])
{
	return format_integer(false, value, ret);
}

size_t json_format_i64(int64_t value, char ret[JSON_NUMBER_BYTES])
{
	return format_integer(value < 0, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, ret);
}
