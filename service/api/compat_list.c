/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of tokens for existing clients, which know no pages: pages are collected until the last
 * one. What a list may hold is bounded, and what all of them hold at a time, because each is in
 * memory as a whole. */
#include "service/api/answer.h"
#include "service/api/api.h"
#include "service/api/compat_pb.h"
#include "service/api/handlers.h"
#include "service/app/token_app.h"

#include <string.h>

enum {
	/* As a message. 4 MiB is what clients of gRPC take, a gateway of its own among them. */
	LIST_MAX_BYTES = 4 << 20,
	ALL_LISTS_MAX_BYTES = 16 << 20,
	FIELD_OVERHEAD_BYTES = 5, /* of an object in a list: its tag and length */
};

struct list_context {
	struct call_release release;
	struct call *call;
	const struct api *api;
	enum token_kind kind;
	Osmo__Compat__V1__ListTokensResponse *reply;
	size_t capacity;
	size_t bytes; /* so far; in api->listed_bytes as well */
};

static struct status list_page(struct list_context *context, struct str page_token);

static void on_release(struct call_release *release)
{
	struct list_context *context = container_of(release, struct list_context, release);
	atomic_fetch_sub_explicit(context->api->listed_bytes, context->bytes, memory_order_relaxed);
}

static struct status reserve(struct list_context *context, size_t bytes)
{
	context->bytes += bytes;
	size_t before =
		atomic_fetch_add_explicit(context->api->listed_bytes, bytes, memory_order_relaxed);
	if (context->bytes > LIST_MAX_BYTES)
		return status_error(STATUS_FAILED_PRECONDITION,
			"There are more access tokens than a list without pages may hold (%d MiB): "
			"GET /v1/tokens lists them page by page.",
			LIST_MAX_BYTES >> 20);
	if (before + bytes > ALL_LISTS_MAX_BYTES)
		return status_error(STATUS_RESOURCE_EXHAUSTED,
			"Too many long lists of access tokens are asked for at the moment; try "
			"again later.");
	return status_ok();
}

static struct status add(struct list_context *context, const struct token *token)
{
	Osmo__Compat__V1__ListTokensResponse *reply = context->reply;
	struct arena *arena = context->call->arena;
	if (reply->n_tokens == context->capacity) {
		size_t capacity = context->capacity ? context->capacity * 2 : TOKEN_LIST_MAX_PAGE;
		Osmo__Compat__V1__TokenObject **grown =
			arena_calloc(arena, capacity, sizeof(void *));
		if (reply->n_tokens)
			memcpy(grown, reply->tokens, reply->n_tokens * sizeof(void *));
		reply->tokens = grown;
		context->capacity = capacity;
	}
	Osmo__Compat__V1__TokenObject *object = token_to_object(token, arena);
	reply->tokens[reply->n_tokens++] = object;
	return reserve(context,
		osmo__compat__v1__token_object__get_packed_size(object) + FIELD_OVERHEAD_BYTES);
}

static void on_page(void *arg, const struct status *status, struct token *const *tokens, size_t n,
	struct str next_page_token)
{
	struct list_context *context = arg;
	struct call *c = context->call;
	if (status->code != STATUS_OK || call_is_finished(c)) {
		answer_error(c, status);
		return;
	}
	struct status s = status_ok();
	for (size_t i = 0; i < n && status_is_ok(&s); i++)
		s = add(context, tokens[i]);
	if (status_is_ok(&s) && !next_page_token.n) {
		answer_reply(c, &context->reply->base);
		return;
	}
	if (status_is_ok(&s))
		s = list_page(context, next_page_token);
	if (!status_is_ok(&s))
		answer_error(c, &s);
}

static struct status list_page(struct list_context *context, struct str page_token)
{
	struct call *c = context->call;
	struct token_list_request request = {
		.by = call_context(c)->principal,
		.kind = context->kind,
		.page_size = TOKEN_LIST_MAX_PAGE,
		.page_token = page_token,
		.filter = STR(""),
	};
	struct store_waiter waiter = answer_waiter(c);
	waiter.arg = context;
	return token_app_list(context->api->tokens, &request, c->arena, waiter, on_page);
}

static struct call_step list_tokens(const struct api *api, struct call *c, enum token_kind kind)
{
	HANDLER_ON_LOOP(c);
	struct list_context *context = arena_calloc(c->arena, 1, sizeof *context);
	context->release.run = on_release;
	context->call = c;
	context->api = api;
	context->kind = kind;
	context->reply = ANSWER_NEW(c, Osmo__Compat__V1__ListTokensResponse,
		osmo__compat__v1__list_tokens_response__init);
	call_at_release(c, &context->release);
	return answer_begun(c, list_page(context, STR("")));
}

struct call_step compat_api_list_user_tokens(void *self, struct call *c)
{
	return list_tokens(self, c, TOKEN_USER);
}

struct call_step compat_api_list_service_tokens(void *self, struct call *c)
{
	return list_tokens(self, c, TOKEN_SERVICE);
}
