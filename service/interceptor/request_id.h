/* SPDX-License-Identifier: Apache-2.0 */
/* The first step: gives the call a name for the logs.
 *
 * The peer's X-Request-Id if it is sane (1 to 71 printable ASCII characters, no spaces), else one
 * of our own. */
#pragma once

#include "service/interceptor/chain.h"

struct call_step request_id_run(void *self, struct call *c);
