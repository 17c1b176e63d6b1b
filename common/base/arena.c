/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/arena.h"

#include "common/base/xalloc.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum {
	CHUNK_BYTES = 4000
};

struct chunk {
	struct chunk *next; /* older */
	size_t size, used;
	_Alignas(max_align_t) char data[];
};

struct arena {
	struct chunk *current;
};

static struct chunk *chunk_new(size_t size, struct chunk *next)
{
	struct chunk *c = xmalloc(sizeof *c + size);
	c->next = next;
	c->size = size;
	c->used = 0;
	return c;
}

struct arena *arena_new(void)
{
	struct arena *a = xnew(struct arena);
	a->current = chunk_new(CHUNK_BYTES, NULL);
	return a;
}

/* Calls carry secrets in their messages and metadata. */
static void wipe(struct chunk *c)
{
	explicit_bzero(c->data, c->used);
	c->used = 0;
}

void arena_reset(struct arena *a)
{
	while (a->current->next) {
		struct chunk *older = a->current->next;
		wipe(a->current);
		free(a->current);
		a->current = older;
	}
	wipe(a->current);
}

void arena_free(struct arena *a)
{
	if (!a)
		return;
	arena_reset(a);
	free(a->current);
	free(a);
}

void *arena_alloc(struct arena *a, size_t size)
{
	const size_t align = _Alignof(max_align_t);
	size_t rounded = (size + align - 1) & ~(align - 1);
	if (rounded < size) /* it wrapped around: no machine has that much */
		rounded = SIZE_MAX / 2;
	struct chunk *c = a->current;
	if (c->size - c->used < rounded) {
		c = chunk_new(rounded > CHUNK_BYTES ? rounded : CHUNK_BYTES, a->current);
		a->current = c;
	}
	void *p = c->data + c->used;
	c->used += rounded;
	return p;
}

void *arena_calloc(struct arena *a, size_t count, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(count, size, &bytes))
		bytes = SIZE_MAX; /* which malloc refuses */
	void *p = arena_alloc(a, bytes);
	memset(p, 0, bytes);
	return p;
}

char *arena_strndup(struct arena *a, const char *p, size_t n)
{
	char *copy = arena_alloc(a, n + 1);
	if (n)
		memcpy(copy, p, n);
	copy[n] = '\0';
	return copy;
}

char *arena_strdup(struct arena *a, const char *s)
{
	return arena_strndup(a, s, strlen(s));
}

struct str arena_str(struct arena *a, struct str s)
{
	return (struct str){arena_strndup(a, s.p, s.n), s.n};
}

char *arena_printf(struct arena *a, const char *format, ...)
{
	va_list args, again;
	va_start(args, format);
	va_copy(again, args);
	int n = vsnprintf(NULL, 0, format, again);
	va_end(again);
	size_t size = n < 0 ? 1 : (size_t)n + 1;
	char *text = arena_alloc(a, size);
	text[0] = '\0';
	vsnprintf(text, size, format, args);
	va_end(args);
	return text;
}
