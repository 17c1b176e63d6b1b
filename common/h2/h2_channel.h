/* SPDX-License-Identifier: Apache-2.0 */
/* A loop's way to a server: keeps connections to it and hands requests to them.
 *
 * A connection is made at the first request, kept, and made again when it breaks. A name is looked
 * up (off the loop) before each attempt; its addresses are tried in turn, beginning with another
 * one for each connection of each loop, and a channel has as many connections as there are
 * addresses (MAX_CONNECTIONS at most), or options->n_connections where that is more.
 *
 *     idle -> looking up -> connecting -> ready -> (broken, leaving) -> looking up
 *                 \___________\_____________________ -> pausing, with backoff -> looking up
 *
 * Requests wait for a connection that is being made, and for room on those there are; so long as
 * the last attempts all failed they fail at once.
 *
 * Threads: the loop's, but for h2_channel_new, h2_channel_free and the counters. */
#pragma once

#include "common/base/cleanup.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct address;
struct h2_channel;
struct h2_request;
struct loop;
struct tls_client;
struct worker_pool;

enum {
	H2_MAX_CONNECTIONS = 64 /* of a channel */
};

/* What is borrowed must outlive the channel. A number that is 0 is the default. */
struct h2_channel_options {
	struct loop *loop;
	const struct address *address; /* copied */
	struct tls_client *tls;        /* borrowed; NULL: none */
	const char *authority;         /* borrowed; as a server expects it in requests */
	struct worker_pool
		*resolver;      /* borrowed; where names are looked up. NULL: address is none */
	unsigned n_connections; /* at least so many; 1 */
	unsigned first_address; /* which one to begin with; modulo their number */
	/* Borrowed: how many connections are ready in all channels to this address, of all loops.
	 * While there are any, a request does not wait for the end of a pause. NULL: there is no
	 * other channel. */
	_Atomic int *all_ready;
	size_t max_waiting;           /* requests without a connection; 1000 */
	int64_t open_timeout_ms;      /* of an attempt; 5 s */
	int64_t keepalive_ms;         /* so long without a byte, and a connection is probed; 30 s */
	int64_t keepalive_timeout_ms; /* of a probe; 10 s */
	int64_t min_backoff_ms;       /* between attempts; 100 ms */
	int64_t max_backoff_ms;       /* 2 s */
};

/* Read by any thread. */
struct h2_channel_stats {
	_Atomic uint64_t connections; /* that are ready */
	_Atomic uint64_t opened;      /* since the start */
	_Atomic uint64_t failed;      /* attempts, since the start */
	_Atomic uint64_t waiting;     /* requests */
};

/* Does not connect yet. */
struct h2_channel *h2_channel_new(const struct h2_channel_options *options);
/* Closes the connections. No request may be under way. On the loop, or while it does not run, with
 * the resolver stopped and freed before in the latter case. NULL is allowed. */
void h2_channel_free(struct h2_channel *ch);
DEFINE_CLEANUP(struct h2_channel *, h2_channel_free);

/* Sends @r now or when it can be; see h2_request.h. */
void h2_channel_send(struct h2_channel *ch, struct h2_request *r);
/* Gives @r up: the server is told if it knows of it. Nothing happens if it was never sent, or has
 * ended. */
void h2_channel_cancel(struct h2_channel *ch, struct h2_request *r);

const struct h2_channel_stats *h2_channel_stats(const struct h2_channel *ch);
