/* SPDX-License-Identifier: Apache-2.0 */
/* A secret text: wiped when it is released, compared in constant time, never logged.
 *
 * There is no LOG_ macro for it on purpose. Threads: one at a time. */
#pragma once

#include "common/base/str.h"

#include <stdbool.h>
#include <stddef.h>

struct secret {
	char *p; /* NUL-terminated, or NULL */
	size_t n;
};

/* A copy of @s; secret_done wipes and releases it. */
struct secret secret_of(struct str s);
void secret_done(struct secret *s);
#define _cleanup_secret_ __attribute__((cleanup(secret_done)))

static inline struct str secret_str(const struct secret *s)
{
	return (struct str){s->p, s->n};
}

/* In time that depends on the lengths only. */
bool secret_eq(struct str a, struct str b);
/* Overwrites memory in a way that the compiler keeps. */
void secret_wipe(void *p, size_t n);
/* Wipes and releases a C string; NULL is allowed. */
void secret_free(char *text);
