/* SPDX-License-Identifier: Apache-2.0 */
/* A store whose operations wait until the test answers them. Threads: one. */
#pragma once

#include "common/event/loop.h"
#include "service/store/store_ops.h"

struct fake_store {
	struct store store; /* what is passed on */
	struct list ops;    /* that wait */
};

void fake_store_init(struct fake_store *f);
/* The oldest operation that waits, or NULL; it must be of @type. The test fills in op->out and
 * calls store_op_finish. */
struct store_op *fake_store_take(struct fake_store *f, enum store_op_type type);
size_t fake_store_waiting(const struct fake_store *f);

/* Runs what was posted to the loop, which has no thread of its own. */
void run_posted(struct loop *l);
