/* SPDX-License-Identifier: Apache-2.0 */
/* The server over socket pairs: the test is the client, turns the loop and moves the clock. */
#include "common/base/buf.h"
#include "common/base/random.h"
#include "common/base/xalloc.h"
#include "common/event/loop.h"
#include "common/net/address.h"
#include "common/net/listener.h"
#include "common/net/tls.h"
#include "gateway/http_gzip.h"
#include "gateway/http_server.h"
#include "tests/lib/certs.h"
#include "tests/lib/fake_clock.h"
#include "tests/lib/test.h"

#include <errno.h>
#include <event2/event.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	MAX_PENDING = 16,
	TICK_MS = 5
};

struct world {
	struct loop *loop;
	struct fake_clock clock;
	struct http_server *server;
	struct http_exchange *pending[MAX_PENDING]; /* of /later, oldest first */
	size_t n_pending;
	unsigned handled, cancelled;
	bool stopped;
	bool answer_cancelled; /* in on_cancel, as real handlers may */
	char last_error[100];
};

static void remove_pending(struct world *w, size_t i)
{
	w->n_pending--;
	memmove(&w->pending[i], &w->pending[i + 1], (w->n_pending - i) * sizeof w->pending[0]);
}

static void answer(struct world *w, size_t i, const char *text)
{
	struct http_exchange *x = w->pending[i];
	remove_pending(w, i);
	http_exchange_reply(
		x, &(const struct http_reply){
			   .status = 200, .content_type = STR("text/plain"), .body = str_of(text)});
}

static void on_cancel(void *arg)
{
	struct world *w = arg;
	w->cancelled++;
	if (w->answer_cancelled)
		answer(w, 0, "too late");
}

static void reply_big(struct http_exchange *x, const struct http_request *q)
{
	uint64_t n = 0;
	assert_true(str_to_u64(q->query, &n));
	char *text = xmalloc(n);
	memset(text, 'x', n);
	if (str_eq(q->path, STR("/noise")))
		random_bytes(&random_system, text, n);
	http_exchange_reply(x, &(const struct http_reply){.status = 200,
				       .content_type = STR("text/plain"),
				       .body = {text, n},
				       .secret = str_eq(q->path, STR("/secret"))});
	free(text);
}

static void handle(void *self, struct http_exchange *x)
{
	struct world *w = self;
	const struct http_request *q = http_exchange_request(x);
	w->handled++;
	if (str_eq(q->path, STR("/later"))) {
		assert_true(w->n_pending < MAX_PENDING);
		w->pending[w->n_pending++] = x;
		http_exchange_on_cancel(x, on_cancel, w);
	} else if (str_eq(q->path, STR("/big")) || str_eq(q->path, STR("/noise")) ||
		   str_eq(q->path, STR("/secret"))) {
		reply_big(x, q);
	} else if (str_eq(q->path, STR("/evil"))) {
		const struct http_header evil = {STR("X-Evil"), STR("a\r\nSet-Cookie: b\0c")};
		http_exchange_reply(x, &(const struct http_reply){
					       .status = 204, .headers = &evil, .n_headers = 1});
	} else if (str_eq(q->path, STR("/peer"))) {
		http_exchange_reply(x, &(const struct http_reply){.status = 200,
					       .body = str_of(http_exchange_peer_text(x))});
	} else if (str_eq(q->path, STR("/tls"))) {
		const char *who = http_exchange_tls_identity(x);
		http_exchange_reply(
			x, &(const struct http_reply){.status = http_exchange_is_tls(x) ? 200 : 400,
				   .content_type = STR("text/plain"),
				   .body = str_of(who ? who : "nobody")});
	} else {
		_cleanup_buf_ struct buf b;
		buf_init(&b, 1 << 22);
		buf_printf(&b, "%.*s %.*s %.*s", STR_ARG(q->method), STR_ARG(q->path),
			STR_ARG(q->body));
		http_exchange_reply(x, &(const struct http_reply){.status = 200,
					       .content_type = STR("text/plain"),
					       .body = buf_str(&b)});
	}
}

static void render_error(
	void *self, const struct http_error *e, struct buf *body, struct http_reply *r)
{
	struct world *w = self;
	snprintf(w->last_error, sizeof w->last_error, "%s %.*s", http_error_name(e->kind),
		STR_ARG(e->request->path));
	buf_printf(body, "{\"error\":\"%s\"}", http_error_name(e->kind));
	assert_int_equal(r->status, e->status);
}

static struct http_server_options test_options(struct world *w)
{
	struct http_server_options o = HTTP_SERVER_OPTIONS_DEFAULT;
	o.clock = &w->clock.clock;
	o.gone_grace_ms = TICK_MS * 8;
	return o;
}

static void world_init_with(struct world *w, const struct http_server_options *o)
{
	struct fake_clock clock = w->clock;
	*w = (struct world){.loop = loop_new(), .clock = clock};
	const struct http_handler handler = {
		.self = w, .handle = handle, .render_error = render_error};
	w->server = http_server_new(w->loop, o, &handler);
}

static void world_init(struct world *w)
{
	fake_clock_init(&w->clock);
	const struct http_server_options o = test_options(w);
	world_init_with(w, &o);
}

static void turn(struct world *w)
{
	event_base_loop(loop_base(w->loop), EVLOOP_NONBLOCK);
}

static void world_done(struct world *w)
{
	while (w->n_pending)
		answer(w, 0, "");
	turn(w);
	http_server_free(w->server);
	loop_free(w->loop);
}

/* The clock goes on by @ms, and the server notices. */
static void wait_ms(struct world *w, int64_t ms)
{
	fake_clock_advance_ms(&w->clock, ms);
	for (unsigned i = 0; i < 3; i++) {
		usleep(TICK_MS * 1000);
		turn(w);
		turn(w);
	}
}

/* The loop runs until a drain has closed the listeners: by the clock of the kernel, not the
 * server's. */
static void wait_closed_listeners(struct world *w)
{
	const struct timeval end = {.tv_usec = 60000};
	event_base_loopexit(loop_base(w->loop), &end);
	assert_int_equal(event_base_loop(loop_base(w->loop), EVLOOP_NO_EXIT_ON_EMPTY), 0);
}

static int dial(struct world *w)
{
	int fds[2];
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	http_server_adopt(w->server, fds[0], NULL);
	return fds[1];
}

static void say(struct world *w, int fd, struct str text)
{
	while (text.n) {
		ssize_t n = send(fd, text.p, text.n, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN)
			break; /* the server closed; what it said tells */
		if (n > 0)
			text = str_sub(text, (size_t)n, text.n);
		turn(w);
	}
	turn(w);
}

/* Everything that comes until the server is quiet; *@ret_eof tells whether it closed. */
static void hear(struct world *w, int fd, struct buf *out, bool *ret_eof)
{
	buf_init(out, 64 << 20);
	*ret_eof = false;
	for (unsigned quiet = 0; quiet < 4 && !*ret_eof;) {
		char block[65536];
		ssize_t n = recv(fd, block, sizeof block, 0);
		if (n > 0) {
			buf_append(out, block, (size_t)n);
			quiet = 0;
		} else if (n == 0 || errno == ECONNRESET) {
			*ret_eof = true;
		} else {
			quiet++;
			turn(w);
		}
	}
}

#define DATE "Date: Fri, 01 May 2026 12:00:00 GMT\r\n"
#define OK(length)                                                                                 \
	"HTTP/1.1 200 OK\r\n" DATE "Content-Type: text/plain\r\nContent-Length: " length "\r\n"

static void expect_full(struct world *w, int fd, const char *text, bool closed)
{
	_cleanup_buf_ struct buf b;
	bool eof;
	hear(w, fd, &b, &eof);
	assert_str(buf_str(&b), text);
	assert_int_equal(eof, closed);
}

static void expect(struct world *w, int fd, const char *text)
{
	expect_full(w, fd, text, false);
}

static void expect_and_close(struct world *w, int fd, const char *text)
{
	expect_full(w, fd, text, true);
	close(fd);
	turn(w);
}

static void expect_error(struct world *w, int fd, int status, const char *name)
{
	_cleanup_buf_ struct buf b;
	bool eof;
	char start[40], end[80];
	hear(w, fd, &b, &eof);
	assert_true(eof);
	snprintf(start, sizeof start, "HTTP/1.1 %d ", status);
	snprintf(end, sizeof end, "Connection: close\r\n\r\n{\"error\":\"%s\"}", name);
	if (!str_starts_with(buf_str(&b), str_of(start)))
		fail_msg("'%s' is not %d", buf_str(&b).p, status);
	if (status != 415 && status != 503) /* they have a header more */
		assert_true(str_ends_with(buf_str(&b), str_of(end)));
	assert_non_null(strstr(b.p, "Content-Type: application/json\r\n"));
	close(fd);
	turn(w);
}

static uint64_t connections(const struct world *w)
{
	return http_counter_get(&http_server_stats(w->server)->connections);
}

#define HOST "Host: h\r\n"
#define GET(path) "GET " path " HTTP/1.1\r\n" HOST "\r\n"

/* --- requests and replies --- */

static void a_connection_serves_many_requests(void **state)
{
	(void)state;
	struct world w;
	world_init(&w);
	int fd = dial(&w);
	for (unsigned i = 0; i < 3; i++) {
		say(&w, fd, STR(GET("/a")));
		expect(&w, fd, OK("7") "\r\nGET /a ");
	}
	say(&w, fd, STR("POST /b HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nhi"));
	expect(&w, fd, OK("10") "\r\nPOST /b hi");
	assert_int_equal(http_counter_get(&http_server_stats(w.server)->requests), 4);
	assert_int_equal(http_counter_get(&http_server_stats(w.server)->replies_by_class[2]), 4);
	assert_int_equal(http_counter_get(&http_server_stats(w.server)->in_flight), 0);
	close(fd);
	turn(&w);
	assert_int_equal(connections(&w), 0);
	world_done(&w);
}

static void a_request_may_come_byte_by_byte(void **state)
{
	(void)state;
	struct world w;
	world_init(&w);
	int fd = dial(&w);
	struct str text = STR("POST /c HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
			      "2\r\nab\r\n1\r\nc\r\n0\r\n\r\n");
	for (size_t i = 0; i < text.n; i++)
		say(&w, fd, str_sub(text, i, 1));
	expect(&w, fd, OK("11") "\r\nPOST /c abc");
	close(fd);
	world_done(&w);
}

static void close_and_http_1_0_end_the_connection(void **state)
{
	(void)state;
	struct world w;
	world_init(&w);
	int fd = dial(&w);
	say(&w, fd, STR("GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n" GET("/ignored")));
	expect_and_close(&w, fd, OK("6") "Connection: close\r\n\r\nGET / ");
	fd = dial(&w);
	say(&w, fd, STR("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
	expect_and_close(&w, fd, OK("6") "Connection: close\r\n\r\nGET / ");
	assert_int_equal(w.handled, 2);
	assert_int_equal(connections(&w), 0);
	world_done(&w);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
	(void)state;
	struct world w;
	world_init(&w);
	int fd = dial(&w);
	say(&w, fd, STR(GET("/1") GET("/later") GET("/3") GET("/4")));
	expect(&w, fd, OK("7") "\r\nGET /1 ");
	assert_int_equal(w.handled, 2); /* one at a time */
	answer(&w, 0, "second");
	assert_int_equal(w.handled, 2); /* and never inside a reply */
	expect(&w, fd, OK("6") "\r\nsecond" OK("7") "\r\nGET /3 " OK("7") "\r\nGET /4 ");
	close(fd);
	world_done(&w);
}

static void head_has_the_headers_of_get_and_no_body(void **state)
{
	(void)state;
	struct world w;
	world_init(&w);
	int fd = dial(&w);
	say(&w, fd, STR("HEAD /big?500 HTTP/1.1\r\n" HOST "\r\n" GET("/a")));
	expect(&w, fd, OK("500") "\r\n" OK("7") "\r\nGET /a ");
	close(fd);
	world_done(&w);
}

static void a_client_that_waits_is_told_to_continue(void **state)
{
	(void)state;
	struct world w;
	world_init(&w);
	int fd = dial(&w);
#define EXPECT "PUT /a HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"
	say(&w, fd, STR(EXPECT));
	expect(&w, fd, "HTTP/1.1 100 Continue\r\n\r\n");
	say(&w, fd, STR("hi"));
	expect(&w, fd, OK("9") "\r\nPUT /a hi");
	say(&w, fd, STR(EXPECT "hi")); /* it did not wait: RFC 9110, 10.1.1 */
	expect(&w, fd, OK("9") "\r\nPUT /a hi");
	close(fd);
	world_done(&w);
}

static void a_header_value_cannot_forge_headers(void **state)
{
	(void)state;
	struct world w;
	world_init(&w);
	int fd = dial(&w);
	say(&w, fd, STR(GET("/evil")));
	expect(&w, fd, "HTTP/1.1 204 No Content\r\n" DATE "X-Evil: a  Set-Cookie: b c\r\n\r\n");
	close(fd);
	world_done(&w);
}

static void the_date_is_the_moment_of_the_reply(void **state)
{
	(void)state;
	struct world w;
	world_init(&w);
	int fd = dial(&w);
	say(&w, fd, STR(GET("/a")));
	expect(&w, fd, OK("7") "\r\nGET /a ");
	fake_clock_advance_ms(&w.clock, 1000);
	say(&w, fd, STR(GET("/a")));
	expect(&w, fd,
		"HTTP/1.1 200 OK\r\nDate: Fri, 01 May 2026 12:00:01 GMT\r\nContent-Type: "
		"text/plain\r\nContent-Length: 7\r\n\r\nGET /a ");
	close(fd);
	world_done(&w);
}

/* --- errors --- */

static void a_malformed_request_gets_its_reply_and_then_the_close(void **state)
{
	(void)state;
	static const struct {
		struct str text;
		int status;
		const char *name;
	} wrong[] = {
		{STR("GET / HTTP/1.1\n"), 400, "line_end"},
		{STR("GET / HTTP/3.0\r\n"), 505, "version"},
		{STR("GET / HTTP/1.1\r\n\r\n"), 400, "host"},
		{STR("POST / HTTP/1.1\r\n" HOST "Content-Length: 1048577\r\n\r\n"), 413,
			"body_too_large"},
		{STR("POST / HTTP/1.1\r\n" HOST "Expect: x\r\n\r\n"), 417, "expect"},
		{STR("POST / HTTP/1.1\r\n" HOST
		     "Content-Length: 1\r\nContent-Encoding: br\r\n\r\nx"),
			415, "content_encoding"},
		{STR("POST / HTTP/1.1\r\n" HOST
		     "Content-Length: 1\r\nContent-Encoding: gzip\r\n\r\nx"),
			400, "gzip"},
	};
	struct world w;
	world_init(&w);
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		int fd = dial(&w);
		say(&w, fd, wrong[i].text);
		say(&w, fd, STR(GET("/smuggled")));
		expect_error(&w, fd, wrong[i].status, wrong[i].name);
	}
	assert_int_equal(w.handled, 0);
	assert_int_equal(connections(&w), 0);
	const struct http_server_stats *stats = http_server_stats(w.server);
	assert_int_equal(http_counter_get(&stats->errors[HTTP_ERROR_LINE_END]), 1);
	assert_int_equal(http_counter_get(&stats->replies_by_class[4]), 6);
	assert_int_equal(http_counter_get(&stats->replies_by_class[5]), 1);
	world_done(&w);
}

static void an_upload_that_is_too_large_does_not_destroy_its_reply(void **state)
{
	(void)state;
	struct world w;
	world_init(&w);
	int fd = dial(&w);
	say(&w, fd, STR("POST /p HTTP/1.1\r\n" HOST "Content-Length: 99999999\r\n\r\n"));
	char block[65536] = {0};
	for (unsigned i = 0; i < 16; i++) /* the client goes on before it reads */
		say(&w, fd, (struct str){block, sizeof block});
	assert_string_equal(w.last_error, "body_too_large /p");
	expect_error(&w, fd, 413, "body_too_large");
	world_done(&w);
}

static void without_a_renderer_errors_are_google_rpc_status(void **state)
{
	(void)state;
	struct world w = {.stopped = false};
	fake_clock_init(&w.clock);
	w.loop = loop_new();
	const struct http_server_options o = test_options(&w);
	const struct http_handler handler = {.self = &w, .handle = handle};
	w.server = http_server_new(w.loop, &o, &handler);
	int fd = dial(&w);
	say(&w, fd, STR("GET / HTTP/1.1\r\n\r\n"));
	_cleanup_buf_ struct buf b;
	bool eof;
	hear(&w, fd, &b, &eof);
	assert_true(eof);
	assert_true(str_ends_with(buf_str(&b),
		STR("{\"code\":3,\"message\":\"malformed request: expected one Host header, with "
		    "HOST or HOST:PORT, that agrees with the target\",\"details\":[]}")));
	close(fd);
	world_done(&w);
}

/* What evhttp 2.1 takes, and what has desynchronised proxies and servers elsewhere. The second
 * request is what the attacker wants to slip through. */
static void smuggling_is_refused_and_the_connection_closed(void **state)
{
	(void)state;
#define SMUGGLED "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
#define ATTEMPT(headers, body) STR("POST / HTTP/1.1\r\n" HOST headers "\r\n\r\n" body SMUGGLED)
	const struct str attempts[] = {
		ATTEMPT("Content-Length: 6\r\nTransfer-Encoding: chunked", "0\r\n\r\nX"),
		ATTEMPT("Transfer-Encoding: chunked\r\nContent-Length: 6", "0\r\n\r\nX"),
		ATTEMPT("Content-Length: 1\r\nContent-Length: 2", "xy"),
		ATTEMPT("Content-Length: 1\r\nContent-Length: 1", "x"),
		ATTEMPT("Content-Length: 1,1", "x"),
		ATTEMPT("Content-Length: +1", "x"),
		ATTEMPT("Content-Length : 1", "x"),
		ATTEMPT("Content-Length: 1\r\n ", "x"),
		ATTEMPT("Content-Length: 1 1", "x"),
		ATTEMPT("Content-Length: 0x1", "x"),
		ATTEMPT("Content-Length:", ""),
		ATTEMPT("Content-Length: -0", ""),
		ATTEMPT("Transfer-Encoding : chunked", "0\r\n\r\n"),
		ATTEMPT("Transfer-Encoding: xchunked", "0\r\n\r\n"),
		ATTEMPT("Transfer-Encoding: chunked, identity", "0\r\n\r\n"),
		ATTEMPT("Transfer-Encoding: chunked\r\nTransfer-Encoding: x", "0\r\n\r\n"),
		ATTEMPT("Transfer-Encoding:\r\n chunked", "0\r\n\r\n"),
		ATTEMPT("Transfer-Encoding: \0chunked", "0\r\n\r\n"),
		ATTEMPT("Transfer-Encoding: chunked\0", "0\r\n\r\n"),
		ATTEMPT("X: y\rTransfer-Encoding: chunked", "0\r\n\r\n"),
		ATTEMPT("X: y\nTransfer-Encoding: chunked", "0\r\n\r\n"),
		ATTEMPT("Transfer-Encoding: chunked", "0x3\r\nabc\r\n0\r\n\r\n"),
		ATTEMPT("Transfer-Encoding: chunked", "+3\r\nabc\r\n0\r\n\r\n"),
		ATTEMPT("Transfer-Encoding: chunked", " 3\r\nabc\r\n0\r\n\r\n"),
		ATTEMPT("Transfer-Encoding: chunked", "3\nabc\n0\n\n"),
		ATTEMPT("Transfer-Encoding: chunked", "3;\nabc\r\n0\r\n\r\n"),
		ATTEMPT("Transfer-Encoding: chunked", "3\r\nabcX0\r\n\r\n"),
		ATTEMPT("Transfer-Encoding: chunked", "0\r\n X\r\n\r\n"),
		ATTEMPT("Host: other", ""),
		ATTEMPT(": empty", ""),
		ATTEMPT("No colon", ""),
		ATTEMPT("Sp ace: x", ""),
		ATTEMPT("A: b\r\n folded", ""),
		ATTEMPT("A: \0", ""),
		STR("GET / HTTP/1.1\r\n\r\n" SMUGGLED),
		STR("GET / HTTP/1.1\nHost: h\n\n" SMUGGLED),
		STR("GET http://other/ HTTP/1.1\r\n" HOST "\r\n" SMUGGLED),
		STR("GET / HTTP/1.1 \r\n" HOST "\r\n" SMUGGLED),
		STR("GET /\r\n\r\n" SMUGGLED),
		STR("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SMUGGLED),
	};
	struct world w;
	world_init(&w);
	for (size_t i = 0; i < sizeof attempts / sizeof attempts[0]; i++) {
		int fd = dial(&w);
		_cleanup_buf_ struct buf b;
		bool eof;
		say(&w, fd, attempts[i]);
		hear(&w, fd, &b, &eof);
		if (!eof || w.handled || !str_starts_with(buf_str(&b), STR("HTTP/1.1 400 ")))
			fail_msg("attempt %zu: '%.*s' got '%s'", i, STR_ARG(attempts[i]), b.p);
		close(fd);
		turn(&w);
	}
	assert_int_equal(connections(&w), 0);
	world_done(&w);
}

static void an_upgrade_is_not_taken(void **state)
{
	(void)state;
	struct world w;
	world_init(&w);
	int fd = dial(&w);
	say(&w, fd,
		STR("GET /a HTTP/1.1\r\n" HOST "Connection: Upgrade, HTTP2-Settings\r\n"
		    "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"));
	expect(&w, fd, OK("7") "\r\nGET /a ");
	close(fd);
	world_done(&w);
}

/* --- gzip --- */

static void say_gzip(struct world *w, int fd, const struct buf *packed)
{
	_cleanup_buf_ struct buf b;
	buf_init(&b, 8 << 20);
	buf_printf(&b,
		"POST /z HTTP/1.1\r\n" HOST "Content-Encoding: gzip\r\nContent-Length: %zu\r\n\r\n",
		packed->n);
	buf_append_str(&b, buf_str(packed));
	say(w, fd, buf_str(&b));
}

static void a_gzip_body_is_inflated(void **state)
{
	(void)state;
	struct world w;
	world_init(&w);
	int fd = dial(&w);
	static const unsigned char hello[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xcb, 0x48, 0xcd,
		0xc9, 0xc9, 0x07, 0x00, 0x86, 0xa6, 0x10, 0x36, 5, 0, 0, 0};
	struct buf packed;
	buf_init(&packed, 1000);
	buf_append(&packed, hello, sizeof hello);
	say_gzip(&w, fd, &packed);
	expect(&w, fd, OK("13") "\r\nPOST /z hello");
	buf_append(&packed, hello, sizeof hello); /* two members are one text */
	say_gzip(&w, fd, &packed);
	expect(&w, fd, OK("18") "\r\nPOST /z hellohello");
	packed.n--;
	say_gzip(&w, fd, &packed);
	expect_error(&w, fd, 400, "gzip");
	buf_done(&packed);
	world_done(&w);
}

static void a_gzip_bomb_is_stopped_at_the_limit_of_bodies(void **state)
{
	(void)state;
	struct world w;
	world_init(&w);
	const size_t limit = 1024 * 1024;
	struct http_gzip *g = http_gzip_new();
	for (size_t more = 0; more < 2; more++) {
		_cleanup_buf_ struct buf packed;
		buf_init(&packed, 1 << 22);
		char *zeros = xcalloc(1, limit + more);
		memset(zeros, 'z', limit + more);
		assert_true(http_gzip_deflate(g, (struct str){zeros, limit + more}, &packed));
		free(zeros);
		assert_true(packed.n < 10000);
		int fd = dial(&w);
		say_gzip(&w, fd, &packed);
		if (more) {
			expect_error(&w, fd, 413, "body_too_large");
		} else {
			_cleanup_buf_ struct buf b;
			bool eof;
			hear(&w, fd, &b, &eof);
			assert_true(b.n > limit);
			close(fd);
		}
	}
	http_gzip_free(g);
	world_done(&w);
}

static void say_accept(struct world *w, int fd, const char *path, const char *accept)
{
	_cleanup_buf_ struct buf b;
	buf_init(&b, 1000);
	buf_printf(&b, "GET %s HTTP/1.1\r\n" HOST "Accept-Encoding: %s\r\n\r\n", path, accept);
	say(w, fd, buf_str(&b));
}

static void a_large_reply_is_compressed_for_who_asks(void **state)
{
	(void)state;
	static const struct {
		const char *path, *accept;
		bool compressed, varies;
	} examples[] = {
		{"/big?1025", "gzip", true, true},
		{"/big?1024", "gzip", false, false},
		{"/big?5000", "br, GZIP;q=0.5", true, true},
		{"/big?5000", "*", true, true},
		{"/big?5000", "*;q=0.001, identity;q=0", true, true},
		{"/big?5000", "x-gzip ; q=1.000", true, true},
		{"/big?5000", "deflate, br", false, true},
		{"/big?5000", "gzip;q=0", false, true},
		{"/big?5000", "gzip;q=0.000, *", false, true},
		{"/big?5000", "gzip;q=0.5, identity", false, true},
		{"/big?5000", "gzip;q=1.5", false, true},
		{"/big?5000", "gzip;q=x", false, true},
		{"/big?5000", "", false, true},
		{"/noise?5000", "gzip", false, true}, /* it would grow */
		{"/secret?5000", "gzip", false, false},
	};
	struct world w;
	world_init(&w);
	struct http_gzip *g = http_gzip_new();
	int fd = dial(&w);
	for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
		_cleanup_buf_ struct buf b, plain;
		bool eof;
		say_accept(&w, fd, examples[i].path, examples[i].accept);
		hear(&w, fd, &b, &eof);
		assert_false(eof);
		const char *body = strstr(b.p, "\r\n\r\n");
		assert_non_null(body);
		body += 4;
		size_t n = b.n - (size_t)(body - b.p);
		char length[60];
		snprintf(length, sizeof length, "Content-Length: %zu\r\n", n);
		assert_non_null(strstr(b.p, length));
		if (!strstr(b.p, "Content-Encoding: gzip\r\n") == examples[i].compressed ||
			!strstr(b.p, "Vary: Accept-Encoding\r\n") == examples[i].varies)
			fail_msg("%s of %s: %.300s", examples[i].accept, examples[i].path, b.p);
		if (strstr(examples[i].path, "secret"))
			assert_non_null(strstr(b.p, "Cache-Control: no-store\r\n"));
		if (!examples[i].compressed)
			continue;
		buf_init(&plain, 10000);
		assert_int_equal(http_gzip_inflate(g, (struct str){body, n}, &plain), 0);
		assert_int_equal(plain.n, strtoul(strchr(examples[i].path, '?') + 1, NULL, 10));
		buf_done(&plain);
	}
	http_gzip_free(g);
	close(fd);
	world_done(&w);
}

/* --- deadlines --- */

static void a_head_that_drips_ends_with_408(void **state)
{
	(void)state;
	struct world w;
	world_init(&w);
	int fd = dial(&w);
	struct str text = STR("GET /slow HTTP/1.1\r\nHost: h\r\nA: bcdefghijklmnopq");
	unsigned elapsed_ms = 0;
	size_t i = 0;
	for (; i < text.n && !w.last_error[0]; i++, elapsed_ms += 1000) {
		say(&w, fd, str_sub(text, i, 1));
		wait_ms(&w, 1000);
	}
	assert_int_equal(elapsed_ms, 10000); /* of the whole head, however it came */
	assert_string_equal(w.last_error, "timeout ");
	expect_error(&w, fd, 408, "timeout");
	world_done(&w);
}

static void a_body_that_drips_ends_with_408(void **state)
{
	(void)state;
	struct world w;
	world_init(&w);
	int fd = dial(&w);
	say(&w, fd, STR("POST /slow HTTP/1.1\r\n" HOST "Content-Length: 100\r\n\r\n"));
	for (unsigned i = 0; i < 29; i++) {
		wait_ms(&w, 1000);
		say(&w, fd, STR("x"));
	}
	assert_string_equal(w.last_error, "");
	wait_ms(&w, 1000);
	assert_string_equal(w.last_error, "timeout /slow");
	expect_error(&w, fd, 408, "timeout");
	world_done(&w);
}

static void who_never_speaks_is_closed_without_a_word(void **state)
{
	(void)state;
	struct world w;
	world_init(&w);
	int fd = dial(&w);
	wait_ms(&w, 9999);
	expect(&w, fd, "");
	wait_ms(&w, 1);
	expect_and_close(&w, fd, "");
	world_done(&w);
}

static void an_idle_connection_is_closed_in_the_end(void **state)
{
	(void)state;
	struct world w;
	world_init(&w);
	int fd = dial(&w);
	for (unsigned i = 0; i < 3; i++) {
		say(&w, fd, STR(GET("/a")));
		expect_full(&w, fd,
			i == 0   ? OK("7") "\r\nGET /a "
			: i == 1 ? "HTTP/1.1 200 OK\r\nDate: Fri, 01 May 2026 12:01:14 "
				   "GMT\r\nContent-Type: text/plain\r\nContent-Length: "
				   "7\r\n\r\nGET /a "
				 : "HTTP/1.1 200 OK\r\nDate: Fri, 01 May 2026 12:02:28 "
				   "GMT\r\nContent-Type: text/plain\r\nContent-Length: "
				   "7\r\n\r\nGET /a ",
			false);
		wait_ms(&w, 74000);
	}
	wait_ms(&w, 1000);
	expect_and_close(&w, fd, "");
	assert_int_equal(w.handled, 3);
	world_done(&w);
}

static void a_handler_has_all_the_time_it_takes(void **state)
{
	(void)state;
	struct world w;
	world_init(&w);
	int fd = dial(&w);
	say(&w, fd, STR(GET("/later")));
	wait_ms(&w, 3600000);
	answer(&w, 0, "at last");
	_cleanup_buf_ struct buf b;
	bool eof;
	hear(&w, fd, &b, &eof);
	assert_false(eof);
	assert_true(str_ends_with(buf_str(&b), STR("\r\n\r\nat last")));
	close(fd);
	world_done(&w);
}

static void who_does_not_read_is_closed_and_holds_little(void **state)
{
	(void)state;
	struct world w;
	world_init(&w);
	int fd = dial(&w);
	for (unsigned i = 0; i < 50; i++) /* 50 MB of replies, pipelined */
		say(&w, fd, STR(GET("/big?1000000")));
	/* what the socket took, one reply in the output, and the rest not begun */
	assert_in_range(w.handled, 1, 3);
	wait_ms(&w, 29000);
	assert_int_equal(connections(&w), 1);
	wait_ms(&w, 1000);
	assert_int_equal(connections(&w), 0);
	assert_in_range(w.handled, 1, 3);
	close(fd);
	world_done(&w);
}

static void who_reads_late_gets_everything(void **state)
{
	(void)state;
	struct world w;
	world_init(&w);
	int fd = dial(&w);
	for (unsigned i = 0; i < 20; i++)
		say(&w, fd, STR(GET("/big?1000000")));
	_cleanup_buf_ struct buf b;
	bool eof;
	hear(&w, fd, &b, &eof);
	assert_false(eof);
	assert_int_equal(w.handled, 20);
	assert_in_range(b.n, 20 * 1000000, 20 * 1000200);
	close(fd);
	world_done(&w);
}

static void input_ahead_of_its_turn_stays_in_the_kernel(void **state)
{
	(void)state;
	struct world w;
	world_init(&w);
	int fd = dial(&w);
	say(&w, fd, STR(GET("/later")));
	char block[4096] = {0};
	size_t sent = 0;
	for (unsigned quiet = 0; quiet < 5;) {
		ssize_t n = send(fd, block, sizeof block, MSG_NOSIGNAL);
		if (n > 0)
			sent += (size_t)n, quiet = 0;
		else
			quiet++;
		turn(&w);
	}
	assert_in_range(sent, 64 * 1024, 1024 * 1024); /* its buffers and a bounded one of ours */
	close(fd);
	world_done(&w);
}

/* --- clients that go --- */

static void a_client_that_goes_cancels_its_request(void **state)
{
	(void)state;
	for (unsigned answer_inside = 0; answer_inside < 2; answer_inside++) {
		struct world w;
		world_init(&w);
		w.answer_cancelled = answer_inside;
		int fd = dial(&w);
		say(&w, fd, STR(GET("/later")));
		assert_int_equal(w.n_pending, 1);
		close(fd);
		turn(&w);
		assert_int_equal(w.cancelled, 0); /* half-closed, for all we know */
		wait_ms(&w, TICK_MS * 8);
		assert_int_equal(w.cancelled, 1);
		assert_int_equal(connections(&w), 0);
		if (!answer_inside) {
			assert_true(http_exchange_is_cancelled(w.pending[0]));
			assert_str(http_exchange_request(w.pending[0])->path, "/later");
			assert_string_equal(http_exchange_peer_text(w.pending[0]), "unix");
			answer(&w, 0, "to nobody");
		}
		assert_int_equal(w.n_pending, 0);
		assert_int_equal(http_counter_get(&http_server_stats(w.server)->cancelled), 1);
		world_done(&w);
	}
}

static void a_wish_that_comes_late_is_still_told(void **state)
{
	(void)state;
	struct world w;
	world_init(&w);
	int fd = dial(&w);
	say(&w, fd, STR(GET("/later")));
	http_exchange_on_cancel(w.pending[0], NULL, NULL);
	close(fd);
	turn(&w);
	wait_ms(&w, TICK_MS * 8);
	assert_int_equal(w.cancelled, 0);
	http_exchange_on_cancel(w.pending[0], on_cancel, &w);
	assert_int_equal(w.cancelled, 0); /* never inside the call */
	turn(&w);
	assert_int_equal(w.cancelled, 1);
	world_done(&w);
}

static void a_half_closed_client_still_gets_its_replies(void **state)
{
	(void)state;
	struct world w;
	world_init(&w);
	int fd = dial(&w);
	say(&w, fd, STR(GET("/1") GET("/later") GET("/3")));
	shutdown(fd, SHUT_WR);
	turn(&w);
	answer(&w, 0, "2");
	expect_and_close(&w, fd, OK("7") "\r\nGET /1 " OK("1") "\r\n2" OK("7") "\r\nGET /3 ");
	assert_int_equal(w.cancelled, 0);
	assert_int_equal(connections(&w), 0);
	world_done(&w);
}

static void a_request_that_is_cut_short_is_dropped(void **state)
{
	(void)state;
	struct world w;
	world_init(&w);
	int fd = dial(&w);
	say(&w, fd, STR("POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhal"));
	shutdown(fd, SHUT_WR);
	expect_and_close(&w, fd, "");
	assert_int_equal(w.handled, 0);
	world_done(&w);
}

static void who_lingers_is_closed_in_the_end(void **state)
{
	(void)state;
	struct world w;
	world_init(&w);
	int fd = dial(&w);
	say(&w, fd, STR("GET / HTTP/1.0\r\n\r\n"));
	expect_full(&w, fd, OK("6") "Connection: close\r\n\r\nGET / ", true);
	assert_int_equal(connections(&w), 1); /* we said all; the client may still send */
	wait_ms(&w, 2000);
	assert_int_equal(connections(&w), 0);
	close(fd);
	world_done(&w);
}

/* --- the cap --- */

static void the_cap_refuses_but_makes_room_of_idle_ones(void **state)
{
	(void)state;
	struct world w;
	fake_clock_init(&w.clock);
	struct http_server_options o = test_options(&w);
	o.max_connections = 3;
	world_init_with(&w, &o);
	int busy = dial(&w), idle = dial(&w), recent = dial(&w);
	say(&w, busy, STR(GET("/later")));
	say(&w, idle, STR(GET("/a")));
	expect(&w, idle, OK("7") "\r\nGET /a ");
	fake_clock_advance_ms(&w.clock, 1);
	say(&w, recent, STR(GET("/a")));
	expect(&w, recent, OK("7") "\r\nGET /a ");

	int fourth = dial(&w);
	expect_and_close(&w, idle, ""); /* the one that was idle longest */
	say(&w, fourth, STR(GET("/later")));
	int fifth = dial(&w);
	expect_and_close(&w, recent, "");
	say(&w, fifth, STR(GET("/later")));
	assert_int_equal(connections(&w), 3);

	int sixth = dial(&w); /* all are at work */
	_cleanup_buf_ struct buf b;
	bool eof;
	hear(&w, sixth, &b, &eof);
	assert_true(eof);
	assert_true(str_starts_with(buf_str(&b), STR("HTTP/1.1 503 Service Unavailable\r\n")));
	assert_non_null(strstr(b.p, "Retry-After: 1\r\n"));
	assert_true(str_ends_with(buf_str(&b), STR("{\"error\":\"overload\"}")));
	close(sixth);
	turn(&w);
	assert_int_equal(connections(&w), 3);
	assert_int_equal(http_counter_get(&http_server_stats(w.server)->refused), 1);
	assert_int_equal(w.n_pending, 3);
	close(busy);
	close(fourth);
	close(fifth);
	world_done(&w);
}

static size_t hear_bytes(struct world *w, int fd)
{
	_cleanup_buf_ struct buf b;
	bool eof;
	hear(w, fd, &b, &eof);
	close(fd);
	turn(w);
	return b.n;
}

static void clients_that_do_not_read_give_way_when_memory_is_full(void **state)
{
	(void)state;
	struct world w;
	fake_clock_init(&w.clock);
	struct http_server_options o = test_options(&w);
	o.max_unsent_bytes = 10 << 20;
	world_init_with(&w, &o);
	int fds[3];
	for (size_t i = 0; i < 3; i++) { /* as many as have room */
		fds[i] = dial(&w);
		say(&w, fds[i], STR(GET("/big?4000000")));
		fake_clock_advance_ms(&w.clock, 1);
	}
	const http_counter *given_up = &http_server_stats(w.server)->given_up;
	assert_int_equal(http_counter_get(given_up), 1);
	assert_int_equal(connections(&w), 2);
	int quick = dial(&w); /* and whoever reads does not notice */
	say(&w, quick, STR(GET("/big?2000000")));
	assert_true(hear_bytes(&w, quick) > 2000000);
	assert_int_equal(http_counter_get(given_up), 1);
	assert_true(hear_bytes(&w, fds[0]) < 4000000);
	assert_true(hear_bytes(&w, fds[1]) > 4000000);
	assert_true(hear_bytes(&w, fds[2]) > 4000000);
	int again = dial(&w); /* what was read is not counted any more */
	say(&w, again, STR(GET("/big?9000000")));
	assert_true(hear_bytes(&w, again) > 9000000);
	assert_int_equal(http_counter_get(given_up), 1);
	world_done(&w);
}

static void slow_clients_give_way_at_the_cap(void **state)
{
	(void)state;
	struct world w;
	fake_clock_init(&w.clock);
	struct http_server_options o = test_options(&w);
	o.max_connections = 3;
	world_init_with(&w, &o);
	int slow[3];
	for (size_t i = 0; i < 3; i++) {
		slow[i] = dial(&w);
		say(&w, slow[i], STR("GET / HT"));
	}
	fake_clock_advance_ms(&w.clock, 999);
	int early = dial(&w); /* they may yet be quick */
	expect_error(&w, early, 503, "overload");
	fake_clock_advance_ms(&w.clock, 1);
	int check = dial(&w);
	say(&w, check, STR(GET("/healthz")));
	_cleanup_buf_ struct buf b;
	bool eof;
	hear(&w, check, &b, &eof);
	assert_true(str_starts_with(buf_str(&b), STR("HTTP/1.1 200 OK\r\n")));
	expect_and_close(&w, slow[0], "");
	assert_int_equal(connections(&w), 3);
	close(slow[1]);
	close(slow[2]);
	close(check);
	world_done(&w);
}

static void a_flood_past_the_cap_is_dropped(void **state)
{
	(void)state;
	struct world w;
	fake_clock_init(&w.clock);
	struct http_server_options o = test_options(&w);
	o.max_connections = 1;
	world_init_with(&w, &o);
	int fds[200];
	fds[0] = dial(&w);
	say(&w, fds[0], STR(GET("/later")));
	for (size_t i = 1; i < 200; i++)
		fds[i] = dial(&w);
	turn(&w);
	assert_int_equal(connections(&w), 1 + 64);
	assert_int_equal(http_counter_get(&http_server_stats(w.server)->refused), 199);
	for (size_t i = 0; i < 200; i++)
		close(fds[i]);
	turn(&w);
	world_done(&w);
}

/* --- draining --- */

static void on_stopped(void *arg)
{
	struct world *w = arg;
	w->stopped = true;
}

static void a_server_that_stops_finishes_what_it_began(void **state)
{
	(void)state;
	struct world w;
	world_init(&w);
	int busy = dial(&w), idle = dial(&w), silent = dial(&w), receiving = dial(&w);
	say(&w, busy, STR(GET("/later") GET("/never")));
	say(&w, idle, STR(GET("/a")));
	expect(&w, idle, OK("7") "\r\nGET /a ");
	say(&w, receiving, STR("POST /b HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nh"));
	http_server_stop(w.server, 60000, on_stopped, &w);
	assert_false(w.stopped);
	say(&w, idle, STR(GET("/b"))); /* it was on its way: answered, and told to go */
	expect_and_close(&w, idle, OK("7") "Connection: close\r\n\r\nGET /b ");
	say(&w, receiving, STR("i"));
	expect_and_close(&w, receiving, OK("10") "Connection: close\r\n\r\nPOST /b hi");
	wait_ms(&w, 1000);
	expect_and_close(&w, silent, "");
	assert_false(w.stopped);
	answer(&w, 0, "bye");
	_cleanup_buf_ struct buf b;
	bool eof;
	hear(&w, busy, &b, &eof);
	assert_true(eof);
	assert_true(str_ends_with(buf_str(&b), STR("Connection: close\r\n\r\nbye")));
	close(busy);
	turn(&w);
	turn(&w);
	assert_true(w.stopped);
	assert_int_equal(w.handled, 4);
	world_done(&w);
}

static void the_grace_ends_what_takes_too_long(void **state)
{
	(void)state;
	struct world w;
	world_init(&w);
	int busy = dial(&w);
	say(&w, busy, STR(GET("/later")));
	http_server_stop(w.server, 60000, on_stopped, &w);
	http_server_stop(w.server, 5000, NULL, NULL);  /* shorter */
	http_server_stop(w.server, 90000, NULL, NULL); /* not longer */
	wait_ms(&w, 4999);
	assert_int_equal(w.cancelled, 0);
	wait_ms(&w, 1);
	assert_int_equal(w.cancelled, 1);
	assert_int_equal(connections(&w), 0);
	assert_false(w.stopped); /* the exchange is not answered yet */
	answer(&w, 0, "");
	turn(&w);
	assert_true(w.stopped);
	close(busy);
	world_done(&w);
}

static void a_server_without_connections_stops_soon_but_not_inside_the_call(void **state)
{
	(void)state;
	struct world w;
	world_init(&w);
	http_server_stop(w.server, 60000, on_stopped, &w);
	assert_false(w.stopped);
	wait_closed_listeners(&w);
	assert_true(w.stopped);
	world_done(&w);
}

static int connect_to(const struct address *a)
{
	struct sockaddr_storage ss;
	socklen_t length;
	assert_ok(address_resolve(a, &ss, &length));
	int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&ss, length), 0);
	evutil_make_socket_nonblocking(fd);
	return fd;
}

static void connections_that_wait_to_be_accepted_are_served_while_draining(void **state)
{
	(void)state;
	struct world w;
	world_init(&w);
	struct address a;
	struct listener *l = NULL;
	assert_ok(address_parse(STR("127.0.0.1:0"), &a));
	assert_ok(listener_open(&a, 1, NULL, &l));
	http_server_listen(w.server, listener_take_socket(l, 0), NULL);
	int first = connect_to(listener_address(l));
	say(&w, first, STR(GET("/peer")));
	_cleanup_buf_ struct buf b;
	bool eof;
	hear(&w, first, &b, &eof);
	assert_non_null(strstr(b.p, "\r\n\r\n127.0.0.1:"));

	int waiting = connect_to(listener_address(l));
	http_server_stop(w.server, 60000, on_stopped, &w);
	wait_closed_listeners(&w);
	assert_false(w.stopped);
	say(&w, waiting, STR(GET("/a")));
	expect_and_close(&w, waiting, OK("7") "Connection: close\r\n\r\nGET /a ");
	close(first);
	turn(&w);
	turn(&w);
	assert_true(w.stopped);
	listener_close(l);
	world_done(&w);
}

static void a_unix_socket_goes_on_when_one_of_its_loops_stops(void **state)
{
	(void)state;
	struct world first, second;
	world_init(&first);
	world_init(&second);
	struct address a;
	struct listener *l = NULL;
	char text[100];
	snprintf(text, sizeof text, "unix:/tmp/test_http_server.%d", (int)getpid());
	assert_ok(address_parse(str_of(text), &a));
	assert_ok(listener_open(&a, 2, NULL, &l));
	http_server_listen(first.server, listener_take_socket(l, 0), NULL);
	http_server_listen(second.server, listener_take_socket(l, 1), NULL);
	turn(&first);
	http_server_stop(first.server, 60000, on_stopped, &first);
	wait_closed_listeners(&first);
	assert_true(first.stopped);
	int fd = connect_to(&a);
	/* the loop that stopped is not woken by it: nothing of the socket is left in its epoll set
	 */
	wait_closed_listeners(&first);
	assert_int_equal(connections(&first), 0);
	say(&second, fd, STR(GET("/peer")));
	expect(&second, fd, "HTTP/1.1 200 OK\r\n" DATE "Content-Length: 4\r\n\r\nunix");
	close(fd);
	listener_close(l);
	world_done(&first);
	world_done(&second);
}

/* --- TLS --- */

static char folder[] = "/tmp/test_http_server.XXXXXX";

struct tls_world {
	struct world w;
	struct tls_server *tls;
	SSL_CTX *client;
	char cert[64], key[64], ca[64];
};

static void tls_world_init(struct tls_world *t)
{
	memcpy(folder + sizeof folder - 7, "XXXXXX", 6);
	assert_non_null(mkdtemp(folder));
	snprintf(t->cert, sizeof t->cert, "%s/crt", folder);
	snprintf(t->key, sizeof t->key, "%s/key", folder);
	snprintf(t->ca, sizeof t->ca, "%s/ca", folder);
	struct certs_ca ca;
	certs_ca_init(&ca, "ca");
	certs_ca_write(&ca, t->ca);
	certs_issue(&ca, "alice", NULL, t->cert, t->key);
	certs_ca_done(&ca);
	const struct tls_options o = {.cert_file = t->cert,
		.key_file = t->key,
		.client_ca_file = t->ca,
		.client_auth = TLS_CLIENT_OPTIONAL};
	assert_ok(tls_server_new(&o, &t->tls));
	t->client = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_mode(
		t->client, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	world_init(&t->w);
}

static void tls_world_done(struct tls_world *t)
{
	world_done(&t->w);
	tls_server_free(t->tls);
	SSL_CTX_free(t->client);
	unlink(t->cert);
	unlink(t->key);
	unlink(t->ca);
	assert_int_equal(rmdir(folder), 0);
}

static int tls_dial_raw(struct tls_world *t)
{
	int fds[2];
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	http_server_adopt(t->w.server, fds[0], t->tls);
	return fds[1];
}

static SSL *tls_dial(struct tls_world *t)
{
	SSL *ssl = SSL_new(t->client);
	SSL_set_fd(ssl, tls_dial_raw(t));
	for (unsigned i = 0; i < 20 && SSL_connect(ssl) != 1; i++)
		turn(&t->w);
	assert_true(SSL_is_init_finished(ssl));
	return ssl;
}

static void tls_hang_up(struct tls_world *t, SSL *ssl)
{
	int fd = SSL_get_fd(ssl);
	SSL_free(ssl);
	close(fd);
	turn(&t->w);
}

static void tls_say(struct tls_world *t, SSL *ssl, struct str text)
{
	while (text.n) {
		int n = SSL_write(ssl, text.p, (int)text.n);
		if (n > 0)
			text = str_sub(text, (size_t)n, text.n);
		turn(&t->w);
	}
	turn(&t->w);
}

static void tls_hear(struct tls_world *t, SSL *ssl, struct buf *out, bool *ret_eof)
{
	buf_init(out, 64 << 20);
	*ret_eof = false;
	for (unsigned quiet = 0; quiet < 4 && !*ret_eof;) {
		char block[65536];
		int n = SSL_read(ssl, block, sizeof block);
		if (n > 0) {
			buf_append(out, block, (size_t)n);
			quiet = 0;
		} else if (SSL_get_error(ssl, n) == SSL_ERROR_ZERO_RETURN) {
			*ret_eof = true; /* with a close_notify */
		} else {
			assert_int_equal(SSL_get_error(ssl, n), SSL_ERROR_WANT_READ);
			quiet++;
			turn(&t->w);
		}
	}
}

static void tls_expect(struct tls_world *t, SSL *ssl, const char *text, bool closed)
{
	_cleanup_buf_ struct buf b;
	bool eof;
	tls_hear(t, ssl, &b, &eof);
	assert_str(buf_str(&b), text);
	assert_int_equal(eof, closed);
}

static void tls_serves_the_same_and_knows_who_calls(void **state)
{
	(void)state;
	struct tls_world t;
	tls_world_init(&t);
	SSL *ssl = tls_dial(&t);
	for (unsigned i = 0; i < 3; i++) {
		tls_say(&t, ssl, STR(GET("/tls")));
		tls_expect(&t, ssl, OK("6") "\r\nnobody", false);
	}
	tls_say(&t, ssl, STR(GET("/1") GET("/2")));
	tls_expect(&t, ssl, OK("7") "\r\nGET /1 " OK("7") "\r\nGET /2 ", false);
	tls_hang_up(&t, ssl);
	assert_int_equal(connections(&t.w), 0);

	SSL_CTX_use_certificate_chain_file(t.client, t.cert);
	SSL_CTX_use_PrivateKey_file(t.client, t.key, SSL_FILETYPE_PEM);
	ssl = tls_dial(&t);
	tls_say(&t, ssl, STR("GET /tls HTTP/1.0\r\n\r\n"));
	tls_expect(&t, ssl, OK("5") "Connection: close\r\n\r\nalice", true);
	tls_hang_up(&t, ssl);
	assert_int_equal(connections(&t.w), 0);
	tls_world_done(&t);
}

static void tls_carries_large_bodies_both_ways(void **state)
{
	(void)state;
	struct tls_world t;
	tls_world_init(&t);
	SSL *ssl = tls_dial(&t);
	_cleanup_buf_ struct buf request, b;
	bool eof;
	const size_t n = 1000000;
	buf_init(&request, 2 << 20);
	buf_printf(&request, "POST /a HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n", n);
	memset(buf_reserve(&request, n), 'y', n);
	request.n += n;
	for (unsigned i = 0; i < 3; i++) {
		tls_say(&t, ssl, buf_str(&request));
		tls_hear(&t, ssl, &b, &eof);
		assert_false(eof);
		assert_in_range(b.n, n, n + 300);
		buf_done(&b);
	}
	/* and while the handler works, more than is taken ahead */
	tls_say(&t, ssl, STR(GET("/later")));
	for (size_t at = 0; at < request.n;) {
		int sent = SSL_write(ssl, request.p + at, (int)(request.n - at));
		if (sent > 0)
			at += (size_t)sent;
		else if (t.w.n_pending)
			answer(&t.w, 0, "go on");
		turn(&t.w);
	}
	tls_hear(&t, ssl, &b, &eof);
	assert_in_range(b.n, n, n + 500);
	tls_hang_up(&t, ssl);
	tls_world_done(&t);
}

static void a_malformed_request_over_tls_gets_its_reply(void **state)
{
	(void)state;
	struct tls_world t;
	tls_world_init(&t);
	SSL *ssl = tls_dial(&t);
	_cleanup_buf_ struct buf b;
	bool eof;
	tls_say(&t, ssl, STR("GET / HTTP/1.1\n" GET("/smuggled")));
	tls_hear(&t, ssl, &b, &eof);
	assert_true(eof);
	assert_true(str_ends_with(buf_str(&b), STR("{\"error\":\"line_end\"}")));
	assert_int_equal(t.w.handled, 0);
	tls_hang_up(&t, ssl);
	tls_world_done(&t);
}

static void a_handshake_that_fails_or_drips_is_closed(void **state)
{
	(void)state;
	struct tls_world t;
	tls_world_init(&t);
	const struct http_server_stats *stats = http_server_stats(t.w.server);
	int fd = tls_dial_raw(&t);
	say(&t.w, fd, STR(GET("/plain")));
	_cleanup_buf_ struct buf b;
	bool eof;
	hear(&t.w, fd, &b, &eof);
	assert_true(eof);
	assert_int_equal(http_counter_get(&stats->handshake_errors), 1);
	assert_int_equal(connections(&t.w), 0);
	close(fd);

	fd = tls_dial_raw(&t);
	say(&t.w, fd, STR("\x16\x03\x01"));
	wait_ms(&t.w, 9999);
	assert_int_equal(connections(&t.w), 1);
	wait_ms(&t.w, 1);
	assert_int_equal(connections(&t.w), 0);
	close(fd);

	fd = tls_dial_raw(&t); /* gone before it began */
	close(fd);
	turn(&t.w);
	assert_int_equal(connections(&t.w), 0);
	assert_int_equal(t.w.handled, 0);
	tls_world_done(&t);
}

static void a_tls_client_that_goes_cancels_its_request(void **state)
{
	(void)state;
	struct tls_world t;
	tls_world_init(&t);
	SSL *ssl = tls_dial(&t);
	tls_say(&t, ssl, STR(GET("/later")));
	tls_hang_up(&t, ssl); /* without a close_notify, as after a crash */
	wait_ms(&t.w, TICK_MS * 8);
	assert_int_equal(t.w.cancelled, 1);
	assert_int_equal(connections(&t.w), 0);
	tls_world_done(&t);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_connection_serves_many_requests),
		cmocka_unit_test(a_request_may_come_byte_by_byte),
		cmocka_unit_test(close_and_http_1_0_end_the_connection),
		cmocka_unit_test(pipelined_requests_are_answered_in_order),
		cmocka_unit_test(head_has_the_headers_of_get_and_no_body),
		cmocka_unit_test(a_client_that_waits_is_told_to_continue),
		cmocka_unit_test(a_header_value_cannot_forge_headers),
		cmocka_unit_test(the_date_is_the_moment_of_the_reply),
		cmocka_unit_test(a_malformed_request_gets_its_reply_and_then_the_close),
		cmocka_unit_test(an_upload_that_is_too_large_does_not_destroy_its_reply),
		cmocka_unit_test(without_a_renderer_errors_are_google_rpc_status),
		cmocka_unit_test(smuggling_is_refused_and_the_connection_closed),
		cmocka_unit_test(an_upgrade_is_not_taken),
		cmocka_unit_test(a_gzip_body_is_inflated),
		cmocka_unit_test(a_gzip_bomb_is_stopped_at_the_limit_of_bodies),
		cmocka_unit_test(a_large_reply_is_compressed_for_who_asks),
		cmocka_unit_test(a_head_that_drips_ends_with_408),
		cmocka_unit_test(a_body_that_drips_ends_with_408),
		cmocka_unit_test(who_never_speaks_is_closed_without_a_word),
		cmocka_unit_test(an_idle_connection_is_closed_in_the_end),
		cmocka_unit_test(a_handler_has_all_the_time_it_takes),
		cmocka_unit_test(who_does_not_read_is_closed_and_holds_little),
		cmocka_unit_test(who_reads_late_gets_everything),
		cmocka_unit_test(input_ahead_of_its_turn_stays_in_the_kernel),
		cmocka_unit_test(a_client_that_goes_cancels_its_request),
		cmocka_unit_test(a_wish_that_comes_late_is_still_told),
		cmocka_unit_test(a_half_closed_client_still_gets_its_replies),
		cmocka_unit_test(a_request_that_is_cut_short_is_dropped),
		cmocka_unit_test(who_lingers_is_closed_in_the_end),
		cmocka_unit_test(the_cap_refuses_but_makes_room_of_idle_ones),
		cmocka_unit_test(clients_that_do_not_read_give_way_when_memory_is_full),
		cmocka_unit_test(slow_clients_give_way_at_the_cap),
		cmocka_unit_test(a_flood_past_the_cap_is_dropped),
		cmocka_unit_test(a_server_that_stops_finishes_what_it_began),
		cmocka_unit_test(the_grace_ends_what_takes_too_long),
		cmocka_unit_test(a_server_without_connections_stops_soon_but_not_inside_the_call),
		cmocka_unit_test(connections_that_wait_to_be_accepted_are_served_while_draining),
		cmocka_unit_test(a_unix_socket_goes_on_when_one_of_its_loops_stops),
		cmocka_unit_test(tls_serves_the_same_and_knows_who_calls),
		cmocka_unit_test(tls_carries_large_bodies_both_ways),
		cmocka_unit_test(a_malformed_request_over_tls_gets_its_reply),
		cmocka_unit_test(a_handshake_that_fails_or_drips_is_closed),
		cmocka_unit_test(a_tls_client_that_goes_cancels_its_request),
	};
	return RUN_TESTS(tests);
}
