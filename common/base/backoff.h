/* SPDX-License-Identifier: Apache-2.0 */
/* How long to wait before the next try of something that failed: longer each time, up to a bound,
 * and by chance up to half less, so that many who lost the same thing do not come back at the same
 * moment. Threads: one at a time. */
#pragma once

#include "common/base/random.h"

#include <stdint.h>

struct backoff {
	int64_t least_ms, most_ms;
	int64_t next_ms;
};

struct backoff backoff_new(int64_t least_ms, int64_t most_ms);
/* From half of the wait that is due to all of it; the next one is twice as long. */
int64_t backoff_next(struct backoff *b, const struct random *random);
/* It worked: the next wait is the least again. */
void backoff_reset(struct backoff *b);
