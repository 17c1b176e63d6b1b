/* SPDX-License-Identifier: Apache-2.0 */
/* What the exchange and the description of a token have in common, in both dialects. Internal to
 * api/. */
#pragma once

#include "service/api/answer.h"
#include "service/app/exchange_app.h"

struct api;

/* The answer for a token that is known. */
typedef ProtobufCMessage *(exchange_reply_fn)(struct call *c, const struct exchange_answer *answer);
/* The error for one that is not, or that has expired when a JWT was wished for. */
typedef struct status(exchange_refusal_fn)(enum exchange_outcome outcome);

/* Answers at once if memory knows the token, else when the store has said. */
struct call_step exchange_handle(const struct api *api, struct call *c, struct str token,
	enum exchange_wish wish, exchange_refusal_fn *refusal, exchange_reply_fn *reply);
