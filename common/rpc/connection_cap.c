/* SPDX-License-Identifier: Apache-2.0 */
#include "common/rpc/connection_cap.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/xalloc.h"

#include <grpc/support/sync.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* The socket mutator of gRPC is an argument of its public interface, but its layout is not in a
 * public header. It has been this one from 1.33 (2020) on. */
enum socket_usage {
	CLIENT_CONNECTION,
	SERVER_LISTENER,
	SERVER_CONNECTION
};
struct socket_info {
	int fd;
	enum socket_usage usage;
};
struct mutator;
struct mutator_vtable {
	bool (*mutate_listener)(int fd, struct mutator *m); /* unused where the last one is set */
	int (*compare)(struct mutator *a, struct mutator *b);
	void (*destroy)(struct mutator *m);
	bool (*mutate)(const struct socket_info *info, struct mutator *m);
};
struct mutator {
	const struct mutator_vtable *vtable;
	gpr_refcount refs;
};

struct connection {
	int fd;
	ino_t inode; /* of the socket: unlike fd, not given to the next one */
};

struct connection_cap {
	struct mutator mutator; /* first: gRPC sees this alone */
	unsigned max;
	pthread_mutex_t lock;
	struct connection *connections;
	unsigned n;
	unsigned capacity;
	struct mono_time looked;
	uint64_t refused;
	bool closed;
};

enum {
	/* A look costs a system call for each connection: not more often than this. */
	LOOK_INTERVAL_MS = 100
};

static bool inode_of(int fd, ino_t *ret)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return false;
	*ret = st.st_ino;
	return true;
}

static void forget_closed(struct connection_cap *c)
{
	unsigned kept = 0;
	for (unsigned i = 0; i < c->n; i++) {
		ino_t inode;
		if (inode_of(c->connections[i].fd, &inode) && inode == c->connections[i].inode)
			c->connections[kept++] = c->connections[i];
	}
	c->n = kept;
}

static void forget_closed_if_due(struct connection_cap *c)
{
	struct mono_time now = clock_mono(&clock_system);
	if (c->looked.us && now.us - c->looked.us < LOOK_INTERVAL_MS * US_PER_MS)
		return;
	c->looked = now;
	forget_closed(c);
}

static bool add(struct connection_cap *c, int fd)
{
	if (c->closed)
		return false;
	if (c->n >= c->max)
		forget_closed_if_due(c);
	if (c->n >= c->max)
		return false;
	struct connection connection = {.fd = fd};
	if (!inode_of(fd, &connection.inode))
		return false;
	if (c->n == c->capacity) {
		c->capacity = c->capacity ? 2 * c->capacity : 64;
		c->connections = xreallocarray(c->connections, c->capacity, sizeof *c->connections);
	}
	c->connections[c->n++] = connection;
	return true;
}

/* What it returns is not "take it or not": on false gRPC 1.51 would give up the listener. */
static bool on_socket(const struct socket_info *info, struct mutator *m)
{
	struct connection_cap *c = (struct connection_cap *)m;
	if (info->usage != SERVER_CONNECTION)
		return true;
	pthread_mutex_lock(&c->lock);
	bool room = add(c, info->fd);
	uint64_t refused = room || c->closed ? 0 : ++c->refused;
	pthread_mutex_unlock(&c->lock);
	if (!room) {
		shutdown(info->fd, SHUT_RDWR);
		/* 1, 2, 4, 8, ...: enough to notice, too few to fill a log. */
		if (refused && (refused & (refused - 1)) == 0)
			log_warning("grpc.connection_refused", LOG_I64("max", c->max),
				LOG_I64("refused", (int64_t)refused));
	}
	return true;
}

static int compare(struct mutator *a, struct mutator *b)
{
	return (a > b) - (a < b);
}

static void destroy(struct mutator *m)
{
	struct connection_cap *c = (struct connection_cap *)m;
	pthread_mutex_destroy(&c->lock);
	free(c->connections);
	free(c);
}

struct connection_cap *connection_cap_new(unsigned max)
{
	static const struct mutator_vtable vtable = {
		.compare = compare, .destroy = destroy, .mutate = on_socket};
	struct connection_cap *c = xnew(struct connection_cap);
	c->mutator.vtable = &vtable;
	gpr_ref_init(&c->mutator.refs, 1);
	c->max = max;
	pthread_mutex_init(&c->lock, NULL);
	return c;
}

static void *arg_copy(void *p)
{
	struct connection_cap *c = p;
	gpr_ref(&c->mutator.refs);
	return c;
}

static void arg_destroy(void *p)
{
	struct connection_cap *c = p;
	if (gpr_unref(&c->mutator.refs))
		destroy(&c->mutator);
}

static int arg_compare(void *a, void *b)
{
	return compare(a, b);
}

void connection_cap_unref(struct connection_cap *c)
{
	if (c)
		arg_destroy(c);
}

grpc_arg connection_cap_arg(struct connection_cap *c)
{
	static const grpc_arg_pointer_vtable vtable = {arg_copy, arg_destroy, arg_compare};
	static char key[] = GRPC_ARG_SOCKET_MUTATOR;
	return (grpc_arg){
		.type = GRPC_ARG_POINTER, .key = key, .value.pointer = {.p = c, .vtable = &vtable}};
}

void connection_cap_close(struct connection_cap *c)
{
	pthread_mutex_lock(&c->lock);
	c->closed = true;
	pthread_mutex_unlock(&c->lock);
}

unsigned connection_cap_look(struct connection_cap *c)
{
	pthread_mutex_lock(&c->lock);
	forget_closed(c);
	unsigned n = c->n;
	pthread_mutex_unlock(&c->lock);
	return n;
}

unsigned connection_cap_count(struct connection_cap *c)
{
	pthread_mutex_lock(&c->lock);
	forget_closed_if_due(c);
	unsigned n = c->n;
	pthread_mutex_unlock(&c->lock);
	return n;
}

uint64_t connection_cap_refused(struct connection_cap *c)
{
	pthread_mutex_lock(&c->lock);
	uint64_t n = c->refused;
	pthread_mutex_unlock(&c->lock);
	return n;
}
