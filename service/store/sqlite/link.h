/* SPDX-License-Identifier: Apache-2.0 */
/* A connection that comes back: when it broke it is closed, and opened again after a while that
 * grows from 20 ms to 2 s. Threads: one at a time. */
#pragma once

#include "common/base/clock.h"
#include "common/base/status.h"
#include "service/store/sqlite/connection.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* What the connections of a store tell each other. */
struct link_group {
	_Atomic uint64_t opened; /* how often any of them was */
	_Atomic uint64_t epoch;  /* those that were opened in an earlier one are opened again */
	/* One of them met a damaged page. What is read beside it may be wrong as well: nothing is,
	 * until all of it was found whole. */
	atomic_bool damaged;
};

struct link {
	struct connection connection;
	struct connection_options options;
	const struct clock *clock;
	struct link_group *group;
	/* What a fresh connection is for: migrates it, or probes it. */
	struct status (*prepare)(void *arg, struct connection *c);
	void *arg;
	struct mono_time retry_at;
	uint64_t opened_before; /* when it failed: where another one succeeds it need not wait */
	uint64_t epoch;
	int backoff_ms;          /* 0: the last time it worked */
	enum status_code logged; /* the refusal that the log tells of */
	struct status refusal;   /* what callers hear until the next try */
};

/* Closed at first. */
void link_init(struct link *l, const struct connection_options *options, const struct clock *clock,
	struct link_group *group, struct status (*prepare)(void *arg, struct connection *c),
	void *arg);
/* Now, with all that can be said of why not. */
struct status link_open(struct link *l);
/* Open, or opened again if it is time for that; else UNAVAILABLE. *@ret_anew (may be NULL): it was
 * opened just now. */
struct status link_use(struct link *l, bool *ret_anew);
bool link_is_open(const struct link *l);
/* Tells the group, and the log once, if the connection met damage. */
void link_note_damage(const struct link *l);
void link_close(struct link *l);
