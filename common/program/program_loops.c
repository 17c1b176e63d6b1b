/* SPDX-License-Identifier: Apache-2.0 */
#include "common/program/program_loops.h"

#include "common/base/xalloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void program_loops_init(struct program_loops *l, int64_t threads)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	*l = (struct program_loops){
		.control = loop_new(),
		.n = threads ? (size_t)threads : (size_t)(cores > 0 ? cores : 1),
	};
	l->workers = xcalloc(l->n, sizeof(struct loop *));
	for (size_t i = 0; i < l->n; i++)
		l->workers[i] = loop_new();
}

void program_loops_run_control(struct program_loops *l)
{
	loop_start(l->control, "control");
}

void program_loops_run(struct program_loops *l)
{
	for (size_t i = 0; i < l->n; i++) {
		char name[32];
		snprintf(name, sizeof name, "loop-%zu", i);
		loop_start(l->workers[i], name);
	}
	l->run = true;
}

void program_loops_stop_workers(struct program_loops *l)
{
	for (size_t i = 0; i < l->n && l->run; i++) {
		loop_stop(l->workers[i]);
		loop_join(l->workers[i]);
	}
	l->run = false;
}

void program_loops_done(struct program_loops *l)
{
	for (size_t i = 0; i < l->n; i++)
		loop_free(l->workers[i]);
	free(l->workers);
	loop_free(l->control);
	*l = (struct program_loops){.n = 0};
}
