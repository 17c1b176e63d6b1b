/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that dies together: one arena per call.
 *
 * Allocation is a pointer bump; nothing is released before arena_reset or arena_free. Memory is
 * aligned for any type and not zeroed (arena_calloc zeroes). What is released is wiped, for there
 * may be secrets in it. Threads: one at a time. */
#pragma once

#include "common/base/cleanup.h"
#include "common/base/str.h"

#include <stddef.h>

struct arena;

struct arena *arena_new(void);
void arena_free(struct arena *a);
DEFINE_CLEANUP(struct arena *, arena_free);

/* Releases everything but the first chunk, for the next call. */
void arena_reset(struct arena *a);

void *arena_alloc(struct arena *a, size_t size) __attribute__((returns_nonnull));
void *arena_calloc(struct arena *a, size_t count, size_t size) __attribute__((returns_nonnull));
/* @n bytes of @p and a NUL. */
char *arena_strndup(struct arena *a, const char *p, size_t n) __attribute__((returns_nonnull));
char *arena_strdup(struct arena *a, const char *s) __attribute__((returns_nonnull));
/* A copy of @s in the arena (NUL-terminated as well). */
struct str arena_str(struct arena *a, struct str s);
char *arena_printf(struct arena *a, const char *format, ...)
	__attribute__((format(printf, 2, 3), returns_nonnull));
