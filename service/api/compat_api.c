/* SPDX-License-Identifier: Apache-2.0 */
/* The surface of existing clients: shapes and message texts of osmo.compat.v1. */
#include "service/api/answer.h"
#include "service/api/api.h"
#include "service/api/compat_pb.h"
#include "service/api/handlers.h"
#include "service/api/profile_pb.h"
#include "service/api/token_pb.h"
#include "service/app/profile_app.h"
#include "service/app/token_app.h"

/* For use cases whose answer is `null`. */
static void on_done(void *arg, const struct status *status)
{
	struct call *c = arg;
	if (status->code != STATUS_OK || call_is_finished(c))
		answer_error(c, status);
	else
		answer_reply(c, compat_null_reply(c));
}

/* --- Tokens --- */

static void on_set(void *arg, const struct status *status, struct token *token, struct str secret)
{
	(void)token;
	struct call *c = arg;
	if (status->code != STATUS_OK || call_is_finished(c)) {
		answer_error(c, status);
		return;
	}
	Osmo__Compat__V1__CreateTokenResponse *reply =
		ANSWER_NEW(c, Osmo__Compat__V1__CreateTokenResponse,
			osmo__compat__v1__create_token_response__init);
	reply->token = arena_strndup(c->arena, secret.p, secret.n);
	answer_reply(c, &reply->base);
}

static struct call_step create_token(const struct api *api, struct call *c, enum token_kind kind)
{
	HANDLER_ON_LOOP(c);
	const Osmo__Compat__V1__CreateTokenRequest *in =
		(const Osmo__Compat__V1__CreateTokenRequest *)c->request;
	c->reply_headers[CALL_REPLY_NO_STORE] = STR("no-store");
	if (!in->expires_at[0])
		return call_failed(
			c, status_invalid("expires_at",
				   "expires_at is required: a date in YYYY-MM-DD format (e.g. "
				   "2025-12-31)"));
	struct token_set_request request = {
		.by = call_context(c)->principal,
		.kind = kind,
		.name = str_of(in->name),
		.description = str_of(in->description),
		.expire_date = str_of(in->expires_at),
		.expire_date_field = "expires_at",
		.needs_expire_date = true,
	};
	if (kind == TOKEN_SERVICE) { /* of a personal token they are ignored */
		request.roles = strings_from_pb(in->roles, in->n_roles, c->arena);
		request.n_roles = in->n_roles;
	}
	return answer_begun(
		c, token_app_set(api->tokens, &request, c->arena, answer_waiter(c), on_set));
}

struct call_step compat_api_create_user_token(void *self, struct call *c)
{
	return create_token(self, c, TOKEN_USER);
}

struct call_step compat_api_create_service_token(void *self, struct call *c)
{
	return create_token(self, c, TOKEN_SERVICE);
}

static struct call_step delete_token(const struct api *api, struct call *c, enum token_kind kind)
{
	HANDLER_ON_LOOP(c);
	struct str name = str_of(((const Osmo__Compat__V1__DeleteTokenRequest *)c->request)->name);
	return answer_begun(c, token_app_delete(api->tokens, call_context(c)->principal, kind, name,
				       c->arena, answer_waiter(c), on_done));
}

struct call_step compat_api_delete_user_token(void *self, struct call *c)
{
	return delete_token(self, c, TOKEN_USER);
}

struct call_step compat_api_delete_service_token(void *self, struct call *c)
{
	return delete_token(self, c, TOKEN_SERVICE);
}

/* --- Profile --- */

struct profile_context {
	struct call *call;
	const struct api *api;
};

static void on_profile(void *arg, const struct status *status, const struct store_profile *profile)
{
	struct profile_context *context = arg;
	struct call *c = context->call;
	const struct profile_app *app = context->api->profiles;
	if (status->code != STATUS_OK || call_is_finished(c)) {
		answer_error(c, status);
		return;
	}
	Osmo__Compat__V1__ProfileSettings *pb = ANSWER_NEW(
		c, Osmo__Compat__V1__ProfileSettings, osmo__compat__v1__profile_settings__init);
	pb->username = arena_strndup(c->arena, profile->user.p, profile->user.n);
	pb->email_notification = profile->email_notification;
	pb->slack_notification = profile->slack_notification;
	pb->bucket = string_value_to_pb(profile->bucket, c->arena);
	pb->pool = string_value_to_pb(profile->pool, c->arena);
	Osmo__Compat__V1__GetProfileResponse *reply = ANSWER_NEW(c,
		Osmo__Compat__V1__GetProfileResponse, osmo__compat__v1__get_profile_response__init);
	reply->profile = pb;
	reply->pools = strings_to_pb(app->pools, app->n_pools, c->arena);
	reply->n_pools = app->n_pools;
	answer_reply(c, &reply->base);
}

struct call_step compat_api_get_profile(void *self, struct call *c)
{
	HANDLER_ON_LOOP(c);
	const struct api *api = self;
	struct profile_context *context = arena_alloc(c->arena, sizeof *context);
	*context = (struct profile_context){c, api};
	struct store_waiter waiter = answer_waiter(c);
	waiter.arg = context;
	return answer_begun(c, profile_app_get(api->profiles, call_context(c)->principal, c->arena,
				       waiter, on_profile));
}

struct call_step compat_api_set_profile(void *self, struct call *c)
{
	HANDLER_ON_LOOP(c);
	const struct api *api = self;
	const Osmo__Compat__V1__SetProfileRequest *in =
		(const Osmo__Compat__V1__SetProfileRequest *)c->request;
	if (in->username)
		return call_failed(c, status_invalid("username",
					      "username: the name of a user cannot be changed"));
	struct store_profile_change change = profile_change_from_pb(
		in->email_notification, in->slack_notification, in->bucket, in->pool);
	return answer_begun(c, profile_app_set(api->profiles, call_context(c)->principal, &change,
				       c->arena, answer_waiter(c), on_done));
}

/* --- Version, health --- */

struct call_step compat_api_get_version(void *self, struct call *c)
{
	const struct api *api = self;
	Osmo__Compat__V1__Version *reply =
		ANSWER_NEW(c, Osmo__Compat__V1__Version, osmo__compat__v1__version__init);
	struct str rest = str_of(api->version), part = STR("");
	char **numbers[] = {&reply->major, &reply->minor, &reply->revision};
	for (size_t i = 0; i < ARRAY_SIZE(numbers) && str_split(&rest, '.', &part); i++)
		*numbers[i] = arena_strndup(c->arena, part.p, part.n);
	return call_finished(c, &reply->base);
}

struct call_step compat_api_get_health(void *self, struct call *c)
{
	(void)self;
	Osmo__Compat__V1__Health *reply =
		ANSWER_NEW(c, Osmo__Compat__V1__Health, osmo__compat__v1__health__init);
	reply->status = arena_strdup(c->arena, "OK");
	return call_finished(c, &reply->base);
}
