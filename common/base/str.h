/* SPDX-License-Identifier: Apache-2.0 */
/* Borrowed text: a pointer and a length, not NUL-terminated, owned by somebody else.
 *
 * Text comes in as struct str; C strings exist at the edge to libc and drivers only. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
	const char *p;
	size_t n;
};

/* For printf: printf("%.*s", STR_ARG(s)). */
#define STR_ARG(s) (int)(s).n, (s).n ? (s).p : ""

/* A string literal as a struct str. */
#define STR(literal) ((struct str){"" literal "", sizeof(literal) - 1})

/* View of a C string; NULL is the empty string. */
static inline struct str str_of(const char *s)
{
	return (struct str){s, s ? strlen(s) : 0};
}

static inline bool str_eq(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool str_empty(struct str s)
{
	return s.n == 0;
}

/* ASCII letters compare equal in either case; no locale. */
bool str_eq_nocase(struct str a, struct str b);
/* As memcmp over the common length, then the shorter first. */
int str_cmp(struct str a, struct str b);
bool str_starts_with(struct str s, struct str prefix);
bool str_ends_with(struct str s, struct str suffix);
/* Without leading and trailing space, tab, CR and LF. */
struct str str_trim(struct str s);
/* The part from @start, at most @n bytes; out of range is the empty string. */
struct str str_sub(struct str s, size_t start, size_t n);
/* Index of the first @c, or s.n. */
size_t str_index(struct str s, char c);
/* Cuts the part up to the next @sep off the front of *@rest into *@part; false when nothing is
 * left, which a rest with p == NULL says. "a,,b" has three parts, "a," two, "" one, all of them
 * empty where nothing stands between separators. */
bool str_split(struct str *rest, char sep, struct str *part);
/* Decimal digits only (a leading '-' in the signed form); false when it is no number or out of
 * range. */
bool str_to_u64(struct str s, uint64_t *ret);
bool str_to_i64(struct str s, int64_t *ret);
/* A NUL-terminated copy, released with free(). */
char *str_dup(struct str s);
/* Bytes of the character that @s begins with, in well-formed UTF-8 (RFC 3629: no surrogates, no
 * overlong forms); 0 if there is none. */
size_t str_utf8_character(struct str s);
/* Bytes of the longest start of @s that is well-formed UTF-8. */
size_t str_utf8_prefix(struct str s);
static inline bool str_is_utf8(struct str s)
{
	return str_utf8_prefix(s) == s.n;
}
