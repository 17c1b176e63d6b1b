/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as JSON has them (RFC 8259, section 6): text to number, exactly, and back, shortest.
 * Pure; no locale. */
#pragma once

#include "common/base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	JSON_NUMBER_BYTES = 32 /* the longest that the functions below write, with a NUL */
};

/* Bytes of the number at the start of @s, 0 if there is none. */
size_t json_number_prefix(struct str s);
/* True if all of @s is one number. */
bool json_number_is_valid(struct str s);

/* The value of the number @s if it is an integer, also when it is written "1.0" or "1e5"; false if
 * it is none, or if it is beyond +-(2^64 - 1). */
bool json_number_to_integer(struct str s, bool *ret_negative, uint64_t *ret_magnitude);
/* False when the number @s is too large; too small is 0. */
bool json_number_to_double(struct str s, double *ret);
bool json_number_to_float(struct str s, float *ret);

/* Write a number and a NUL, return the bytes without it. The shortest text that reads as the same
 * value; @value is finite. */
size_t json_format_double(double value, char ret[JSON_NUMBER_BYTES]);
size_t json_format_float(float value, char ret[JSON_NUMBER_BYTES]);
size_t json_format_u64(uint64_t value, char ret[JSON_NUMBER_BYTES]);
size_t json_format_i64(int64_t value, char ret[JSON_NUMBER_BYTES]);
