/* SPDX-License-Identifier: Apache-2.0 */
/* Load driver for one unary RPC: many calls at once over a few HTTP/2 connections, a credential of
 * its own for each call, every answer checked.
 *
 * h2load cannot change a header from request to request, and a bench that sends one token over and
 * over measures the cache of one token. The answer to a call must have :status 200, grpc-status 0,
 * one whole message, and hold the name of the token that was sent; anything else is counted as bad,
 * and one bad answer makes the exit code 1.
 *
 * One thread, one epoll. Prints one JSON object. */
#include "common/base/xalloc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
	MAX_REPLY_BYTES = 1024,
	DRAIN_MS = 10000,
	OUT_BYTES = 32768,
	LATENCY_SLOTS = 1 << 20, /* microseconds; what takes longer is counted in the last */
};

struct token {
	char *header; /* "Bearer ..." */
	char *name;
};

struct call {
	const struct token *token;
	int64_t started_us;
	int http_status;
	int grpc_status;
	size_t n;
	uint8_t reply[MAX_REPLY_BYTES];
};

struct load {
	const char *address;
	const char *path;
	size_t connections, streams;
	int64_t duration_us;
	struct token *tokens;
	size_t token_count, next_token;
	bool stopping;
	size_t in_flight;
	uint64_t good, bad;
	char complaint[300]; /* about the first bad answer */
	uint32_t *latencies;
};

struct connection {
	struct load *load;
	nghttp2_session *session;
	int fd;
	bool wants_write;
	/* What nghttp2 gave us and the socket did not take yet. Frames are gathered: a client that
	 * is as busy as this one writes many with one call, and so spares the server wake-ups. */
	size_t out_at, out_n;
	uint8_t out[OUT_BYTES];
};

static _Noreturn __attribute__((format(printf, 1, 2))) void die(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fputs("grpc_load: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(2);
}

static int64_t now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void complain(struct load *l, const struct call *c, const char *what)
{
	if (l->bad++ == 0)
		snprintf(l->complaint, sizeof l->complaint,
			"%s (token %s, :status %d, grpc-status %d, %zu bytes)", what,
			c->token->name, c->http_status, c->grpc_status, c->n);
}

static void judge(struct load *l, const struct call *c, uint32_t error_code)
{
	size_t name_n = strlen(c->token->name);
	if (error_code)
		complain(l, c, nghttp2_http2_strerror(error_code));
	else if (c->http_status != 200 || c->grpc_status != 0)
		complain(l, c, "the call was refused");
	else if (c->n < 5 || c->n > sizeof c->reply || c->reply[0] != 0)
		complain(l, c, "the answer is no plain message");
	else if (((size_t)c->reply[1] << 24 | (size_t)c->reply[2] << 16 | (size_t)c->reply[3] << 8 |
			 c->reply[4]) != c->n - 5)
		complain(l, c, "the answer is not one whole message");
	else if (!memmem(c->reply + 5, c->n - 5, c->token->name, name_n))
		complain(l, c, "the answer is about somebody else");
	else
		l->good++;
}

static ssize_t empty_message(nghttp2_session *session, int32_t id, uint8_t *buf, size_t n,
	uint32_t *flags, nghttp2_data_source *source, void *user);

static nghttp2_nv header(const char *name, const char *value)
{
	return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name,
		.value = (uint8_t *)(uintptr_t)value,
		.namelen = strlen(name),
		.valuelen = strlen(value),
		.flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
}

static void submit(struct connection *c)
{
	struct load *l = c->load;
	struct call *call = xnew(struct call);
	call->token = &l->tokens[l->next_token++ % l->token_count];
	call->grpc_status = -1;
	call->started_us = now_us();
	const nghttp2_nv headers[] = {
		header(":method", "POST"),
		header(":scheme", "http"),
		header(":path", l->path),
		header(":authority", "localhost"),
		header("content-type", "application/grpc"),
		header("te", "trailers"),
		header("user-agent", "grpc-load"),
		header("authorization", call->token->header),
	};
	nghttp2_data_provider body = {.read_callback = empty_message};
	int32_t id = nghttp2_submit_request(
		c->session, NULL, headers, sizeof headers / sizeof headers[0], &body, call);
	if (id < 0)
		die("cannot submit a request: %s", nghttp2_strerror(id));
	l->in_flight++;
}

static ssize_t empty_message(nghttp2_session *session, int32_t id, uint8_t *buf, size_t n,
	uint32_t *flags, nghttp2_data_source *source, void *user)
{
	(void)session, (void)id, (void)source, (void)user;
	if (n < 5)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	memset(buf, 0, 5);
	*flags |= NGHTTP2_DATA_FLAG_EOF;
	return 5;
}

static int small_number(const uint8_t *value, size_t n)
{
	int result = 0;
	if (n == 0 || n > 3)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (value[i] < '0' || value[i] > '9')
			return -1;
		result = result * 10 + (value[i] - '0');
	}
	return result;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
	size_t name_n, const uint8_t *value, size_t value_n, uint8_t flags, void *user)
{
	(void)flags, (void)user;
	struct call *call = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
	if (!call)
		return 0;
	if (name_n == 7 && memcmp(name, ":status", 7) == 0)
		call->http_status = small_number(value, value_n);
	else if (name_n == 11 && memcmp(name, "grpc-status", 11) == 0)
		call->grpc_status = small_number(value, value_n);
	return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
	size_t n, void *user)
{
	(void)flags, (void)user;
	struct call *call = nghttp2_session_get_stream_user_data(session, id);
	if (!call)
		return 0;
	if (call->n + n <= sizeof call->reply)
		memcpy(call->reply + call->n, data, n);
	call->n += n;
	return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t error_code, void *user)
{
	struct connection *c = user;
	struct load *l = c->load;
	struct call *call = nghttp2_session_get_stream_user_data(session, id);
	if (!call)
		return 0;
	int64_t took_us = now_us() - call->started_us;
	l->latencies[took_us < LATENCY_SLOTS ? took_us : LATENCY_SLOTS - 1]++;
	judge(l, call, error_code);
	free(call);
	l->in_flight--;
	if (!l->stopping)
		submit(c);
	return 0;
}

static int dial(const char *address)
{
	int fd;
	if (strncmp(address, "unix:", 5) == 0) {
		struct sockaddr_un un = {.sun_family = AF_UNIX};
		if (strlen(address + 5) >= sizeof un.sun_path)
			die("'%s' is too long for a unix socket", address);
		memcpy(un.sun_path, address + 5, strlen(address + 5));
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd < 0 || connect(fd, (const struct sockaddr *)&un, sizeof un) < 0)
			die("cannot connect to %s: %s", address, strerrordesc_np(errno));
		return fd;
	}
	const char *colon = strrchr(address, ':');
	if (!colon)
		die("--address must be HOST:PORT or unix:PATH, got '%s'", address);
	char *host = xstrndup(address, (size_t)(colon - address));
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
	int error = getaddrinfo(host, colon + 1, &hints, &found);
	if (error)
		die("cannot resolve %s: %s", address, gai_strerror(error));
	fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen) < 0)
		die("cannot connect to %s: %s", address, strerrordesc_np(errno));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	freeaddrinfo(found);
	free(host);
	return fd;
}

static void connection_open(
	struct connection *c, struct load *l, const nghttp2_session_callbacks *callbacks, int epoll)
{
	const nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 20},
	};
	c->load = l;
	c->fd = dial(l->address);
	if (nghttp2_session_client_new(&c->session, callbacks, c) ||
		nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, settings, 2) ||
		nghttp2_session_set_local_window_size(c->session, NGHTTP2_FLAG_NONE, 0, 16 << 20))
		die("cannot start a session");
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event) < 0)
		die("epoll: %s", strerrordesc_np(errno));
}

/* Gather frames while there is room for another; nghttp2's are 16 KiB at most. */
static void connection_fill(struct connection *c)
{
	if (c->out_at == c->out_n)
		c->out_at = c->out_n = 0;
	while (c->out_n <= OUT_BYTES / 2 - 9) {
		const uint8_t *frame;
		ssize_t n = nghttp2_session_mem_send(c->session, &frame);
		if (n < 0)
			die("cannot send: %s", nghttp2_strerror((int)n));
		if (n == 0)
			return;
		if ((size_t)n > OUT_BYTES - c->out_n)
			die("a frame of %zd bytes was not expected", n);
		memcpy(c->out + c->out_n, frame, (size_t)n);
		c->out_n += (size_t)n;
	}
}

/* Hand the socket what it takes, and ask to hear of it when it took less. */
static void connection_write(struct connection *c, int epoll)
{
	bool blocked = false;
	for (;;) {
		connection_fill(c);
		if (c->out_at == c->out_n)
			break;
		ssize_t n = send(c->fd, c->out + c->out_at, c->out_n - c->out_at,
			MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN) {
			blocked = true;
			break;
		}
		if (n < 0)
			die("the server went away: %s", strerrordesc_np(errno));
		c->out_at += (size_t)n;
	}
	if (blocked == c->wants_write)
		return;
	c->wants_write = blocked;
	struct epoll_event event = {
		.events = EPOLLIN | (blocked ? (uint32_t)EPOLLOUT : 0), .data.ptr = c};
	epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &event);
}

static void connection_read(struct connection *c)
{
	static uint8_t buf[1 << 16];
	ssize_t n = recv(c->fd, buf, sizeof buf, MSG_DONTWAIT);
	if (n == 0)
		die("the server closed the connection");
	if (n < 0 && errno != EAGAIN)
		die("the server went away: %s", strerrordesc_np(errno));
	if (n < 0)
		return;
	ssize_t used = nghttp2_session_mem_recv(c->session, buf, (size_t)n);
	if (used < 0)
		die("the server speaks no HTTP/2: %s", nghttp2_strerror((int)used));
}

/* One line for each token: the secret, a blank, the name. */
static void read_tokens(struct load *l, const char *path)
{
	FILE *file = fopen(path, "re");
	if (!file)
		die("cannot read %s: %s", path, strerrordesc_np(errno));
	char *line = NULL;
	size_t room = 0;
	while (getline(&line, &room, file) > 0) {
		line[strcspn(line, "\n")] = '\0';
		char *blank = strchr(line, ' ');
		if (!blank)
			die("%s:%zu: a secret and a name are expected", path, l->token_count + 1);
		*blank = '\0';
		l->tokens = xreallocarray(l->tokens, l->token_count + 1, sizeof l->tokens[0]);
		l->tokens[l->token_count++] = (struct token){
			.header = xasprintf("Bearer %s", line), .name = xstrdup(blank + 1)};
	}
	if (l->token_count == 0)
		die("%s holds no token", path);
	free(line);
	fclose(file);
}

static unsigned percentile_us(const struct load *l, uint64_t total, unsigned per_cent)
{
	uint64_t seen = 0;
	for (unsigned us = 0; us < LATENCY_SLOTS; us++) {
		seen += l->latencies[us];
		if (seen * 100 >= total * per_cent)
			return us;
	}
	return LATENCY_SLOTS;
}

static void run(struct load *l)
{
	nghttp2_session_callbacks *callbacks;
	if (nghttp2_session_callbacks_new(&callbacks))
		die("out of memory");
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);

	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct connection *connections = xcalloc(l->connections, sizeof connections[0]);
	for (size_t i = 0; i < l->connections; i++)
		connection_open(&connections[i], l, callbacks, epoll);
	int64_t start = now_us(), end = start + l->duration_us;
	for (size_t i = 0; i < l->connections; i++) {
		for (size_t k = 0; k < l->streams; k++)
			submit(&connections[i]);
		connection_write(&connections[i], epoll);
	}
	while (l->in_flight > 0) {
		struct epoll_event events[64];
		int n = epoll_wait(epoll, events, 64, 100);
		for (int i = 0; i < n; i++) {
			struct connection *c = events[i].data.ptr;
			if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
				connection_read(c);
			connection_write(c, epoll);
		}
		int64_t now = now_us();
		l->stopping = now >= end;
		if (now >= end + DRAIN_MS * 1000)
			die("%zu calls were not answered in %d ms", l->in_flight, DRAIN_MS);
	}
	int64_t took_us = now_us() - start;
	uint64_t total = l->good + l->bad;
	printf("{\"good\": %" PRIu64 ", \"bad\": %" PRIu64
	       ", \"seconds\": %.3f, \"p50_us\": %u, \"p99_us\": %u}\n",
		l->good, l->bad, (double)took_us / 1e6, percentile_us(l, total, 50),
		percentile_us(l, total, 99));
	for (size_t i = 0; i < l->connections; i++) {
		nghttp2_session_del(connections[i].session);
		close(connections[i].fd);
	}
	nghttp2_session_callbacks_del(callbacks);
	free(connections);
	close(epoll);
}

static unsigned long number(const char *name, const char *text)
{
	char *end;
	errno = 0;
	unsigned long value = strtoul(text, &end, 10);
	if (errno || *end || end == text || value < 1 || value > 100000)
		die("--%s must be 1..100000, got '%s'", name, text);
	return value;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"address", required_argument, NULL, 'a'},
		{"path", required_argument, NULL, 'p'},
		{"tokens", required_argument, NULL, 't'},
		{"connections", required_argument, NULL, 'c'},
		{"streams", required_argument, NULL, 's'},
		{"milliseconds", required_argument, NULL, 'm'},
		{0},
	};
	struct load l = {.connections = 16, .streams = 32, .duration_us = 4000000};
	const char *tokens = NULL;
	for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		switch (option) {
		case 'a':
			l.address = optarg;
			break;
		case 'p':
			l.path = optarg;
			break;
		case 't':
			tokens = optarg;
			break;
		case 'c':
			l.connections = number("connections", optarg);
			break;
		case 's':
			l.streams = number("streams", optarg);
			break;
		case 'm':
			l.duration_us = (int64_t)number("milliseconds", optarg) * 1000;
			break;
		default:
			return 2;
		}
	}
	if (!l.address || !l.path || !tokens || optind < argc)
		die("usage: grpc_load --address HOST:PORT|unix:PATH --path /SERVICE/METHOD "
		    "--tokens FILE [--connections N] [--streams N] [--milliseconds N]");
	l.latencies = xcalloc(LATENCY_SLOTS, sizeof l.latencies[0]);
	read_tokens(&l, tokens);
	run(&l);
	if (l.bad)
		fprintf(stderr, "grpc_load: %s\n", l.complaint);
	for (size_t i = 0; i < l.token_count; i++) {
		free(l.tokens[i].header);
		free(l.tokens[i].name);
	}
	free(l.tokens);
	free(l.latencies);
	return l.bad || !l.good ? 1 : 0;
}
