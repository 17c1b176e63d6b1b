/* SPDX-License-Identifier: Apache-2.0 */
#include "common/program/program_start.h"

#include "common/base/process.h"

#include <unistd.h>

void program_start(struct stop_signals *signals, enum log_level level, enum log_format format)
{
	process_fill_standard_files();
	stop_signals_init(signals);
	process_ignore_write_signals();
	process_raise_open_files();
	log_setup(level, format);
	struct status status = process_forbid_core_dumps();
	if (status.code != STATUS_OK)
		log_warning("process.core_dumps", LOG_STATUS(&status));
}

static void on_stray(void *arg, const struct option_stray *stray)
{
	(void)arg;
	if (stray->in_file_only)
		log_warning("option.ignored", LOG_TEXT("variable", stray->name),
			LOG_TEXT("meaning", "this option is a section of the configuration file"));
	else
		log_warning("option.unknown", LOG_TEXT("variable", stray->name),
			LOG_TEXT("nearest", stray->nearest ? stray->nearest : "none"));
}

void program_warn_of_env(const struct option_table *table)
{
	options_suspicious_env(table, environ, on_stray, NULL);
}

void program_log_changed_option(void *arg, const struct option_change *c)
{
	(void)arg;
	if (c->applied)
		log_info("option.changed", LOG_TEXT("option", c->name), LOG_TEXT("from", c->old),
			LOG_TEXT("to", c->new));
	else
		log_warning("option.needs_restart", LOG_TEXT("option", c->name),
			LOG_TEXT("from", c->old), LOG_TEXT("to", c->new));
}
