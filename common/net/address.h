/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses as people write them: `host:port`, `[v6]:port`, `unix:PATH`.
 *
 * One notation for every option that names an address, for the ready file and for peers in logs.
 * Pure, but for address_resolve and address_resolve_all. Threads: any. */
#pragma once

#include "common/base/status.h"
#include "common/base/str.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
	ADDRESS_HOST_BYTES = 256, /* a DNS name has 253 bytes at most */
	ADDRESS_PATH_BYTES = 108, /* sockaddr_un.sun_path */
	ADDRESS_TEXT_BYTES = 300,
	ADDRESS_RESOLVED_MAX = 64 /* addresses of one name that are looked at */
};

enum address_kind {
	ADDRESS_NAME, /* host is to be looked up */
	ADDRESS_IPV4,
	ADDRESS_IPV6,
	ADDRESS_UNIX,
};

struct address {
	enum address_kind kind;
	uint16_t port;                 /* 0: the kernel chooses */
	char host[ADDRESS_HOST_BYTES]; /* without brackets; empty for ADDRESS_UNIX */
	char path[ADDRESS_PATH_BYTES]; /* ADDRESS_UNIX only */
};

/* INVALID_ARGUMENT  @text is no address; the message names it and what is expected. */
struct status address_parse(struct str text, struct address *ret);
/* "127.0.0.1:8080", "[::1]:8080", "unix:/run/x.sock": what address_parse reads. */
void address_format(const struct address *a, char ret[ADDRESS_TEXT_BYTES]);

/* True when only this machine can connect: 127.0.0.0/8, ::1, `localhost`, a unix socket. A name
 * other than `localhost` never is: what it resolves to is not ours to promise. */
bool address_is_loopback(const struct address *a);

/* The first socket address that @a stands for; a name is looked up, which may block (start-up
 * only). `localhost` is 127.0.0.1 whatever the resolver says (RFC 6761, 6.3).
 *
 * UNAVAILABLE  the name does not resolve. */
struct status address_resolve(
	const struct address *a, struct sockaddr_storage *ret, socklen_t *ret_length);
/* All of them, in the resolver's order; `localhost` is 127.0.0.1 and ::1. Blocks if
 * address_needs_lookup.
 *
 * UNAVAILABLE  the name does not resolve */
struct status address_resolve_all(
	const struct address *a, struct sockaddr_storage ret[ADDRESS_RESOLVED_MAX], size_t *ret_n);
/* True for a name other than `localhost`. */
bool address_needs_lookup(const struct address *a);
/* How long a socket address of its family is. */
socklen_t address_sockaddr_length(const struct sockaddr_storage *sa);

/* The address that a socket is bound to.
 *
 * INTERNAL  @fd is no socket of a family that we know. */
struct status address_of_socket(int fd, struct address *ret);
/* False for a family that we do not know. An unnamed unix socket, as clients have, has an empty
 * path. */
bool address_from_sockaddr(const struct sockaddr *sa, socklen_t length, struct address *ret);
