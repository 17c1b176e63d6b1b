/* SPDX-License-Identifier: Apache-2.0 */
/* Allocation that cannot fail: it aborts when memory is exhausted.
 *
 * For small, bounded allocations only; whatever a peer can make us allocate is bounded first
 * (buf.h). Memory is released with free(). Threads: any. */
#pragma once

#include "common/base/cleanup.h"

#include <stddef.h>
#include <stdlib.h>

void *xmalloc(size_t size) __attribute__((malloc, returns_nonnull));
void *xcalloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
void *xrealloc(void *p, size_t size) __attribute__((returns_nonnull));
/* As reallocarray: the product is checked for overflow. */
void *xreallocarray(void *p, size_t count, size_t size) __attribute__((returns_nonnull));
char *xstrdup(const char *s) __attribute__((malloc, returns_nonnull));
/* @n bytes of @p and a NUL. */
char *xstrndup(const char *p, size_t n) __attribute__((malloc, returns_nonnull));
void *xmemdup(const void *p, size_t n) __attribute__((malloc, returns_nonnull));
char *xasprintf(const char *format, ...) __attribute__((format(printf, 1, 2), returns_nonnull));

#define xnew(type) ((type *)xcalloc(1, sizeof(type)))
