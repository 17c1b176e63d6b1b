/* SPDX-License-Identifier: Apache-2.0 */
/* The one error type, from the store to the command line: a google.rpc.Code and a text for a
 * person.
 *
 * By value, with its text inside: it cannot leak, needs no allocation, crosses threads by copy, and
 * the compiler rejects an ignored one. A message says what was wrong, which value, and what is
 * expected; causes that only operators may see go to the log instead. */
#pragma once

#include "common/base/str.h"

#include <stdbool.h>

/* google.rpc.Code: the numbers are the wire's. */
enum status_code {
	STATUS_OK = 0,
	STATUS_CANCELLED = 1,
	STATUS_UNKNOWN = 2,
	STATUS_INVALID_ARGUMENT = 3,
	STATUS_DEADLINE_EXCEEDED = 4,
	STATUS_NOT_FOUND = 5,
	STATUS_ALREADY_EXISTS = 6,
	STATUS_PERMISSION_DENIED = 7,
	STATUS_RESOURCE_EXHAUSTED = 8,
	STATUS_FAILED_PRECONDITION = 9,
	STATUS_ABORTED = 10,
	STATUS_OUT_OF_RANGE = 11,
	STATUS_UNIMPLEMENTED = 12,
	STATUS_INTERNAL = 13,
	STATUS_UNAVAILABLE = 14,
	STATUS_DATA_LOSS = 15,
	STATUS_UNAUTHENTICATED = 16,
};
enum {
	STATUS_CODE_COUNT = 17
};

struct [[nodiscard]] status {
	enum status_code code;
	/* INVALID_ARGUMENT: path of the field at fault ("roles[1]"); RESOURCE_EXHAUSTED: whose
	 * quota is used up ("user:alice"), or what is too large ("message"); or empty */
	char field[60];
	char message[448]; /* UTF-8, cut at a character boundary if it was longer */
};

static inline struct status status_ok(void)
{
	struct status s;
	s.code = STATUS_OK;
	s.field[0] = s.message[0] = '\0';
	return s;
}

static inline bool status_is_ok(const struct status *s)
{
	return s->code == STATUS_OK;
}

struct status status_error(enum status_code code, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* INVALID_ARGUMENT about @field (google.rpc.BadRequest.FieldViolation.field). */
struct status status_invalid(const char *field, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* RESOURCE_EXHAUSTED because the quota of @subject ("user:alice") is used up, or @subject
 * ("message") is larger than it may be (google.rpc.QuotaFailure.Violation.subject): trying again
 * will not help. */
struct status status_quota(const char *subject, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#ifdef __clang_analyzer__
/* What the analyser cannot see from outside of status.c: an error is never OK. */
static inline struct status status_not_ok(struct status s)
{
	if (s.code == STATUS_OK)
		__builtin_unreachable();
	return s;
}
#define status_error(...) status_not_ok(status_error(__VA_ARGS__))
#define status_invalid(...) status_not_ok(status_invalid(__VA_ARGS__))
#define status_quota(...) status_not_ok(status_quota(__VA_ARGS__))
#endif

/* "NOT_FOUND"; a number that is no code reads "UNKNOWN". */
const char *status_code_name(enum status_code code);

/* INTERNAL, UNKNOWN, DATA_LOSS: the message is for the log, not for the caller. */
static inline bool status_code_is_our_fault(enum status_code code)
{
	return code == STATUS_INTERNAL || code == STATUS_UNKNOWN || code == STATUS_DATA_LOSS;
}

/* Passes an error on to the caller. */
#define TRY(expr)                                                                                  \
	do {                                                                                       \
		struct status try_status = (expr);                                                 \
		if (try_status.code != STATUS_OK)                                                  \
			return try_status;                                                         \
	} while (0)
