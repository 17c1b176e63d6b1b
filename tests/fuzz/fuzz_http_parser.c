/* SPDX-License-Identifier: Apache-2.0 */
/* The parser takes any bytes, gives the same answer however they are cut, and its views stay inside
 * what it was given. */
#include "gateway/http_gzip.h"
#include "gateway/http_parser.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
	MAX_BYTES = 100000
};

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void add(struct buf *b, struct str s)
{
	buf_append(b, &s.n, sizeof s.n);
	buf_append_str(b, s);
}

/* What RFC 9112 lets no request be, whatever was sent. */
static void check_request(const struct http_request *r)
{
	must(r->method.n > 0 && r->path.n > 0 && r->target.n > 0);
	must(r->path.p[0] == '/' || str_eq(r->path, STR("*")));
	must(r->minor_version <= 1);
	must(r->has_body || str_empty(r->body));
	size_t lengths = http_request_count(r, STR("content-length"));
	size_t codings = http_request_count(r, STR("transfer-encoding"));
	size_t hosts = http_request_count(r, STR("host"));
	must(lengths + codings <= 1 && hosts <= 1 && (hosts == 1 || r->minor_version == 0));
	if (lengths) {
		uint64_t n;
		must(str_to_u64(http_request_header(r, STR("content-length")), &n));
		must(n == r->body.n);
	}
	for (size_t i = 0; i < r->n_headers; i++) {
		struct str name = r->headers[i].name, value = r->headers[i].value;
		must(name.n > 0);
		for (size_t k = 0; k < name.n; k++)
			must(name.p[k] > 0x20 && name.p[k] < 0x7F && name.p[k] != ':' &&
				(name.p[k] < 'A' || name.p[k] > 'Z'));
		must(!memchr(value.p, '\r', value.n) && !memchr(value.p, '\n', value.n) &&
			!memchr(value.p, '\0', value.n));
		must(str_eq(str_trim(value), value));
	}
}

static void write_down(const struct http_request *r, struct buf *b)
{
	add(b, r->method);
	add(b, r->target);
	add(b, r->path);
	add(b, r->query);
	add(b, r->host);
	add(b, r->body);
	buf_append_char(b, r->keep_alive);
	buf_append_char(b, r->expects_continue);
	for (size_t i = 0; i < r->n_headers; i++) {
		add(b, r->headers[i].name);
		add(b, r->headers[i].value);
	}
}

/* Parses all requests in @in, in pieces whose sizes @pattern decides (0: in one). */
static void run(struct str in, const struct http_limits *limits, unsigned pattern, struct buf *out)
{
	struct http_parser p;
	enum http_parse_result result = HTTP_PARSE_MORE;
	buf_init(out, MAX_BYTES * 8);
	http_parser_init(&p, limits);
	while (in.n && result != HTTP_PARSE_ERROR) {
		pattern = pattern * 1103515245 + (pattern ? 12345 : 0);
		size_t n = pattern ? 1 + (pattern >> 16) % 17 : in.n, taken;
		struct str piece = str_sub(in, 0, n);
		char *copy =
			malloc(piece.n); /* exact, so that a sanitizer sees the byte too many */
		must(copy != NULL);
		memcpy(copy, piece.p, piece.n);
		result = http_parser_feed(&p, copy, piece.n, &taken);
		free(copy);
		must(taken <= piece.n && (taken == piece.n || result != HTTP_PARSE_MORE));
		in = str_sub(in, taken, in.n);
		const struct http_request *r = http_parser_request(&p);
		if (result == HTTP_PARSE_DONE) {
			check_request(r);
			(void)http_gzip_is_accepted(r);
			must(r->body.n <= limits->max_body_bytes);
			must(r->n_headers <= limits->max_headers);
			write_down(r, out);
			http_parser_reset(&p);
		} else if (result == HTTP_PARSE_ERROR) {
			must(http_error_status(http_parser_error(&p)) >= 400);
			must(http_error_name(http_parser_error(&p)) != NULL);
			add(out, r->method);
			add(out, r->path);
			buf_append_char(out, (char)http_parser_error(&p));
		}
	}
	buf_append_char(out, http_parser_started(&p));
	buf_append_char(out, http_parser_in_body(&p));
	http_parser_done(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1 || size > MAX_BYTES)
		return 0;
	/* the first byte decides how small the limits are and how the input is cut */
	struct http_limits limits = HTTP_LIMITS_DEFAULT;
	if (data[0] & 1)
		limits = (struct http_limits){.max_request_line_bytes = 64,
			.max_header_bytes = 128,
			.max_headers = 4,
			.max_body_bytes = 32};
	struct str in = {(const char *)data + 1, size - 1};
	struct buf whole, pieces;
	run(in, &limits, 0, &whole);
	run(in, &limits, data[0] | 1u, &pieces);
	must(str_eq(buf_str(&whole), buf_str(&pieces)));
	buf_done(&whole);
	buf_done(&pieces);
	return 0;
}
