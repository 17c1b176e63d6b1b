/* SPDX-License-Identifier: Apache-2.0 */
#include "service/interceptor/deadline.h"

struct call_step deadline_run(void *self, struct call *c)
{
	const struct deadline_config *config = self;
	struct call_context *ctx = call_context(c);
	struct mono_time cap = mono_time_add_ms(c->received, config->max_ms);
	ctx->deadline = c->deadline.us < cap.us ? c->deadline : cap;
	if (c->deadline.us <= c->received.us)
		return call_failed(c, status_error(STATUS_DEADLINE_EXCEEDED,
					      "the deadline of the call has passed"));
	return call_next(c);
}
