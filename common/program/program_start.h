/* SPDX-License-Identifier: Apache-2.0 */
/* What servers do alike before they serve. Threads: the first one, before there are others. */
#pragma once

#include "common/base/log.h"
#include "common/config/options.h"
#include "common/event/stop_signals.h"

/* Standard files are open, signals wait to be taken, writes to closed pipes are errors, files may
 * be many, memory is in no core dump; and what is logged is logged so. */
void program_start(struct stop_signals *signals, enum log_level level, enum log_format format);

/* Warns of environment variables that look like options of @table and are none. */
void program_warn_of_env(const struct option_table *table);

/* For options_reload: one line of the log for each option that differs. */
options_changed_fn program_log_changed_option;
