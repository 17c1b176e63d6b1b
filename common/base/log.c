/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/log.h"

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/escape.h"

#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <unistd.h>

enum {
	LINE_MAX_BYTES = 32768, /* room for the longest value with each byte escaped */
	VALUE_MAX_BYTES = 4096,
	TAIL_MAX_BYTES = 64 /* kept for what closes a line */
};

static _Atomic int least_level = LOG_INFO;
static _Atomic int line_format = LOG_FORMAT_AUTO;
static log_find_secret_fn *find_secret;

static const char *const level_names[] = {[LOG_DEBUG] = "debug",
	[LOG_INFO] = "info",
	[LOG_WARNING] = "warning",
	[LOG_ERROR] = "error"};

void log_setup(enum log_level least, enum log_format format)
{
	if (format == LOG_FORMAT_AUTO)
		format = isatty(STDERR_FILENO) ? LOG_FORMAT_LOGFMT : LOG_FORMAT_JSON;
	atomic_store(&line_format, (int)format);
	log_set_level(least);
}

void log_hide_secrets(log_find_secret_fn *find)
{
	find_secret = find;
}

void log_set_level(enum log_level least)
{
	atomic_store(&least_level, (int)least);
}

bool log_enabled(enum log_level level)
{
	return (int)level >= atomic_load_explicit(&least_level, memory_order_relaxed);
}

/* A value that is too long is cut at a character and says so: "abc... (70000 bytes)". */
static void append_quoted(struct buf *b, struct str s)
{
	buf_append_char(b, '"');
	if (!escape_json(b, s, VALUE_MAX_BYTES))
		buf_printf(b, "... (%zu bytes)", s.n);
	buf_append_char(b, '"');
}

static bool is_plain(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c >= 0x7F)
			return false;
	}
	return s.n > 0 && s.n <= VALUE_MAX_BYTES;
}

/* @text with *** for each secret in it; in @memory if there is any. */
static struct str hide_secrets(struct str text, struct buf *memory)
{
	size_t end = 0, at, n;
	while (find_secret && (at = find_secret(text, end, &n)) < text.n) {
		buf_append_str(memory, str_sub(text, end, at - end));
		buf_append_str(memory, STR("***"));
		end = at + n;
	}
	if (!end)
		return text;
	buf_append_str(memory, str_sub(text, end, text.n));
	return buf_str(memory);
}

static void append_text(struct buf *b, struct str text, bool json)
{
	_cleanup_buf_ struct buf memory;
	buf_init(&memory, SIZE_MAX);
	struct str shown = hide_secrets(text, &memory);
	if (!json && is_plain(shown))
		buf_append_str(b, shown);
	else
		append_quoted(b, shown);
}

static void append_value(struct buf *b, const struct log_field *f, bool json)
{
	switch (f->type) {
	case LOG_FIELD_STR:
		append_text(b, f->text, json);
		break;
	case LOG_FIELD_I64:
		buf_printf(b, "%lld", (long long)f->number);
		break;
	case LOG_FIELD_F64:
		if (isfinite(f->real))
			buf_printf(b, "%.6g", f->real);
		else
			buf_append_str(b, STR("null"));
		break;
	case LOG_FIELD_BOOL:
		buf_append_str(b, f->number ? STR("true") : STR("false"));
		break;
	}
}

/* A field that does not fit is left out whole, and the line says how many were: half a field would
 * be no JSON any more. */
static void append_fields(struct buf *line, const struct log_field *fields, size_t n, bool json)
{
	size_t left_out = 0;
	for (size_t i = 0; i < n; i++) {
		size_t before = line->n;
		buf_printf(line, json ? ",\"%s\":" : " %s=", fields[i].key);
		append_value(line, &fields[i], json);
		if (buf_overflown(line) || line->n > LINE_MAX_BYTES - TAIL_MAX_BYTES) {
			buf_truncate(line, before);
			left_out++;
		}
	}
	if (left_out)
		buf_printf(
			line, json ? ",\"fields_left_out\":%zu" : " fields_left_out=%zu", left_out);
}

void log_event(enum log_level level, const char *event, const struct log_field *fields, size_t n)
{
	bool json = atomic_load_explicit(&line_format, memory_order_relaxed) != LOG_FORMAT_LOGFMT;
	char time[UNIX_TIME_TEXT_BYTES];
	unix_time_format(clock_now(&clock_system), time);

	_cleanup_buf_ struct buf line;
	buf_init(&line, LINE_MAX_BYTES);
	buf_printf(&line,
		json ? "{\"time\":\"%s\",\"level\":\"%s\",\"event\":\"%s\"" : "%s %-7s %s", time,
		level_names[level], event);
	append_fields(&line, fields, n, json);
	buf_append_str(&line, json ? STR("}\n") : STR("\n"));
	/* A log that cannot be written must not stop the service. */
	while (write(STDERR_FILENO, line.p, line.n) < 0 && errno == EINTR)
		;
}
