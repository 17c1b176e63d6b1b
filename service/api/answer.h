/* SPDX-License-Identifier: Apache-2.0 */
/* How handlers answer, late or at once. Internal to api/.
 *
 * A handler that needs the store begins with HANDLER_ON_LOOP(c), starts its use case and returns
 * call_pending(c). The callback of the use case answers with answer_reply or answer_error. */
#pragma once

#include "service/interceptor/chain.h"
#include "service/store/store.h"

#define HANDLER_ON_LOOP(c)                                                                         \
	do {                                                                                       \
		if (!(c)->on_loop)                                                                 \
			return call_move(c);                                                       \
	} while (0)

/* A store operation of this call; its callback gets the call. */
struct store_waiter answer_waiter(struct call *c);

/* Ends a pending call. */
void answer_reply(struct call *c, ProtobufCMessage *reply);
void answer_error(struct call *c, const struct status *status);

/* For a use case that was begun: an error now, or an answer later. Sets WWW-Authenticate. */
struct call_step answer_begun(struct call *c, struct status begun);

/* A reply message in the call's arena, initialised. */
#define ANSWER_NEW(c, Type, init)                                                                  \
	({                                                                                         \
		Type *answer_message = arena_alloc((c)->arena, sizeof(Type));                      \
		init(answer_message);                                                              \
		answer_message;                                                                    \
	})
