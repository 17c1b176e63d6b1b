/* SPDX-License-Identifier: Apache-2.0 */
/* Copies the write-ahead log into the database while the writer goes on.
 *
 * A checkpoint costs two syncs and many scattered writes; the writer's clients would wait for it.
 * So a thread of its own does most of it. It cannot finish under load, as the log goes on growing
 * behind it: when the log got long and little of it is left to be copied, the writer does that, and
 * the log begins anew.
 * Threads: a thread of its own; the functions are the writer's. */
#pragma once

#include "service/store/sqlite/link.h"

#include <pthread.h>
#include <stdbool.h>

struct checkpointer {
	struct link link; /* its thread only */
	/* The writer's: the length of the log at which to ask the next time, and at which it
	 * finished what was left. */
	int wanted_at, finished_at;
	struct {
		pthread_mutex_t lock;
		pthread_cond_t changed;
		bool wanted, runs, closed;
		int copied_pages; /* of the log, by the last one */
	} shared;
};

void checkpointer_init(struct checkpointer *p);
void checkpointer_done(struct checkpointer *p);
/* The thread; returns after checkpointer_close. */
void checkpointer_run(struct checkpointer *p);
void checkpointer_close(struct checkpointer *p);
/* After a commit on @c, the writer's connection. */
void checkpointer_look(struct checkpointer *p, struct connection *c);
