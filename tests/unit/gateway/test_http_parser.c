/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/xalloc.h"
#include "gateway/http_parser.h"
#include "tests/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- every input in three ways: whole, byte by byte, in random pieces --- */

/* Writes down what a parser makes of @input cut as @cut says: requests one after the other, until
 * an error or the end. */
static void transcribe(struct str input, const struct http_limits *limits,
	size_t (*cut)(size_t left), struct buf *out)
{
	static const char *const results[] = {"more", "head", "done", "error"};
	struct http_parser p;
	http_parser_init(&p, limits);
	buf_init(out, 1 << 20);
	enum http_parse_result result = HTTP_PARSE_MORE;
	for (size_t at = 0; at < input.n && result != HTTP_PARSE_ERROR;) {
		size_t n = cut(input.n - at), taken;
		char *piece =
			xmemdup(input.p + at, n); /* a sanitizer sees the first byte too many */
		result = http_parser_feed(&p, piece, n, &taken);
		free(piece);
		assert_true(taken <= n);
		if (result == HTTP_PARSE_MORE)
			assert_int_equal(taken, n);
		at += taken;
		const struct http_request *r = http_parser_request(&p);
		if (result == HTTP_PARSE_HEAD)
			buf_printf(out, "head %d ", r->expects_continue);
		if (result == HTTP_PARSE_DONE) {
			buf_printf(out, "%.*s %.*s path=%.*s query=%s%.*s host=%.*s 1.%d%s",
				STR_ARG(r->method), STR_ARG(r->target), STR_ARG(r->path),
				r->query.p ? "" : "-", STR_ARG(r->query), STR_ARG(r->host),
				r->minor_version, r->keep_alive ? "" : " close");
			for (size_t i = 0; i < r->n_headers; i++)
				buf_printf(out, " [%.*s=%.*s]", STR_ARG(r->headers[i].name),
					STR_ARG(r->headers[i].value));
			buf_printf(out, r->has_body ? " body=%.*s\n" : "\n", STR_ARG(r->body));
			http_parser_reset(&p);
		}
		if (result == HTTP_PARSE_ERROR)
			buf_printf(out, "%s %.*s\n", http_error_name(http_parser_error(&p)),
				STR_ARG(r->path));
	}
	if (result == HTTP_PARSE_MORE || result == HTTP_PARSE_HEAD)
		buf_printf(out, "%s\n", results[HTTP_PARSE_MORE]);
	http_parser_done(&p);
}

static size_t cut_nothing(size_t left)
{
	return left;
}

static size_t cut_bytes(size_t left)
{
	(void)left;
	return 1;
}

static unsigned seed;

static size_t cut_random(size_t left)
{
	seed = seed * 1103515245 + 12345;
	size_t n = 1 + (seed >> 16) % 23;
	return n < left ? n : left;
}

static void check_with(struct str input, const struct http_limits *limits, const char *wanted)
{
	struct buf whole, other;
	transcribe(input, limits, cut_nothing, &whole);
	if (!str_eq(buf_str(&whole), str_of(wanted)))
		fail_msg("'%.*s'\nbecame '%.*s'\n   not '%s'", STR_ARG(str_sub(input, 0, 300)),
			STR_ARG(buf_str(&whole)), wanted);
	transcribe(input, limits, cut_bytes, &other);
	assert_str(buf_str(&other), wanted);
	buf_done(&other);
	for (unsigned i = 0; i < 20; i++) {
		seed = i;
		transcribe(input, limits, cut_random, &other);
		assert_str(buf_str(&other), wanted);
		buf_done(&other);
	}
	buf_done(&whole);
}

static void check(struct str input, const char *wanted)
{
	const struct http_limits limits = HTTP_LIMITS_DEFAULT;
	check_with(input, &limits, wanted);
}

struct example {
	struct str input;
	const char *wanted;
};

static void check_all(const struct example *examples, size_t n)
{
	for (size_t i = 0; i < n; i++)
		check(examples[i].input, examples[i].wanted);
}

/* --- what is understood --- */

static void a_request_is_split_into_its_parts(void **state)
{
	(void)state;
	check(STR("GET /v1/tokens?kind=user&x HTTP/1.1\r\nHost: a.example:8080\r\n"
		  "X-Request-Id:\t abc \t\r\nEmpty:\r\nUTF: \xC3\xA9\r\n\r\n"),
		"GET /v1/tokens?kind=user&x path=/v1/tokens query=kind=user&x host=a.example:8080 "
		"1.1 [host=a.example:8080] [x-request-id=abc] [empty=] [utf=\xC3\xA9]\n");
	check(STR("DELETE /? HTTP/1.1\r\nhOsT: [::1]:80\r\n\r\n"),
		"DELETE /? path=/ query= host=[::1]:80 1.1 [host=[::1]:80]\n");
}

static void bodies_come_by_length_or_in_chunks(void **state)
{
	(void)state;
	const struct example examples[] = {
		{STR("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"),
			"head 0 POST / path=/ query=- host=h 1.1 [host=h] [content-length=5] "
			"body=hello\n"},
		{STR("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"),
			"POST / path=/ query=- host=h 1.1 [host=h] [content-length=0] body=\n"},
		{STR("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 007\r\n\r\n\r\n\r\n\r\n\0"),
			"head 0 POST / path=/ query=- host=h 1.1 [host=h] [content-length=007] "
			"body=\r\n\r\n\r\n\n"},
		{STR("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n"
		     "4\r\nwiki\r\n00A;x=\"y;\\\"z\" ; n = v;w\r\n0123456789\r\n000\r\n\r\n"),
			"head 0 POST / path=/ query=- host=h 1.1 [host=h] "
			"[transfer-encoding=Chunked] body=wiki0123456789\n"},
		{STR("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
		     "Content-Length: 9\r\nHost: other\r\n\r\n"),
			"head 0 POST / path=/ query=- host=h 1.1 [host=h] "
			"[transfer-encoding=chunked] body=\n"},
	};
	check_all(examples, ARRAY_SIZE(examples));
}

static void pipelined_requests_are_told_apart(void **state)
{
	(void)state;
	check(STR("GET /1 HTTP/1.1\r\nHost: h\r\n\r\n"
		  "POST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
		  "\r\nGET /3 HTTP/1.1\r\nHost: h\r\nConnection: x, Close\r\n\r\nGET"),
		"GET /1 path=/1 query=- host=h 1.1 [host=h]\n"
		"head 0 POST /2 path=/2 query=- host=h 1.1 [host=h] [content-length=3] body=abc\n"
		"GET /3 path=/3 query=- host=h 1.1 close [host=h] [connection=x, Close]\n"
		"more\n");
}

static void http_1_0_needs_no_host_and_never_keeps_alive(void **state)
{
	(void)state;
	check(STR("GET / HTTP/1.0\r\nConnection: keep-alive\r\nExpect: 100-continue\r\n\r\n"),
		"GET / path=/ query=- host= 1.0 close [connection=keep-alive] "
		"[expect=100-continue]\n");
	check(STR("GET / HTTP/1.9\r\nHost: h\r\n\r\n"),
		"GET / path=/ query=- host=h 1.1 [host=h]\n");
}

static void all_forms_of_target_are_known(void **state)
{
	(void)state;
	const struct example examples[] = {
		{STR("GET http://Example.com/a?b HTTP/1.1\r\nHost: example.COM\r\n\r\n"),
			"GET http://Example.com/a?b path=/a query=b host=example.COM 1.1 "
			"[host=example.COM]\n"},
		{STR("GET HTTPS://h:1?q HTTP/1.1\r\nHost: h:1\r\n\r\n"),
			"GET HTTPS://h:1?q path=/ query=q host=h:1 1.1 [host=h:1]\n"},
		{STR("GET http://h HTTP/1.0\r\n\r\n"),
			"GET http://h path=/ query=- host=h 1.0 close\n"},
		{STR("OPTIONS * HTTP/1.1\r\nHost:\r\n\r\n"),
			"OPTIONS * path=* query=- host= 1.1 [host=]\n"},
	};
	check_all(examples, ARRAY_SIZE(examples));
}

static void an_expectation_is_seen_before_the_body(void **state)
{
	(void)state;
	check(STR("PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n"),
		"head 1 more\n");
	check(STR("PUT /p HTTP/1.1\r\nHost: h\r\nExpect: the-spanish-inquisition\r\n\r\n"),
		"expect /p\n");
}

/* --- what is refused --- */

#define HOST "Host: h\r\n"
#define POST "POST /p HTTP/1.1\r\n" HOST
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"

static void request_lines_are_strict(void **state)
{
	(void)state;
	const struct example examples[] = {
		{STR("\x16\x03\x01\x02"), "request_line \n"}, /* TLS on a plain port, at once */
		{STR(" GET / HTTP/1.1\r\n"), "request_line \n"},
		{STR("\r\n\r\nGET / HTTP/1.1\r\n"), "request_line \n"},
		{STR("\nGET / HTTP/1.1\r\n"), "line_end \n"},
		{STR("\rGET / HTTP/1.1\r\n"), "line_end \n"},
		{STR("GET / HTTP/1.1\n"), "line_end \n"},
		{STR("GET /\r\n"), "request_line \n"},
		{STR("GET\r\n"), "request_line \n"},
		{STR("GET  / HTTP/1.1\r\n"), "target \n"},
		{STR("GET /  HTTP/1.1\r\n"), "target \n"},
		{STR("GET / HTTP/1.1 \r\n"), "request_line \n"},
		{STR("GET\t/ HTTP/1.1\r\n"), "request_line \n"},
		{STR("GET / http/1.1\r\n"), "request_line \n"},
		{STR("GET / HTTP/1.10\r\n"), "request_line \n"},
		{STR("GET / HTTP/01.1\r\n"), "request_line \n"},
		{STR("GET / HTTP/1,1\r\n"), "request_line \n"},
		{STR("GET / HTTP/2.0\r\n"), "version \n"},
		{STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "version \n"},
		{STR("GET / HTTP/0.9\r\n"), "version \n"},
		{STR("G@T / HTTP/1.1\r\n"), "request_line \n"},
		{STR("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1\r\n"), "request_line \n"},
		{STR("GET /\0 HTTP/1.1\r\n"), "target \n"},
		{STR("GET /\x80 HTTP/1.1\r\n"), "target \n"},
		{STR("GET /\x7F HTTP/1.1\r\n"), "target \n"},
		{STR("GET /a#b HTTP/1.1\r\n"), "target \n"},
		{STR("GET /a\rb HTTP/1.1\r\n"), "target \n"},
		{STR("GET /a b HTTP/1.1\r\n"), "target \n"},
		{STR("GET path HTTP/1.1\r\n"), "target \n"},
		{STR("GET * HTTP/1.1\r\n"), "target \n"},
		{STR("GET ftp://h/ HTTP/1.1\r\n"), "target \n"},
		{STR("GET http:// HTTP/1.1\r\n"), "target \n"},
		{STR("GET http:/h/ HTTP/1.1\r\n"), "target \n"},
		{STR("GET http://u@h/ HTTP/1.1\r\n"), "target \n"},
		{STR("GET http://h:x/ HTTP/1.1\r\n"), "target \n"},
		{STR("CONNECT h:443 HTTP/1.1\r\n"), "target \n"},
	};
	check_all(examples, ARRAY_SIZE(examples));
}

static void header_lines_are_strict(void **state)
{
	(void)state;
	const struct example examples[] = {
		{STR("GET /p HTTP/1.1\r\nHost : h\r\n\r\n"), "header_name /p\n"},
		{STR("GET /p HTTP/1.1\r\nHost\t: h\r\n\r\n"), "header_name /p\n"},
		{STR("GET /p HTTP/1.1\r\n: h\r\n\r\n"), "header_name /p\n"},
		{STR("GET /p HTTP/1.1\r\nHost\r\n\r\n"), "header_name /p\n"},
		{STR("GET /p HTTP/1.1\r\nH\xC3\xA9: h\r\n\r\n"), "header_name /p\n"},
		{STR("GET /p HTTP/1.1\r\nH\0: h\r\n\r\n"), "header_name /p\n"},
		{STR("GET /p HTTP/1.1\r\nH(): h\r\n\r\n"), "header_name /p\n"},
		{STR("GET /p HTTP/1.1\r\n Host: h\r\n\r\n"), "header_folded /p\n"},
		{STR("GET /p HTTP/1.1\r\n" HOST "A: b\r\n c\r\n\r\n"), "header_folded /p\n"},
		{STR("GET /p HTTP/1.1\r\n" HOST "A: b\r\n\tc\r\n\r\n"), "header_folded /p\n"},
		{STR("GET /p HTTP/1.1\r\n" HOST " \r\n\r\n"), "header_folded /p\n"},
		{STR("GET /p HTTP/1.1\r\n" HOST "A: b\n\r\n"), "line_end /p\n"},
		{STR("GET /p HTTP/1.1\r\n" HOST "\n"), "line_end /p\n"},
		{STR("GET /p HTTP/1.1\r\n" HOST "A: b\rc\r\n\r\n"), "header_value /p\n"},
		{STR("GET /p HTTP/1.1\r\n" HOST "A: b\r\r\n\r\n"), "header_value /p\n"},
		{STR("GET /p HTTP/1.1\r\n" HOST "A: b\0c\r\n\r\n"), "header_value /p\n"},
		{STR("GET /p HTTP/1.1\r\n" HOST "A: \x01\r\n\r\n"), "header_value /p\n"},
		{STR("GET /p HTTP/1.1\r\n" HOST "A: \x7F\r\n\r\n"), "header_value /p\n"},
	};
	check_all(examples, ARRAY_SIZE(examples));
}

static void there_is_one_host_that_agrees_with_the_target(void **state)
{
	(void)state;
	const struct example examples[] = {
		{STR("GET /p HTTP/1.1\r\n\r\n"), "host /p\n"},
		{STR("GET /p HTTP/1.1\r\n" HOST HOST "\r\n"), "host /p\n"},
		{STR("GET /p HTTP/1.0\r\n" HOST "Host: i\r\n\r\n"), "host /p\n"},
		{STR("GET http://a/p HTTP/1.1\r\nHost: b\r\n\r\n"), "host /p\n"},
		{STR("GET http://a/p HTTP/1.1\r\nHost:\r\n\r\n"), "host /p\n"},
		{STR("GET http://a/p HTTP/1.1\r\n\r\n"), "host /p\n"},
		{STR("GET /p HTTP/1.1\r\nHost: a b\r\n\r\n"), "host /p\n"},
		{STR("GET /p HTTP/1.1\r\nHost: a/b\r\n\r\n"), "host /p\n"},
		{STR("GET /p HTTP/1.1\r\nHost: u@a\r\n\r\n"), "host /p\n"},
		{STR("GET /p HTTP/1.1\r\nHost: a:65536\r\n\r\n"), "host /p\n"},
		{STR("GET /p HTTP/1.1\r\nHost: a:+1\r\n\r\n"), "host /p\n"},
		{STR("GET /p HTTP/1.1\r\nHost: a:1:2\r\n\r\n"), "host /p\n"},
		{STR("GET /p HTTP/1.1\r\nHost: [::1\r\n\r\n"), "host /p\n"},
		{STR("GET /p HTTP/1.1\r\nHost: []\r\n\r\n"), "host /p\n"},
		{STR("GET /p HTTP/1.1\r\nHost: [::1]x\r\n\r\n"), "host /p\n"},
		{STR("GET /p HTTP/1.1\r\nHost: \xC3\xA9\r\n\r\n"), "host /p\n"},
	};
	check_all(examples, ARRAY_SIZE(examples));
}

/* Each of these was read as one thing by some server and as another by some proxy. */
static void the_end_of_a_message_is_never_guessed(void **state)
{
	(void)state;
	const struct example examples[] = {
		{STR(POST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
			"framing /p\n"},
		{STR(POST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n"),
			"framing /p\n"},
		{STR(POST "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n"),
			"framing /p\n"},
		{STR(POST "Content-Length: 3\r\nContent-Length: 4\r\n\r\n"), "content_length /p\n"},
		{STR(POST "Content-Length: 3\r\nContent-Length: 3\r\n\r\n"), "content_length /p\n"},
		{STR(POST "Content-Length: 3, 3\r\n\r\n"), "content_length /p\n"},
		{STR(POST "Content-Length: +3\r\n\r\n"), "content_length /p\n"},
		{STR(POST "Content-Length: -1\r\n\r\n"), "content_length /p\n"},
		{STR(POST "Content-Length: 0x3\r\n\r\n"), "content_length /p\n"},
		{STR(POST "Content-Length: 3.0\r\n\r\n"), "content_length /p\n"},
		{STR(POST "Content-Length: 3 4\r\n\r\n"), "content_length /p\n"},
		{STR(POST "Content-Length:\r\n\r\n"), "content_length /p\n"},
		{STR(POST "Content-Length : 3\r\n\r\n"), "header_name /p\n"},
		{STR(POST "Content-Length: 3\r\n Transfer-Encoding: chunked\r\n\r\n"),
			"header_folded /p\n"},
		{STR(POST "Transfer-Encoding : chunked\r\n\r\n"), "header_name /p\n"},
		{STR(POST "Transfer-Encoding: xchunked\r\n\r\n"), "transfer_encoding /p\n"},
		{STR(POST "Transfer-Encoding: chunked, identity\r\n\r\n"),
			"transfer_encoding /p\n"},
		{STR(POST "Transfer-Encoding: gzip, chunked\r\n\r\n"), "transfer_encoding /p\n"},
		{STR(POST "Transfer-Encoding: chunked, chunked\r\n\r\n"), "transfer_encoding /p\n"},
		{STR(POST "Transfer-Encoding: identity\r\n\r\n"), "transfer_encoding /p\n"},
		{STR(POST "Transfer-Encoding: \"chunked\"\r\n\r\n"), "transfer_encoding /p\n"},
		{STR(POST "Transfer-Encoding: chunked;q=1\r\n\r\n"), "transfer_encoding /p\n"},
		{STR(POST "Transfer-Encoding:\r\n\r\n"), "transfer_encoding /p\n"},
		{STR(POST "Transfer-Encoding: \x0B"
			  "chunked\r\n\r\n"),
			"header_value /p\n"},
		{STR(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
			"transfer_encoding /p\n"},
		{STR("POST /p HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
			"transfer_encoding /p\n"},
	};
	check_all(examples, ARRAY_SIZE(examples));
}

static void chunks_are_strict(void **state)
{
	(void)state;
	const struct example examples[] = {
		{STR(CHUNKED "0x3\r\nabc\r\n"), "head 0 chunk /p\n"},
		{STR(CHUNKED "+3\r\nabc\r\n"), "head 0 chunk /p\n"},
		{STR(CHUNKED "-3\r\nabc\r\n"), "head 0 chunk /p\n"},
		{STR(CHUNKED " 3\r\nabc\r\n"), "head 0 chunk /p\n"},
		{STR(CHUNKED "3 \r\nabc\r\n"), "head 0 chunk /p\n"},
		{STR(CHUNKED "\r\nabc\r\n"), "head 0 chunk /p\n"},
		{STR(CHUNKED ";x\r\nabc\r\n"), "head 0 chunk /p\n"},
		{STR(CHUNKED "3\nabc\r\n"), "head 0 chunk /p\n"},
		{STR(CHUNKED "3\r\nabcd\r\n"), "head 0 chunk /p\n"},
		{STR(CHUNKED "3\r\nabc\n0\r\n"), "head 0 chunk /p\n"},
		{STR(CHUNKED "3\r\nabc\rx"), "head 0 chunk /p\n"},
		{STR(CHUNKED "3;\r\nabc\r\n"), "head 0 chunk /p\n"},
		{STR(CHUNKED "3;a=\r\nabc\r\n"), "head 0 chunk /p\n"},
		{STR(CHUNKED "3;a=\"b\r\nabc\r\n"), "head 0 chunk /p\n"},
		{STR(CHUNKED "3;a \r\nabc\r\n"), "head 0 chunk /p\n"},
		{STR(CHUNKED "3;a\rb\r\nabc\r\n"), "head 0 chunk /p\n"},
		{STR(CHUNKED "3;a\nb\r\nabc\r\n"), "head 0 chunk /p\n"},
		{STR(CHUNKED "3 a\r\nabc\r\n"), "head 0 chunk /p\n"},
		{STR(CHUNKED "3g\r\nabc\r\n"), "head 0 chunk /p\n"},
		{STR(CHUNKED "00000000000000003\r\nabc\r\n"), "head 0 chunk /p\n"},
		{STR(CHUNKED "FFFFFFFFFFFFFFFF\r\n"), "head 0 body_too_large /p\n"},
		{STR(CHUNKED "100001\r\n"), "head 0 body_too_large /p\n"},
		{STR(CHUNKED "1\r\na\r\n100000\r\n"), "head 0 body_too_large /p\n"},
		{STR(CHUNKED "0\r\nA : b\r\n\r\n"), "head 0 header_name /p\n"},
		{STR(CHUNKED "0\r\n folded\r\n\r\n"), "head 0 header_folded /p\n"},
		{STR(CHUNKED "0\r\nA: \0\r\n\r\n"), "head 0 header_value /p\n"},
		{STR(CHUNKED "0\r\nA: b\n\r\n"), "head 0 line_end /p\n"},
		{STR(CHUNKED "0\r\n\n"), "head 0 line_end /p\n"},
	};
	check_all(examples, ARRAY_SIZE(examples));
}

/* --- limits --- */

static const struct http_limits small = {.max_request_line_bytes = 20,
	.max_header_bytes = 40,
	.max_headers = 3,
	.max_body_bytes = 8};

static void a_limit_is_the_last_size_that_is_allowed(void **state)
{
	(void)state;
	/* 20 bytes of request line */
	check_with(STR("GET /34567 HTTP/1.1\r\n"), &small, "uri_too_long \n");
	check_with(STR("GET /3456 HTTP/1.1\r\nHost: h\r\n\r\n"), &small,
		"GET /3456 path=/3456 query=- host=h 1.1 [host=h]\n");
	check_with(STR("GET /34567890123456"), &small, "more\n");
	check_with(STR("GET /345678901234567"), &small, "uri_too_long \n");
	/* 40 bytes of headers: 9 + 29 + 2 */
	check_with(STR("GET / HTTP/1.1\r\nHost: h\r\nA: 456789012345678901234567\r\n\r\n"), &small,
		"GET / path=/ query=- host=h 1.1 [host=h] [a=456789012345678901234567]\n");
	check_with(STR("GET / HTTP/1.1\r\nHost: h\r\nA: 4567890123456789012345678\r\n\r\n"), &small,
		"headers_too_large /\n");
	/* 3 headers */
	check_with(STR("GET / HTTP/1.1\r\nHost: h\r\na:\r\nb:\r\n\r\n"), &small,
		"GET / path=/ query=- host=h 1.1 [host=h] [a=] [b=]\n");
	check_with(STR("GET / HTTP/1.1\r\nHost: h\r\na:\r\nb:\r\nc:\r\n\r\n"), &small,
		"headers_too_large /\n");
	/* 8 bytes of body */
	check_with(STR("P / HTTP/1.1\r\nHost: h\r\nContent-Length: 8\r\n\r\n12345678"), &small,
		"head 0 P / path=/ query=- host=h 1.1 [host=h] [content-length=8] body=12345678\n");
	check_with(STR("P / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n"), &small,
		"body_too_large /\n");
	check(STR(POST "Content-Length: 99999999999999999999999999\r\n\r\n"),
		"body_too_large /p\n");
}

static void trailers_and_chunk_extensions_are_bounded(void **state)
{
	(void)state;
	struct http_limits limits = HTTP_LIMITS_DEFAULT;
	_cleanup_buf_ struct buf b;
	buf_init(&b, 1 << 20);
	buf_append_str(&b, STR(CHUNKED "0\r\n"));
	for (unsigned i = 0; i < 33; i++)
		buf_printf(&b, "A: %01000d\r\n", 0);
	check_with(buf_str(&b), &limits, "head 0 headers_too_large /p\n");

	buf_reset(&b);
	buf_append_str(&b, STR(CHUNKED));
	for (unsigned i = 0; i < 42; i++)
		buf_printf(&b, "1;%099d\r\nx\r\n", 0);
	check_with(buf_str(&b), &limits, "head 0 chunk /p\n");

	buf_reset(&b);
	buf_append_str(&b, STR(CHUNKED));
	buf_printf(&b, "1;%0260d\r\nx\r\n", 0);
	check_with(buf_str(&b), &limits, "head 0 chunk /p\n");
}

static void a_large_head_moves_without_losing_its_parts(void **state)
{
	(void)state;
	const struct http_limits limits = HTTP_LIMITS_DEFAULT;
	_cleanup_buf_ struct buf b, wanted;
	buf_init(&b, 1 << 20);
	buf_init(&wanted, 1 << 20);
	buf_append_str(&b, STR("GET /path?query HTTP/1.1\r\nHost: h\r\n"));
	buf_append_str(&wanted, STR("GET /path?query path=/path query=query host=h 1.1 [host=h]"));
	for (unsigned i = 0; i < 99; i++) {
		buf_printf(&b, "Header-%u: %0300u\r\n", i, i);
		buf_printf(&wanted, " [header-%u=%0300u]", i, i);
	}
	buf_append_str(&b, STR("\r\n"));
	buf_append_str(&wanted, STR("\n"));
	check_with(buf_str(&b), &limits, buf_str(&wanted).p);
}

static void headers_are_found_by_their_lower_case_name(void **state)
{
	(void)state;
	const struct http_limits limits = HTTP_LIMITS_DEFAULT;
	struct str input = STR("GET / HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nx-a: 2\r\n\r\n");
	struct http_parser p;
	size_t taken;
	http_parser_init(&p, &limits);
	assert_false(http_parser_started(&p));
	assert_int_equal(http_parser_feed(&p, input.p, input.n, &taken), HTTP_PARSE_DONE);
	assert_true(http_parser_started(&p));
	const struct http_request *r = http_parser_request(&p);
	assert_str(http_request_header(r, STR("x-a")), "1");
	assert_int_equal(http_request_count(r, STR("x-a")), 2);
	assert_null(http_request_find(r, STR("x-b")));
	assert_null(http_request_header(r, STR("x-b")).p);
	http_parser_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_is_split_into_its_parts),
		cmocka_unit_test(bodies_come_by_length_or_in_chunks),
		cmocka_unit_test(pipelined_requests_are_told_apart),
		cmocka_unit_test(http_1_0_needs_no_host_and_never_keeps_alive),
		cmocka_unit_test(all_forms_of_target_are_known),
		cmocka_unit_test(an_expectation_is_seen_before_the_body),
		cmocka_unit_test(request_lines_are_strict),
		cmocka_unit_test(header_lines_are_strict),
		cmocka_unit_test(there_is_one_host_that_agrees_with_the_target),
		cmocka_unit_test(the_end_of_a_message_is_never_guessed),
		cmocka_unit_test(chunks_are_strict),
		cmocka_unit_test(a_limit_is_the_last_size_that_is_allowed),
		cmocka_unit_test(trailers_and_chunk_extensions_are_bounded),
		cmocka_unit_test(a_large_head_moves_without_losing_its_parts),
		cmocka_unit_test(headers_are_found_by_their_lower_case_name),
	};
	return RUN_TESTS(tests);
}
