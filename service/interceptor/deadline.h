/* SPDX-License-Identifier: Apache-2.0 */
/* Puts a cap on how long a call may take, whatever its peer asked for.
 *
 * Without a deadline of the peer's the cap holds. One that has passed already is answered at once.
 */
#pragma once

#include "service/interceptor/chain.h"

struct deadline_config {
	int64_t max_ms;
};

/* self: a const struct deadline_config. */
struct call_step deadline_run(void *self, struct call *c);
