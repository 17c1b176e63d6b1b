/* SPDX-License-Identifier: Apache-2.0 */
/* A growing byte buffer that is born with its maximum.
 *
 * An append that would pass the maximum changes nothing, returns false and marks the buffer as
 * overflown; callers may append many times and look once (buf_overflown). Content that is released
 * with its memory, or left behind by growth, is wiped: there may be secrets in it. Threads: one at
 * a time. */
#pragma once

#include "common/base/cleanup.h"
#include "common/base/str.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct buf {
	char *p; /* NUL-terminated once anything was appended */
	size_t n;
	size_t capacity_;
	size_t max_;
	bool overflown_;
};

void buf_init(struct buf *b, size_t max_bytes);
/* Releases the memory; the buffer is empty afterwards and usable again. */
void buf_done(struct buf *b);
#define _cleanup_buf_ _cleanup_(buf_done)

bool buf_append(struct buf *b, const void *p, size_t n);
bool buf_append_str(struct buf *b, struct str s);
bool buf_append_char(struct buf *b, char c);
bool buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool buf_vprintf(struct buf *b, const char *format, va_list args)
	__attribute__((format(printf, 2, 0)));
/* Room for @n more bytes at buf->p + buf->n, or NULL; the caller writes there and adds to buf->n.
 */
char *buf_reserve(struct buf *b, size_t n);
/* Cuts the content to its first @n bytes (no more than there are), and forgets an overflow. */
void buf_truncate(struct buf *b, size_t n);
/* Forgets the content, keeps the memory. */
void buf_reset(struct buf *b);
/* The same, but memory of more than @kept_bytes is released. */
void buf_recycle(struct buf *b, size_t kept_bytes);
/* Forgets the content, which was secret: wipes it, keeps the memory. */
void buf_wipe(struct buf *b);
/* How many bytes may still be appended. */
size_t buf_room(const struct buf *b);
bool buf_overflown(const struct buf *b);
/* The content; valid until the next change. */
struct str buf_str(const struct buf *b);
/* The content as a C string that the caller frees; the buffer is empty afterwards. */
char *buf_steal(struct buf *b);
