/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets: one address, as many sockets as there are loops.
 *
 * TCP: each loop has a SO_REUSEPORT socket of its own, and the kernel spreads connections over
 * them. The option alone would let a second program bind the same port unseen, so the first socket
 * binds *and listens* without it, which the kernel refuses while anybody else has the port, and
 * turns it on afterwards; the others then join. There is no moment in which two programs hold the
 * port: before listen() the kernel checks again, and behind it a socket without the option cannot
 * bind (inet_csk_bind_conflict).
 * Unix: one socket that all loops share (each gets a duplicate), owned through socket_lock.h.
 *
 * Threads: one at a time; opened at start, closed at the end. */
#pragma once

#include "common/base/cleanup.h"
#include "common/base/status.h"

#include <stddef.h>
#include <sys/types.h>

struct address;
struct listener;

struct listener_options {
	int backlog;      /* 0: 4096, which the kernel cuts to net.core.somaxconn */
	mode_t unix_mode; /* of the socket's file; 0: 0660 */
};

/* Opens @n sockets that listen on @a, non-blocking and close-on-exec, with TCP_NODELAY, which
 * accepted connections inherit. @options may be NULL.
 *
 * FAILED_PRECONDITION  the address is in use
 * INVALID_ARGUMENT     the address is not of this machine, or not allowed
 * UNAVAILABLE          its name does not resolve */
struct status listener_open(const struct address *a, size_t n,
	const struct listener_options *options, struct listener **ret);
/* Closes the sockets that were not taken; removes the file of a unix socket. NULL is allowed. */
void listener_close(struct listener *l);
DEFINE_CLEANUP(struct listener *, listener_close);

/* Socket @i of 0..n-1; ownership passes to the caller, so each is taken once. */
int listener_take_socket(struct listener *l, size_t i);
/* What is really bound: the kernel's port where 0 was asked for. Lives as long as @l. */
const struct address *listener_address(const struct listener *l);

/* Lets no new connection begin on the listening TCP socket @fd, and keeps those that have: what is
 * in its queue, or in the middle of the handshake, can still be accepted. Without it a connection
 * that comes between the last accept and the close is reset, with the request in it lost. The first
 * packet (SYN) is dropped, so its client asks again in a second and is refused then, or finds
 * another server. Where the kernel will not (Linux 6.18 asks for CAP_NET_ADMIN), nothing changes;
 * nor for a unix socket, which knows no handshake and has duplicates on loops that may go on. */
void listener_refuse(int fd);
