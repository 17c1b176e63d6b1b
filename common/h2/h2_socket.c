/* SPDX-License-Identifier: Apache-2.0 */
#include "common/h2/h2_socket.h"

#include "common/base/xalloc.h"
#include "common/event/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	/* Bytes that nobody acknowledges for so long end a connection (gRFC A18): a host that is
	 * gone is noticed while calls go on, when no silence asks for a PING. */
	USER_TIMEOUT_MS = 20000
};

struct h2_socket {
	struct h2_socket_handler handler;
	int fd;
	SSL *ssl; /* NULL: plain */
	enum {
		CONNECTING,
		SHAKING,
		OPEN
	} state;
	bool ended;
	bool read_wants_write; /* TLS: a key update has to go out before reading goes on */
	struct event readable, writable;
	char reason[200];
};

static ssize_t ended(struct h2_socket *s, const char *reason)
{
	s->ended = true;
	snprintf(s->reason, sizeof s->reason, "%s", reason);
	return -1;
}

static void want_write(struct h2_socket *s, bool wanted)
{
	if (wanted)
		event_add(&s->writable, NULL);
	else if (!s->read_wants_write)
		event_del(&s->writable);
}

/* --- TLS --- */

/* "certificate verify failed: self-signed certificate" */
static const char *tls_reason(const struct h2_socket *s, char *text, size_t size)
{
	unsigned long error = ERR_peek_last_error();
	const char *reason = error ? ERR_reason_error_string(error) : NULL;
	long verified = SSL_get_verify_result(s->ssl);
	if (verified != X509_V_OK)
		snprintf(text, size, "TLS: %s: %s", reason ? reason : "failed",
			X509_verify_cert_error_string(verified));
	else
		snprintf(text, size, "TLS: %s", reason ? reason : "the connection was closed");
	ERR_clear_error();
	return text;
}

/* What @result of an SSL_ function means: 0 try again, negative the end. */
static ssize_t tls_failed(struct h2_socket *s, int result)
{
	char text[160];
	int error = errno;
	switch (SSL_get_error(s->ssl, result)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return 0;
	case SSL_ERROR_ZERO_RETURN:
		return ended(s, "the server closed the connection");
	case SSL_ERROR_SYSCALL:
		if (error && !ERR_peek_error())
			return ended(s, strerrordesc_np(error));
		break;
	default:
		break;
	}
	return ended(s, tls_reason(s, text, sizeof text));
}

static ssize_t tls_read(struct h2_socket *s, char *p, size_t n)
{
	size_t total = 0;
	while (total < n) {
		size_t got;
		ERR_clear_error();
		int result = SSL_read_ex(s->ssl, p + total, n - total, &got);
		if (result == 1) {
			total += got;
			continue;
		}
		ssize_t failed = tls_failed(s, result);
		s->read_wants_write = SSL_want_write(s->ssl);
		if (s->read_wants_write)
			want_write(s, true);
		if (total && failed < 0) /* the next read tells, and nothing new would cause it */
			h2_socket_again(s);
		return total ? (ssize_t)total : failed;
	}
	return (ssize_t)total;
}

static ssize_t tls_write(struct h2_socket *s, const char *p, size_t n)
{
	size_t total = 0;
	while (total < n) {
		size_t put;
		ERR_clear_error();
		int result = SSL_write_ex(s->ssl, p + total, n - total, &put);
		if (result != 1) {
			ssize_t failed = tls_failed(s, result);
			want_write(s, failed == 0 && SSL_want_write(s->ssl));
			return failed < 0 ? failed : (ssize_t)total;
		}
		total += put;
	}
	want_write(s, false);
	return (ssize_t)total;
}

/* --- plain --- */

static ssize_t plain_read(struct h2_socket *s, void *p, size_t n)
{
	ssize_t got = recv(s->fd, p, n, 0);
	if (got > 0)
		return got;
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return ended(s, got == 0 ? "the server closed the connection" : strerrordesc_np(errno));
}

static ssize_t plain_write(struct h2_socket *s, const void *p, size_t n)
{
	ssize_t put = send(s->fd, p, n, MSG_NOSIGNAL);
	if (put < 0 && errno != EAGAIN && errno != EINTR)
		return ended(s, strerrordesc_np(errno));
	put = put < 0 ? 0 : put;
	want_write(s, (size_t)put < n);
	return put;
}

ssize_t h2_socket_read(struct h2_socket *s, void *p, size_t n)
{
	if (s->ended)
		return -1;
	return s->ssl ? tls_read(s, p, n) : plain_read(s, p, n);
}

ssize_t h2_socket_write(struct h2_socket *s, const void *p, size_t n)
{
	if (s->ended)
		return -1;
	return s->ssl ? tls_write(s, p, n) : plain_write(s, p, n);
}

void h2_socket_again(struct h2_socket *s)
{
	event_active(&s->readable, EV_READ, 0);
}

const char *h2_socket_reason(const struct h2_socket *s)
{
	return s->reason;
}

/* --- life --- */

static void failed(struct h2_socket *s, const char *reason)
{
	event_del(&s->readable);
	event_del(&s->writable);
	s->handler.failed(s->handler.arg, status_error(STATUS_UNAVAILABLE, "%s", reason));
}

static void opened(struct h2_socket *s)
{
	s->state = OPEN;
	event_del(&s->writable);
	event_add(&s->readable, NULL);
	s->handler.opened(s->handler.arg);
}

static void shake(struct h2_socket *s)
{
	ERR_clear_error();
	int result = SSL_connect(s->ssl);
	if (result == 1) {
		const unsigned char *protocol;
		unsigned n;
		SSL_get0_alpn_selected(s->ssl, &protocol, &n);
		if (n == 2 && memcmp(protocol, "h2", 2) == 0)
			opened(s);
		else
			failed(s, "TLS: the server does not speak HTTP/2");
		return;
	}
	if (tls_failed(s, result) < 0) {
		failed(s, s->reason);
		return;
	}
	event_add(&s->readable, NULL);
	if (SSL_want_write(s->ssl))
		event_add(&s->writable, NULL);
	else
		event_del(&s->writable);
}

static void connected(struct h2_socket *s)
{
	int error = 0;
	socklen_t n = sizeof error;
	if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0)
		error = errno;
	if (error) {
		failed(s, strerrordesc_np(error));
		return;
	}
	s->state = SHAKING;
	if (s->ssl)
		shake(s);
	else
		opened(s);
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	struct h2_socket *s = arg;
	switch (s->state) {
	case CONNECTING:
		connected(s);
		break;
	case SHAKING:
		shake(s);
		break;
	case OPEN:
		s->handler.ready(s->handler.arg);
		break;
	}
}

/* A socket with a connection under way, or negative. */
static int begin(const struct sockaddr *address, socklen_t length)
{
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (address->sa_family != AF_UNIX) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
		setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &(int){USER_TIMEOUT_MS}, sizeof(int));
	}
	if (connect(fd, address, length) < 0 && errno != EINPROGRESS) {
		int error = errno;
		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

struct status h2_socket_open(struct loop *loop, const struct sockaddr *address, socklen_t length,
	SSL *takes_ssl, const struct h2_socket_handler *handler, struct h2_socket **ret)
{
	int fd = begin(address, length);
	if (fd < 0 || (takes_ssl && SSL_set_fd(takes_ssl, fd) != 1)) {
		struct status s = status_error(STATUS_UNAVAILABLE, "%s", strerrordesc_np(errno));
		SSL_free(takes_ssl);
		cleanup_close(&fd);
		return s;
	}
	struct h2_socket *s = xnew(struct h2_socket);
	s->handler = *handler;
	s->fd = fd;
	s->ssl = takes_ssl;
	event_assign(&s->readable, loop_base(loop), fd, EV_READ | EV_PERSIST, on_event, s);
	event_assign(&s->writable, loop_base(loop), fd, EV_WRITE | EV_PERSIST, on_event, s);
	event_add(&s->writable, NULL);
	*ret = s;
	return status_ok();
}

void h2_socket_free(struct h2_socket *s)
{
	if (!s)
		return;
	event_del(&s->readable);
	event_del(&s->writable);
	if (s->ssl) {
		ERR_clear_error();
		if (s->state == OPEN && !s->ended)
			SSL_shutdown(s->ssl);
		SSL_free(s->ssl);
		ERR_clear_error();
	}
	close(s->fd);
	free(s);
}
