/* SPDX-License-Identifier: Apache-2.0 */
/* A clock that stands still until a test moves it. */
#pragma once

#include "common/base/clock.h"

struct fake_clock {
	struct clock clock; /* first: what the code under test is given */
	struct unix_time now;
	struct mono_time mono;
};

static inline struct unix_time fake_clock_now(const struct clock *c)
{
	return ((const struct fake_clock *)(const void *)c)->now;
}

static inline struct mono_time fake_clock_mono(const struct clock *c)
{
	return ((const struct fake_clock *)(const void *)c)->mono;
}

/* 2026-05-01T12:00:00Z unless a test says otherwise. */
static inline void fake_clock_init(struct fake_clock *c)
{
	*c = (struct fake_clock){.clock = {.now = fake_clock_now, .mono = fake_clock_mono},
		.now = {INT64_C(1777636800) * US_PER_S},
		.mono = {US_PER_S}};
}

/* Both clocks go on. */
static inline void fake_clock_advance_ms(struct fake_clock *c, int64_t ms)
{
	c->now.us += ms * US_PER_MS;
	c->mono.us += ms * US_PER_MS;
}
