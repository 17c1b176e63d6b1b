/* SPDX-License-Identifier: Apache-2.0 */
#include "service/interceptor/request_id.h"

#include "common/rpc/request_id.h"

struct call_step request_id_run(void *self, struct call *c)
{
	(void)self;
	request_id_assign(c);
	return call_next(c);
}
