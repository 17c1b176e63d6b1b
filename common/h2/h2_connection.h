/* SPDX-License-Identifier: Apache-2.0 */
/* One HTTP/2 connection of a client (RFC 9113), by nghttp2 on a socket of a loop.
 *
 *     new -> connecting -> [TLS] -> preface, SETTINGS -> ready -> (GOAWAY: leaving ->) closed
 *
 * Requests that are sent during one turn of the loop leave in one write at its end. A connection
 * that is leaving (the server says GOAWAY, or the stream numbers are used up) takes no requests,
 * finishes those it has and closes. One on which nothing comes for keepalive_ms is probed with a
 * PING, and closed when that is not answered either.
 *
 * Threads: the loop's. */
#pragma once

#include "common/base/cleanup.h"
#include "common/base/status.h"

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct h2_connection;
struct h2_request;
struct loop;

struct h2_connection_options {
	struct loop *loop;
	const struct sockaddr *address;
	socklen_t length;
	SSL *takes_tls;          /* a session, or NULL */
	const char *authority;   /* of all requests; borrowed as long as the connection lives */
	int64_t open_timeout_ms; /* until it is ready */
	int64_t keepalive_ms;
	int64_t keepalive_timeout_ms;
};

/* Called by the connection, on the loop, never inside a function of this header. */
struct h2_connection_events {
	void *arg;
	/* Takes requests from now on. */
	void (*ready)(void *arg);
	/* A request ended, or the server allows more: there may be room for others. */
	void (*room)(void *arg);
	/* Was ready, and takes no more requests. @pinged_too_much: the server says that it is for
	 * our PINGs. */
	void (*leaving)(void *arg, bool pinged_too_much);
	/* It is over, all requests have ended; the connection may be freed. */
	void (*closed)(void *arg, const char *why);
};

/* Begins to connect.
 *
 * UNAVAILABLE  the system refuses at once; nothing will be called */
struct status h2_connection_open(const struct h2_connection_options *options,
	const struct h2_connection_events *events, struct h2_connection **ret);
/* Closes it at once, politely where that costs no time. No request may be on it. May be called
 * inside the callbacks. NULL is allowed. */
void h2_connection_free(struct h2_connection *c);
DEFINE_CLEANUP(struct h2_connection *, h2_connection_free);

/* Ready, not leaving, fewer requests on it than the server allows, and the socket takes what is
 * written. */
bool h2_connection_has_room(const struct h2_connection *c);
/* Did any request on it get an answer? */
bool h2_connection_was_of_use(const struct h2_connection *c);
/* Sends @r; it must have room. */
void h2_connection_send(struct h2_connection *c, struct h2_request *r);
/* Gives up a request on it, as h2_channel_cancel says. */
void h2_connection_cancel(struct h2_connection *c, struct h2_request *r);
