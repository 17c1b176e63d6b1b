/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t read_us(clockid_t id)
{
	struct timespec ts;
	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * US_PER_S + ts.tv_nsec / 1000;
}

static struct unix_time system_now(const struct clock *self)
{
	(void)self;
	return (struct unix_time){read_us(CLOCK_REALTIME)};
}

static struct mono_time system_mono(const struct clock *self)
{
	(void)self;
	return (struct mono_time){read_us(CLOCK_MONOTONIC)};
}

const struct clock clock_system = {.now = system_now, .mono = system_mono};

void unix_time_format(struct unix_time t, char ret[UNIX_TIME_TEXT_BYTES])
{
	time_t s = (time_t)unix_time_s(t);
	struct tm tm;
	gmtime_r(&s, &tm);
	char day[UNIX_TIME_TEXT_BYTES];
	strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(ret, UNIX_TIME_TEXT_BYTES, "%.20s.%03dZ", day,
		(int)((t.us - (int64_t)s * US_PER_S) / US_PER_MS));
}
