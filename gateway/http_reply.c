/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/http_reply.h"

#include "common/base/cleanup.h"

#include <stdio.h>
#include <time.h>

enum {
	MAX_HEAD_BYTES = 64 * 1024
};

static const struct {
	int status;
	const char *reason;
} reasons[] = {{200, "OK"}, {201, "Created"}, {202, "Accepted"}, {204, "No Content"},
	{304, "Not Modified"}, {400, "Bad Request"}, {401, "Unauthorized"}, {403, "Forbidden"},
	{404, "Not Found"}, {405, "Method Not Allowed"}, {408, "Request Timeout"},
	{409, "Conflict"}, {413, "Content Too Large"}, {414, "URI Too Long"},
	{415, "Unsupported Media Type"}, {417, "Expectation Failed"}, {429, "Too Many Requests"},
	{431, "Request Header Fields Too Large"}, {499, "Client Closed Request"},
	{500, "Internal Server Error"}, {501, "Not Implemented"}, {502, "Bad Gateway"},
	{503, "Service Unavailable"}, {504, "Gateway Timeout"},
	{505, "HTTP Version Not Supported"}};

static const char *reason_of(int status)
{
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "";
}

static void append_number(struct buf *b, uint64_t n)
{
	char digits[20];
	size_t at = sizeof digits;
	do {
		digits[--at] = (char)('0' + n % 10);
		n /= 10;
	} while (n);
	buf_append(b, digits + at, sizeof digits - at);
}

/* A control byte in a header would let its value write headers, or a reply, of its own. */
static void append_sane(struct buf *b, struct str s)
{
	char *to = buf_reserve(b, s.n);
	if (!to)
		return;
	for (size_t i = 0; i < s.n; i++) {
		bool control = (unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7F;
		to[i] = s.p[i];
		if (control)
			to[i] = ' ';
	}
	b->n += s.n;
}

static void append_header(struct buf *b, struct str name, struct str value)
{
	append_sane(b, name);
	buf_append_str(b, STR(": "));
	append_sane(b, value);
	buf_append_str(b, STR("\r\n"));
}

/* IMF-fixdate (RFC 9110, 5.6.7), written once per second; the names are not the locale's. */
static struct str date_of(struct http_head *h, struct unix_time now)
{
	static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char months[][4] = {
		"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	int64_t now_s = unix_time_s(now);
	if (now_s != h->date_s_) {
		struct tm tm;
		time_t t = (time_t)now_s;
		gmtime_r(&t, &tm);
		snprintf(h->date_, sizeof h->date_, "%s, %02d %s %04d %02d:%02d:%02d GMT",
			days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon],
			(tm.tm_year + 1900) % 10000, tm.tm_hour, tm.tm_min, tm.tm_sec);
		h->date_s_ = now_s;
	}
	return (struct str){h->date_, 29};
}

bool http_reply_has_body(const struct http_reply *r)
{
	return r->status != 204 && r->status != 304;
}

void http_head_init(struct http_head *h)
{
	*h = (struct http_head){.date_s_ = INT64_MIN};
	buf_init(&h->text_, MAX_HEAD_BYTES);
}

void http_head_done(struct http_head *h)
{
	buf_done(&h->text_);
}

struct str http_head_write(struct http_head *h, const struct http_reply *r,
	const struct http_reply_form *form, struct unix_time now)
{
	struct buf *b = &h->text_;
	buf_reset(b);
	buf_append_str(b, STR("HTTP/1.1 "));
	append_number(b, (uint64_t)r->status);
	buf_append_char(b, ' ');
	buf_append_str(b, str_of(reason_of(r->status)));
	buf_append_str(b, STR("\r\nDate: "));
	buf_append_str(b, date_of(h, now));
	buf_append_str(b, STR("\r\n"));
	if (r->content_type.n)
		append_header(b, STR("Content-Type"), r->content_type);
	if (http_reply_has_body(r)) {
		buf_append_str(b, STR("Content-Length: "));
		append_number(b, form->body_bytes);
		buf_append_str(b, STR("\r\n"));
	}
	if (form->varies)
		buf_append_str(b, STR("Vary: Accept-Encoding\r\n"));
	if (form->is_gzip)
		buf_append_str(b, STR("Content-Encoding: gzip\r\n"));
	if (r->secret)
		buf_append_str(b, STR("Cache-Control: no-store\r\n"));
	if (form->close)
		buf_append_str(b, STR("Connection: close\r\n"));
	for (size_t i = 0; i < r->n_headers; i++)
		append_header(b, r->headers[i].name, r->headers[i].value);
	buf_append_str(b, STR("\r\n"));
	return buf_overflown(b) ? STR("") : buf_str(b);
}
