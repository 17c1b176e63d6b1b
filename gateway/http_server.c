/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/http_server.h"

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/list.h"
#include "common/base/secret.h"
#include "common/base/xalloc.h"
#include "common/event/loop.h"
#include "common/net/address.h"
#include "common/net/listener.h"
#include "common/net/tls.h"
#include "gateway/http_gzip.h"

#include <assert.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
	/* What a client may send ahead of its turn; further bytes wait in the kernel. */
	MAX_INPUT_BYTES = 64 * 1024,
	MAX_ERROR_BODY_BYTES = 16 * 1024,
	GZIP_FROM_BYTES = 1024 + 1, /* smaller replies are one packet either way */
	POOLED_EXCHANGES = 64,
	/* Connections past the cap that are told 503 rather than dropped. */
	REFUSED_AT_A_TIME = 64,
	ACCEPT_RETRY_MS = 100,
	SLOW_HEAD_MS = 1000, /* at the cap, a head that takes longer may be given up */
	TICK_MIN_MS = 5,
	TICK_MAX_MS = 500,
	/* From the end of new connections to the close of the listeners: a handshake under way
	 * becomes a connection of the queue. More than a round trip within a cluster. */
	LAST_HANDSHAKES_MS = 25,
};

/* What a connection waits for, and so which deadline it has. Each wait is a list of the server;
 * a connection joins at its tail, and all of a list have the same timeout, so the head is the next
 * to expire and no connection needs a timer of its own. */
enum wait {
	WAIT_NONE, /* the handler works */
	WAIT_HEAD,
	WAIT_BODY,
	WAIT_IDLE,
	WAIT_WRITE,
	WAIT_LINGER, /* all was said; reading on so that the client sees it before the close */
	WAIT_GONE,   /* its input ended while the handler works */
	WAIT_COUNT
};

/* Moves, by conn_settle: NONE -> (WRITE ->) IDLE -> HEAD (-> BODY) -> NONE; any -> WRITE -> LINGER.
 */
struct conn {
	struct list node;  /* of the wait */
	struct list ready; /* of the server: requests wait in the input */
	struct mono_time since;
	struct http_server *server;
	struct bufferevent *bev; /* NULL: closed; what is left waits for its exchange */
	struct http_exchange *x; /* being received, or at the handler */
	enum wait wait;
	bool in_flight;  /* x is at the handler */
	bool processing; /* conn_process is on the stack */
	bool closing;    /* no further request */
	bool lingering;
	bool paused; /* reading is off: the input is full */
	bool eof;
	bool shaking;  /* the TLS handshake goes on */
	bool fresh;    /* no request yet */
	bool refused;  /* past the cap, there to read its 503 */
	SSL *ssl;      /* of bev, or NULL */
	size_t unsent; /* of it, in the server's sum */
	char *peer_text;
	char *identity;
	union {
		struct sockaddr sa;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} peer;
};

struct http_exchange {
	struct list node; /* the pool, or the cancellations to tell */
	struct http_server *server;
	struct conn *conn;
	struct http_parser parser;
	struct http_request request;
	struct buf inflated;
	void (*on_cancel)(void *arg);
	void *cancel_arg;
	bool cancelled;
};

struct server_listener {
	struct list node;
	struct http_server *server;
	struct evconnlistener *listener;
	struct tls_server *tls;
};

struct http_server {
	struct loop *loop;
	struct http_server_options options;
	struct http_handler handler;
	const struct clock *clock;
	struct list listeners;
	struct list waits[WAIT_COUNT];
	int64_t timeout_us[WAIT_COUNT];
	size_t n_connections, n_refused, n_in_flight;
	size_t unsent;    /* replies that wait for their clients to read; at most that much */
	struct list pool; /* exchanges for the next requests */
	size_t n_pooled;
	struct list ready; /* connections to be processed by on_later */
	struct list
		graveyard; /* closed ones, freed by on_later: callbacks may still be on the stack */
	struct list cancels; /* exchanges whose on_cancel came after the cancellation */
	struct event *later, *tick, *accept_again, *close_listeners;
	bool ticking;
	struct http_head head; /* of the reply at hand */
	struct buf compressed; /* its body */
	struct http_gzip *gzip;
	bool draining, stopped;
	struct mono_time grace_end;
	void (*on_stopped)(void *arg);
	void *stopped_arg;
	struct http_server_stats stats;
};

static void conn_process(struct conn *c);
static void conn_settle(struct conn *c);

static void count(http_counter *c, int64_t by)
{
	/* one writer: no need to lock the bus */
	uint64_t old = atomic_load_explicit(c, memory_order_relaxed);
	atomic_store_explicit(c, old + (uint64_t)by, memory_order_relaxed);
}

static void run_later(struct http_server *s)
{
	event_active(s->later, 0, 0);
}

/* --- exchanges --- */

static struct http_exchange *exchange_new(struct conn *c)
{
	struct http_server *s = c->server;
	struct list *node = list_pop(&s->pool);
	struct http_exchange *x;
	if (node) {
		x = container_of(node, struct http_exchange, node);
		s->n_pooled--;
	} else {
		x = xnew(struct http_exchange);
		list_init(&x->node);
		x->server = s;
		http_parser_init(&x->parser, &s->options.limits);
		buf_init(&x->inflated, s->options.limits.max_body_bytes);
	}
	x->conn = c;
	c->x = x;
	return x;
}

static void exchange_free(struct http_exchange *x)
{
	http_parser_done(&x->parser);
	buf_done(&x->inflated);
	free(x);
}

static void exchange_recycle(struct http_exchange *x)
{
	struct http_server *s = x->server;
	list_remove(&x->node);
	if (s->n_pooled >= POOLED_EXCHANGES) {
		exchange_free(x);
		return;
	}
	http_parser_reset(&x->parser);
	buf_done(&x->inflated);
	x->conn = NULL;
	x->on_cancel = NULL;
	x->cancelled = false;
	list_add_head(&s->pool, &x->node);
	s->n_pooled++;
}

const struct http_request *http_exchange_request(const struct http_exchange *x)
{
	return &x->request;
}

const struct sockaddr *http_exchange_peer(const struct http_exchange *x)
{
	return &x->conn->peer.sa;
}

static const char *conn_peer_text(struct conn *c)
{
	if (!c->peer_text) {
		struct address a;
		char text[ADDRESS_TEXT_BYTES] = "unix";
		if (c->peer.sa.sa_family != AF_UNIX &&
			address_from_sockaddr(&c->peer.sa, sizeof c->peer, &a))
			address_format(&a, text);
		c->peer_text = xstrdup(text);
	}
	return c->peer_text;
}

const char *http_exchange_peer_text(const struct http_exchange *x)
{
	return conn_peer_text(x->conn);
}

const char *http_exchange_tls_identity(const struct http_exchange *x)
{
	return x->conn->identity;
}

bool http_exchange_is_tls(const struct http_exchange *x)
{
	return x->conn->ssl != NULL;
}

bool http_exchange_is_cancelled(const struct http_exchange *x)
{
	return x->cancelled;
}

void http_exchange_on_cancel(struct http_exchange *x, void (*fn)(void *arg), void *arg)
{
	x->on_cancel = fn;
	x->cancel_arg = arg;
	list_remove(&x->node);
	if (fn && x->cancelled) {
		list_add_tail(&x->server->cancels, &x->node);
		run_later(x->server);
	}
}

/* The callback may answer, and so free, @x. */
static void exchange_tell_cancel(struct http_exchange *x)
{
	void (*fn)(void *arg) = x->on_cancel;
	x->on_cancel = NULL;
	if (fn)
		fn(x->cancel_arg);
}

/* --- connections: life --- */

static void conn_wait(struct conn *c, enum wait wait)
{
	struct http_server *s = c->server;
	if (c->wait == wait)
		return;
	c->wait = wait;
	list_remove(&c->node);
	list_add_tail(&s->waits[wait], &c->node);
	if (wait != WAIT_NONE)
		c->since = clock_mono(s->clock);
}

static void conn_bury(struct conn *c)
{
	list_add_tail(&c->server->graveyard, &c->node);
	run_later(c->server);
}

static void conn_count_unsent(struct conn *c)
{
	size_t n = c->bev ? evbuffer_get_length(bufferevent_get_output(c->bev)) : 0;
	c->server->unsent += n - c->unsent;
	c->unsent = n;
}

static void conn_close(struct conn *c)
{
	struct http_server *s = c->server;
	if (!c->bev)
		return;
	bufferevent_free(c->bev);
	c->bev = NULL;
	conn_count_unsent(c);
	list_remove(&c->node);
	list_remove(&c->ready);
	s->n_connections--;
	s->n_refused -= c->refused;
	count(&s->stats.connections, -1);
	struct http_exchange *x = c->x;
	assert(x || !c->in_flight);
	if (x && c->in_flight) { /* the exchange keeps what it needs of us until it is answered */
		x->cancelled = true;
		count(&s->stats.cancelled, 1);
		exchange_tell_cancel(x);
		return;
	}
	if (x)
		exchange_recycle(x);
	c->x = NULL;
	conn_bury(c);
}

static void conn_free(struct conn *c)
{
	free(c->peer_text);
	free(c->identity);
	free(c);
}

/* Says that nothing more comes, and gives the client time to read it: a close with bytes unread
 * would be a reset, which can destroy the reply before the client sees it (RFC 9112, 9.6). */
static void conn_linger(struct conn *c)
{
	c->lingering = true;
	if (c->ssl) {
		SSL_shutdown(c->ssl);
		ERR_clear_error();
	}
	shutdown(bufferevent_getfd(c->bev), SHUT_WR);
	struct evbuffer *in = bufferevent_get_input(c->bev);
	evbuffer_drain(in, evbuffer_get_length(in));
}

/* Stops reading while the input is full. This is what the high-water mark of a bufferevent seems to
 * be for, but libevent 2.1 calls the read callback again and again while the mark is reached
 * (bufferevent_inbuf_wm_check): a loop that spins until the handler answers. */
static void conn_pace(struct conn *c)
{
	bool full = evbuffer_get_length(bufferevent_get_input(c->bev)) >= MAX_INPUT_BYTES;
	if (full == c->paused)
		return;
	c->paused = full;
	if (full)
		bufferevent_disable(c->bev, EV_READ);
	else if (!c->eof)
		bufferevent_enable(c->bev, EV_READ);
}

static enum wait wait_of(const struct conn *c, bool sending)
{
	if (c->lingering)
		return WAIT_LINGER;
	if (sending)
		return WAIT_WRITE;
	if (c->in_flight)
		return c->eof ? WAIT_GONE : WAIT_NONE;
	if (c->x)
		return http_parser_in_body(&c->x->parser) ? WAIT_BODY : WAIT_HEAD;
	return c->fresh && !c->server->draining ? WAIT_HEAD : WAIT_IDLE;
}

/* Puts the connection where it belongs once the event at hand is dealt with. */
static void conn_settle(struct conn *c)
{
	if (!c->bev || c->processing)
		return;
	conn_count_unsent(c);
	bool sending = c->unsent > 0;
	if (!sending && c->closing && !c->lingering)
		conn_linger(c);
	conn_pace(c);
	if (c->eof && !sending && !c->in_flight && list_empty(&c->ready))
		conn_close(c);
	else
		conn_wait(c, wait_of(c, sending));
}

/* --- sending --- */

/* Room for @n bytes that wait for @c to read them. Whoever has not taken a reply for the longest
 * gives way: so neither memory nor anybody else is at the mercy of clients that do not read. One
 * whose next request is at the handler has little to send (max_output_bytes), and stays. */
static void give_up_slow_readers(struct conn *c, size_t n)
{
	struct http_server *s = c->server;
	list_for_each (l, &s->waits[WAIT_WRITE]) {
		struct conn *slow = container_of(l, struct conn, node);
		if (s->unsent + n <= s->options.max_unsent_bytes)
			return;
		if (slow == c || slow->in_flight)
			continue;
		count(&s->stats.given_up, 1);
		conn_close(slow);
	}
}

/* Sends at once what the kernel takes, and leaves the rest to the bufferevent. A reply that goes
 * out whole, as nearly all do, so costs one system call and no change of the epoll set. */
static void conn_send(struct conn *c, struct str head, struct str body)
{
	struct http_server *s = c->server;
	struct evbuffer *out = bufferevent_get_output(c->bev);
	count(&s->stats.bytes_out, (int64_t)(head.n + body.n));
	bool more_to_come = c->processing && evbuffer_get_length(bufferevent_get_input(c->bev)) > 0;
	if (!c->ssl && !more_to_come && evbuffer_get_length(out) == 0) {
		struct iovec iov[2] = {
			{(void *)(uintptr_t)head.p, head.n}, {(void *)(uintptr_t)body.p, body.n}};
		const struct msghdr message = {.msg_iov = iov, .msg_iovlen = body.n ? 2 : 1};
		ssize_t sent = sendmsg(bufferevent_getfd(c->bev), &message, MSG_NOSIGNAL);
		if (sent < 0 && errno != EAGAIN && errno != EINTR) {
			conn_close(c);
			return;
		}
		size_t n = sent > 0 ? (size_t)sent : 0;
		size_t of_head = n < head.n ? n : head.n;
		head = str_sub(head, of_head, head.n);
		body = str_sub(body, n - of_head, body.n);
	}
	if (!head.n && !body.n)
		return;
	give_up_slow_readers(c, head.n + body.n);
	if (head.n)
		evbuffer_add(out, head.p, head.n);
	if (body.n)
		evbuffer_add(out, body.p, body.n);
	conn_count_unsent(c);
}

static bool may_compress(const struct http_server *s, const struct http_reply *r)
{
	return s->options.gzip && !r->secret && r->body.n >= GZIP_FROM_BYTES;
}

/* The body to send: compressed where that is allowed, wished for and worth it. */
static struct str choose_body(struct http_server *s, const struct http_request *q,
	const struct http_reply *r, struct http_reply_form *form)
{
	struct str body = r->body;
	form->varies = may_compress(s, r);
	if (form->varies && http_gzip_is_accepted(q)) {
		buf_init(&s->compressed, r->body.n);
		form->is_gzip = http_gzip_deflate(s->gzip, r->body, &s->compressed);
		if (form->is_gzip)
			body = buf_str(&s->compressed);
	}
	form->body_bytes = body.n;
	return body;
}

static void conn_write_reply(
	struct conn *c, const struct http_request *q, const struct http_reply *r)
{
	struct http_server *s = c->server;
	static const struct http_reply instead = {.status = 500};
	assert(r->status >= 200 && r->status <= 599);
	if (!c->bev)
		return;
	if (r->close || s->draining || !q->keep_alive)
		c->closing = true;
	struct http_reply_form form = {.close = c->closing};
	struct str body = choose_body(s, q, r, &form);
	struct str head = http_head_write(&s->head, r, &form, clock_now(s->clock));
	if (!head.n) { /* half a head must not go out */
		r = &instead;
		c->closing = true;
		body = STR("");
		head = http_head_write(&s->head, r, &(const struct http_reply_form){.close = true},
			clock_now(s->clock));
	}
	count(&s->stats.replies_by_class[r->status / 100], 1);
	if (str_eq(q->method, STR("HEAD")) || !http_reply_has_body(r))
		body = STR("");
	conn_send(c, head, body);
	buf_done(&s->compressed);
}

void http_exchange_reply(struct http_exchange *x, const struct http_reply *r)
{
	struct http_server *s = x->server;
	struct conn *c = x->conn;
	s->n_in_flight--;
	count(&s->stats.in_flight, -1);
	c->x = NULL;
	c->in_flight = false;
	conn_write_reply(c, &x->request, r);
	bool was_cancelled = x->cancelled;
	exchange_recycle(x);
	if (was_cancelled) {
		conn_bury(c);
		return;
	}
	if (!c->bev || c->processing)
		return;
	if (!c->closing && evbuffer_get_length(bufferevent_get_input(c->bev)) > 0) {
		/* not from here: the handler would run inside its own reply */
		list_remove(&c->ready);
		list_add_tail(&s->ready, &c->ready);
		run_later(s);
	}
	conn_settle(c);
}

/* --- errors --- */

static enum status_code code_of(int http_status)
{
	switch (http_status) {
	case 408:
		return STATUS_DEADLINE_EXCEEDED;
	case 503:
		return STATUS_UNAVAILABLE;
	default:
		return STATUS_INVALID_ARGUMENT;
	}
}

static void render_default(const struct http_error *e, struct buf *body)
{
	buf_printf(
		body, "{\"code\":%d,\"message\":\"%s\",\"details\":[]}", (int)e->code, e->message);
}

/* Answers a request that is wrong; nothing behind it can be understood, so it is the last. */
static void conn_fail(struct conn *c, enum http_error_kind kind)
{
	struct http_server *s = c->server;
	const struct http_request *q = c->x ? http_parser_request(&c->x->parser)
					    : &(const struct http_request){.n_headers = 0};
	const struct http_error e = {.kind = kind,
		.status = http_error_status(kind),
		.code = code_of(http_error_status(kind)),
		.message = http_error_message(kind),
		.request = q,
		.peer_text = conn_peer_text(c)};
	struct http_reply r = {
		.status = e.status, .content_type = STR("application/json"), .close = true};
	const struct http_header retry[] = {{STR("Retry-After"), STR("1")}};
	const struct http_header gzip[] = {{STR("Accept-Encoding"), STR("gzip")}};
	if (kind == HTTP_ERROR_OVERLOAD)
		r.headers = retry, r.n_headers = ARRAY_SIZE(retry);
	if (kind == HTTP_ERROR_CONTENT_ENCODING)
		r.headers = gzip, r.n_headers = ARRAY_SIZE(gzip);
	_cleanup_buf_ struct buf body;
	buf_init(&body, MAX_ERROR_BODY_BYTES);
	if (s->handler.render_error)
		s->handler.render_error(s->handler.self, &e, &body, &r);
	else
		render_default(&e, &body);
	if (!r.body.p)
		r.body = buf_str(&body);
	count(&s->stats.errors[kind], 1);
	c->closing = true;
	conn_write_reply(c, q, &r);
	if (c->x) { /* conn_close may have taken it */
		exchange_recycle(c->x);
		c->x = NULL;
	}
	conn_settle(c);
}

/* --- receiving --- */

/* RFC 9110, 8.4: gzip is undone here; any other coding is refused rather than passed on unread. */
static enum http_error_kind decode_body(struct http_exchange *x)
{
	struct http_request *q = &x->request;
	if (str_empty(q->body))
		return HTTP_ERROR_NONE;
	bool gzip = false;
	for (size_t i = 0; i < q->n_headers; i++) {
		if (!str_eq(q->headers[i].name, STR("content-encoding")))
			continue;
		struct str coding = q->headers[i].value;
		if (str_eq_nocase(coding, STR("identity")))
			continue;
		bool known =
			str_eq_nocase(coding, STR("gzip")) || str_eq_nocase(coding, STR("x-gzip"));
		if (!known || gzip)
			return HTTP_ERROR_CONTENT_ENCODING;
		gzip = true;
	}
	if (!gzip)
		return HTTP_ERROR_NONE;
	enum http_error_kind error = http_gzip_inflate(x->server->gzip, q->body, &x->inflated);
	q->body = buf_str(&x->inflated);
	return error;
}

static void conn_dispatch(struct conn *c)
{
	struct http_server *s = c->server;
	struct http_exchange *x = c->x;
	x->request = *http_parser_request(&x->parser);
	enum http_error_kind error = decode_body(x);
	if (error) {
		conn_fail(c, error);
		return;
	}
	c->fresh = false;
	c->in_flight = true;
	s->n_in_flight++;
	count(&s->stats.in_flight, 1);
	count(&s->stats.requests, 1);
	conn_wait(c, WAIT_NONE);
	s->handler.handle(s->handler.self, x);
}

/* Feeds the parser with what is contiguous at the front of the input. */
static void conn_take(struct conn *c, struct evbuffer *in)
{
	struct http_server *s = c->server;
	struct http_exchange *x = c->x ? c->x : exchange_new(c);
	size_t n = evbuffer_get_contiguous_space(in), taken;
	unsigned char *bytes = evbuffer_pullup(in, (ev_ssize_t)n);
	enum http_parse_result result =
		http_parser_feed(&x->parser, (const char *)bytes, n, &taken);
	secret_wipe(bytes, taken); /* the parser wipes its copy when the request is answered */
	evbuffer_drain(in, taken);
	count(&s->stats.bytes_in, (int64_t)taken);
	switch (result) {
	case HTTP_PARSE_MORE:
		break;
	case HTTP_PARSE_HEAD:
		if (http_parser_request(&x->parser)->expects_continue &&
			evbuffer_get_length(in) == 0)
			conn_send(c, STR("HTTP/1.1 100 Continue\r\n\r\n"), STR(""));
		break;
	case HTTP_PARSE_DONE:
		conn_dispatch(c);
		break;
	case HTTP_PARSE_ERROR:
		conn_fail(c, http_parser_error(&x->parser));
		break;
	}
}

static bool may_take(const struct conn *c)
{
	return c->bev && !c->in_flight && !c->closing &&
	       evbuffer_get_length(bufferevent_get_output(c->bev)) <=
		       c->server->options.max_output_bytes;
}

/* Handles the requests that are in the input, until one is at the handler. */
static void conn_process(struct conn *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	c->processing = true;
	while (may_take(c) && evbuffer_get_length(in) > 0)
		conn_take(c, in);
	c->processing = false;
	conn_settle(c);
}

static void on_read(struct bufferevent *bev, void *arg)
{
	struct conn *c = arg;
	if (c->closing) {
		struct evbuffer *in = bufferevent_get_input(bev);
		evbuffer_drain(in, evbuffer_get_length(in));
	} else if (c->wait == WAIT_WRITE || c->in_flight) {
		/* no further request is begun while replies are unsent, so that they end some day
		 */
		conn_pace(c);
	} else {
		conn_process(c);
	}
}

static void on_written(struct bufferevent *bev, void *arg)
{
	(void)bev;
	struct conn *c = arg;
	if (c->closing || c->in_flight)
		conn_settle(c);
	else
		conn_process(c);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	struct conn *c = arg;
	if (what & BEV_EVENT_CONNECTED) {
		char identity[TLS_IDENTITY_BYTES];
		c->shaking = false;
		if (tls_client_identity(c->ssl, identity))
			c->identity = xstrdup(identity);
		return;
	}
	if (c->shaking)
		count(&c->server->stats.handshake_errors, 1);
	if (what & BEV_EVENT_EOF && !c->shaking) {
		c->eof = true;
		if (c->closing || c->in_flight || c->wait == WAIT_WRITE)
			conn_settle(c);
		else
			conn_process(c);
		return;
	}
	conn_close(c);
}

/* --- deadlines --- */

static void conn_expire(struct conn *c)
{
	switch (c->wait) {
	case WAIT_HEAD:
	case WAIT_BODY:
		if (c->x && !c->shaking) {
			conn_fail(c, HTTP_ERROR_TIMEOUT);
			return;
		}
		break; /* it never said a word */
	case WAIT_NONE:
	case WAIT_IDLE:
	case WAIT_WRITE:
	case WAIT_LINGER:
	case WAIT_GONE:
	case WAIT_COUNT:
		break;
	}
	conn_close(c);
}

static void close_all(struct http_server *s)
{
	for (size_t i = 0; i < WAIT_COUNT; i++)
		while (!list_empty(&s->waits[i]))
			conn_close(container_of(s->waits[i].next, struct conn, node));
}

static void set_ticking(struct http_server *s)
{
	bool wanted = s->n_connections > 0;
	if (wanted == s->ticking)
		return;
	s->ticking = wanted;
	if (!wanted) {
		event_del(s->tick);
		return;
	}
	/* an eighth of the shortest timeout: how late a deadline may be noticed */
	int64_t shortest = INT64_C(8) * TICK_MAX_MS;
	for (size_t i = WAIT_NONE + 1; i < WAIT_COUNT; i++)
		if (s->timeout_us[i] / US_PER_MS < shortest)
			shortest = s->timeout_us[i] / US_PER_MS;
	int64_t ms = shortest / 8 > TICK_MIN_MS ? shortest / 8 : TICK_MIN_MS;
	const struct timeval period = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * US_PER_MS};
	event_add(s->tick, &period);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	struct http_server *s = arg;
	struct mono_time now = clock_mono(s->clock);
	for (size_t i = WAIT_NONE + 1; i < WAIT_COUNT; i++) {
		while (!list_empty(&s->waits[i])) {
			struct conn *c = container_of(s->waits[i].next, struct conn, node);
			if (now.us - c->since.us < s->timeout_us[i])
				break;
			conn_expire(c);
		}
	}
	if (s->draining && now.us >= s->grace_end.us)
		close_all(s);
	set_ticking(s);
}

/* --- accepting --- */

static struct bufferevent *open_bufferevent(struct http_server *s, int fd, SSL *ssl)
{
	struct event_base *base = loop_base(s->loop);
	struct bufferevent *bev;
	if (ssl) {
		bev = bufferevent_openssl_socket_new(
			base, fd, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
		if (bev) /* lengths frame our messages: a missing close_notify cuts nothing short */
			bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
		else
			SSL_free(ssl);
	} else {
		bev = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
	}
	return bev;
}

static struct conn *conn_new(
	struct http_server *s, int fd, const struct sockaddr *peer, socklen_t length, SSL *ssl)
{
	struct bufferevent *bev = open_bufferevent(s, fd, ssl);
	if (!bev) {
		close(fd);
		count(&s->stats.accept_errors, 1);
		return NULL;
	}
	struct conn *c = xnew(struct conn);
	c->server = s;
	c->bev = bev;
	c->ssl = ssl;
	c->fresh = true;
	c->shaking = ssl != NULL;
	list_init(&c->node);
	list_init(&c->ready);
	memcpy(&c->peer, peer, length < sizeof c->peer ? length : sizeof c->peer);
	list_add_tail(&s->waits[WAIT_NONE], &c->node);
	s->n_connections++;
	count(&s->stats.connections, 1);
	count(&s->stats.accepted, 1);
	bufferevent_setcb(bev, on_read, on_written, on_event, c);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
	set_ticking(s);
	conn_settle(c);
	return c;
}

/* Makes room for a new connection by closing one that has little to lose: the longest idle one,
 * else one whose head is slow to come. So neither idle nor slow clients, however many, keep a
 * health check out. */
static bool make_room(struct http_server *s)
{
	static const enum wait order[] = {WAIT_IDLE, WAIT_HEAD};
	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		if (list_empty(&s->waits[order[i]]))
			continue;
		struct conn *c = container_of(s->waits[order[i]].next, struct conn, node);
		int64_t waited_us = clock_mono(s->clock).us - c->since.us;
		if (order[i] == WAIT_HEAD && waited_us < (int64_t)SLOW_HEAD_MS * US_PER_MS)
			return false;
		conn_close(c);
		return true;
	}
	return false;
}

static void server_accept(struct http_server *s, int fd, const struct sockaddr *peer,
	socklen_t length, struct tls_server *tls)
{
	bool full = s->n_connections - s->n_refused >= s->options.max_connections && !make_room(s);
	if (full) {
		count(&s->stats.refused, 1);
		if (tls || s->n_refused >= REFUSED_AT_A_TIME) {
			close(fd);
			return;
		}
	}
	struct conn *c = conn_new(s, fd, peer, length, tls ? tls_server_session(tls) : NULL);
	if (c && full) {
		c->refused = true;
		s->n_refused++;
		conn_fail(c, HTTP_ERROR_OVERLOAD);
	}
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *peer,
	int length, void *arg)
{
	(void)listener;
	struct server_listener *l = arg;
	server_accept(l->server, fd, peer, (socklen_t)length, l->tls);
}

/* Out of file descriptors, most likely: the connection stays in the queue, so epoll would wake us
 * again at once. Make room, rest, and try again. */
static void on_accept_error(struct evconnlistener *listener, void *arg)
{
	struct server_listener *l = arg;
	struct http_server *s = l->server;
	const struct timeval rest = {.tv_usec = (suseconds_t)ACCEPT_RETRY_MS * US_PER_MS};
	count(&s->stats.accept_errors, 1);
	make_room(s);
	evconnlistener_disable(listener);
	event_add(s->accept_again, &rest);
}

static void on_accept_again(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	struct http_server *s = arg;
	list_for_each (node, &s->listeners)
		evconnlistener_enable(container_of(node, struct server_listener, node)->listener);
}

void http_server_listen(struct http_server *s, int takes_fd, struct tls_server *tls)
{
	struct server_listener *l = xnew(struct server_listener);
	l->server = s;
	l->tls = tls;
	l->listener = evconnlistener_new(loop_base(s->loop), on_accept, l,
		LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0 /* it listens already */,
		takes_fd);
	if (!l->listener)
		abort(); /* out of memory, as in xalloc */
	evconnlistener_set_error_cb(l->listener, on_accept_error);
	list_add_tail(&s->listeners, &l->node);
}

void http_server_adopt(struct http_server *s, int takes_fd, struct tls_server *tls)
{
	struct sockaddr_storage peer = {.ss_family = AF_UNIX};
	socklen_t length = sizeof peer;
	evutil_make_socket_nonblocking(takes_fd);
	if (getpeername(takes_fd, (struct sockaddr *)&peer, &length) < 0)
		length = sizeof peer.ss_family;
	server_accept(s, takes_fd, (const struct sockaddr *)&peer, length, tls);
}

/* --- servers --- */

static void on_later(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	struct http_server *s = arg;
	struct list *node;
	struct list ready; /* what becomes ready meanwhile has its turn next time */
	list_init(&ready);
	list_move_all(&ready, &s->ready);
	while ((node = list_pop(&ready))) {
		struct conn *c = container_of(node, struct conn, ready);
		if (c->wait != WAIT_WRITE)
			conn_process(c);
	}
	while ((node = list_pop(&s->cancels)))
		exchange_tell_cancel(container_of(node, struct http_exchange, node));
	while ((node = list_pop(&s->graveyard)))
		conn_free(container_of(node, struct conn, node));
	if (s->draining && !s->stopped && list_empty(&s->listeners) && !s->n_connections &&
		!s->n_in_flight) {
		s->stopped = true;
		s->on_stopped(s->stopped_arg); /* may free s */
	}
}

static void close_listeners(struct http_server *s)
{
	list_for_each (node, &s->listeners) {
		list_remove(node);
		struct server_listener *l = container_of(node, struct server_listener, node);
		evconnlistener_free(l->listener);
		free(l);
	}
}

/* The kernel resets what waits in a listen queue that closes; those clients were promised a
 * server when their connect succeeded. */
static void accept_the_rest(struct http_server *s)
{
	list_for_each (node, &s->listeners) {
		struct server_listener *l = container_of(node, struct server_listener, node);
		int fd;
		struct sockaddr_storage peer;
		socklen_t length = sizeof peer;
		while ((fd = accept4(evconnlistener_get_fd(l->listener), (struct sockaddr *)&peer,
				&length, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
			server_accept(s, fd, (const struct sockaddr *)&peer, length, l->tls);
			length = sizeof peer;
		}
	}
}

/* LAST_HANDSHAKES_MS after the listeners were disabled. Never in the same turn: libevent tells
 * epoll of a change only when it waits next, and a socket that has duplicates on other loops (unix)
 * stays in the epoll set, for ever readable, if it is closed before. */
static void on_close_listeners(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	struct http_server *s = arg;
	accept_the_rest(s);
	close_listeners(s);
	run_later(s);
}

struct http_server *http_server_new(struct loop *loop, const struct http_server_options *options,
	const struct http_handler *handler)
{
	struct http_server *s = xnew(struct http_server);
	const uint32_t timeouts_ms[WAIT_COUNT] = {
		[WAIT_HEAD] = options->header_timeout_ms,
		[WAIT_BODY] = options->body_timeout_ms,
		[WAIT_IDLE] = options->idle_timeout_ms,
		[WAIT_WRITE] = options->write_timeout_ms,
		[WAIT_LINGER] = options->linger_timeout_ms,
		[WAIT_GONE] = options->gone_grace_ms,
	};
	s->loop = loop;
	s->options = *options;
	s->handler = *handler;
	s->clock = options->clock ? options->clock : &clock_system;
	for (size_t i = 0; i < WAIT_COUNT; i++) {
		list_init(&s->waits[i]);
		s->timeout_us[i] = (int64_t)timeouts_ms[i] * US_PER_MS;
	}
	list_init(&s->listeners);
	list_init(&s->pool);
	list_init(&s->ready);
	list_init(&s->graveyard);
	list_init(&s->cancels);
	http_head_init(&s->head);
	buf_init(&s->compressed, 0);
	s->gzip = http_gzip_new();
	struct event_base *base = loop_base(loop);
	s->later = event_new(base, -1, 0, on_later, s);
	s->tick = event_new(base, -1, EV_PERSIST, on_tick, s);
	s->accept_again = event_new(base, -1, 0, on_accept_again, s);
	s->close_listeners = event_new(base, -1, 0, on_close_listeners, s);
	if (!s->later || !s->tick || !s->accept_again || !s->close_listeners)
		abort(); /* out of memory, as in xalloc */
	return s;
}

void http_server_free(struct http_server *s)
{
	if (!s)
		return;
	assert(s->n_in_flight == 0);
	close_listeners(s);
	close_all(s);
	struct list *node;
	while ((node = list_pop(&s->graveyard)))
		conn_free(container_of(node, struct conn, node));
	while ((node = list_pop(&s->pool)))
		exchange_free(container_of(node, struct http_exchange, node));
	event_free(s->later);
	event_free(s->tick);
	event_free(s->accept_again);
	event_free(s->close_listeners);
	http_head_done(&s->head);
	http_gzip_free(s->gzip);
	free(s);
}

void http_server_stop(
	struct http_server *s, uint32_t grace_ms, void (*on_stopped)(void *arg), void *arg)
{
	struct mono_time end = mono_time_add_ms(clock_mono(s->clock), grace_ms);
	if (!s->draining || end.us < s->grace_end.us)
		s->grace_end = end;
	if (s->draining)
		return;
	s->draining = true;
	s->on_stopped = on_stopped;
	s->stopped_arg = arg;
	event_del(s->accept_again);
	list_for_each (node, &s->listeners) {
		struct server_listener *l = container_of(node, struct server_listener, node);
		evconnlistener_disable(l->listener);
		listener_refuse(evconnlistener_get_fd(l->listener));
	}
	event_add(s->close_listeners,
		&(const struct timeval){.tv_usec = LAST_HANDSHAKES_MS * US_PER_MS});
	if (s->options.drain_idle_ms < s->options.idle_timeout_ms)
		s->timeout_us[WAIT_IDLE] = (int64_t)s->options.drain_idle_ms * US_PER_MS;
	list_for_each (node, &s->waits[WAIT_HEAD]) {
		struct conn *c = container_of(node, struct conn, node);
		if (!c->x && !c->shaking)
			conn_settle(c); /* silent so far: idle now */
	}
}

const struct http_server_stats *http_server_stats(const struct http_server *s)
{
	return &s->stats;
}
