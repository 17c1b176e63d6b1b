/* SPDX-License-Identifier: Apache-2.0 */
#include "service/api/answer.h"
#include "service/api/api.h"
#include "service/api/handlers.h"
#include "service/api/token_pb.h"
#include "service/app/token_app.h"

static void on_set(void *arg, const struct status *status, struct token *token, struct str secret)
{
	struct call *c = arg;
	if (status->code != STATUS_OK || call_is_finished(c)) {
		answer_error(c, status);
		return;
	}
	Osmo__Token__V1__SetResponse *reply =
		ANSWER_NEW(c, Osmo__Token__V1__SetResponse, osmo__token__v1__set_response__init);
	reply->token = token_to_pb(token, c->arena);
	reply->secret = arena_strndup(c->arena, secret.p, secret.n);
	answer_reply(c, &reply->base);
}

struct call_step token_api_set(void *self, struct call *c)
{
	HANDLER_ON_LOOP(c);
	const struct api *api = self;
	const Osmo__Token__V1__SetRequest *in = (const Osmo__Token__V1__SetRequest *)c->request;
	c->reply_headers[CALL_REPLY_NO_STORE] = STR("no-store");
	enum token_kind kind;
	struct status known = token_kind_from_pb(in->kind, &kind);
	if (known.code != STATUS_OK)
		return call_failed(c, known);
	struct token_set_request request = {
		.by = call_context(c)->principal,
		.kind = kind,
		.name = str_of(in->name),
		.description = str_of(in->description),
		.roles = strings_from_pb(in->roles, in->n_roles, c->arena),
		.n_roles = in->n_roles,
		.expire_date = str_of(in->expire_date),
		.expire_date_field = "expire_date",
		.needs_roles = true,
		.request_id = str_of(in->request_id),
	};
	return answer_begun(
		c, token_app_set(api->tokens, &request, c->arena, answer_waiter(c), on_set));
}

static void on_list(void *arg, const struct status *status, struct token *const *tokens, size_t n,
	struct str next_page_token)
{
	struct call *c = arg;
	if (status->code != STATUS_OK || call_is_finished(c)) {
		answer_error(c, status);
		return;
	}
	Osmo__Token__V1__ListResponse *reply =
		ANSWER_NEW(c, Osmo__Token__V1__ListResponse, osmo__token__v1__list_response__init);
	reply->tokens = arena_calloc(c->arena, n, sizeof *reply->tokens);
	reply->n_tokens = n;
	for (size_t i = 0; i < n; i++)
		reply->tokens[i] = token_to_pb(tokens[i], c->arena);
	reply->next_page_token = arena_strndup(c->arena, next_page_token.p, next_page_token.n);
	answer_reply(c, &reply->base);
}

struct call_step token_api_list(void *self, struct call *c)
{
	HANDLER_ON_LOOP(c);
	const struct api *api = self;
	const Osmo__Token__V1__ListRequest *in = (const Osmo__Token__V1__ListRequest *)c->request;
	enum token_kind kind;
	struct status known = token_kind_from_pb(in->kind, &kind);
	if (known.code != STATUS_OK)
		return call_failed(c, known);
	struct token_list_request request = {
		.by = call_context(c)->principal,
		.kind = kind,
		.page_size = in->page_size,
		.page_token = str_of(in->page_token),
		.filter = str_of(in->filter),
	};
	return answer_begun(
		c, token_app_list(api->tokens, &request, c->arena, answer_waiter(c), on_list));
}

static void on_delete(void *arg, const struct status *status)
{
	struct call *c = arg;
	if (status->code != STATUS_OK || call_is_finished(c)) {
		answer_error(c, status);
		return;
	}
	answer_reply(c, &ANSWER_NEW(c, Osmo__Token__V1__DeleteResponse,
				osmo__token__v1__delete_response__init)
				 ->base);
}

struct call_step token_api_delete(void *self, struct call *c)
{
	HANDLER_ON_LOOP(c);
	const struct api *api = self;
	const Osmo__Token__V1__DeleteRequest *in =
		(const Osmo__Token__V1__DeleteRequest *)c->request;
	enum token_kind kind;
	struct status known = token_kind_from_pb(in->kind, &kind);
	if (known.code != STATUS_OK)
		return call_failed(c, known);
	return answer_begun(c, token_app_delete(api->tokens, call_context(c)->principal, kind,
				       str_of(in->name), c->arena, answer_waiter(c), on_delete));
}

struct call_step token_api_whoami(void *self, struct call *c)
{
	(void)self;
	Osmo__Token__V1__WhoAmIResponse *reply =
		arena_alloc(c->arena, sizeof(Osmo__Token__V1__WhoAmIResponse));
	principal_to_pb(call_context(c)->principal, c->arena, reply);
	return call_finished(c, &reply->base);
}
