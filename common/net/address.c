/* SPDX-License-Identifier: Apache-2.0 */
#include "common/net/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

static struct status expected(struct str text, const char *why)
{
	return status_error(STATUS_INVALID_ARGUMENT,
		"'%.*s' is no address: %s; expected HOST:PORT, [IPV6]:PORT or unix:PATH",
		STR_ARG(str_sub(text, 0, 200)), why);
}

/* Control bytes would garble the message that quotes them. */
static bool is_printable(struct str text)
{
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] < 0x20 || text.p[i] == 0x7F)
			return false;
	return true;
}

static void copy(char *to, struct str s)
{
	memcpy(to, s.p, s.n);
	to[s.n] = '\0';
}

static struct status parse_unix(struct str text, struct str path, struct address *a)
{
	/* gRPC's unix:///path has the two slashes of a URI's empty authority */
	while (path.n >= 2 && path.p[0] == '/' && path.p[1] == '/')
		path = str_sub(path, 1, path.n);
	if (str_empty(path))
		return expected(text, "the path is missing");
	if (path.n >= ADDRESS_PATH_BYTES)
		return expected(text, "the path of a unix socket has 107 bytes at most");
	if (path.p[path.n - 1] == '/')
		return expected(text, "the path is a directory");
	a->kind = ADDRESS_UNIX;
	copy(a->path, path);
	return status_ok();
}

static bool is_host_name(struct str host)
{
	if (host.n > 253 || host.p[0] == '-' || host.p[0] == '.')
		return false;
	bool has_letter = false;
	for (size_t i = 0; i < host.n; i++) {
		char c = host.p[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		has_letter = has_letter || letter;
		if (!letter && !(c >= '0' && c <= '9') && c != '-' && c != '.' && c != '_')
			return false;
	}
	return has_letter; /* else it is an IPv4 address with a mistake in it */
}

static struct status parse_host(struct str text, struct str host, bool bracketed, struct address *a)
{
	if (str_empty(host))
		return expected(text, "the host is missing (0.0.0.0 or [::] is every interface)");
	if (host.n >= ADDRESS_HOST_BYTES)
		return expected(text, "the host is too long");
	copy(a->host, host);
	unsigned char binary[sizeof(struct in6_addr)];
	if (bracketed) {
		if (inet_pton(AF_INET6, a->host, binary) != 1)
			return expected(text, "what stands in brackets is no IPv6 address");
		a->kind = ADDRESS_IPV6;
	} else if (inet_pton(AF_INET, a->host, binary) == 1) {
		a->kind = ADDRESS_IPV4;
	} else if (is_host_name(host)) {
		a->kind = ADDRESS_NAME;
	} else if (str_index(host, ':') < host.n) {
		return expected(text, "an IPv6 address stands in brackets");
	} else {
		return expected(text, "the host is neither an IPv4 address nor a name");
	}
	return status_ok();
}

static struct status parse_port(struct str text, struct str port, uint16_t *ret)
{
	uint64_t value;
	if (str_empty(port))
		return expected(text, "the port is missing");
	if (port.n > 5 || !str_to_u64(port, &value) || value > 65535)
		return expected(text, "the port must be 0..65535 (0: the kernel chooses)");
	*ret = (uint16_t)value;
	return status_ok();
}

struct status address_parse(struct str text, struct address *ret)
{
	struct address a = {.kind = ADDRESS_NAME};
	if (!is_printable(text))
		return status_error(STATUS_INVALID_ARGUMENT,
			"an address has a control byte; expected HOST:PORT, [IPV6]:PORT or "
			"unix:PATH");
	if (str_starts_with(text, STR("unix:"))) {
		TRY(parse_unix(text, str_sub(text, 5, text.n), &a));
		*ret = a;
		return status_ok();
	}
	struct str host, port;
	bool bracketed = text.n && text.p[0] == '[';
	if (bracketed) {
		size_t end = str_index(text, ']');
		if (end == text.n)
			return expected(text, "the closing bracket is missing");
		host = str_sub(text, 1, end - 1);
		port = str_sub(text, end + 1, text.n);
		if (str_empty(port))
			return expected(text, "the port is missing");
		if (port.p[0] != ':')
			return expected(text, "a colon and the port follow the bracket");
		port = str_sub(port, 1, port.n);
	} else {
		const char *colon = text.n ? memrchr(text.p, ':', text.n) : NULL;
		if (!colon)
			return expected(text, "the port is missing");
		size_t at = (size_t)(colon - text.p);
		host = str_sub(text, 0, at);
		port = str_sub(text, at + 1, text.n);
	}
	TRY(parse_host(text, host, bracketed, &a));
	TRY(parse_port(text, port, &a.port));
	*ret = a;
	return status_ok();
}

void address_format(const struct address *a, char ret[ADDRESS_TEXT_BYTES])
{
	switch (a->kind) {
	case ADDRESS_UNIX:
		snprintf(ret, ADDRESS_TEXT_BYTES, "unix:%s", a->path);
		break;
	case ADDRESS_IPV6:
		snprintf(ret, ADDRESS_TEXT_BYTES, "[%s]:%u", a->host, a->port);
		break;
	case ADDRESS_NAME:
	case ADDRESS_IPV4:
		snprintf(ret, ADDRESS_TEXT_BYTES, "%s:%u", a->host, a->port);
		break;
	}
}

static bool is_localhost(const struct address *a)
{
	return a->kind == ADDRESS_NAME && str_eq_nocase(str_of(a->host), STR("localhost"));
}

bool address_is_loopback(const struct address *a)
{
	struct in_addr v4;
	struct in6_addr v6;
	switch (a->kind) {
	case ADDRESS_UNIX:
		return true;
	case ADDRESS_NAME:
		return is_localhost(a);
	case ADDRESS_IPV4:
		return inet_pton(AF_INET, a->host, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127;
	case ADDRESS_IPV6:
		if (inet_pton(AF_INET6, a->host, &v6) != 1)
			return false;
		return IN6_IS_ADDR_LOOPBACK(&v6) ||
		       (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
	}
	return false;
}

static void set_port(struct sockaddr_storage *sa, uint16_t port)
{
	if (sa->ss_family == AF_INET6)
		((struct sockaddr_in6 *)sa)->sin6_port = htons(port);
	else
		((struct sockaddr_in *)sa)->sin_port = htons(port);
}

static struct status look_up(
	const struct address *a, struct sockaddr_storage *ret, size_t max, size_t *ret_n)
{
	struct addrinfo *found = NULL;
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
	int error = getaddrinfo(a->host, NULL, &hints, &found);
	if (error)
		return status_error(STATUS_UNAVAILABLE, "cannot resolve '%s': %s", a->host,
			error == EAI_SYSTEM ? strerrordesc_np(errno) : gai_strerror(error));
	size_t n = 0;
	for (const struct addrinfo *i = found; i && n < max; i = i->ai_next) {
		memset(&ret[n], 0, sizeof ret[n]);
		memcpy(&ret[n], i->ai_addr, i->ai_addrlen);
		set_port(&ret[n++], a->port);
	}
	freeaddrinfo(found);
	*ret_n = n;
	return status_ok();
}

static void from_ip(int family, const char *text, uint16_t port, struct sockaddr_storage *ret)
{
	memset(ret, 0, sizeof *ret);
	ret->ss_family = (sa_family_t)family;
	set_port(ret, port);
	inet_pton(family, text,
		family == AF_INET6 ? (void *)&((struct sockaddr_in6 *)ret)->sin6_addr
				   : (void *)&((struct sockaddr_in *)ret)->sin_addr);
}

static void from_path(const struct address *a, struct sockaddr_storage *ret)
{
	memset(ret, 0, sizeof *ret);
	struct sockaddr_un *un = (struct sockaddr_un *)ret;
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, a->path, sizeof un->sun_path);
}

bool address_needs_lookup(const struct address *a)
{
	return a->kind == ADDRESS_NAME && !is_localhost(a);
}

socklen_t address_sockaddr_length(const struct sockaddr_storage *sa)
{
	return sa->ss_family == AF_UNIX    ? sizeof(struct sockaddr_un)
	       : sa->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
					   : sizeof(struct sockaddr_in);
}

/* At most @max of them, 1 at least. */
static struct status resolve(
	const struct address *a, struct sockaddr_storage *ret, size_t max, size_t *ret_n)
{
	if (address_needs_lookup(a))
		return look_up(a, ret, max, ret_n);
	*ret_n = 1;
	switch (a->kind) {
	case ADDRESS_UNIX:
		from_path(a, ret);
		break;
	case ADDRESS_IPV6:
		from_ip(AF_INET6, a->host, a->port, ret);
		break;
	case ADDRESS_IPV4:
		from_ip(AF_INET, a->host, a->port, ret);
		break;
	case ADDRESS_NAME:
		from_ip(AF_INET, "127.0.0.1", a->port, ret);
		if (max > 1) {
			from_ip(AF_INET6, "::1", a->port, ret + 1);
			*ret_n = 2;
		}
		break;
	}
	return status_ok();
}

struct status address_resolve(
	const struct address *a, struct sockaddr_storage *ret, socklen_t *ret_length)
{
	size_t n;
	TRY(resolve(a, ret, 1, &n));
	*ret_length = address_sockaddr_length(ret);
	return status_ok();
}

struct status address_resolve_all(
	const struct address *a, struct sockaddr_storage ret[ADDRESS_RESOLVED_MAX], size_t *ret_n)
{
	return resolve(a, ret, ADDRESS_RESOLVED_MAX, ret_n);
}

bool address_from_sockaddr(const struct sockaddr *sa, socklen_t length, struct address *ret)
{
	struct address a = {.kind = ADDRESS_UNIX};
	if (sa->sa_family == AF_INET && length >= sizeof(struct sockaddr_in)) {
		struct sockaddr_in v4;
		memcpy(&v4, sa, sizeof v4);
		a.kind = ADDRESS_IPV4;
		a.port = ntohs(v4.sin_port);
		inet_ntop(AF_INET, &v4.sin_addr, a.host, sizeof a.host);
	} else if (sa->sa_family == AF_INET6 && length >= sizeof(struct sockaddr_in6)) {
		struct sockaddr_in6 v6;
		memcpy(&v6, sa, sizeof v6);
		a.kind = ADDRESS_IPV6;
		a.port = ntohs(v6.sin6_port);
		inet_ntop(AF_INET6, &v6.sin6_addr, a.host, sizeof a.host);
	} else if (sa->sa_family == AF_UNIX) {
		size_t at = offsetof(struct sockaddr_un, sun_path);
		size_t n = length > at ? length - at : 0;
		if (n >= sizeof a.path)
			n = sizeof a.path - 1;
		memcpy(a.path, (const char *)sa + at, n);
	} else {
		return false;
	}
	*ret = a;
	return true;
}

struct status address_of_socket(int fd, struct address *ret)
{
	struct sockaddr_storage ss = {0};
	socklen_t length = sizeof ss;
	if (getsockname(fd, (struct sockaddr *)&ss, &length) < 0)
		return status_error(
			STATUS_INTERNAL, "getsockname of %d: %s", fd, strerrordesc_np(errno));
	if (!address_from_sockaddr((const struct sockaddr *)&ss, length, ret))
		return status_error(STATUS_INTERNAL, "socket %d is of family %d", fd, ss.ss_family);
	return status_ok();
}
