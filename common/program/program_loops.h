/* SPDX-License-Identifier: Apache-2.0 */
/* The event loops of a server: one for each thread that serves calls, and one for what is not a
 * call's (timers, the end of things). Threads: made, run, stopped and freed by one. */
#pragma once

#include "common/event/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct program_loops {
	struct loop *control;
	struct loop **workers;
	size_t n; /* workers */
	bool run; /* program_loops_run was called */
};

/* All zero is a set without loops, which may be stopped and freed. @threads: 0 is one worker for
 * each processor. No loop runs yet. */
void program_loops_init(struct program_loops *l, int64_t threads);
/* Earlier than the workers: a start needs its timers. */
void program_loops_run_control(struct program_loops *l);
void program_loops_run(struct program_loops *l);
/* Waits for their ends, if they run. */
void program_loops_stop_workers(struct program_loops *l);
/* None runs any more. */
void program_loops_done(struct program_loops *l);
