/* SPDX-License-Identifier: Apache-2.0 */
/* Strict HTTP/1.1: bytes in, one struct http_request out.
 *
 * A push parser: it takes bytes as they come, in pieces of any size, with the same result. What RFC
 * 9110 and 9112 do not allow is an error and never guessed about, because two parties that guess
 * differently about where a message ends are a hole (request smuggling): one Content-Length, or
 * Transfer-Encoding exactly `chunked`, never both; CRLF and nothing else ends a line; no folded
 * headers, no space before a colon, no NUL; one Host.
 *
 * Memory: the parser owns a copy of the head and the body; the views of the request live until
 * http_parser_reset or _done. All of it is bounded by http_limits. Pure. Threads: one at a time. */
#pragma once

#include "common/base/buf.h"
#include "common/base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_limits {
	uint32_t max_request_line_bytes; /* 414 above */
	uint32_t max_header_bytes;       /* header lines, trailers included; 431 above */
	uint32_t max_headers;            /* lines; 431 above */
	uint32_t max_body_bytes;         /* 413 above; also of a body that was inflated */
};

#define HTTP_LIMITS_DEFAULT                                                                        \
	((struct http_limits){.max_request_line_bytes = 8 * 1024,                                  \
		.max_header_bytes = 32 * 1024,                                                     \
		.max_headers = 100,                                                                \
		.max_body_bytes = 1024 * 1024})

struct http_header {
	struct str name; /* of a request: in lower case */
	struct str value;
};

struct http_request {
	struct str method; /* as sent: methods are case-sensitive */
	struct str target; /* as sent */
	struct str path;   /* begins with '/' (or is "*" of OPTIONS); not decoded */
	struct str query;  /* behind '?', not decoded; p == NULL without '?' */
	struct str host;   /* of the target if it is absolute, else of Host; may be empty */
	const struct http_header *headers; /* in the order of arrival */
	size_t n_headers;
	struct str body;       /* without the framing; inflated when it came as gzip */
	uint8_t minor_version; /* 0 or 1 */
	bool has_body;         /* a body was announced, be it empty */
	bool expects_continue; /* Expect: 100-continue */
	bool keep_alive;       /* the client wants to go on; never with HTTP/1.0 */
};

/* The first header @name (in lower case), or NULL. */
const struct http_header *http_request_find(const struct http_request *r, struct str name);
/* Its value; p == NULL when there is none. */
struct str http_request_header(const struct http_request *r, struct str name);
/* How many headers @name (in lower case) there are. */
size_t http_request_count(const struct http_request *r, struct str name);

/* What can be wrong with a request; each is a counter, a status and a text (http_parse_error_*).
 * The server adds those that are about time and encodings. */
enum http_error_kind {
	HTTP_ERROR_NONE,
	HTTP_ERROR_REQUEST_LINE,
	HTTP_ERROR_TARGET,
	HTTP_ERROR_VERSION,
	HTTP_ERROR_LINE_END,
	HTTP_ERROR_HEADER_NAME,
	HTTP_ERROR_HEADER_VALUE,
	HTTP_ERROR_HEADER_FOLDED,
	HTTP_ERROR_HOST,
	HTTP_ERROR_CONTENT_LENGTH,
	HTTP_ERROR_TRANSFER_ENCODING,
	HTTP_ERROR_FRAMING,
	HTTP_ERROR_CHUNK,
	HTTP_ERROR_EXPECT,
	HTTP_ERROR_URI_TOO_LONG,
	HTTP_ERROR_HEADERS_TOO_LARGE,
	HTTP_ERROR_BODY_TOO_LARGE,
	HTTP_ERROR_CONTENT_ENCODING,
	HTTP_ERROR_GZIP,
	HTTP_ERROR_TIMEOUT,
	HTTP_ERROR_OVERLOAD,
	HTTP_ERROR_COUNT
};

/* "content_length": for metrics. */
const char *http_error_name(enum http_error_kind kind);
/* The HTTP status: 400, 408, 413, 414, 415, 417, 431, 503, 505. */
int http_error_status(enum http_error_kind kind);
/* For a person; no bytes of the request. */
const char *http_error_message(enum http_error_kind kind);

enum http_parse_result {
	HTTP_PARSE_MORE, /* all was taken; the request goes on */
	HTTP_PARSE_HEAD, /* the head is complete and a body follows: reported once, feed on */
	HTTP_PARSE_DONE, /* the request is complete; what was not taken belongs to the next one */
	HTTP_PARSE_ERROR,
};

/* A header while the head still grows and may move: offsets into it. */
struct http_header_mark_ {
	uint32_t name_at, name_n, value_at, value_n;
};

struct http_parser {
	struct http_limits limits_;
	uint8_t state_;
	enum http_error_kind error_;
	/* the head: its bytes, and where its parts are */
	struct buf head_;
	size_t line_at_;    /* of the line that is being taken */
	size_t headers_at_; /* of the first header line */
	uint32_t method_n_, target_at_, target_n_;
	struct http_header_mark_ *marks_;
	struct http_header *headers_;
	size_t n_marks_, capacity_;
	/* what the head says about the rest */
	uint64_t content_length_;
	uint32_t host_at_, host_n_;
	bool has_host_, has_content_length_, is_chunked_;
	/* the body */
	struct buf body_;
	struct buf line_;    /* a chunk's size, or a trailer */
	uint64_t body_left_; /* of the body, or of the chunk */
	size_t extension_bytes_, trailer_bytes_;
	struct http_request request_;
};

void http_parser_init(struct http_parser *p, const struct http_limits *limits);
void http_parser_done(struct http_parser *p);
/* Ready for the next request; memory is kept unless a large request made it grow. */
void http_parser_reset(struct http_parser *p);

/* Takes at most @n bytes and sets *@ret_taken. After DONE or ERROR only http_parser_reset may
 * follow. */
enum http_parse_result http_parser_feed(
	struct http_parser *p, const char *bytes, size_t n, size_t *ret_taken);

/* After HEAD all but the body is set; after DONE everything. After an error it holds the method and
 * path if they were understood, else empty texts. */
const struct http_request *http_parser_request(const struct http_parser *p);
/* After HTTP_PARSE_ERROR. */
enum http_error_kind http_parser_error(const struct http_parser *p);
/* True once a byte of a request was taken. */
bool http_parser_started(const struct http_parser *p);
/* True once the head is complete. */
bool http_parser_in_body(const struct http_parser *p);
