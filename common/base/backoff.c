/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/backoff.h"

struct backoff backoff_new(int64_t least_ms, int64_t most_ms)
{
	return (struct backoff){least_ms, most_ms, least_ms};
}

int64_t backoff_next(struct backoff *b, const struct random *random)
{
	uint32_t chance;
	random_bytes(random, &chance, sizeof chance);
	int64_t half_ms = b->next_ms / 2;
	int64_t wait_ms = b->next_ms - (int64_t)(chance % (uint64_t)(half_ms + 1));
	b->next_ms = b->next_ms > b->most_ms / 2 ? b->most_ms : 2 * b->next_ms;
	return wait_ms;
}

void backoff_reset(struct backoff *b)
{
	b->next_ms = b->least_ms;
}
