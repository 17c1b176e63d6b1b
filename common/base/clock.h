/* SPDX-License-Identifier: Apache-2.0 */
/* Time as a port: wall time for expiry, monotonic time for timers and durations.
 *
 * Domain code gets times as arguments; whoever needs "now" holds a const struct clock *. Tests pass
 * tests/lib/fake_clock. Threads: any. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Wall time: microseconds since 1970-01-01T00:00:00Z, no leap seconds. */
struct unix_time {
	int64_t us;
};

/* Monotonic time: microseconds since an arbitrary point; never compared with unix_time. */
struct mono_time {
	int64_t us;
};

struct clock {
	struct unix_time (*now)(const struct clock *self);
	struct mono_time (*mono)(const struct clock *self);
};

/* The operating system's clocks. */
extern const struct clock clock_system;

static inline struct unix_time clock_now(const struct clock *c)
{
	return c->now(c);
}

static inline struct mono_time clock_mono(const struct clock *c)
{
	return c->mono(c);
}

enum {
	US_PER_MS = 1000,
	US_PER_S = 1000000
};

static inline struct unix_time unix_time_from_s(int64_t s)
{
	return (struct unix_time){s * US_PER_S};
}

/* Whole seconds, rounded down. */
static inline int64_t unix_time_s(struct unix_time t)
{
	return t.us / US_PER_S - (t.us % US_PER_S < 0);
}

/* A deadline that never comes. */
#define MONO_TIME_NEVER ((struct mono_time){INT64_MAX})

static inline struct mono_time mono_time_add_ms(struct mono_time t, int64_t ms)
{
	int64_t us;
	if (__builtin_mul_overflow(ms, (int64_t)US_PER_MS, &us) ||
		__builtin_add_overflow(t.us, us, &us))
		return MONO_TIME_NEVER;
	return (struct mono_time){us};
}

/* "2026-05-01T12:00:00.123Z" (RFC 3339, UTC; milliseconds). */
enum {
	UNIX_TIME_TEXT_BYTES = 32
};
void unix_time_format(struct unix_time t, char ret[UNIX_TIME_TEXT_BYTES]);
