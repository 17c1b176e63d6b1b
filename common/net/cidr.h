/* SPDX-License-Identifier: Apache-2.0 */
/* Which peers an option names: a list of networks, and `unix` for peers on a unix socket.
 *
 * An IPv4 peer of a dual-stack socket (::ffff:a.b.c.d) is an IPv4 peer: 10.0.0.0/8 holds it, and
 * ::/0 does not. Pure. Threads: a list that nobody changes may be read by any. */
#pragma once

#include "common/base/status.h"
#include "common/base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* One network; IPv4 is kept as v4-mapped IPv6. */
struct cidr {
	uint8_t address[16];
	uint8_t bits; /* of 128 */
	bool is_ipv4;
};

/* INVALID_ARGUMENT  @text is no network, or has bits set behind the prefix ("10.0.0.1/8"). A
 * single address is a network of one. */
struct status cidr_parse(struct str text, struct cidr *ret);

struct cidr_list {
	struct cidr *networks;
	size_t n;
	bool has_unix;
};

/* Networks and the word `unix`, separated by commas or spaces; an empty text is the empty list,
 * which matches nobody. cidr_list_done releases *@ret. */
struct status cidr_list_parse(struct str text, struct cidr_list *ret);
/* The same for several texts, as a repeated option has them. */
struct status cidr_list_of(const struct str *texts, size_t n, struct cidr_list *ret);
void cidr_list_done(struct cidr_list *l);
#define _cleanup_cidr_list_ __attribute__((cleanup(cidr_list_done)))

bool cidr_list_has(const struct cidr_list *l, const struct sockaddr *peer);
