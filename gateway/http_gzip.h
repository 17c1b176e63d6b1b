/* SPDX-License-Identifier: Apache-2.0 */
/* gzip for HTTP bodies, both ways (RFC 1952, RFC 9110, 12.5.3).
 *
 * A struct http_gzip keeps zlib's state from one body to the next (some 300 KB, made at first use).
 * Threads: one at a time. */
#pragma once

#include "common/base/buf.h"
#include "common/base/str.h"
#include "gateway/http_parser.h"

#include <stdbool.h>

struct http_gzip;

struct http_gzip *http_gzip_new(void);
void http_gzip_free(struct http_gzip *g);

/* Inflates all of @in into @out, whose maximum bounds the work as well.
 *
 * HTTP_ERROR_GZIP            @in is no gzip data, cut short, or followed by something else
 * HTTP_ERROR_BODY_TOO_LARGE  @out is full */
enum http_error_kind http_gzip_inflate(struct http_gzip *g, struct str in, struct buf *out);
/* Compresses all of @in into @out; false when it became no smaller or @out is full. */
bool http_gzip_deflate(struct http_gzip *g, struct str in, struct buf *out);

/* True when Accept-Encoding allows gzip and does not rather have the plain text. */
bool http_gzip_is_accepted(const struct http_request *r);
