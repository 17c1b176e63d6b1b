/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/buf.h"

#include "common/base/xalloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	BUF_FIRST_BYTES = 256
};

void buf_init(struct buf *b, size_t max_bytes)
{
	*b = (struct buf){.max_ = max_bytes};
}

static void release(struct buf *b)
{
	if (b->n)
		explicit_bzero(b->p, b->n);
	free(b->p);
}

void buf_done(struct buf *b)
{
	release(b);
	buf_init(b, b->max_);
}

/* Not by realloc, which leaves a copy where the content was. */
static void grow(struct buf *b, size_t need)
{
	size_t capacity = b->capacity_ ? b->capacity_ * 2 : BUF_FIRST_BYTES;
	if (capacity < need)
		capacity = need;
	char *p = xmalloc(capacity);
	if (b->n)
		memcpy(p, b->p, b->n);
	p[b->n] = '\0';
	release(b);
	b->p = p;
	b->capacity_ = capacity;
}

char *buf_reserve(struct buf *b, size_t n)
{
	if (n > b->max_ - b->n) {
		b->overflown_ = true;
		return NULL;
	}
	size_t need = b->n + n + 1; /* and the NUL */
	if (need > b->capacity_)
		grow(b, need);
	return b->p + b->n;
}

bool buf_append(struct buf *b, const void *p, size_t n)
{
	char *at = buf_reserve(b, n);
	if (!at)
		return false;
	if (n)
		memcpy(at, p, n);
	b->n += n;
	b->p[b->n] = '\0';
	return true;
}

bool buf_append_str(struct buf *b, struct str s)
{
	return buf_append(b, s.p, s.n);
}

bool buf_append_char(struct buf *b, char c)
{
	return buf_append(b, &c, 1);
}

bool buf_vprintf(struct buf *b, const char *format, va_list args)
{
	va_list again;
	va_copy(again, args);
	int n = vsnprintf(NULL, 0, format, again);
	va_end(again);
	char *at = n < 0 ? NULL : buf_reserve(b, (size_t)n);
	if (!at) {
		b->overflown_ = true;
		return false;
	}
	vsnprintf(at, (size_t)n + 1, format, args);
	b->n += (size_t)n;
	return true;
}

bool buf_printf(struct buf *b, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	bool ok = buf_vprintf(b, format, args);
	va_end(args);
	return ok;
}

void buf_truncate(struct buf *b, size_t n)
{
	if (n < b->n)
		b->n = n;
	b->overflown_ = false;
	if (b->p)
		b->p[b->n] = '\0';
}

void buf_reset(struct buf *b)
{
	buf_truncate(b, 0);
}

void buf_recycle(struct buf *b, size_t kept_bytes)
{
	if (b->capacity_ > kept_bytes)
		buf_done(b);
	else
		buf_reset(b);
}

void buf_wipe(struct buf *b)
{
	if (b->n)
		explicit_bzero(b->p, b->n);
	buf_reset(b);
}

size_t buf_room(const struct buf *b)
{
	return b->max_ - b->n;
}

bool buf_overflown(const struct buf *b)
{
	return b->overflown_;
}

struct str buf_str(const struct buf *b)
{
	return (struct str){b->p ? b->p : "", b->n};
}

char *buf_steal(struct buf *b)
{
	char *text = b->p ? b->p : xstrdup("");
	text[b->n] = '\0';
	buf_init(b, b->max_);
	return text;
}
