/* SPDX-License-Identifier: Apache-2.0 */
#include "service/api/answer.h"
#include "service/api/api.h"
#include "service/api/handlers.h"
#include "service/api/token_pb.h"
#include "service/app/token_app.h"
#include "service/app/token_change.h"

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
		.user = str_of(in->user),
	};
	return answer_begun(
		c, token_app_list(api->tokens, &request, c->arena, answer_waiter(c), on_list));
}

static void on_update(void *arg, const struct status *status, struct token *token)
{
	struct call *c = arg;
	if (status->code != STATUS_OK || call_is_finished(c)) {
		answer_error(c, status);
		return;
	}
	Osmo__Token__V1__UpdateResponse *reply = ANSWER_NEW(
		c, Osmo__Token__V1__UpdateResponse, osmo__token__v1__update_response__init);
	reply->token = token_to_pb(token, c->arena);
	answer_reply(c, &reply->base);
}

/* Without a mask: what is not empty. */
static struct status read_mask(
	const Osmo__Token__V1__UpdateRequest *in, struct token_update_request *request)
{
	size_t n = in->update_mask ? in->update_mask->n_paths : 0;
	for (size_t i = 0; i < n; i++) {
		struct str path = str_of(in->update_mask->paths[i]);
		bool is_description = str_eq(path, STR("description"));
		if (!is_description && !str_eq(path, STR("roles")))
			return status_invalid("update_mask",
				"update_mask: 'description' and 'roles' can be changed, got '%.*s'",
				STR_ARG(path));
		*(is_description ? &request->set_description : &request->set_roles) = true;
	}
	if (n == 0) {
		request->set_description = in->description[0] != '\0';
		request->set_roles = in->n_roles > 0;
	}
	return status_ok();
}

struct call_step token_api_update(void *self, struct call *c)
{
	HANDLER_ON_LOOP(c);
	const struct api *api = self;
	const Osmo__Token__V1__UpdateRequest *in =
		(const Osmo__Token__V1__UpdateRequest *)c->request;
	struct token_update_request request = {
		.by = call_context(c)->principal,
		.name = str_of(in->name),
		.description = str_of(in->description),
		.roles = strings_from_pb(in->roles, in->n_roles, c->arena),
		.n_roles = in->n_roles,
	};
	struct status valid = token_kind_from_pb(in->kind, &request.kind);
	if (valid.code == STATUS_OK)
		valid = read_mask(in, &request);
	if (valid.code != STATUS_OK)
		return call_failed(c, valid);
	return answer_begun(c,
		token_change_update(api->tokens, &request, c->arena, answer_waiter(c), on_update));
}

static void on_rotate(
	void *arg, const struct status *status, struct token *token, struct str secret)
{
	struct call *c = arg;
	if (status->code != STATUS_OK || call_is_finished(c)) {
		answer_error(c, status);
		return;
	}
	Osmo__Token__V1__RotateResponse *reply = ANSWER_NEW(
		c, Osmo__Token__V1__RotateResponse, osmo__token__v1__rotate_response__init);
	reply->token = token_to_pb(token, c->arena);
	reply->secret = arena_strndup(c->arena, secret.p, secret.n);
	answer_reply(c, &reply->base);
}

struct call_step token_api_rotate(void *self, struct call *c)
{
	HANDLER_ON_LOOP(c);
	const struct api *api = self;
	const Osmo__Token__V1__RotateRequest *in =
		(const Osmo__Token__V1__RotateRequest *)c->request;
	c->reply_headers[CALL_REPLY_NO_STORE] = STR("no-store");
	struct token_rotate_request request = {
		.by = call_context(c)->principal,
		.name = str_of(in->name),
		.expire_date = str_of(in->expire_date),
		.request_id = str_of(in->request_id),
	};
	struct status valid = token_kind_from_pb(in->kind, &request.kind);
	if (valid.code == STATUS_OK && in->overlap)
		valid = seconds_from_pb("overlap", in->overlap, &request.overlap_s);
	if (valid.code != STATUS_OK)
		return call_failed(c, valid);
	return answer_begun(c,
		token_change_rotate(api->tokens, &request, c->arena, answer_waiter(c), on_rotate));
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

static void on_delete_all(void *arg, const struct status *status, size_t n)
{
	struct call *c = arg;
	if (status->code != STATUS_OK || call_is_finished(c)) {
		answer_error(c, status);
		return;
	}
	Osmo__Token__V1__DeleteAllResponse *reply = ANSWER_NEW(
		c, Osmo__Token__V1__DeleteAllResponse, osmo__token__v1__delete_all_response__init);
	reply->deleted = n > INT32_MAX ? INT32_MAX : (int32_t)n;
	answer_reply(c, &reply->base);
}

struct call_step token_api_delete_all(void *self, struct call *c)
{
	HANDLER_ON_LOOP(c);
	const struct api *api = self;
	struct str user = str_of(((const Osmo__Token__V1__DeleteAllRequest *)c->request)->user);
	return answer_begun(c,
		token_app_delete_all(api->tokens, user, c->arena, answer_waiter(c), on_delete_all));
}

struct call_step token_api_whoami(void *self, struct call *c)
{
	(void)self;
	Osmo__Token__V1__WhoAmIResponse *reply =
		arena_alloc(c->arena, sizeof(Osmo__Token__V1__WhoAmIResponse));
	principal_to_pb(call_context(c)->principal, c->arena, reply);
	return call_finished(c, &reply->base);
}
