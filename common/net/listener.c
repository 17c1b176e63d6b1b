/* SPDX-License-Identifier: Apache-2.0 */
#include "common/net/listener.h"

#include "common/base/xalloc.h"
#include "common/net/address.h"
#include "common/net/socket_lock.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	DEFAULT_BACKLOG = 4096,
	DEFAULT_UNIX_MODE = 0660
};

struct listener {
	struct address address;
	struct socket_lock *lock; /* unix only */
	size_t n;
	int fds[]; /* -1: taken */
};

/* What went wrong with @a, once, for every call of this file. */
static struct status failed(const struct address *a, const char *what)
{
	int error = errno;
	char text[ADDRESS_TEXT_BYTES];
	address_format(a, text);
	if (error == EADDRINUSE)
		return status_error(STATUS_FAILED_PRECONDITION,
			"cannot listen on %s: the address is in use by another process", text);
	return status_error(STATUS_INVALID_ARGUMENT, "cannot listen on %s: %s: %s", text, what,
		strerrordesc_np(error));
}

static bool set_option(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

static struct status open_inet(const struct address *a, const struct sockaddr_storage *ss,
	socklen_t length, int backlog, bool first, int *ret)
{
	_cleanup_close_ int fd =
		socket(ss->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return failed(a, "socket");
	/* SO_REUSEADDR only forgives connections of an earlier run in TIME_WAIT; where the kernel
	 * chooses the port it would let it choose a used one. */
	if (a->port && !set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1))
		return failed(a, "SO_REUSEADDR");
	/* [::] serves IPv4 as well, whatever the sysctl bindv6only says. */
	if (ss->ss_family == AF_INET6 && !set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0))
		return failed(a, "IPV6_V6ONLY");
	if (!set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1))
		return failed(a, "TCP_NODELAY");
	if (!first && !set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1))
		return failed(a, "SO_REUSEPORT");
	if (bind(fd, (const struct sockaddr *)ss, length) < 0)
		return failed(a, "bind");
	if (listen(fd, backlog) < 0)
		return failed(a, "listen");
	*ret = TAKE_FD(fd);
	return status_ok();
}

static struct status open_inet_all(struct listener *l, int backlog)
{
	struct sockaddr_storage ss;
	socklen_t length;
	TRY(address_resolve(&l->address, &ss, &length));
	TRY(open_inet(&l->address, &ss, length, backlog, true, &l->fds[0]));
	length = sizeof ss;
	if (getsockname(l->fds[0], (struct sockaddr *)&ss, &length) < 0)
		return failed(&l->address, "getsockname");
	if (l->address.kind != ADDRESS_NAME)
		TRY(address_of_socket(l->fds[0], &l->address));
	else /* a name stays the name it was asked for: certificates are about names */
		l->address.port = ntohs(((const struct sockaddr_in *)&ss)->sin_port);
	if (l->n > 1 && !set_option(l->fds[0], SOL_SOCKET, SO_REUSEPORT, 1))
		return failed(&l->address, "SO_REUSEPORT");
	for (size_t i = 1; i < l->n; i++)
		TRY(open_inet(&l->address, &ss, length, backlog, false, &l->fds[i]));
	return status_ok();
}

static struct status open_unix_all(struct listener *l, int backlog, mode_t mode)
{
	struct sockaddr_storage ss;
	socklen_t length;
	TRY(address_resolve(&l->address, &ss, &length));
	TRY(socket_lock_take(l->address.path, &l->lock));
	l->fds[0] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fds[0] < 0)
		return failed(&l->address, "socket");
	/* The mode of the socket bounds the mode of the file that bind makes, so that the path is
	 * never open wider; chmod then gives what the umask took. */
	if (fchmod(l->fds[0], mode) < 0)
		return failed(&l->address, "fchmod");
	if (bind(l->fds[0], (const struct sockaddr *)&ss, length) < 0)
		return failed(&l->address, "bind");
	if (chmod(l->address.path, mode) < 0)
		return failed(&l->address, "chmod");
	if (listen(l->fds[0], backlog) < 0)
		return failed(&l->address, "listen");
	for (size_t i = 1; i < l->n; i++) {
		l->fds[i] = fcntl(l->fds[0], F_DUPFD_CLOEXEC, 0);
		if (l->fds[i] < 0)
			return failed(&l->address, "dup");
	}
	return status_ok();
}

struct status listener_open(const struct address *a, size_t n,
	const struct listener_options *options, struct listener **ret)
{
	assert(n > 0);
	int backlog = options && options->backlog ? options->backlog : DEFAULT_BACKLOG;
	mode_t mode = options && options->unix_mode ? options->unix_mode : DEFAULT_UNIX_MODE;
	_cleanup_(listener_closep) struct listener *l =
		xcalloc(1, sizeof *l + n * sizeof l->fds[0]);
	l->address = *a;
	l->n = n;
	for (size_t i = 0; i < n; i++)
		l->fds[i] = -1;
	if (a->kind == ADDRESS_UNIX)
		TRY(open_unix_all(l, backlog, mode));
	else
		TRY(open_inet_all(l, backlog));
	*ret = TAKE_PTR(l);
	return status_ok();
}

void listener_close(struct listener *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < l->n; i++)
		if (l->fds[i] >= 0)
			close(l->fds[i]);
	socket_lock_release(l->lock);
	free(l);
}

int listener_take_socket(struct listener *l, size_t i)
{
	assert(i < l->n && l->fds[i] >= 0);
	int fd = l->fds[i];
	l->fds[i] = -1;
	return fd;
}

const struct address *listener_address(const struct listener *l)
{
	return &l->address;
}

void listener_refuse(int fd)
{
	/* A packet as a filter of a TCP socket sees it begins with the TCP header (RFC 9293, 3.1).
	 */
	enum {
		FLAGS_AT = 13,
		SYN = 0x02,
		ACK = 0x10
	};
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, FLAGS_AT),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, SYN | ACK),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYN, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	const struct sock_fprog filter = {.len = ARRAY_SIZE(code), .filter = code};
	int protocol = 0;
	socklen_t length = sizeof protocol;
	if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &length) == 0 &&
		protocol == IPPROTO_TCP)
		(void)setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter);
}
