/* SPDX-License-Identifier: Apache-2.0 */
#include "common/h2/h2_connection.h"

#include "common/base/clock.h"
#include "common/base/list.h"
#include "common/base/xalloc.h"
#include "common/event/loop.h"
#include "common/h2/h2_request.h"
#include "common/h2/h2_socket.h"

#include <assert.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <string.h>

enum {
	/* What is written at once: frames are gathered until a further one might not fit. */
	OUT_BYTES = 64 * 1024,
	FRAME_BYTES = 17 * 1024, /* nghttp2's, with their heads */
	IN_BYTES = 32 * 1024,
	READS_AT_A_TIME = 16, /* then others have their turn */
	/* What a server may send ahead. */
	STREAM_WINDOW_BYTES = 1 << 20,
	CONNECTION_WINDOW_BYTES = 8 << 20,
	MAX_HEADERS = 48,             /* of a request */
	MAX_HEADER_BYTES = 60 * 1024, /* nghttp2's own limit is 64 KiB */
	/* A connection is replaced before its stream numbers (31 bits, odd ones) run out. */
	LAST_STREAM_ID = INT32_MAX - 4096,
	REASON_BYTES = 448, /* as of a struct status */
};

struct h2_connection {
	struct h2_connection_options options;
	struct h2_connection_events events;
	struct h2_socket *socket;
	nghttp2_session *session;
	struct list active, ended; /* requests; those that are to be told of their end */
	size_t n_active;
	struct h2_request *current; /* whose head is being read */
	int32_t last_sent;          /* the highest stream whose head was handed to the socket */
	struct event flush, timer;
	struct mono_time heard, probed;
	unsigned depth; /* of callbacks on the stack */
	bool open;      /* the socket is */
	bool settled;   /* the server's SETTINGS came */
	bool of_use;    /* it brought an answer */
	bool blocked;   /* the socket takes no more at the moment */
	bool leaving;   /* no more requests */
	bool pinged_too_much;
	bool room; /* there may be some that was not told of */
	bool told_settled, told_leaving, told_closed;
	bool broken; /* it is over, for the reason */
	bool flush_scheduled;
	bool freed; /* inside a callback: the last one on the stack does it */
	char reason[REASON_BYTES];
	size_t out_at, out_n;
	uint8_t out[OUT_BYTES];
};

static void break_off(struct h2_connection *c, const char *reason)
{
	if (c->broken)
		return;
	c->broken = true;
	snprintf(c->reason, sizeof c->reason, "%s", reason);
}

static void schedule_flush(struct h2_connection *c)
{
	if (c->flush_scheduled)
		return;
	c->flush_scheduled = true;
	event_active(&c->flush, 0, 0);
}

/* --- requests --- */

/* nghttp2 forgets @r: none of its callbacks meets it again. */
static void detach(struct h2_connection *c, struct h2_request *r)
{
	if (c->current == r)
		c->current = NULL;
	list_remove(&r->node_);
	c->n_active--;
	c->room = true;
	nghttp2_session_set_stream_user_data(c->session, r->id_, NULL);
}

static void request_ended(struct h2_connection *c, struct h2_request *r, enum h2_end end)
{
	detach(c, r);
	r->state_ = H2_REQUEST_ENDED;
	r->end_ = end;
	list_add_tail(&c->ended, &r->node_);
}

static void reset_stream(struct h2_connection *c, int32_t id)
{
	nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
	schedule_flush(c);
}

void h2_connection_cancel(struct h2_connection *c, struct h2_request *r)
{
	if (r->state_ == H2_REQUEST_ACTIVE) {
		detach(c, r);
		reset_stream(c, r->id_);
	} else if (r->state_ == H2_REQUEST_ENDED) {
		list_remove(&r->node_);
	}
	r->state_ = H2_REQUEST_IDLE;
}

static void request_stopped(struct h2_connection *c, struct h2_request *r)
{
	request_ended(c, r, H2_END_STOPPED);
	reset_stream(c, r->id_);
}

static nghttp2_nv field(struct str name, struct str value, uint8_t flags)
{
	return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name.p,
		.namelen = name.n,
		.value = (uint8_t *)(uintptr_t)value.p,
		.valuelen = value.n,
		.flags = flags};
}

/* RFC 9113, 6.5.2: how SETTINGS_MAX_HEADER_LIST_SIZE counts. */
static bool fits(const struct h2_connection *c, const nghttp2_nv *fields, size_t n)
{
	size_t limit = nghttp2_session_get_remote_settings(
		c->session, NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE);
	size_t size = 0;
	for (size_t i = 0; i < n; i++)
		size += fields[i].namelen + fields[i].valuelen + 32;
	return size <= limit && size <= MAX_HEADER_BYTES;
}

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *to, size_t room,
	uint32_t *flags, nghttp2_data_source *source, void *arg)
{
	(void)source, (void)arg;
	struct h2_request *r = nghttp2_session_get_stream_user_data(session, id);
	if (!r)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	size_t n = r->body.n - r->sent_;
	if (n > room)
		n = room;
	if (n)
		memcpy(to, r->body.p + r->sent_, n);
	r->sent_ += n;
	if (r->sent_ == r->body.n)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)n;
}

bool h2_connection_has_room(const struct h2_connection *c)
{
	return c->settled && !c->leaving && !c->broken && !c->blocked &&
	       c->n_active < nghttp2_session_get_remote_settings(
				     c->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

bool h2_connection_was_of_use(const struct h2_connection *c)
{
	return c->of_use;
}

static void request_failed(struct h2_connection *c, struct h2_request *r, enum h2_end end)
{
	r->state_ = H2_REQUEST_ENDED;
	r->end_ = end;
	list_add_tail(&c->ended, &r->node_);
	schedule_flush(c);
}

void h2_connection_send(struct h2_connection *c, struct h2_request *r)
{
	static const uint8_t constant =
		NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE;
	nghttp2_nv fields[4 + MAX_HEADERS] = {
		field(STR(":method"), STR("POST"), constant),
		field(STR(":scheme"), c->options.takes_tls ? STR("https") : STR("http"), constant),
		field(STR(":path"), r->path, NGHTTP2_NV_FLAG_NO_COPY_NAME),
		field(STR(":authority"), str_of(c->options.authority),
			NGHTTP2_NV_FLAG_NO_COPY_NAME),
	};
	size_t n = 4;
	assert(r->n_headers <= MAX_HEADERS);
	for (size_t i = 0; i < r->n_headers; i++) {
		const struct h2_header *h = &r->headers[i];
		fields[n++] = field(h->name, h->value,
			h->unique ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE);
	}
	list_init(&r->node_);
	r->connection_ = c;
	r->sent_ = 0;
	r->error_code = 0;
	if (!fits(c, fields, n)) {
		request_failed(c, r, H2_END_TOO_LARGE);
		return;
	}
	const nghttp2_data_provider body = {.read_callback = read_body};
	int32_t id = nghttp2_submit_request(c->session, NULL, fields, n, &body, r);
	if (id < 0) { /* out of memory or numbers */
		c->leaving = true;
		request_failed(c, r, H2_END_REFUSED);
		return;
	}
	r->id_ = id;
	r->state_ = H2_REQUEST_ACTIVE;
	list_add_tail(&c->active, &r->node_);
	c->n_active++;
	c->leaving = c->leaving || id >= LAST_STREAM_ID;
	schedule_flush(c);
}

/* --- what nghttp2 tells --- */

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct h2_connection *c = arg;
	c->current = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
	return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
	size_t name_n, const uint8_t *value, size_t value_n, uint8_t flags, void *arg)
{
	(void)session, (void)frame, (void)flags;
	struct h2_connection *c = arg;
	struct h2_request *r = c->current;
	if (r && !r->ops->header(r, (struct str){(const char *)name, name_n},
			 (struct str){(const char *)value, value_n}))
		request_stopped(c, r);
	return 0;
}

static int on_data(
	nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *p, size_t n, void *arg)
{
	(void)flags;
	struct h2_connection *c = arg;
	struct h2_request *r = nghttp2_session_get_stream_user_data(session, id);
	if (r && !r->ops->data(r, (struct str){(const char *)p, n}))
		request_stopped(c, r);
	return 0;
}

/* The whole answer is there. Whoever answers before he has the whole question wants no more of it.
 */
static void on_end_stream(struct h2_connection *c, int32_t id)
{
	struct h2_request *r = nghttp2_session_get_stream_user_data(c->session, id);
	if (!r)
		return;
	c->of_use = true;
	if (r->sent_ < r->body.n)
		reset_stream(c, id);
	request_ended(c, r, H2_END_COMPLETE);
}

static void on_goaway(struct h2_connection *c, const nghttp2_goaway *frame)
{
	static const char calm[] = "too_many_pings"; /* gRFC A8 */
	c->leaving = true;
	c->pinged_too_much = frame->error_code == NGHTTP2_ENHANCE_YOUR_CALM &&
			     frame->opaque_data_len == sizeof calm - 1 &&
			     memcmp(frame->opaque_data, calm, sizeof calm - 1) == 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	(void)session;
	struct h2_connection *c = arg;
	switch (frame->hd.type) {
	case NGHTTP2_HEADERS:
	case NGHTTP2_DATA:
		if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
			on_end_stream(c, frame->hd.stream_id);
		break;
	case NGHTTP2_SETTINGS:
		c->room = true;
		if (!(frame->hd.flags & NGHTTP2_FLAG_ACK))
			c->settled = true;
		break;
	case NGHTTP2_GOAWAY:
		on_goaway(c, &frame->goaway);
		break;
	default:
		break;
	}
	return 0;
}

/* Before its END_STREAM: the server reset it, or GOAWAY says that it will not be looked at. */
static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t error_code, void *arg)
{
	struct h2_connection *c = arg;
	struct h2_request *r = nghttp2_session_get_stream_user_data(session, id);
	if (!r)
		return 0;
	r->error_code = error_code;
	request_ended(c, r, error_code == NGHTTP2_REFUSED_STREAM ? H2_END_REFUSED : H2_END_RESET);
	return 0;
}

static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	(void)session;
	struct h2_connection *c = arg;
	if (frame->hd.type == NGHTTP2_HEADERS)
		c->last_sent = frame->hd.stream_id;
	return 0;
}

/* nghttp2 has no stream of that number then (GOAWAY came first), or takes it away. */
static int on_frame_not_send(
	nghttp2_session *session, const nghttp2_frame *frame, int error, void *arg)
{
	(void)session, (void)error;
	struct h2_connection *c = arg;
	if (frame->hd.type != NGHTTP2_HEADERS)
		return 0;
	list_for_each (node, &c->active) {
		struct h2_request *r = container_of(node, struct h2_request, node_);
		if (r->id_ == frame->hd.stream_id) {
			request_ended(c, r, H2_END_REFUSED);
			break;
		}
	}
	return 0;
}

static nghttp2_session *session_new(struct h2_connection *c)
{
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *option;
	nghttp2_session *session;
	if (nghttp2_session_callbacks_new(&callbacks) || nghttp2_option_new(&option))
		abort(); /* out of memory, as in xalloc */
	/* A grpc-message may begin or end with a space, which gRPC's encoding leaves as it is; RFC
	 * 9113, 8.2.1 would reset the call, and its status with it. */
	nghttp2_option_set_no_rfc9113_leading_and_trailing_ws_validation(option, 1);
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
	nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
	nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_frame_not_send);
	const nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW_BYTES},
	};
	if (nghttp2_session_client_new2(&session, callbacks, c, option) ||
		nghttp2_submit_settings(
			session, NGHTTP2_FLAG_NONE, settings, ARRAY_SIZE(settings)) ||
		nghttp2_session_set_local_window_size(
			session, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW_BYTES))
		abort(); /* out of memory */
	nghttp2_session_callbacks_del(callbacks);
	nghttp2_option_del(option);
	return session;
}

/* --- bytes --- */

/* Gathers frames as long as a whole one fits. */
static void fill(struct h2_connection *c)
{
	if (c->out_at == c->out_n)
		c->out_at = c->out_n = 0;
	while (c->out_n + FRAME_BYTES <= OUT_BYTES) {
		const uint8_t *frame;
		ssize_t n = nghttp2_session_mem_send(c->session, &frame);
		if (n < 0)
			break_off(c, nghttp2_strerror((int)n));
		if (n <= 0)
			return;
		assert((size_t)n <= FRAME_BYTES);
		memcpy(c->out + c->out_n, frame, (size_t)n);
		c->out_n += (size_t)n;
	}
}

/* A server that does not read gets no further requests, or what is given up, and the RST_STREAM
 * that says so, would pile up behind them. */
static void set_blocked(struct h2_connection *c, bool blocked)
{
	c->room = c->room || (c->blocked && !blocked);
	c->blocked = blocked;
}

static void write_out(struct h2_connection *c)
{
	while (c->open && !c->broken) {
		fill(c);
		size_t n = c->out_n - c->out_at;
		ssize_t put = n ? h2_socket_write(c->socket, c->out + c->out_at, n) : 0;
		if (put < 0)
			break_off(c, h2_socket_reason(c->socket));
		c->out_at += put > 0 ? (size_t)put : 0;
		set_blocked(c, c->out_at < c->out_n);
		if (c->blocked || !n)
			return;
	}
}

static void read_in(struct h2_connection *c)
{
	uint8_t in[IN_BYTES];
	for (unsigned i = 0; i < READS_AT_A_TIME && !c->broken; i++) {
		ssize_t n = h2_socket_read(c->socket, in, sizeof in);
		if (n < 0)
			break_off(c, h2_socket_reason(c->socket));
		if (n <= 0)
			return;
		c->heard = clock_mono(&clock_system);
		ssize_t used = nghttp2_session_mem_recv(c->session, in, (size_t)n);
		if (used < 0)
			break_off(c, nghttp2_strerror((int)used));
		if ((size_t)n < sizeof in)
			return;
	}
	h2_socket_again(c->socket);
}

/* --- time --- */

static void set_timer(struct h2_connection *c, int64_t us)
{
	if (us < US_PER_MS)
		us = US_PER_MS;
	const struct timeval after = {
		.tv_sec = us / US_PER_S, .tv_usec = (suseconds_t)(us % US_PER_S)};
	event_add(&c->timer, &after);
}

/* Probes a connection on which nothing came for a while; when a probe has no answer, and nothing
 * else came either, it is dead. */
static void check_alive(struct h2_connection *c)
{
	struct mono_time now = clock_mono(&clock_system);
	int64_t patience_us = c->options.keepalive_ms * US_PER_MS;
	int64_t timeout_us = c->options.keepalive_timeout_ms * US_PER_MS;
	int64_t silent_us = now.us - c->heard.us;
	if (c->probed.us > c->heard.us) {
		if (now.us - c->probed.us >= timeout_us)
			break_off(c, "the server does not answer");
		else
			set_timer(c, c->probed.us + timeout_us - now.us);
	} else if (silent_us < patience_us) {
		set_timer(c, patience_us - silent_us);
	} else {
		nghttp2_submit_ping(c->session, NGHTTP2_FLAG_NONE, NULL);
		c->probed = now;
		set_timer(c, timeout_us);
	}
}

/* --- events --- */

static void free_now(struct h2_connection *c)
{
	event_del(&c->flush);
	event_del(&c->timer);
	h2_socket_free(c->socket);
	nghttp2_session_del(c->session);
	free(c);
}

static void leave(struct h2_connection *c)
{
	if (--c->depth == 0 && c->freed)
		free_now(c);
}

static void tell_ended(struct h2_connection *c)
{
	struct list *node;
	while ((node = list_pop(&c->ended))) {
		struct h2_request *r = container_of(node, struct h2_request, node_);
		r->state_ = H2_REQUEST_IDLE;
		r->reason = c->broken                 ? c->reason
			    : r->end_ == H2_END_RESET ? nghttp2_http2_strerror(r->error_code)
						      : "";
		r->ops->end(r, r->end_);
	}
}

static void end_all(struct h2_connection *c)
{
	while (!list_empty(&c->active)) {
		struct h2_request *r = container_of(c->active.next, struct h2_request, node_);
		request_ended(c, r, r->id_ <= c->last_sent ? H2_END_LOST : H2_END_REFUSED);
	}
}

static void tell(struct h2_connection *c)
{
	tell_ended(c);
	if (c->settled && !c->told_settled && !c->freed && !c->broken) {
		c->told_settled = true;
		set_timer(c, c->options.keepalive_ms * US_PER_MS);
		c->events.ready(c->events.arg);
	}
	if (c->leaving && c->told_settled && !c->told_leaving && !c->freed) {
		c->told_leaving = true;
		c->events.leaving(c->events.arg, c->pinged_too_much);
	}
	if (c->room && !c->freed && !c->broken) {
		c->room = false;
		c->events.room(c->events.arg);
	}
}

static void check_over(struct h2_connection *c)
{
	if (c->leaving && !c->n_active)
		break_off(c, "the server closes the connection");
	if (c->broken && !c->freed) {
		end_all(c);
		tell_ended(c);
	}
	if (c->broken && !c->freed && !c->told_closed) {
		c->told_closed = true;
		c->events.closed(c->events.arg, c->reason);
	}
}

/* After whatever happened: tells of it. What there is to write waits for the end of this turn of
 * the loop, so that it leaves in one go with what others have to say in it. */
static void work(struct h2_connection *c)
{
	c->depth++;
	tell(c);
	check_over(c);
	if (c->open && !c->freed && !c->broken &&
		(nghttp2_session_want_write(c->session) || c->out_at < c->out_n))
		schedule_flush(c);
	leave(c);
}

static void on_flush(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	struct h2_connection *c = arg;
	c->flush_scheduled = false;
	write_out(c);
	/* after a fatal error its GOAWAY was the last word */
	if (c->open && !nghttp2_session_want_read(c->session) &&
		!nghttp2_session_want_write(c->session) && c->out_at == c->out_n)
		break_off(c, "the server broke the rules of HTTP/2");
	c->depth++;
	tell(c);
	check_over(c);
	leave(c);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	struct h2_connection *c = arg;
	if (c->settled)
		check_alive(c);
	else
		break_off(c, c->open ? "the server sends no SETTINGS" : "the connection timed out");
	work(c);
}

static void on_opened(void *arg)
{
	struct h2_connection *c = arg;
	c->open = true;
	read_in(c);
	work(c);
}

static void on_ready(void *arg)
{
	struct h2_connection *c = arg;
	read_in(c);
	work(c);
}

static void on_failed(void *arg, struct status why)
{
	struct h2_connection *c = arg;
	break_off(c, why.message);
	work(c);
}

/* --- life --- */

struct status h2_connection_open(const struct h2_connection_options *options,
	const struct h2_connection_events *events, struct h2_connection **ret)
{
	struct h2_connection *c = xnew(struct h2_connection);
	const struct h2_socket_handler handler = {
		.arg = c, .opened = on_opened, .ready = on_ready, .failed = on_failed};
	c->options = *options;
	c->events = *events;
	list_init(&c->active);
	list_init(&c->ended);
	struct status s = h2_socket_open(options->loop, options->address, options->length,
		options->takes_tls, &handler, &c->socket);
	if (!status_is_ok(&s)) {
		free(c);
		return s;
	}
	c->session = session_new(c);
	c->heard = clock_mono(&clock_system);
	event_assign(&c->flush, loop_base(options->loop), -1, 0, on_flush, c);
	event_assign(&c->timer, loop_base(options->loop), -1, 0, on_timer, c);
	set_timer(c, options->open_timeout_ms * US_PER_MS);
	*ret = c;
	return status_ok();
}

void h2_connection_free(struct h2_connection *c)
{
	if (!c || c->freed)
		return;
	assert(list_empty(&c->active) && list_empty(&c->ended));
	if (!c->broken) {
		nghttp2_submit_goaway(c->session, NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR, NULL, 0);
		write_out(c);
	}
	c->freed = true;
	if (!c->depth)
		free_now(c);
}
