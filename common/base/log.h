/* SPDX-License-Identifier: Apache-2.0 */
/* Structured logs: one event, one line on standard error.
 *
 *     log_info("token.deleted", LOG_STR("token", name), LOG_I64("age_s", age));
 *
 * The first argument is the stable name of the event; JSON lines, or logfmt on a terminal. Control
 * bytes are escaped (escape.h), so no value can forge a line; a value of more than 4 KiB is cut and
 * says how long it was. Library code returns a status and stays silent
 * above debug; the edge that decides logs once. Threads: any; a line is one write(2). */
#pragma once

#include "common/base/clock.h"
#include "common/base/rate_limit.h"
#include "common/base/status.h"
#include "common/base/str.h"

#include <stdbool.h>
#include <stdint.h>

enum log_level {
	LOG_DEBUG,
	LOG_INFO,
	LOG_WARNING,
	LOG_ERROR
};
enum log_format {
	LOG_FORMAT_AUTO,
	LOG_FORMAT_JSON,
	LOG_FORMAT_LOGFMT
};

struct log_field {
	const char *key;
	enum {
		LOG_FIELD_STR,
		LOG_FIELD_I64,
		LOG_FIELD_F64,
		LOG_FIELD_BOOL
	} type;
	struct str text;
	int64_t number;
	double real;
};

#define LOG_STR(k, s) ((struct log_field){.key = (k), .type = LOG_FIELD_STR, .text = (s)})
#define LOG_TEXT(k, s) LOG_STR((k), str_of(s))
#define LOG_I64(k, v) ((struct log_field){.key = (k), .type = LOG_FIELD_I64, .number = (v)})
#define LOG_F64(k, v) ((struct log_field){.key = (k), .type = LOG_FIELD_F64, .real = (v)})
#define LOG_BOOL(k, v) ((struct log_field){.key = (k), .type = LOG_FIELD_BOOL, .number = (v)})
/* Two fields: code and message of a struct status *. */
#define LOG_STATUS(s) LOG_TEXT("code", status_code_name((s)->code)), LOG_TEXT("error", (s)->message)

/* Before any thread starts. The defaults are LOG_INFO and LOG_FORMAT_AUTO. */
void log_setup(enum log_level least, enum log_format format);
/* Finds the next secret in @text from @at on: where it begins, with its length in *@ret_n; text.n
 * if there is none. */
typedef size_t(log_find_secret_fn)(struct str text, size_t at, size_t *ret_n);
/* What @find finds in a value is written as ***: secrets come where nobody expects them, a token
 * where its name belongs. Before any thread starts. */
void log_hide_secrets(log_find_secret_fn *find);
/* Any thread, any time (SIGHUP). */
void log_set_level(enum log_level least);
bool log_enabled(enum log_level level);

void log_event(enum log_level level, const char *event, const struct log_field *fields, size_t n);

#define LOG_EVENT_(level, event, ...)                                                              \
	do {                                                                                       \
		if (log_enabled(level)) {                                                          \
			const struct log_field log_fields[] = {                                    \
				(struct log_field){.key = NULL}, ##__VA_ARGS__};                   \
			log_event((level), (event), log_fields + 1,                                \
				sizeof log_fields / sizeof log_fields[0] - 1);                     \
		}                                                                                  \
	} while (0)

#define log_debug(event, ...) LOG_EVENT_(LOG_DEBUG, event, ##__VA_ARGS__)
#define log_info(event, ...) LOG_EVENT_(LOG_INFO, event, ##__VA_ARGS__)
#define log_warning(event, ...) LOG_EVENT_(LOG_WARNING, event, ##__VA_ARGS__)
#define log_error(event, ...) LOG_EVENT_(LOG_ERROR, event, ##__VA_ARGS__)

/* For failures that repeat, or that a peer can cause at will: held to the rate of @limit (a struct
 * rate_limit *), with the count of those that were held back since. */
#define log_limited(limit, level, event, ...)                                                      \
	do {                                                                                       \
		uint64_t log_held_back;                                                            \
		if (log_enabled(level) &&                                                          \
			rate_limit_pass((limit), clock_mono(&clock_system), &log_held_back))       \
			LOG_EVENT_((level), event, ##__VA_ARGS__,                                  \
				LOG_I64("held_back", (int64_t)log_held_back));                     \
	} while (0)
