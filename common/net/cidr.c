/* SPDX-License-Identifier: Apache-2.0 */
#include "common/net/cidr.h"

#include "common/base/xalloc.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

enum {
	MAPPED_BITS = 96 /* ::ffff:0:0/96 */
};

static const uint8_t mapped_prefix[12] = {[10] = 0xFF, [11] = 0xFF};

static bool parse_ip(struct str text, uint8_t ret[16])
{
	char z[INET6_ADDRSTRLEN];
	if (text.n >= sizeof z || str_index(text, '\0') < text.n)
		return false;
	if (text.n)
		memcpy(z, text.p, text.n);
	z[text.n] = '\0';
	if (inet_pton(AF_INET, z, ret + 12) == 1) {
		memcpy(ret, mapped_prefix, sizeof mapped_prefix);
		return true;
	}
	return inet_pton(AF_INET6, z, ret) == 1;
}

static bool is_mapped(const uint8_t ip[16])
{
	return memcmp(ip, mapped_prefix, sizeof mapped_prefix) == 0;
}

/* @ip with every bit behind the first @bits cleared. */
static void mask(uint8_t ip[16], unsigned bits)
{
	for (unsigned i = 0; i < 16; i++) {
		unsigned keep = bits > i * 8 ? bits - i * 8 : 0;
		if (keep < 8)
			ip[i] = (uint8_t)(ip[i] & ~(0xFFU >> keep));
	}
}

static struct status expected(struct str text, const char *why)
{
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] < 0x20 || text.p[i] == 0x7F)
			text.n = i;
	return status_error(STATUS_INVALID_ARGUMENT,
		"'%.*s' is no network: %s; expected a CIDR such as 10.0.0.0/8 or fd00::/8, or unix",
		STR_ARG(str_sub(text, 0, 100)), why);
}

struct status cidr_parse(struct str text, struct cidr *ret)
{
	struct cidr c;
	size_t slash = str_index(text, '/');
	if (!parse_ip(str_sub(text, 0, slash), c.address))
		return expected(text, "it does not begin with an IP address");
	bool dotted = str_index(text, ':') == text.n;
	unsigned longest = dotted ? 32 : 128;
	uint64_t bits = longest;
	if (slash < text.n) {
		struct str length = str_sub(text, slash + 1, text.n);
		if (length.n > 3 || !str_to_u64(length, &bits) || bits > longest)
			return expected(text, dotted ? "the prefix length of IPv4 is 0..32"
						     : "the prefix length of IPv6 is 0..128");
	}
	c.bits = (uint8_t)(dotted ? bits + MAPPED_BITS : bits);
	c.is_ipv4 = is_mapped(c.address) && c.bits >= MAPPED_BITS;
	uint8_t masked[16];
	memcpy(masked, c.address, sizeof masked);
	mask(masked, c.bits);
	if (memcmp(masked, c.address, sizeof masked) != 0)
		return expected(text, "it has bits set behind the prefix");
	*ret = c;
	return status_ok();
}

static bool is_separator(char c)
{
	return c == ',' || c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static struct status add_words(struct str text, struct cidr_list *l)
{
	for (size_t i = 0; i < text.n;) {
		size_t start = i;
		while (i < text.n && !is_separator(text.p[i]))
			i++;
		struct str word = str_sub(text, start, i - start);
		if (str_empty(word)) {
			i++;
		} else if (str_eq(word, STR("unix"))) {
			l->has_unix = true;
		} else {
			struct cidr c;
			TRY(cidr_parse(word, &c));
			l->networks = xreallocarray(l->networks, l->n + 1, sizeof *l->networks);
			l->networks[l->n++] = c;
		}
	}
	return status_ok();
}

struct status cidr_list_of(const struct str *texts, size_t n, struct cidr_list *ret)
{
	_cleanup_cidr_list_ struct cidr_list l = {0};
	for (size_t i = 0; i < n; i++)
		TRY(add_words(texts[i], &l));
	*ret = (struct cidr_list){TAKE_PTR(l.networks), l.n, l.has_unix};
	return status_ok();
}

struct status cidr_list_parse(struct str text, struct cidr_list *ret)
{
	return cidr_list_of(&text, 1, ret);
}

void cidr_list_done(struct cidr_list *l)
{
	free(l->networks);
	*l = (struct cidr_list){0};
}

static bool holds(const struct cidr *c, const uint8_t ip[16])
{
	uint8_t masked[16];
	if (c->is_ipv4 != is_mapped(ip))
		return false;
	memcpy(masked, ip, sizeof masked);
	mask(masked, c->bits);
	return memcmp(masked, c->address, sizeof masked) == 0;
}

static bool has_ip(const struct cidr_list *l, const uint8_t ip[16])
{
	for (size_t i = 0; i < l->n; i++)
		if (holds(&l->networks[i], ip))
			return true;
	return false;
}

bool cidr_list_has(const struct cidr_list *l, const struct sockaddr *peer)
{
	uint8_t ip[16];
	if (peer->sa_family == AF_UNIX)
		return l->has_unix;
	if (peer->sa_family == AF_INET) {
		struct sockaddr_in v4;
		memcpy(&v4, peer, sizeof v4);
		memcpy(ip, mapped_prefix, sizeof mapped_prefix);
		memcpy(ip + 12, &v4.sin_addr, 4);
		return has_ip(l, ip);
	}
	if (peer->sa_family == AF_INET6) {
		struct sockaddr_in6 v6;
		memcpy(&v6, peer, sizeof v6);
		memcpy(ip, &v6.sin6_addr, 16);
		return has_ip(l, ip);
	}
	return false;
}
