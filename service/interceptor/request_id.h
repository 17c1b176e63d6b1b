/* SPDX-License-Identifier: Apache-2.0 */
/* The first step: gives the call a name for the logs (common/rpc/request_id.h). self: unused. */
#pragma once

#include "service/interceptor/chain.h"

struct call_step request_id_run(void *self, struct call *c);
