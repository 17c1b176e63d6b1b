/* SPDX-License-Identifier: Apache-2.0 */
/* The name of a call in the logs: the peer's X-Request-Id if it is sane (1 to 71 printable ASCII
 * characters, no spaces), else one of our own, unique and not secret. Threads: any. */
#pragma once

#include "common/base/str.h"
#include "common/rpc/call.h" /* CALL_REQUEST_ID_BYTES */

/* @wish, what the peer sent, if it is sane; else a new one. */
void request_id_choose(struct str wish, char ret[CALL_REQUEST_ID_BYTES]);

/* Sets call->request_id, unless it is set. */
void request_id_assign(struct call *c);
