/* SPDX-License-Identifier: Apache-2.0 */
#include "common/rpc/rpc_peer.h"

#include <arpa/inet.h>
#include <sys/un.h>

/* Undoes the two escapes that gRPC uses, and with them a scope's ("%25eth0"). */
static struct str unescape(struct str s, char *out, size_t size)
{
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		struct str escape = str_sub(s, i, 3);
		if (str_eq_nocase(escape, STR("%5B")))
			c = '[';
		else if (str_eq_nocase(escape, STR("%5D")))
			c = ']';
		else if (str_eq(escape, STR("%25")))
			c = '%';
		if (c != s.p[i] || str_eq(escape, STR("%25")))
			i += 2;
		if (n + 1 >= size)
			return (struct str){NULL, 0};
		out[n++] = c;
	}
	out[n] = '\0';
	return (struct str){out, n};
}

static bool parse_port(struct str s, in_port_t *ret)
{
	uint64_t port;
	if (!str_to_u64(s, &port) || port > UINT16_MAX)
		return false;
	*ret = htons((uint16_t)port);
	return true;
}

static bool parse_v4(struct str s, struct sockaddr_storage *ret)
{
	struct sockaddr_in *sin = (struct sockaddr_in *)ret;
	size_t colon = str_index(s, ':');
	char host[INET_ADDRSTRLEN];
	if (colon >= sizeof host || colon == s.n)
		return false;
	memcpy(host, s.p, colon);
	host[colon] = '\0';
	sin->sin_family = AF_INET;
	return inet_pton(AF_INET, host, &sin->sin_addr) == 1 &&
	       parse_port(str_sub(s, colon + 1, s.n), &sin->sin_port);
}

static bool parse_v6(struct str s, struct sockaddr_storage *ret)
{
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)ret;
	size_t close = str_index(s, ']');
	if (s.n == 0 || s.p[0] != '[' || close + 1 >= s.n || s.p[close + 1] != ':')
		return false;
	struct str host = str_sub(s, 1, close - 1);
	host = str_sub(host, 0, str_index(host, '%'));
	char text[INET6_ADDRSTRLEN];
	if (host.n >= sizeof text)
		return false;
	memcpy(text, host.p, host.n);
	text[host.n] = '\0';
	sin6->sin6_family = AF_INET6;
	return inet_pton(AF_INET6, text, &sin6->sin6_addr) == 1 &&
	       parse_port(str_sub(s, close + 2, s.n), &sin6->sin6_port);
}

static bool after(struct str s, struct str prefix, struct str *rest)
{
	if (!str_starts_with(s, prefix))
		return false;
	*rest = str_sub(s, prefix.n, s.n);
	return true;
}

void rpc_peer_parse(struct str uri, char buffer[RPC_PEER_BYTES], struct call_peer *ret)
{
	struct str rest;
	memset(&ret->address, 0, sizeof ret->address);
	if (after(uri, STR("unix:"), &rest)) {
		ret->address.ss_family = AF_UNIX;
		ret->text = STR("unix");
		return;
	}
	if (after(uri, STR("ipv4:"), &rest) || after(uri, STR("ipv6:"), &rest)) {
		ret->text = unescape(rest, buffer, RPC_PEER_BYTES);
		if (ret->text.n && (uri.p[3] == '4' ? parse_v4(ret->text, &ret->address)
						    : parse_v6(ret->text, &ret->address)))
			return;
	}
	memset(&ret->address, 0, sizeof ret->address);
	ret->text = STR("unknown");
}
