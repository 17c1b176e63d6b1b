/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/gateway.h"

#include "common/base/buf.h"
#include "common/base/escape.h"
#include "common/base/log.h"
#include "common/base/xalloc.h"
#include "common/codec/schema.h"
#include "common/metrics/metrics.h"
#include "common/net/address.h"
#include "common/net/listener.h"
#include "common/rpc/call.h"
#include "common/rpc/call_metrics.h"
#include "common/rpc/request_id.h"
#include "gateway/cors.h"
#include "gateway/dialect.h"
#include "gateway/grpc_timeout.h"
#include "gateway/openapi.h"
#include "gateway/router.h"
#include "gateway/transcode.h"

#include <stdatomic.h>
#include <string.h>

enum {
	REPLY_MAX_BYTES = 64 * 1024 * 1024,
	REPLY_KEPT_BYTES = 256 * 1024, /* of the memory for one, between replies */
	CALLS_KEPT = 256,
	HEADERS_MAX = 12,
	OPENAPI_MAX_BYTES = 4 * 1024 * 1024
};

struct reply_headers {
	struct http_header list[HEADERS_MAX];
	size_t n;
};

/* One loop's part. */
struct gateway_loop {
	struct gateway *gateway;
	struct loop *loop;
	struct http_server *server;
	struct http_call *kept; /* finished calls, for the next ones */
	size_t n_kept;
	struct buf body; /* of the reply that is being written */
	struct {         /* of the error that render_error words: they outlive it */
		struct reply_headers headers;
		char request_id[CALL_REQUEST_ID_BYTES];
	} error;
	struct loop_task stop;
};

/* A counter of the HTTP servers, summed up over the loops. */
struct stat_reader {
	const struct gateway *gateway;
	size_t offset; /* in struct http_server_stats */
};

struct gateway {
	struct gateway_options options;
	struct listener *listener;
	struct router *router;
	struct cors cors;
	struct buf openapi; /* /openapi.json, made once */
	struct gateway_loop *loops;
	struct call_metrics *calls;  /* NULL: the handler in this process counts them */
	struct stat_reader *readers; /* of the metrics */
	size_t n_readers;
	atomic_bool draining;
	/* gateway_stop */
	uint32_t stop_grace_ms;
	struct loop *stop_home;
	struct loop_task stop_done;
	void (*on_stopped)(void *arg);
	void *on_stopped_arg;
	atomic_size_t loops_running;
};

/* A request that became a call. */
struct http_call {
	struct call call; /* first: its transport's view */
	struct gateway_loop *owner;
	struct http_exchange *exchange;
	const struct dialect *dialect;
	const struct route *route;
	struct http_call *next; /* in kept */
};

/* --- replies --- */

static void add_header(struct reply_headers *h, const char *name, struct str value)
{
	if (h->n < HEADERS_MAX)
		h->list[h->n++] = (struct http_header){str_of(name), value};
}

/* What statuses ask for: WWW-Authenticate of 401 and 403, Retry-After of 429 and 503. */
static void add_error_headers(struct reply_headers *headers, int status, bool has_credential)
{
	struct str retry = dialect_retry_after(status, STR(""));
	struct str challenge = dialect_www_authenticate(status, has_credential);
	if (retry.p)
		add_header(headers, "Retry-After", retry);
	if (challenge.p)
		add_header(headers, "WWW-Authenticate", challenge);
}

static void add_cors_headers(
	struct gateway_loop *l, const struct http_request *request, struct reply_headers *headers)
{
	cors_reply_headers(&l->gateway->cors, request, headers->list, &headers->n, HEADERS_MAX);
}

static void send_reply(struct gateway_loop *l, struct http_exchange *x, int status,
	struct str content_type, struct str body, struct reply_headers *headers, bool secret)
{
	add_cors_headers(l, http_exchange_request(x), headers);
	struct http_reply reply = {
		.status = status,
		.content_type = content_type,
		.headers = headers->list,
		.n_headers = headers->n,
		.body = body,
		.secret = secret,
	};
	http_exchange_reply(x, &reply);
	if (secret)
		buf_wipe(&l->body);
	buf_recycle(&l->body, REPLY_KEPT_BYTES);
}

static const struct str json_type = {"application/json", 16};

/* The request's own id, or a new one, for a reply that is not a call's. */
static void add_request_id(const struct http_request *request, char id[CALL_REQUEST_ID_BYTES],
	struct reply_headers *headers)
{
	request_id_choose(http_request_header(request, STR("x-request-id")), id);
	add_header(headers, "X-Request-Id", str_of(id));
}

/* An error that is not of a call: of routing, of the request's form, of our own pages. */
static void refuse(struct gateway_loop *l, struct http_exchange *x, const struct refusal *refusal)
{
	const struct gateway *g = l->gateway;
	const struct http_request *request = http_exchange_request(x);
	const struct dialect *dialect = dialect_of(request->path);
	struct reply_headers headers = {.n = 0};
	int status = refusal->http_status ? refusal->http_status
					  : dialect_http_status(dialect, refusal->status.code);
	char id[CALL_REQUEST_ID_BYTES];
	if (refusal->allow.p)
		add_header(&headers, "Allow", refusal->allow);
	add_request_id(request, id, &headers);
	add_error_headers(&headers, status, false);
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	dialect_write_error(dialect, g->options.schema, &refusal->status, status,
		status_details_of(&refusal->status, "", arena), &l->body);
	send_reply(l, x, status, json_type, buf_str(&l->body), &headers, false);
}

static void refuse_status(struct gateway_loop *l, struct http_exchange *x, int http_status,
	struct status status, struct str allow)
{
	struct refusal refusal = refusal_of(http_status, status);
	refusal.allow = allow;
	refuse(l, x, &refusal);
}

/* For the HTTP server: a request that never became an exchange. */
static void render_error(
	void *self, const struct http_error *e, struct buf *body, struct http_reply *r)
{
	struct gateway_loop *l = self;
	struct status status = status_error(e->code, "%s", e->message);
	dialect_write_error(dialect_of(e->request->path), l->gateway->options.schema, &status,
		e->status, STR(""), body);
	struct reply_headers *headers = &l->error.headers;
	headers->n = 0;
	for (size_t i = 0; i < r->n_headers; i++)
		headers->list[headers->n++] = r->headers[i];
	add_request_id(e->request, l->error.request_id, headers);
	add_cors_headers(l, e->request, headers);
	r->headers = headers->list;
	r->n_headers = headers->n;
}

/* --- calls --- */

static void add_reply_headers(struct http_call *hc, int status, struct reply_headers *headers)
{
	struct call *c = &hc->call;
	if (c->reply_headers[CALL_REPLY_SERVICE_VERSION].p)
		add_header(headers, call_reply_header_name(CALL_REPLY_SERVICE_VERSION),
			c->reply_headers[CALL_REPLY_SERVICE_VERSION]);
	add_header(headers, "X-Request-Id", str_of(c->request_id));
	struct str challenge = c->reply_headers[CALL_REPLY_WWW_AUTHENTICATE];
	if (!challenge.p) /* a service of another version, behind gRPC */
		challenge = dialect_www_authenticate(status,
			c->metadata[CALL_AUTHORIZATION].count || c->metadata[CALL_OSMO_AUTH].count);
	if (challenge.p)
		add_header(headers, "WWW-Authenticate", challenge);
	struct str retry =
		dialect_retry_after(status, status == 429 ? call_status_details(c) : STR(""));
	if (retry.p)
		add_header(headers, "Retry-After", retry);
}

/* The HTTP status and the body of the answer; a reply that cannot be written becomes an error. */
static int write_answer(struct http_call *hc, struct buf *body)
{
	struct call *c = &hc->call;
	const struct schema *schema = hc->owner->gateway->options.schema;
	if (c->status.code == STATUS_OK) {
		struct status written = transcode_reply(schema, hc->route, c->reply, body);
		if (written.code == STATUS_OK)
			return 200;
		buf_reset(body);
		log_error("gateway.reply", LOG_TEXT("request_id", c->request_id),
			LOG_STATUS(&written));
		c->status = status_error(
			STATUS_INTERNAL, "internal error, request id %s", c->request_id);
	}
	int status = dialect_http_status(hc->dialect, c->status.code);
	dialect_write_error(hc->dialect, schema, &c->status, status, call_status_details(c), body);
	return status;
}

static void on_finished(struct call *c)
{
	struct http_call *hc = container_of(c, struct http_call, call);
	struct gateway_loop *l = hc->owner;
	struct http_exchange *x = hc->exchange;
	hc->exchange = NULL;
	http_exchange_on_cancel(x, NULL, NULL);

	struct reply_headers headers = {.n = 0};
	int status = write_answer(hc, &l->body);
	add_reply_headers(hc, status, &headers);
	send_reply(l, x, status, json_type, buf_str(&l->body), &headers,
		c->reply_headers[CALL_REPLY_NO_STORE].p != NULL);
	call_unref(c);
}

static void free_call(struct http_call *hc)
{
	arena_free(hc->call.arena);
	free(hc);
}

static void on_release(struct call *c)
{
	struct http_call *hc = container_of(c, struct http_call, call);
	struct gateway_loop *l = hc->owner;
	if (!loop_is_current(l->loop) || l->n_kept >= CALLS_KEPT) {
		free_call(hc);
		return;
	}
	arena_reset(c->arena);
	hc->next = l->kept;
	l->kept = hc;
	l->n_kept++;
}

/* Counts the call, and logs what is about to be hidden; a handler in this process puts its own
 * observer in the place of this. */
static void observe(struct call *c)
{
	const struct http_call *hc = container_of(c, struct http_call, call);
	struct call_metrics *calls = hc->owner->gateway->calls;
	if (calls)
		call_metrics_note(calls, c);
	if (status_code_is_our_fault(c->status.code))
		log_error("gateway.internal", LOG_TEXT("request_id", c->request_id),
			LOG_TEXT("method", c->method->path), LOG_STATUS(&c->status));
}

static const struct call_ops call_ops = {.finished = on_finished, .release = on_release};

static struct http_call *take_call(struct gateway_loop *l, struct http_exchange *x)
{
	struct http_call *hc = l->kept;
	struct arena *arena;
	if (hc) {
		l->kept = hc->next;
		l->n_kept--;
		arena = hc->call.arena;
	} else {
		hc = xnew(struct http_call);
		arena = arena_new();
	}
	call_init(&hc->call, &call_ops);
	hc->call.arena = arena;
	hc->owner = l;
	hc->exchange = x;
	return hc;
}

/* The transport gives up a call that was never handed on. */
static void drop_call(struct http_call *hc)
{
	hc->exchange = NULL;
	call_unref(&hc->call);
}

static void on_cancel(void *arg)
{
	call_cancel(arg);
}

/* The request's texts die with the exchange, which a call may outlive (a deadline answers first):
 * what crosses is copied. */
static void take_metadata(struct http_call *hc, const struct http_request *request)
{
	struct call *c = &hc->call;
	const struct call_trust *trust = hc->owner->gateway->options.trust;
	for (size_t i = 0; i < request->n_headers; i++) {
		enum call_metadata_key key;
		if (!call_metadata_key_of(request->headers[i].name, &key))
			continue;
		if (call_metadata_is_identity(key) &&
			!(trust && trust->keeps(trust, &c->peer, key)))
			continue;
		if (c->metadata[key].count++ == 0)
			c->metadata[key].value = arena_str(c->arena, request->headers[i].value);
	}
}

static socklen_t sockaddr_size(const struct sockaddr *sa)
{
	return sa->sa_family == AF_INET    ? sizeof(struct sockaddr_in)
	       : sa->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
					   : sizeof(sa_family_t);
}

static void take_peer(struct http_call *hc)
{
	struct call *c = &hc->call;
	const struct sockaddr *sa = http_exchange_peer(hc->exchange);
	memcpy(&c->peer.address, sa, sockaddr_size(sa));
	c->peer.text = arena_str(c->arena, str_of(http_exchange_peer_text(hc->exchange)));
	const char *identity = http_exchange_tls_identity(hc->exchange);
	if (identity)
		c->peer.tls_identity = arena_str(c->arena, str_of(identity));
}

/* A header that says one thing: of two, somebody before us may have read the other. p is NULL if
 * there is none. */
static struct status take_header(
	const struct http_request *request, struct str name, struct str *ret_value)
{
	if (http_request_count(request, name) > 1)
		return status_error(
			STATUS_INVALID_ARGUMENT, "%.*s was sent more than once", STR_ARG(name));
	*ret_value = http_request_header(request, name);
	return status_ok();
}

static struct status take_deadline(struct http_call *hc, const struct http_request *request)
{
	struct call *c = &hc->call;
	int64_t timeout_ms = hc->owner->gateway->options.max_call_ms;
	struct str timeout;
	TRY(take_header(request, STR("grpc-timeout"), &timeout));
	if (timeout.p) {
		int64_t wanted_ms;
		if (!grpc_timeout_parse(timeout, &wanted_ms))
			return status_error(STATUS_INVALID_ARGUMENT,
				"Grpc-Timeout must be 1 to 8 digits and a unit (H, M, S, m, u, n), "
				"got '%s'",
				shown(timeout).text);
		if (wanted_ms < timeout_ms)
			timeout_ms = wanted_ms;
	}
	c->deadline = mono_time_add_ms(c->received, timeout_ms);
	return status_ok();
}

static struct refusal prepare(struct http_call *hc, const struct http_request *request)
{
	struct call *c = &hc->call;
	const struct gateway *g = hc->owner->gateway;
	struct route_match match;
	c->received = clock_mono(&clock_system);
	take_peer(hc);
	take_metadata(hc, request);
	request_id_assign(c);
	struct refusal refusal =
		router_match(g->router, request->method, request->path, c->arena, &match);
	if (refusal.status.code != STATUS_OK)
		return refusal;
	hc->route = match.route;
	c->method = match.route->method;
	c->home = hc->owner->loop;
	c->on_loop = true;
	c->transport = "http";
	c->observe = observe;
	struct str content_type;
	struct status status = take_deadline(hc, request);
	if (status_is_ok(&status))
		status = take_header(request, STR("content-type"), &content_type);
	if (!status_is_ok(&status))
		return refusal_of(400, status);
	const struct transcode_input input = {
		.dialect = hc->dialect,
		.query = request->query,
		.content_type = content_type,
		.body = request->body,
	};
	return transcode_request(g->options.schema, &match, &input, c->arena, &c->request);
}

static void start_call(struct gateway_loop *l, struct http_exchange *x)
{
	const struct http_request *request = http_exchange_request(x);
	struct http_call *hc = take_call(l, x);
	hc->dialect = dialect_of(request->path);
	struct refusal refusal = prepare(hc, request);
	if (refusal.status.code != STATUS_OK) {
		refuse(l, x, &refusal);
		drop_call(hc);
		return;
	}
	http_exchange_on_cancel(x, on_cancel, &hc->call);
	call_handler_start(l->gateway->options.upstream, &hc->call);
}

/* --- our own pages --- */

struct page {
	struct str path;
	void (*answer)(struct gateway_loop *l, struct http_exchange *x);
};

static void send_page(
	struct gateway_loop *l, struct http_exchange *x, struct str content_type, struct str body)
{
	struct reply_headers headers = {.n = 0};
	char id[CALL_REQUEST_ID_BYTES];
	add_request_id(http_exchange_request(x), id, &headers);
	send_reply(l, x, 200, content_type, body, &headers, false);
}

static void answer_healthz(struct gateway_loop *l, struct http_exchange *x)
{
	send_page(l, x, json_type, STR("{\"status\":\"OK\"}"));
}

struct ready_check {
	struct gateway_loop *l;
	struct http_exchange *x;
};

static void on_ready(void *arg, struct status status)
{
	struct ready_check *check = arg;
	if (status.code == STATUS_OK && atomic_load(&check->l->gateway->draining))
		status = status_error(STATUS_UNAVAILABLE, "shutting down");
	if (status.code == STATUS_OK)
		answer_healthz(check->l, check->x);
	else
		refuse_status(check->l, check->x, 503, status, (struct str){NULL, 0});
	free(check);
}

static void answer_readyz(struct gateway_loop *l, struct http_exchange *x)
{
	struct ready_check *check = xnew(struct ready_check);
	*check = (struct ready_check){l, x};
	struct call_handler *upstream = l->gateway->options.upstream;
	if (atomic_load(&l->gateway->draining))
		on_ready(check, status_error(STATUS_UNAVAILABLE, "shutting down"));
	else
		upstream->check_ready(upstream, l->loop, on_ready, check);
}

static void answer_metrics(struct gateway_loop *l, struct http_exchange *x)
{
	if (!l->gateway->options.show_metrics) {
		refuse_status(l, x, 404, status_error(STATUS_NOT_FOUND, "metrics are off"),
			(struct str){NULL, 0});
		return;
	}
	metrics_write(l->gateway->options.metrics, &l->body);
	send_page(l, x, STR(METRICS_CONTENT_TYPE), buf_str(&l->body));
}

static void answer_openapi(struct gateway_loop *l, struct http_exchange *x)
{
	send_page(l, x, json_type, buf_str(&l->gateway->openapi));
}

static const struct page pages[] = {
	{{"/healthz", 8}, answer_healthz},
	{{"/readyz", 7}, answer_readyz},
	{{"/metrics", 8}, answer_metrics},
	{{"/openapi.json", 13}, answer_openapi},
};

static bool answer_page(struct gateway_loop *l, struct http_exchange *x)
{
	const struct http_request *request = http_exchange_request(x);
	for (size_t i = 0; i < ARRAY_SIZE(pages); i++) {
		if (!str_eq(request->path, pages[i].path))
			continue;
		if (str_eq(request->method, STR("GET")) || str_eq(request->method, STR("HEAD")))
			pages[i].answer(l, x);
		else
			refuse_status(l, x, 405,
				status_error(STATUS_UNIMPLEMENTED,
					"method %.*s is not allowed here",
					STR_ARG(request->method)),
				STR("GET, HEAD"));
		return true;
	}
	return false;
}

static void handle(void *self, struct http_exchange *x)
{
	struct gateway_loop *l = self;
	const struct http_request *request = http_exchange_request(x);
	struct reply_headers headers = {.n = 0};
	if (cors_is_preflight(&l->gateway->cors, request, headers.list, &headers.n, HEADERS_MAX)) {
		char id[CALL_REQUEST_ID_BYTES];
		add_request_id(request, id, &headers);
		struct http_reply reply = {
			.status = 204, .headers = headers.list, .n_headers = headers.n};
		http_exchange_reply(x, &reply);
		return;
	}
	if (!answer_page(l, x))
		start_call(l, x);
}

/* --- life --- */

static double read_stat(void *arg)
{
	const struct stat_reader *reader = arg;
	const struct gateway *g = reader->gateway;
	uint64_t sum = 0;
	for (size_t i = 0; i < g->options.n_loops; i++) {
		const char *stats = (const char *)http_server_stats(g->loops[i].server);
		sum += http_counter_get(
			(const http_counter *)(const void *)(stats + reader->offset));
	}
	return (double)sum;
}

struct stat {
	const char *name, *help;
	bool is_gauge;
	size_t offset;
	const char *label, *value; /* or NULL */
};

static void register_stat(struct gateway *g, const struct stat *s)
{
	const struct metric_label labels[] = {{s->label, s->value}, {NULL, NULL}};
	struct stat_reader *reader = &g->readers[g->n_readers++];
	*reader = (struct stat_reader){g, s->offset};
	(s->is_gauge ? metrics_gauge_callback : metrics_counter_callback)(
		g->options.metrics, s->name, s->help, s->label ? labels : NULL, read_stat, reader);
}

#define STAT(member) offsetof(struct http_server_stats, member)
#define REPLIES(class)                                                                             \
	{                                                                                          \
		"gateway_http_replies_total", "HTTP replies, by class of their status.", false,    \
			STAT(replies_by_class[class]), "class", #class "xx"                        \
	}

static const struct stat http_stats[] = {
	{"gateway_http_connections", "Open HTTP connections.", true, STAT(connections), NULL, NULL},
	{"gateway_http_requests_in_flight", "HTTP requests that are not answered yet.", true,
		STAT(in_flight), NULL, NULL},
	{"gateway_http_accepted_total", "HTTP connections accepted.", false, STAT(accepted), NULL,
		NULL},
	{"gateway_http_refused_total", "HTTP connections refused at the cap.", false, STAT(refused),
		NULL, NULL},
	{"gateway_http_given_up_total",
		"HTTP connections closed because their clients did not read and others waited for "
		"memory.",
		false, STAT(given_up), NULL, NULL},
	{"gateway_http_requests_total", "HTTP requests read.", false, STAT(requests), NULL, NULL},
	{"gateway_http_cancelled_total", "HTTP requests whose client left before the reply.", false,
		STAT(cancelled), NULL, NULL},
	{"gateway_http_handshake_errors_total", "TLS handshakes that failed.", false,
		STAT(handshake_errors), NULL, NULL},
	{"gateway_http_accept_errors_total",
		"HTTP connections that could not be accepted: out of file descriptors.", false,
		STAT(accept_errors), NULL, NULL},
	{"gateway_http_received_bytes_total", "Bytes of HTTP requests, without TLS.", false,
		STAT(bytes_in), NULL, NULL},
	{"gateway_http_sent_bytes_total", "Bytes of HTTP replies, without TLS.", false,
		STAT(bytes_out), NULL, NULL},
	REPLIES(2),
	REPLIES(4),
	REPLIES(5),
};

static void register_metrics(struct gateway *g)
{
	g->readers = xcalloc(ARRAY_SIZE(http_stats) + HTTP_ERROR_COUNT, sizeof *g->readers);
	for (size_t i = 0; i < ARRAY_SIZE(http_stats); i++)
		register_stat(g, &http_stats[i]);
	for (size_t i = HTTP_ERROR_NONE + 1; i < HTTP_ERROR_COUNT; i++)
		register_stat(g, &(struct stat){"gateway_http_errors_total",
					 "HTTP requests that could not be read, by what was wrong.",
					 false, STAT(errors) + i * sizeof(http_counter), "kind",
					 http_error_name((enum http_error_kind)i)});
	if (g->options.counts_calls)
		g->calls = call_metrics_new(g->options.schema, g->options.metrics,
			"gateway_calls_total", "gateway_call_duration_seconds");
}

static void start_loop(struct gateway *g, size_t index)
{
	struct gateway_loop *l = &g->loops[index];
	struct http_server_options http = g->options.http;
	uint32_t n = (uint32_t)g->options.n_loops;
	http.max_connections = (http.max_connections + n - 1) / n;
	http.max_unsent_bytes = (http.max_unsent_bytes + n - 1) / n;
	const struct http_handler handler = {
		.self = l, .handle = handle, .render_error = render_error};
	l->gateway = g;
	l->loop = g->options.loops[index];
	buf_init(&l->body, REPLY_MAX_BYTES);
	l->server = http_server_new(l->loop, &http, &handler);
	http_server_listen(l->server, listener_take_socket(g->listener, index), g->options.tls);
}

struct status gateway_new(const struct gateway_options *options, struct gateway **ret)
{
	_cleanup_(gateway_freep) struct gateway *g = xnew(struct gateway);
	g->options = *options;
	buf_init(&g->openapi, OPENAPI_MAX_BYTES);
	TRY(router_new(options->schema, &g->router));
	TRY(cors_init(&g->cors, options->cors_origins, options->n_cors_origins,
		router_methods(g->router)));
	const struct openapi_info info = {.title = "Access tokens", .version = options->version};
	TRY(openapi_write(options->schema, g->router, &info, &g->openapi));
	TRY(listener_open(options->listen, options->n_loops, NULL, &g->listener));
	g->loops = xcalloc(options->n_loops, sizeof *g->loops);
	for (size_t i = 0; i < options->n_loops; i++)
		start_loop(g, i);
	register_metrics(g);
	*ret = TAKE_PTR(g);
	return status_ok();
}

const struct address *gateway_address(const struct gateway *g)
{
	return listener_address(g->listener);
}

void gateway_set_draining(struct gateway *g)
{
	atomic_store(&g->draining, true);
}

static void run_stop_done(struct loop_task *task)
{
	struct gateway *g = container_of(task, struct gateway, stop_done);
	g->on_stopped(g->on_stopped_arg);
}

static void on_loop_stopped(void *arg)
{
	struct gateway *g = arg;
	if (atomic_fetch_sub(&g->loops_running, 1) == 1)
		loop_post(g->stop_home, &g->stop_done);
}

static void stop_on_loop(struct loop_task *task)
{
	struct gateway_loop *l = container_of(task, struct gateway_loop, stop);
	http_server_stop(l->server, l->gateway->stop_grace_ms, on_loop_stopped, l->gateway);
}

void gateway_stop(
	struct gateway *g, uint32_t grace_ms, struct loop *loop, void (*done)(void *arg), void *arg)
{
	gateway_set_draining(g);
	g->stop_grace_ms = grace_ms;
	g->stop_home = loop;
	g->stop_done.run = run_stop_done;
	g->on_stopped = done;
	g->on_stopped_arg = arg;
	atomic_store(&g->loops_running, g->options.n_loops);
	for (size_t i = 0; i < g->options.n_loops; i++) {
		g->loops[i].stop.run = stop_on_loop;
		loop_post(g->loops[i].loop, &g->loops[i].stop);
	}
}

void gateway_free(struct gateway *g)
{
	if (!g)
		return;
	for (size_t i = 0; g->loops && i < g->options.n_loops; i++) {
		struct gateway_loop *l = &g->loops[i];
		http_server_free(l->server);
		while (l->kept) {
			struct http_call *hc = l->kept;
			l->kept = hc->next;
			free_call(hc);
		}
		buf_done(&l->body);
	}
	free(g->loops);
	free(g->readers);
	call_metrics_free(g->calls);
	cors_done(&g->cors);
	router_free(g->router);
	buf_done(&g->openapi);
	listener_close(g->listener);
	free(g);
}
