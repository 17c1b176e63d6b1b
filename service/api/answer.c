/* SPDX-License-Identifier: Apache-2.0 */
#include "service/api/answer.h"

#include "service/interceptor/authz.h"

struct store_waiter answer_waiter(struct call *c)
{
	return (struct store_waiter){
		.home = c->home, .deadline = call_context(c)->deadline, .arg = c};
}

void answer_reply(struct call *c, ProtobufCMessage *reply)
{
	call_finish(c, reply);
	call_release_pending(c);
}

void answer_error(struct call *c, const struct status *status)
{
	call_fail(c, *status);
	call_release_pending(c);
}

struct call_step answer_begun(struct call *c, struct status begun)
{
	if (begun.code == STATUS_OK)
		return call_pending(c);
	if (begun.code == STATUS_UNAUTHENTICATED)
		return authz_unauthenticated(c);
	if (begun.code == STATUS_PERMISSION_DENIED)
		return authz_denied(c, begun);
	return call_failed(c, begun);
}
