/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/http_reply.h"
#include "tests/lib/test.h"

static const struct unix_time may = {INT64_C(1777637112) * US_PER_S}; /* 2026-05-01T12:05:12Z */

static void assert_head(
	const struct http_reply *r, const struct http_reply_form *form, const char *wanted)
{
	struct http_head h;
	http_head_init(&h);
	assert_str(http_head_write(&h, r, form, may), wanted);
	http_head_done(&h);
}

#define DATE "Date: Fri, 01 May 2026 12:05:12 GMT\r\n"

static void a_head_says_what_the_reply_is(void **state)
{
	(void)state;
	const struct http_header more[] = {{STR("X-Request-Id"), STR("r-1")}};
	assert_head(&(const struct http_reply){.status = 200,
			    .content_type = STR("application/json"),
			    .headers = more,
			    .n_headers = 1},
		&(const struct http_reply_form){.body_bytes = 1234567, .varies = true},
		"HTTP/1.1 200 OK\r\n" DATE "Content-Type: application/json\r\n"
		"Content-Length: 1234567\r\nVary: Accept-Encoding\r\nX-Request-Id: r-1\r\n\r\n");
	assert_head(&(const struct http_reply){.status = 201, .secret = true},
		&(const struct http_reply_form){.is_gzip = true, .close = true},
		"HTTP/1.1 201 Created\r\n" DATE "Content-Length: 0\r\n"
		"Content-Encoding: gzip\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n");
}

static void without_a_body_there_is_no_length(void **state)
{
	(void)state;
	const struct http_reply_form form = {.close = false};
	assert_head(&(const struct http_reply){.status = 204}, &form,
		"HTTP/1.1 204 No Content\r\n" DATE "\r\n");
	assert_head(&(const struct http_reply){.status = 304}, &form,
		"HTTP/1.1 304 Not Modified\r\n" DATE "\r\n");
}

/* RFC 9112, 4: a reason may be missing, the space in front of it may not. */
static void a_status_without_a_name_has_its_number(void **state)
{
	(void)state;
	assert_head(&(const struct http_reply){.status = 599}, &(const struct http_reply_form){0},
		"HTTP/1.1 599 \r\n" DATE "Content-Length: 0\r\n\r\n");
}

static void a_value_cannot_forge_a_header(void **state)
{
	(void)state;
	const struct http_header bad[] = {{STR("X-A"), STR("1\r\nX-B: 2\0\x7F\t")}};
	assert_head(&(const struct http_reply){.status = 204, .headers = bad, .n_headers = 1},
		&(const struct http_reply_form){0},
		"HTTP/1.1 204 No Content\r\n" DATE "X-A: 1  X-B: 2   \r\n\r\n");
}

static void the_date_follows_the_clock(void **state)
{
	(void)state;
	struct http_head h;
	const struct http_reply r = {.status = 204};
	const struct http_reply_form form = {0};
	http_head_init(&h);
	http_head_write(&h, &r, &form, may);
	assert_str(http_head_write(&h, &r, &form, (struct unix_time){0}),
		"HTTP/1.1 204 No Content\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n");
	http_head_done(&h);
}

static void a_head_that_is_too_long_is_none(void **state)
{
	(void)state;
	static char text[64 * 1024];
	memset(text, 'x', sizeof text);
	const struct http_header large[] = {{STR("X-A"), {text, sizeof text}}};
	const struct http_reply_form form = {0};
	struct http_head h;
	http_head_init(&h);
	assert_str(
		http_head_write(&h,
			&(const struct http_reply){.status = 200, .headers = large, .n_headers = 1},
			&form, may),
		"");
	assert_true(http_head_write(&h, &(const struct http_reply){.status = 204}, &form, may).n);
	http_head_done(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_head_says_what_the_reply_is),
		cmocka_unit_test(without_a_body_there_is_no_length),
		cmocka_unit_test(a_status_without_a_name_has_its_number),
		cmocka_unit_test(a_value_cannot_forge_a_header),
		cmocka_unit_test(the_date_follows_the_clock),
		cmocka_unit_test(a_head_that_is_too_long_is_none),
	};
	return RUN_TESTS(tests);
}
