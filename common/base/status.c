/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/status.h"

#include "common/base/cleanup.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const names[STATUS_CODE_COUNT] = {
	[STATUS_OK] = "OK",
	[STATUS_CANCELLED] = "CANCELLED",
	[STATUS_UNKNOWN] = "UNKNOWN",
	[STATUS_INVALID_ARGUMENT] = "INVALID_ARGUMENT",
	[STATUS_DEADLINE_EXCEEDED] = "DEADLINE_EXCEEDED",
	[STATUS_NOT_FOUND] = "NOT_FOUND",
	[STATUS_ALREADY_EXISTS] = "ALREADY_EXISTS",
	[STATUS_PERMISSION_DENIED] = "PERMISSION_DENIED",
	[STATUS_RESOURCE_EXHAUSTED] = "RESOURCE_EXHAUSTED",
	[STATUS_FAILED_PRECONDITION] = "FAILED_PRECONDITION",
	[STATUS_ABORTED] = "ABORTED",
	[STATUS_OUT_OF_RANGE] = "OUT_OF_RANGE",
	[STATUS_UNIMPLEMENTED] = "UNIMPLEMENTED",
	[STATUS_INTERNAL] = "INTERNAL",
	[STATUS_UNAVAILABLE] = "UNAVAILABLE",
	[STATUS_DATA_LOSS] = "DATA_LOSS",
	[STATUS_UNAUTHENTICATED] = "UNAUTHENTICATED",
};

const char *status_code_name(enum status_code code)
{
	return (size_t)code < ARRAY_SIZE(names) ? names[code] : "UNKNOWN";
}

/* A text that was cut ends with a whole UTF-8 character: gRPC and JSON carry nothing else. */
static void cut_at_character(char *text, size_t size, int wanted)
{
	if (wanted < 0 || (size_t)wanted < size)
		return;
	size_t n = size - 1;
	while (n && ((unsigned char)text[n - 1] & 0xC0) == 0x80)
		n--;
	if (n && ((unsigned char)text[n - 1] & 0x80) && !str_is_utf8((struct str){text, size - 1}))
		text[n - 1] = '\0';
}

static void set_message(struct status *s, const char *format, va_list args)
	__attribute__((format(printf, 2, 0)));
static void set_message(struct status *s, const char *format, va_list args)
{
	cut_at_character(s->message, sizeof s->message,
		vsnprintf(s->message, sizeof s->message, format, args));
}

#undef status_error /* of the analyser: see the header */
#undef status_invalid
#undef status_quota

struct status status_error(enum status_code code, const char *format, ...)
{
	struct status s = {.code = code};
	va_list args;
	va_start(args, format);
	set_message(&s, format, args);
	va_end(args);
	return s;
}

static void set_field(struct status *s, const char *field)
{
	cut_at_character(
		s->field, sizeof s->field, snprintf(s->field, sizeof s->field, "%s", field));
}

struct status status_invalid(const char *field, const char *format, ...)
{
	struct status s = {.code = STATUS_INVALID_ARGUMENT};
	set_field(&s, field);
	va_list args;
	va_start(args, format);
	set_message(&s, format, args);
	va_end(args);
	return s;
}

struct status status_quota(const char *subject, const char *format, ...)
{
	struct status s = {.code = STATUS_RESOURCE_EXHAUSTED};
	set_field(&s, subject);
	va_list args;
	va_start(args, format);
	set_message(&s, format, args);
	va_end(args);
	return s;
}
