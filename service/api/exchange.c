/* SPDX-License-Identifier: Apache-2.0 */
#include "service/api/exchange.h"

#include "service/api/api.h"
#include "service/interceptor/auth_failure.h"
#include "service/interceptor/token_use.h"

struct context {
	const struct api *api;
	struct call *call;
	enum exchange_wish wish;
	exchange_refusal_fn *refusal;
	exchange_reply_fn *reply;
};

/* NULL and *@ret_status for an error. */
static ProtobufCMessage *reply_of(const struct context *context,
	const struct exchange_answer *answer, struct status *ret_status)
{
	*ret_status = answer->status;
	if (answer->status.code != STATUS_OK)
		return NULL;
	bool expired = answer->outcome == EXCHANGE_EXPIRED && context->wish == EXCHANGE_FOR_JWT;
	if (answer->outcome == EXCHANGE_UNKNOWN || expired) {
		auth_failures_note(context->api->failures, context->call, AUTH_FAILURE_EXCHANGE,
			expired ? "expired_token" : "unknown_token");
		*ret_status = context->refusal(answer->outcome);
		return NULL;
	}
	if (context->wish == EXCHANGE_FOR_JWT)
		token_use_note(context->api->use, context->call, answer->token);
	return context->reply(context->call, answer);
}

static void on_answer(void *arg, struct exchange_answer *answer)
{
	const struct context *context = arg;
	struct call *c = context->call;
	struct status status = status_ok();
	ProtobufCMessage *reply = NULL;
	if (!call_is_finished(c))
		reply = reply_of(context, answer, &status);
	if (reply)
		answer_reply(c, reply);
	else
		answer_error(c, &status);
}

struct call_step exchange_handle(const struct api *api, struct call *c, struct str token,
	enum exchange_wish wish, exchange_refusal_fn *refusal, exchange_reply_fn *reply)
{
	const struct context now = {api, c, wish, refusal, reply};
	_cleanup_exchange_answer_ struct exchange_answer answer = {.status = status_ok()};
	c->reply_headers[CALL_REPLY_NO_STORE] = STR("no-store");
	if (exchange_app_try(api->exchange, token, wish, &answer)) {
		struct status status;
		ProtobufCMessage *message = reply_of(&now, &answer, &status);
		return message ? call_finished(c, message) : call_failed(c, status);
	}
	HANDLER_ON_LOOP(c);
	struct context *later = arena_alloc(c->arena, sizeof *later);
	*later = now;
	struct store_waiter waiter = answer_waiter(c);
	waiter.arg = later;
	exchange_app_ask(api->exchange, token, wish, waiter, on_answer);
	return call_pending(c);
}
