/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials that were refused: an event of the log for each, bounded so that whoever guesses
 * cannot fill the disk, and a metric that counts all. Never the credential itself. Threads: any. */
#pragma once

#include "common/base/clock.h"
#include "common/base/rate_limit.h"
#include "common/rpc/call.h"

struct counter;
struct metrics;

/* What the credential was given for. */
enum auth_failure_place {
	AUTH_FAILURE_CALL,     /* to make this call */
	AUTH_FAILURE_EXCHANGE, /* to get a JWT for it, or to hear about it */
	AUTH_FAILURE_AUTHORIZE /* to be judged: somebody else's call carried it */
};
enum {
	AUTH_FAILURE_PLACES = AUTH_FAILURE_AUTHORIZE + 1
};

struct auth_failures {
	const struct clock *clock;
	struct rate_limit limit; /* of the log */
	struct counter *counters[AUTH_FAILURE_PLACES];
};

/* @clock is borrowed. */
void auth_failures_init(
	struct auth_failures *f, const struct clock *clock, struct metrics *metrics);
/* @reason ("unknown_token") is for the log: whoever sent the credential is not told. @f may be
 * NULL: nobody wants to know. */
void auth_failures_note(struct auth_failures *f, const struct call *c,
	enum auth_failure_place place, const char *reason);
