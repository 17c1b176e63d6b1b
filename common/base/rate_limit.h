/* SPDX-License-Identifier: Apache-2.0 */
/* How often something may happen: a rate with a burst, and a count of what was held back, for
 * events that a peer can cause at will (logs of failures).
 *
 * Lock-free: the generic cell rate algorithm on one number. Threads: any. */
#pragma once

#include "common/base/clock.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct rate_limit {
	int64_t interval_us, burst_us;
	_Atomic int64_t due_us; /* when all that has passed would be paid for */
	_Atomic uint64_t held_back;
};

/* @per_second of them in the long run, @burst at once. */
void rate_limit_init(struct rate_limit *r, unsigned per_second, unsigned burst);
/* True: it may happen, and *@ret_held_back were held back since the last that did. */
bool rate_limit_pass(struct rate_limit *r, struct mono_time now, uint64_t *ret_held_back);
