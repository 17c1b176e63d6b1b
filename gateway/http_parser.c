/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/http_parser.h"

#include "common/base/base64.h"
#include "common/base/xalloc.h"

#include <stdlib.h>
#include <string.h>

enum {
	MAX_METHOD_BYTES = 32,
	MAX_CHUNK_LINE_BYTES = 256,
	/* In a whole body: an extension on each byte would make it a hundred times as large. */
	MAX_EXTENSION_BYTES = 4096,
	MAX_CHUNK_DIGITS = 16,
	/* Memory that a parser keeps from one request to the next. */
	KEPT_HEAD_BYTES = 8 * 1024,
	KEPT_BODY_BYTES = 16 * 1024,
	KEPT_HEADERS = 64,
	FIRST_HEADERS = 16,
};

enum state {
	START,      /* before the request line; one empty line may precede it (RFC 9112, 2.2) */
	START_LF,   /* behind the CR of that empty line */
	LINE_FIRST, /* behind the empty line: now it must begin */
	LINE,       /* in the request line */
	HEADERS,    /* in a header line */
	BODY,       /* Content-Length */
	CHUNK_SIZE, /* in the line of a chunk's size */
	CHUNK_DATA,
	CHUNK_END, /* in the CRLF behind a chunk's data */
	TRAILERS,
	DONE,
	FAILED,
};

static const struct {
	const char *name;
	int status;
	const char *message;
} errors[HTTP_ERROR_COUNT] = {
	[HTTP_ERROR_NONE] = {"none", 200, "no error"},
	[HTTP_ERROR_REQUEST_LINE] = {"request_line", 400,
		"malformed request line: expected METHOD SP target SP HTTP/1.1"},
	[HTTP_ERROR_TARGET] = {"target", 400,
		"malformed request target: expected a path that begins with '/' and has no spaces, "
		"control bytes, non-ASCII bytes or '#'"},
	[HTTP_ERROR_VERSION] = {"version", 505, "HTTP version is not supported: expected HTTP/1.1"},
	[HTTP_ERROR_LINE_END] = {"line_end", 400, "malformed line: expected CR LF at its end"},
	[HTTP_ERROR_HEADER_NAME] = {"header_name", 400,
		"malformed header: expected a name, directly followed by a colon"},
	[HTTP_ERROR_HEADER_VALUE] = {"header_value", 400,
		"malformed header: its value has a control byte"},
	[HTTP_ERROR_HEADER_FOLDED] = {"header_folded", 400,
		"malformed header: a value does not go on in the next line"},
	[HTTP_ERROR_HOST] = {"host", 400,
		"malformed request: expected one Host header, with HOST or HOST:PORT, that agrees "
		"with the target"},
	[HTTP_ERROR_CONTENT_LENGTH] = {"content_length", 400,
		"malformed request: expected one Content-Length, in decimal digits"},
	[HTTP_ERROR_TRANSFER_ENCODING] = {"transfer_encoding", 400,
		"malformed request: expected one Transfer-Encoding, 'chunked', and HTTP/1.1"},
	[HTTP_ERROR_FRAMING] = {"framing", 400,
		"malformed request: it has both Content-Length and Transfer-Encoding"},
	[HTTP_ERROR_CHUNK] = {"chunk", 400, "malformed chunk in the body"},
	[HTTP_ERROR_EXPECT] = {"expect", 417, "unknown expectation: only 100-continue is known"},
	[HTTP_ERROR_URI_TOO_LONG] = {"uri_too_long", 414, "the request line is too long"},
	[HTTP_ERROR_HEADERS_TOO_LARGE] = {"headers_too_large", 431,
		"the headers are too large or too many"},
	[HTTP_ERROR_BODY_TOO_LARGE] = {"body_too_large", 413, "the body is too large"},
	[HTTP_ERROR_CONTENT_ENCODING] = {"content_encoding", 415,
		"unknown Content-Encoding: expected gzip or none"},
	[HTTP_ERROR_GZIP] = {"gzip", 400, "malformed gzip data in the body"},
	[HTTP_ERROR_TIMEOUT] = {"timeout", 408, "the request did not arrive in time"},
	[HTTP_ERROR_OVERLOAD] = {"overload", 503, "too many connections"},
};

const char *http_error_name(enum http_error_kind kind)
{
	return errors[kind].name;
}

int http_error_status(enum http_error_kind kind)
{
	return errors[kind].status;
}

const char *http_error_message(enum http_error_kind kind)
{
	return errors[kind].message;
}

/* --- bytes --- */

/* RFC 9110, 5.6.2: the bytes of a token, in lower case; 0 for any other byte. */
static const char token_lower[256] = {['!'] = '!',
	['#'] = '#',
	['$'] = '$',
	['%'] = '%',
	['&'] = '&',
	['\''] = '\'',
	['*'] = '*',
	['+'] = '+',
	['-'] = '-',
	['.'] = '.',
	['^'] = '^',
	['_'] = '_',
	['`'] = '`',
	['|'] = '|',
	['~'] = '~',
	['0'] = '0',
	['1'] = '1',
	['2'] = '2',
	['3'] = '3',
	['4'] = '4',
	['5'] = '5',
	['6'] = '6',
	['7'] = '7',
	['8'] = '8',
	['9'] = '9',
	['a'] = 'a',
	['b'] = 'b',
	['c'] = 'c',
	['d'] = 'd',
	['e'] = 'e',
	['f'] = 'f',
	['g'] = 'g',
	['h'] = 'h',
	['i'] = 'i',
	['j'] = 'j',
	['k'] = 'k',
	['l'] = 'l',
	['m'] = 'm',
	['n'] = 'n',
	['o'] = 'o',
	['p'] = 'p',
	['q'] = 'q',
	['r'] = 'r',
	['s'] = 's',
	['t'] = 't',
	['u'] = 'u',
	['v'] = 'v',
	['w'] = 'w',
	['x'] = 'x',
	['y'] = 'y',
	['z'] = 'z',
	['A'] = 'a',
	['B'] = 'b',
	['C'] = 'c',
	['D'] = 'd',
	['E'] = 'e',
	['F'] = 'f',
	['G'] = 'g',
	['H'] = 'h',
	['I'] = 'i',
	['J'] = 'j',
	['K'] = 'k',
	['L'] = 'l',
	['M'] = 'm',
	['N'] = 'n',
	['O'] = 'o',
	['P'] = 'p',
	['Q'] = 'q',
	['R'] = 'r',
	['S'] = 's',
	['T'] = 't',
	['U'] = 'u',
	['V'] = 'v',
	['W'] = 'w',
	['X'] = 'x',
	['Y'] = 'y',
	['Z'] = 'z'};

static bool is_token(char c)
{
	return token_lower[(unsigned char)c] != 0;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* RFC 9110, 5.5: everything but control bytes other than the tab. */
static bool is_field_text(struct str s)
{
	unsigned bad = 0;
	for (size_t i = 0; i < s.n;
		i++) { /* no early exit: the compiler makes this a few vectors */
		unsigned char c = (unsigned char)s.p[i];
		bad |= (unsigned)(c < 0x20 && c != '\t') | (unsigned)(c == 0x7F);
	}
	return !bad;
}

/* Visible ASCII but '#': what may stand in a request target. A few of these bytes are no URI
 * either, but clients send them, and they mean themselves. */
static bool is_target_text(struct str s)
{
	unsigned bad = 0;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		bad |= (unsigned)(c <= 0x20) | (unsigned)(c >= 0x7F) | (unsigned)(c == '#');
	}
	return !bad;
}

static struct str rest_of(struct str s, size_t from)
{
	return (struct str){s.p + from, s.n - from};
}

/* --- the parser --- */

void http_parser_init(struct http_parser *p, const struct http_limits *limits)
{
	*p = (struct http_parser){.limits_ = *limits, .state_ = START};
	buf_init(&p->head_, (size_t)limits->max_request_line_bytes + limits->max_header_bytes);
	buf_init(&p->body_, limits->max_body_bytes);
	buf_init(&p->line_, limits->max_header_bytes > MAX_CHUNK_LINE_BYTES
				    ? limits->max_header_bytes
				    : MAX_CHUNK_LINE_BYTES);
}

void http_parser_done(struct http_parser *p)
{
	buf_done(&p->head_);
	buf_done(&p->body_);
	buf_done(&p->line_);
	free(p->marks_);
	free(p->headers_);
	p->marks_ = NULL;
	p->headers_ = NULL;
}

/* Heads and bodies carry credentials. */
static void forget(struct buf *b, size_t kept)
{
	buf_wipe(b);
	buf_recycle(b, kept);
}

void http_parser_reset(struct http_parser *p)
{
	forget(&p->head_, KEPT_HEAD_BYTES);
	forget(&p->body_, KEPT_BODY_BYTES);
	buf_done(&p->line_);
	if (p->capacity_ > KEPT_HEADERS) {
		free(p->marks_);
		free(p->headers_);
		p->marks_ = NULL;
		p->headers_ = NULL;
		p->capacity_ = 0;
	}
	p->state_ = START;
	p->error_ = HTTP_ERROR_NONE;
	p->line_at_ = p->headers_at_ = p->n_marks_ = 0;
	p->method_n_ = p->target_at_ = p->target_n_ = 0;
	p->content_length_ = p->body_left_ = 0;
	p->has_host_ = p->has_content_length_ = p->is_chunked_ = false;
	p->extension_bytes_ = p->trailer_bytes_ = 0;
	p->request_ = (struct http_request){.n_headers = 0};
}

const struct http_request *http_parser_request(const struct http_parser *p)
{
	return &p->request_;
}

enum http_error_kind http_parser_error(const struct http_parser *p)
{
	return p->error_;
}

bool http_parser_started(const struct http_parser *p)
{
	return p->state_ != START;
}

bool http_parser_in_body(const struct http_parser *p)
{
	return p->state_ >= BODY && p->state_ < DONE;
}

/* --- lines --- */

enum line {
	LINE_MORE,
	LINE_WHOLE,
	LINE_TOO_LONG
};

/* Moves bytes up to the next LF into @b, whose line began at @line_at; a line has @max bytes at
 * most, its end included. The same answer whatever the pieces are: a line is too long once its
 * first @max bytes hold no LF. */
static enum line take_line(struct buf *b, size_t line_at, size_t max, struct str *in)
{
	size_t room = max - (b->n - line_at);
	const char *lf = in->n ? memchr(in->p, '\n', in->n < room ? in->n : room) : NULL;
	size_t n = lf ? (size_t)(lf - in->p) + 1 : in->n;
	if (!lf && n >= room)
		return LINE_TOO_LONG;
	buf_append(b, in->p, n);
	*in = rest_of(*in, n);
	return lf ? LINE_WHOLE : LINE_MORE;
}

/* @line without its CR LF; false when the CR is missing. */
static bool cut_line_end(struct str *line)
{
	if (line->n < 2 || line->p[line->n - 2] != '\r')
		return false;
	line->n -= 2;
	return true;
}

/* --- the request line --- */

static enum http_error_kind parse_version(struct str s, uint8_t *ret_minor)
{
	if (s.n != 8 || memcmp(s.p, "HTTP/", 5) != 0 || !is_digit(s.p[5]) || s.p[6] != '.' ||
		!is_digit(s.p[7]))
		return HTTP_ERROR_REQUEST_LINE;
	if (s.p[5] != '1')
		return HTTP_ERROR_VERSION;
	*ret_minor = s.p[7] == '0' ? 0 : 1; /* a later minor version is answered as 1.1 is (RFC
						9110, 2.5) */
	return HTTP_ERROR_NONE;
}

static bool is_host_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) ||
	       (c && strchr("-._~%!$&'()*+,;=", c));
}

/* HOST or HOST:PORT of RFC 3986, 3.2 without user information. An empty host is allowed: it is
 * what a client sends whose URI has none. */
static bool is_authority(struct str s)
{
	size_t i = 0;
	if (s.n && s.p[0] == '[') {
		for (i = 1; i < s.n && s.p[i] != ']'; i++)
			if (s.p[i] != ':' && s.p[i] != '%' && !is_host_byte(s.p[i]))
				return false;
		if (i == s.n || i == 1)
			return false;
		i++;
	} else {
		while (i < s.n && is_host_byte(s.p[i]))
			i++;
	}
	if (i == s.n)
		return true;
	struct str port = rest_of(s, i + 1);
	uint64_t number;
	return s.p[i] == ':' &&
	       (str_empty(port) || (port.n <= 5 && str_to_u64(port, &number) && number <= 65535));
}

/* Splits the target (RFC 9112, 3.2) into path, query and, in the absolute form, host. */
static bool split_target(struct http_request *r)
{
	struct str rest = r->target;
	if (rest.p[0] != '/') {
		if (str_eq(rest, STR("*"))) {
			r->path = rest;
			return str_eq(r->method, STR("OPTIONS"));
		}
		size_t scheme = str_index(rest, ':') + 3;
		if (scheme > rest.n || memcmp(rest.p + scheme - 3, "://", 3) != 0)
			return false;
		struct str name = str_sub(rest, 0, scheme - 3);
		if (!str_eq_nocase(name, STR("http")) && !str_eq_nocase(name, STR("https")))
			return false;
		rest = rest_of(rest, scheme);
		size_t end = 0;
		while (end < rest.n && rest.p[end] != '/' && rest.p[end] != '?')
			end++;
		r->host = str_sub(rest, 0, end);
		rest = rest_of(rest, end);
		if (str_empty(r->host) || !is_authority(r->host))
			return false;
	}
	size_t question = str_index(rest, '?');
	r->path = question ? str_sub(rest, 0, question) : STR("/");
	if (question < rest.n)
		r->query = rest_of(rest, question + 1);
	return true;
}

static enum http_error_kind parse_request_line(struct http_parser *p, struct str line)
{
	size_t n = 0;
	while (n < line.n && is_token(line.p[n]))
		n++;
	if (n == 0 || n > MAX_METHOD_BYTES || n == line.n || line.p[n] != ' ')
		return HTTP_ERROR_REQUEST_LINE;
	p->method_n_ = (uint32_t)n;
	const char *space = memrchr(line.p, ' ', line.n);
	size_t version_at = (size_t)(space - line.p) + 1;
	if (version_at < n + 2)
		return HTTP_ERROR_REQUEST_LINE;
	enum http_error_kind error =
		parse_version(rest_of(line, version_at), &p->request_.minor_version);
	if (error)
		return error;
	struct str target = str_sub(line, n + 1, version_at - n - 2);
	if (str_empty(target) || !is_target_text(target))
		return HTTP_ERROR_TARGET;
	/* split once here, so that a target that is wrong is told before any header is; the head
	 * may still move, so what is kept are offsets */
	struct http_request probe = {.method = str_sub(line, 0, n), .target = target};
	if (!split_target(&probe))
		return HTTP_ERROR_TARGET;
	p->target_at_ = (uint32_t)(target.p - p->head_.p);
	p->target_n_ = (uint32_t)target.n;
	p->method_n_ = (uint32_t)n;
	return HTTP_ERROR_NONE;
}

/* --- headers --- */

/* Splits a line into a name, put into lower case in place, and a trimmed value. */
static enum http_error_kind parse_header_line(char *line, size_t length, struct http_header *ret)
{
	size_t n = 0;
	if (is_blank(line[0]))
		return HTTP_ERROR_HEADER_FOLDED;
	for (; n < length; n++) {
		char c = token_lower[(unsigned char)line[n]];
		if (!c)
			break;
		line[n] = c;
	}
	if (n == 0 || n == length || line[n] != ':')
		return HTTP_ERROR_HEADER_NAME;
	struct str value = {line + n + 1, length - n - 1};
	while (value.n && is_blank(value.p[0]))
		value = rest_of(value, 1);
	while (value.n && is_blank(value.p[value.n - 1]))
		value.n--;
	if (!is_field_text(value))
		return HTTP_ERROR_HEADER_VALUE;
	*ret = (struct http_header){{line, n}, value};
	return HTTP_ERROR_NONE;
}

static enum http_error_kind on_host(struct http_parser *p, const struct http_header *h)
{
	if (p->has_host_ || !is_authority(h->value))
		return HTTP_ERROR_HOST;
	p->has_host_ = true;
	p->host_at_ = (uint32_t)(h->value.p - p->head_.p);
	p->host_n_ = (uint32_t)h->value.n;
	return HTTP_ERROR_NONE;
}

static enum http_error_kind on_content_length(struct http_parser *p, struct str value)
{
	if (p->has_content_length_ || str_empty(value))
		return HTTP_ERROR_CONTENT_LENGTH;
	for (size_t i = 0; i < value.n; i++)
		if (!is_digit(value.p[i]))
			return HTTP_ERROR_CONTENT_LENGTH;
	p->has_content_length_ = true;
	if (!str_to_u64(value, &p->content_length_))
		p->content_length_ =
			UINT64_MAX; /* digits, only too many: too large, not malformed */
	return HTTP_ERROR_NONE;
}

static enum http_error_kind on_transfer_encoding(struct http_parser *p, struct str value)
{
	if (p->is_chunked_ || !str_eq_nocase(value, STR("chunked")))
		return HTTP_ERROR_TRANSFER_ENCODING;
	p->is_chunked_ = true;
	return HTTP_ERROR_NONE;
}

static void on_connection(struct http_parser *p, struct str value)
{
	struct str option;
	while (str_split(&value, ',', &option))
		if (str_eq_nocase(str_trim(option), STR("close")))
			p->request_.keep_alive = false;
}

static enum http_error_kind on_expect(struct http_parser *p, struct str value)
{
	if (p->request_.minor_version == 0)
		return HTTP_ERROR_NONE; /* RFC 9110, 10.1.1: ignored */
	if (!str_eq_nocase(value, STR("100-continue")))
		return HTTP_ERROR_EXPECT;
	p->request_.expects_continue = true;
	return HTTP_ERROR_NONE;
}

/* The headers that say where the message ends and whether another follows. */
static enum http_error_kind look_at(struct http_parser *p, const struct http_header *h)
{
	switch (h->name.n) {
	case 4:
		return str_eq(h->name, STR("host")) ? on_host(p, h) : HTTP_ERROR_NONE;
	case 6:
		return str_eq(h->name, STR("expect")) ? on_expect(p, h->value) : HTTP_ERROR_NONE;
	case 10:
		if (str_eq(h->name, STR("connection")))
			on_connection(p, h->value);
		return HTTP_ERROR_NONE;
	case 14:
		return str_eq(h->name, STR("content-length")) ? on_content_length(p, h->value)
							      : HTTP_ERROR_NONE;
	case 17:
		return str_eq(h->name, STR("transfer-encoding")) ? on_transfer_encoding(p, h->value)
								 : HTTP_ERROR_NONE;
	default:
		return HTTP_ERROR_NONE;
	}
}

static enum http_error_kind add_header(struct http_parser *p, char *line, size_t length)
{
	struct http_header h;
	enum http_error_kind error = parse_header_line(line, length, &h);
	if (error)
		return error;
	if (p->n_marks_ == p->limits_.max_headers)
		return HTTP_ERROR_HEADERS_TOO_LARGE;
	if (p->n_marks_ == p->capacity_) {
		p->capacity_ = p->capacity_ ? p->capacity_ * 2 : FIRST_HEADERS;
		p->marks_ = xreallocarray(p->marks_, p->capacity_, sizeof *p->marks_);
		p->headers_ = xreallocarray(p->headers_, p->capacity_, sizeof *p->headers_);
	}
	p->marks_[p->n_marks_++] =
		(struct http_header_mark_){.name_at = (uint32_t)(h.name.p - p->head_.p),
			.name_n = (uint32_t)h.name.n,
			.value_at = (uint32_t)(h.value.p - p->head_.p),
			.value_n = (uint32_t)h.value.n};
	return look_at(p, &h);
}

/* --- the end of the head --- */

static struct str in_head(const struct http_parser *p, size_t at, size_t n)
{
	return (struct str){p->head_.p + at, n};
}

/* Makes views of the offsets: from here on the head does not move any more. */
static void make_views(struct http_parser *p)
{
	struct http_request *r = &p->request_;
	/* the request line begins the head */
	r->method = in_head(p, 0, p->method_n_);
	r->target = in_head(p, p->target_at_, p->target_n_);
	if (p->target_n_)
		split_target(r);
	for (size_t i = 0; i < p->n_marks_; i++) {
		const struct http_header_mark_ *m = &p->marks_[i];
		p->headers_[i].name = in_head(p, m->name_at, m->name_n);
		p->headers_[i].value = in_head(p, m->value_at, m->value_n);
	}
	r->headers = p->headers_;
	r->n_headers = p->n_marks_;
}

static enum http_error_kind check_host(struct http_parser *p)
{
	struct http_request *r = &p->request_;
	struct str host = in_head(p, p->host_at_, p->host_n_);
	if (!p->has_host_)
		return r->minor_version == 0 ? HTTP_ERROR_NONE : HTTP_ERROR_HOST;
	/* The absolute form wins over Host (RFC 9112, 3.2.2); where they differ, somebody before us
	 * may have read the other one. */
	if (r->host.p && !str_eq_nocase(r->host, host))
		return HTTP_ERROR_HOST;
	r->host = host;
	return HTTP_ERROR_NONE;
}

static enum http_error_kind check_framing(const struct http_parser *p)
{
	if (p->is_chunked_ && p->has_content_length_)
		return HTTP_ERROR_FRAMING;
	if (p->is_chunked_ && p->request_.minor_version == 0)
		return HTTP_ERROR_TRANSFER_ENCODING; /* RFC 9112, 6.1 */
	if (p->content_length_ > p->limits_.max_body_bytes)
		return HTTP_ERROR_BODY_TOO_LARGE;
	return HTTP_ERROR_NONE;
}

static enum http_parse_result fail(struct http_parser *p, enum http_error_kind error)
{
	if (!p->request_.headers && p->head_.n)
		make_views(p);
	p->error_ = error;
	p->state_ = FAILED;
	return HTTP_PARSE_ERROR;
}

static enum http_parse_result done(struct http_parser *p)
{
	p->request_.body = buf_str(&p->body_);
	p->state_ = DONE;
	return HTTP_PARSE_DONE;
}

static enum http_parse_result end_head(struct http_parser *p)
{
	make_views(p);
	enum http_error_kind error = check_host(p);
	if (!error)
		error = check_framing(p);
	if (error)
		return fail(p, error);
	p->request_.has_body = p->is_chunked_ || p->has_content_length_;
	p->body_left_ = p->content_length_;
	if (!p->is_chunked_ && !p->body_left_)
		return done(p);
	p->state_ = p->is_chunked_ ? CHUNK_SIZE : BODY;
	return HTTP_PARSE_HEAD;
}

/* --- steps: each takes what belongs to its state; HTTP_PARSE_MORE with bytes left means that the
 * state has changed --- */

static enum http_parse_result step_start(struct http_parser *p, struct str *in)
{
	char c = in->p[0];
	if (p->state_ == START_LF) {
		if (c != '\n')
			return fail(p, HTTP_ERROR_LINE_END);
		*in = rest_of(*in, 1);
		p->state_ = LINE_FIRST;
	} else if (p->state_ == START && c == '\r') {
		*in = rest_of(*in, 1);
		p->state_ = START_LF;
	} else if (!is_token(c)) {
		/* told at the first byte: what speaks TLS to us never sends a line */
		return fail(p, c == '\n' ? HTTP_ERROR_LINE_END : HTTP_ERROR_REQUEST_LINE);
	} else {
		p->state_ = LINE;
	}
	return HTTP_PARSE_MORE;
}

static enum http_parse_result step_line(struct http_parser *p, struct str *in)
{
	enum line found = take_line(&p->head_, 0, p->limits_.max_request_line_bytes, in);
	if (found == LINE_TOO_LONG)
		return fail(p, HTTP_ERROR_URI_TOO_LONG);
	if (found == LINE_MORE)
		return HTTP_PARSE_MORE;
	struct str line = buf_str(&p->head_);
	if (!cut_line_end(&line))
		return fail(p, HTTP_ERROR_LINE_END);
	enum http_error_kind error = parse_request_line(p, line);
	if (error)
		return fail(p, error);
	p->request_.keep_alive = p->request_.minor_version == 1;
	p->line_at_ = p->headers_at_ = p->head_.n;
	p->state_ = HEADERS;
	return HTTP_PARSE_MORE;
}

static enum http_parse_result step_headers(struct http_parser *p, struct str *in)
{
	size_t used = p->line_at_ - p->headers_at_;
	enum line found = take_line(&p->head_, p->line_at_, p->limits_.max_header_bytes - used, in);
	if (found == LINE_TOO_LONG)
		return fail(p, HTTP_ERROR_HEADERS_TOO_LARGE);
	if (found == LINE_MORE)
		return HTTP_PARSE_MORE;
	struct str line = rest_of(buf_str(&p->head_), p->line_at_);
	if (!cut_line_end(&line))
		return fail(p, HTTP_ERROR_LINE_END);
	if (str_empty(line))
		return end_head(p);
	enum http_error_kind error = add_header(p, p->head_.p + p->line_at_, line.n);
	if (error)
		return fail(p, error);
	p->line_at_ = p->head_.n;
	return HTTP_PARSE_MORE;
}

/* Takes bytes of the body or of the chunk at hand. The limit was checked where the length was
 * read. */
static void take_body(struct http_parser *p, struct str *in)
{
	size_t n = in->n < p->body_left_ ? in->n : (size_t)p->body_left_;
	buf_append(&p->body_, in->p, n);
	p->body_left_ -= n;
	*in = rest_of(*in, n);
}

static enum http_parse_result step_body(struct http_parser *p, struct str *in)
{
	take_body(p, in);
	return p->body_left_ ? HTTP_PARSE_MORE : done(p);
}

static struct str skip_blanks(struct str s)
{
	while (s.n && is_blank(s.p[0]))
		s = rest_of(s, 1);
	return s;
}

/* A token, or a quoted string (RFC 9110, 5.6.4), taken off the front; false when there is none. */
static bool skip_word(struct str *s, bool may_be_quoted)
{
	size_t i = 0;
	if (may_be_quoted && s->n && s->p[0] == '"') {
		for (i = 1; i < s->n && s->p[i] != '"'; i++)
			if (s->p[i] == '\\')
				i++;
		if (i >= s->n)
			return false;
		i++;
	} else {
		while (i < s->n && is_token(s->p[i]))
			i++;
	}
	*s = rest_of(*s, i);
	return i > 0;
}

/* *( BWS ";" BWS name [ BWS "=" BWS value ] ), RFC 9112, 7.1.1: read to refuse what it is not, and
 * ignored. */
static bool is_chunk_extension(struct str s)
{
	if (!is_field_text(s))
		return false;
	while (s.n) {
		s = skip_blanks(s);
		if (!s.n || s.p[0] != ';')
			return false;
		s = skip_blanks(rest_of(s, 1));
		if (!skip_word(&s, false))
			return false;
		struct str behind = skip_blanks(s);
		if (behind.n && behind.p[0] == '=') {
			s = skip_blanks(rest_of(behind, 1));
			if (!skip_word(&s, true))
				return false;
		}
	}
	return true;
}

static enum http_error_kind parse_chunk_line(struct http_parser *p, struct str line)
{
	uint64_t size = 0;
	size_t n = 0;
	for (; n < line.n && hex_value(line.p[n]) >= 0; n++)
		size = size << 4 | (unsigned)hex_value(line.p[n]);
	if (n == 0 || n > MAX_CHUNK_DIGITS)
		return HTTP_ERROR_CHUNK;
	p->extension_bytes_ += line.n - n;
	if (!is_chunk_extension(rest_of(line, n)) || p->extension_bytes_ > MAX_EXTENSION_BYTES)
		return HTTP_ERROR_CHUNK;
	if (size > p->limits_.max_body_bytes - p->body_.n)
		return HTTP_ERROR_BODY_TOO_LARGE;
	p->body_left_ = size;
	return HTTP_ERROR_NONE;
}

static enum http_parse_result step_chunk_size(struct http_parser *p, struct str *in)
{
	enum line found = take_line(&p->line_, 0, MAX_CHUNK_LINE_BYTES, in);
	if (found == LINE_TOO_LONG)
		return fail(p, HTTP_ERROR_CHUNK);
	if (found == LINE_MORE)
		return HTTP_PARSE_MORE;
	struct str line = buf_str(&p->line_);
	if (!cut_line_end(&line))
		return fail(p, HTTP_ERROR_CHUNK);
	enum http_error_kind error = parse_chunk_line(p, line);
	if (error)
		return fail(p, error);
	buf_reset(&p->line_);
	p->state_ = p->body_left_ ? CHUNK_DATA : TRAILERS;
	return HTTP_PARSE_MORE;
}

static enum http_parse_result step_chunk_data(struct http_parser *p, struct str *in)
{
	take_body(p, in);
	if (!p->body_left_)
		p->state_ = CHUNK_END;
	return HTTP_PARSE_MORE;
}

static enum http_parse_result step_chunk_end(struct http_parser *p, struct str *in)
{
	char wanted = p->line_.n ? '\n' : '\r';
	if (in->p[0] != wanted)
		return fail(p, HTTP_ERROR_CHUNK);
	*in = rest_of(*in, 1);
	if (wanted == '\r') {
		buf_append_char(&p->line_, '\r');
	} else {
		buf_reset(&p->line_);
		p->state_ = CHUNK_SIZE;
	}
	return HTTP_PARSE_MORE;
}

/* Trailers are checked like headers and dropped: nothing here needs them, and merged into the
 * headers they would be a way around every check of those. */
static enum http_parse_result step_trailers(struct http_parser *p, struct str *in)
{
	size_t used = p->head_.n - p->headers_at_ + p->trailer_bytes_;
	enum line found = take_line(&p->line_, 0, p->limits_.max_header_bytes - used, in);
	if (found == LINE_TOO_LONG)
		return fail(p, HTTP_ERROR_HEADERS_TOO_LARGE);
	if (found == LINE_MORE)
		return HTTP_PARSE_MORE;
	struct str line = buf_str(&p->line_);
	if (!cut_line_end(&line))
		return fail(p, HTTP_ERROR_LINE_END);
	if (str_empty(line))
		return done(p);
	struct http_header ignored;
	enum http_error_kind error = parse_header_line(p->line_.p, line.n, &ignored);
	if (error)
		return fail(p, error);
	p->trailer_bytes_ += p->line_.n;
	buf_reset(&p->line_);
	return HTTP_PARSE_MORE;
}

static enum http_parse_result step(struct http_parser *p, struct str *in)
{
	switch ((enum state)p->state_) {
	case START:
	case START_LF:
	case LINE_FIRST:
		return step_start(p, in);
	case LINE:
		return step_line(p, in);
	case HEADERS:
		return step_headers(p, in);
	case BODY:
		return step_body(p, in);
	case CHUNK_SIZE:
		return step_chunk_size(p, in);
	case CHUNK_DATA:
		return step_chunk_data(p, in);
	case CHUNK_END:
		return step_chunk_end(p, in);
	case TRAILERS:
		return step_trailers(p, in);
	case DONE:
		return HTTP_PARSE_DONE;
	case FAILED:
		return HTTP_PARSE_ERROR;
	}
	return HTTP_PARSE_ERROR;
}

enum http_parse_result http_parser_feed(
	struct http_parser *p, const char *bytes, size_t n, size_t *ret_taken)
{
	struct str in = {bytes, n};
	enum http_parse_result result = HTTP_PARSE_MORE;
	while (in.n && result == HTTP_PARSE_MORE)
		result = step(p, &in);
	*ret_taken = n - in.n;
	return result;
}

/* --- requests --- */

const struct http_header *http_request_find(const struct http_request *r, struct str name)
{
	for (size_t i = 0; i < r->n_headers; i++)
		if (str_eq(r->headers[i].name, name))
			return &r->headers[i];
	return NULL;
}

struct str http_request_header(const struct http_request *r, struct str name)
{
	const struct http_header *h = http_request_find(r, name);
	return h ? h->value : (struct str){NULL, 0};
}

size_t http_request_count(const struct http_request *r, struct str name)
{
	size_t count = 0;
	for (size_t i = 0; i < r->n_headers; i++)
		count += str_eq(r->headers[i].name, name);
	return count;
}
