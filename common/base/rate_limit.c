/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/rate_limit.h"

void rate_limit_init(struct rate_limit *r, unsigned per_second, unsigned burst)
{
	r->interval_us = US_PER_S / per_second;
	r->burst_us = r->interval_us * burst;
	atomic_init(&r->due_us, INT64_MIN / 2);
	atomic_init(&r->held_back, 0);
}

bool rate_limit_pass(struct rate_limit *r, struct mono_time now, uint64_t *ret_held_back)
{
	int64_t due = atomic_load_explicit(&r->due_us, memory_order_relaxed), next;
	do {
		next = (due > now.us ? due : now.us) + r->interval_us;
		if (next - now.us > r->burst_us) {
			atomic_fetch_add_explicit(&r->held_back, 1, memory_order_relaxed);
			return false;
		}
	} while (!atomic_compare_exchange_weak_explicit(
		&r->due_us, &due, next, memory_order_relaxed, memory_order_relaxed));
	*ret_held_back = atomic_exchange_explicit(&r->held_back, 0, memory_order_relaxed);
	return true;
}
