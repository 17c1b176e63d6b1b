/* SPDX-License-Identifier: Apache-2.0 */
/* What every program tells about itself: memory, CPU time, descriptors, start, build.
 *
 * The names are those of Prometheus' client libraries, so existing dashboards show them. */
#pragma once

struct metrics;

/* Registers process_* and build_info{program,version} with @m. */
void process_metrics_register(struct metrics *m, const char *program, const char *version);
