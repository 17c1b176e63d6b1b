/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/h2_peer.h"

#include "common/base/buf.h"
#include "common/net/address.h"
#include "tests/lib/test.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	PATIENCE_S = 30,
	FRAME_HEAD_BYTES = 9
};

int h2_peer_listen(struct address *ret)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	/* a client that is not read from is stuck soon */
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){65536}, sizeof(int));
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof sa), 0);
	assert_int_equal(listen(fd, 16), 0);
	struct timeval patience = {.tv_sec = PATIENCE_S};
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	assert_ok(address_of_socket(fd, ret));
	return fd;
}

static size_t receive(struct h2_peer *p, void *to, size_t n)
{
	size_t got = 0;
	while (got < n) {
		ssize_t k = recv(p->fd, (char *)to + got, n - got, 0);
		if (k <= 0)
			return got;
		got += (size_t)k;
	}
	return got;
}

void h2_peer_accept_silently(struct h2_peer *p, int listener)
{
	struct timeval patience = {.tv_sec = PATIENCE_S};
	char preface[NGHTTP2_CLIENT_MAGIC_LEN];
	p->fd = accept(listener, NULL, NULL);
	assert_true(p->fd >= 0);
	setsockopt(p->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	assert_int_equal(nghttp2_hd_inflate_new(&p->inflater), 0);
	assert_int_equal(receive(p, preface, sizeof preface), sizeof preface);
	assert_memory_equal(preface, NGHTTP2_CLIENT_MAGIC, sizeof preface);
}

void h2_peer_accept(
	struct h2_peer *p, int listener, const nghttp2_settings_entry *settings, size_t n)
{
	uint8_t payload[6 * 8];
	h2_peer_accept_silently(p, listener);
	ssize_t size = nghttp2_pack_settings_payload(payload, sizeof payload, settings, n);
	assert_true(size >= 0);
	h2_peer_frame(p, NGHTTP2_SETTINGS, 0, 0, payload, (size_t)size);
	h2_peer_expect(p, NGHTTP2_SETTINGS);
	h2_peer_frame(p, NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, NULL, 0);
}

void h2_peer_close(struct h2_peer *p)
{
	nghttp2_hd_inflate_del(p->inflater);
	close(p->fd);
	p->fd = -1;
}

static uint32_t number(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

bool h2_peer_read(struct h2_peer *p)
{
	uint8_t head[FRAME_HEAD_BYTES];
	size_t got = receive(p, head, sizeof head);
	if (got == 0)
		return false;
	assert_int_equal(got, sizeof head);
	p->n = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
	p->type = head[3];
	p->flags = head[4];
	p->stream = number(head + 5);
	assert_true(p->n < sizeof p->payload);
	assert_int_equal(receive(p, p->payload, p->n), p->n);
	return true;
}

void h2_peer_expect(struct h2_peer *p, uint8_t type)
{
	do
		assert_true(h2_peer_read(p));
	while (p->type != type);
}

static void inflate(struct h2_peer *p)
{
	const uint8_t *in = p->payload;
	size_t left = p->n, at = strlen(p->headers);
	int flags = 0;
	while (left || !(flags & NGHTTP2_HD_INFLATE_FINAL)) {
		nghttp2_nv nv;
		ssize_t n = nghttp2_hd_inflate_hd2(p->inflater, &nv, &flags, in, left,
			(p->flags & NGHTTP2_FLAG_END_HEADERS) != 0);
		assert_true(n >= 0);
		in += n;
		left -= (size_t)n;
		if (flags & NGHTTP2_HD_INFLATE_EMIT)
			at += (size_t)snprintf(p->headers + at, sizeof p->headers - at,
				"%.*s: %.*s\n", (int)nv.namelen, (const char *)nv.name,
				(int)nv.valuelen, (const char *)nv.value);
		assert_true(at < sizeof p->headers);
		if (!left && !(flags & NGHTTP2_HD_INFLATE_EMIT))
			break;
	}
	if (p->flags & NGHTTP2_FLAG_END_HEADERS)
		nghttp2_hd_inflate_end_headers(p->inflater);
}

uint32_t h2_peer_request(struct h2_peer *p)
{
	h2_peer_expect(p, NGHTTP2_HEADERS);
	uint32_t stream = p->stream;
	p->headers[0] = '\0';
	p->body_n = 0;
	inflate(p);
	while (!(p->flags & NGHTTP2_FLAG_END_STREAM)) {
		assert_true(h2_peer_read(p));
		if (p->type == NGHTTP2_CONTINUATION)
			inflate(p);
		if (p->type != NGHTTP2_DATA || p->stream != stream) {
			p->flags = 0;
			continue;
		}
		assert_true(p->body_n + p->n <= sizeof p->body);
		memcpy(p->body + p->body_n, p->payload, p->n);
		p->body_n += p->n;
	}
	return stream;
}

const char *h2_peer_header(const struct h2_peer *p, const char *name)
{
	static char value[H2_PEER_TEXT_BYTES];
	char start[100];
	snprintf(start, sizeof start, "%s: ", name);
	struct str rest = str_of(p->headers), line;
	while (str_split(&rest, '\n', &line)) {
		if (!str_starts_with(line, str_of(start)))
			continue;
		snprintf(value, sizeof value, "%.*s", (int)(line.n - strlen(start)),
			line.p + strlen(start));
		return value;
	}
	return NULL;
}

bool h2_peer_is_closed(struct h2_peer *p)
{
	uint8_t bytes[4096];
	ssize_t n;
	do
		n = recv(p->fd, bytes, sizeof bytes, 0);
	while (n > 0);
	return n == 0;
}

void h2_peer_raw(struct h2_peer *p, const void *bytes, size_t n)
{
	assert_int_equal(send(p->fd, bytes, n, MSG_NOSIGNAL), n);
}

void h2_peer_frame(struct h2_peer *p, uint8_t type, uint8_t flags, uint32_t stream,
	const void *payload, size_t n)
{
	const uint8_t head[FRAME_HEAD_BYTES] = {(uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n,
		type, flags, (uint8_t)(stream >> 24), (uint8_t)(stream >> 16),
		(uint8_t)(stream >> 8), (uint8_t)stream};
	h2_peer_raw(p, head, sizeof head);
	if (n)
		h2_peer_raw(p, payload, n);
}

/* RFC 7541, 5.1, with a prefix of 7 bits. */
static void append_length(struct buf *b, size_t n)
{
	if (n < 127) {
		buf_append_char(b, (char)n);
		return;
	}
	buf_append_char(b, 127);
	for (n -= 127; n >= 128; n /= 128)
		buf_append_char(b, (char)(n % 128 + 128));
	buf_append_char(b, (char)n);
}

static void append_text(struct buf *b, struct str s)
{
	append_length(b, s.n);
	buf_append_str(b, s);
}

void h2_peer_headers(struct h2_peer *p, uint32_t stream, bool end, const char *fields)
{
	_cleanup_buf_ struct buf block;
	buf_init(&block, 1 << 20);
	struct str rest = str_of(fields), line;
	while (str_split(&rest, '\n', &line)) {
		if (!line.n)
			continue;
		size_t colon = 1 + str_index(str_sub(line, 1, line.n), ':');
		buf_append_char(&block, 0); /* literal, not indexed, with a new name */
		append_text(&block, str_sub(line, 0, colon));
		append_text(&block, str_sub(line, colon + 2, line.n));
	}
	uint8_t end_stream = end ? NGHTTP2_FLAG_END_STREAM : 0;
	size_t n = block.n < 16384 ? block.n : 16384;
	h2_peer_frame(p, NGHTTP2_HEADERS,
		(uint8_t)(end_stream | (n == block.n ? NGHTTP2_FLAG_END_HEADERS : 0)), stream,
		block.p, n);
	for (size_t at = n; at < block.n; at += n) {
		n = block.n - at < 16384 ? block.n - at : 16384;
		h2_peer_frame(p, NGHTTP2_CONTINUATION,
			at + n == block.n ? NGHTTP2_FLAG_END_HEADERS : 0, stream, block.p + at, n);
	}
}

void h2_peer_data(struct h2_peer *p, uint32_t stream, bool end, const void *bytes, size_t n)
{
	h2_peer_frame(p, NGHTTP2_DATA, end ? NGHTTP2_FLAG_END_STREAM : 0, stream, bytes, n);
}

void h2_peer_message(struct h2_peer *p, uint32_t stream, struct str message)
{
	_cleanup_buf_ struct buf b;
	size_t n = message.n;
	const char prefix[5] = {0, (char)(n >> 24), (char)(n >> 16), (char)(n >> 8), (char)n};
	buf_init(&b, n + sizeof prefix);
	buf_append(&b, prefix, sizeof prefix);
	buf_append_str(&b, message);
	h2_peer_data(p, stream, false, b.p, b.n);
}

static void put(uint8_t *to, uint32_t n)
{
	to[0] = (uint8_t)(n >> 24);
	to[1] = (uint8_t)(n >> 16);
	to[2] = (uint8_t)(n >> 8);
	to[3] = (uint8_t)n;
}

void h2_peer_reset(struct h2_peer *p, uint32_t stream, uint32_t error)
{
	uint8_t payload[4];
	put(payload, error);
	h2_peer_frame(p, NGHTTP2_RST_STREAM, 0, stream, payload, sizeof payload);
}

void h2_peer_goaway(struct h2_peer *p, uint32_t last, uint32_t error, const char *text)
{
	uint8_t payload[8 + 100];
	size_t n = strlen(text);
	assert_true(n <= 100);
	put(payload, last);
	put(payload + 4, error);
	memcpy(payload + 8, text, n);
	h2_peer_frame(p, NGHTTP2_GOAWAY, 0, 0, payload, 8 + n);
}

void h2_peer_window(struct h2_peer *p, uint32_t stream, uint32_t increment)
{
	uint8_t payload[4];
	put(payload, increment);
	h2_peer_frame(p, NGHTTP2_WINDOW_UPDATE, 0, stream, payload, sizeof payload);
}
