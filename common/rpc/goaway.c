/* SPDX-License-Identifier: Apache-2.0 */
#include "common/rpc/goaway.h"

#include "common/rpc/core_context.h"

static void send_goaways(void *server)
{
	core_send_goaways(server);
}

bool goaway_send(grpc_server *server)
{
	if (!core_context_is_known())
		return false;
	core_context_run(send_goaways, server);
	return true;
}
