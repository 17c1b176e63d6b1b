/* SPDX-License-Identifier: Apache-2.0 */
/* An HTTP/1.1 reply, and the text of its head (RFC 9112, 4).
 *
 * Control bytes in header values become spaces, so that no value can forge a header or a reply.
 * Threads: one at a time. */
#pragma once

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/str.h"
#include "gateway/http_parser.h" /* struct http_header */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_reply {
	int status;                        /* 200..599 */
	struct str content_type;           /* empty: no body follows, or none is wanted */
	const struct http_header *headers; /* further ones; framing, Date and Vary are ours */
	size_t n_headers;
	struct str body;
	bool secret; /* Cache-Control: no-store, and not compressed (a size tells, BREACH) */
	bool close;  /* no further request on this connection */
};

/* False for a status that has no body (RFC 9110, 6.4.1). */
bool http_reply_has_body(const struct http_reply *r);

/* How a reply goes out. */
struct http_reply_form {
	size_t body_bytes; /* that follow, or would follow to a GET */
	bool is_gzip;
	bool varies; /* to another client it may go out in another coding */
	bool close;
};

/* Memory that heads are written into, one after the other. */
struct http_head {
	struct buf text_;
	int64_t date_s_; /* what date_ says */
	char date_[40];
};

void http_head_init(struct http_head *h);
void http_head_done(struct http_head *h);
/* The head of @r, with its empty line, as of @now; lives until the next one. Empty when it would be
 * longer than 64 KiB. */
struct str http_head_write(struct http_head *h, const struct http_reply *r,
	const struct http_reply_form *form, struct unix_time now);
