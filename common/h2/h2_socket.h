/* SPDX-License-Identifier: Apache-2.0 */
/* The client's end of a byte stream, without blocking: TCP or a unix socket, with TLS or without.
 *
 * A socket of its own instead of a bufferevent: HTTP/2 gathers its frames itself, so what a
 * bufferevent costs (FIONREAD, readv into chains, a turn of the loop per write) buys nothing here.
 *
 * Threads: the loop's. */
#pragma once

#include "common/base/cleanup.h"
#include "common/base/status.h"

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

struct h2_socket;
struct loop;

struct h2_socket_handler {
	void *arg;
	/* Connected, and the handshake is over: may be written to. Never inside h2_socket_open. */
	void (*opened)(void *arg);
	/* There may be something to read, or room to write. */
	void (*ready)(void *arg);
	/* It could not be opened; nothing follows. The handler may free the socket. */
	void (*failed)(void *arg, struct status why);
};

/* Begins to connect. @takes_ssl: a session for TLS with HTTP/2 in its ALPN, or NULL.
 *
 * UNAVAILABLE  the system refuses at once; nothing will be called */
struct status h2_socket_open(struct loop *loop, const struct sockaddr *address, socklen_t length,
	SSL *takes_ssl, const struct h2_socket_handler *handler, struct h2_socket **ret);
/* Closes it; TLS says goodbye if the socket takes it. Not inside handler->ready of itself. NULL is
 * allowed. */
void h2_socket_free(struct h2_socket *s);
DEFINE_CLEANUP(struct h2_socket *, h2_socket_free);

/* As many bytes as there are; fewer than @n: there are no more at the moment, and ready() tells of
 * the next. Negative: the stream has ended, h2_socket_reason says how. */
ssize_t h2_socket_read(struct h2_socket *s, void *p, size_t n);
/* As many bytes as are taken; fewer than @n: ready() will tell of room. Negative: as above. */
ssize_t h2_socket_write(struct h2_socket *s, const void *p, size_t n);
/* ready() is called again soon, though nothing new comes: whoever reads on later asks for it. */
void h2_socket_again(struct h2_socket *s);
const char *h2_socket_reason(const struct h2_socket *s);
