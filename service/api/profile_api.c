/* SPDX-License-Identifier: Apache-2.0 */
#include "service/api/answer.h"
#include "service/api/api.h"
#include "service/api/handlers.h"
#include "service/api/profile_pb.h"
#include "service/api/token_pb.h"
#include "service/app/profile_app.h"

#include "osmo/token/v1/profile_service.pb-c.h"

struct get_context {
	struct call *call;
	const struct api *api;
};

static void on_get(void *arg, const struct status *status, const struct store_profile *profile)
{
	struct get_context *context = arg;
	struct call *c = context->call;
	const struct profile_app *app = context->api->profiles;
	if (status->code != STATUS_OK || call_is_finished(c)) {
		answer_error(c, status);
		return;
	}
	Osmo__Token__V1__Profile *pb =
		ANSWER_NEW(c, Osmo__Token__V1__Profile, osmo__token__v1__profile__init);
	pb->user = arena_strndup(c->arena, profile->user.p, profile->user.n);
	pb->email_notification = profile->email_notification;
	pb->slack_notification = profile->slack_notification;
	pb->bucket = string_value_to_pb(profile->bucket, c->arena);
	pb->pool = string_value_to_pb(profile->pool, c->arena);
	Osmo__Token__V1__GetProfileResponse *reply = ANSWER_NEW(c,
		Osmo__Token__V1__GetProfileResponse, osmo__token__v1__get_profile_response__init);
	reply->profile = pb;
	reply->pools = strings_to_pb(app->pools, app->n_pools, c->arena);
	reply->n_pools = app->n_pools;
	answer_reply(c, &reply->base);
}

struct call_step profile_api_get(void *self, struct call *c)
{
	HANDLER_ON_LOOP(c);
	const struct api *api = self;
	struct get_context *context = arena_alloc(c->arena, sizeof *context);
	*context = (struct get_context){c, api};
	struct store_waiter waiter = answer_waiter(c);
	waiter.arg = context;
	return answer_begun(c, profile_app_get(api->profiles, call_context(c)->principal, c->arena,
				       waiter, on_get));
}

static void on_set(void *arg, const struct status *status)
{
	struct call *c = arg;
	if (status->code != STATUS_OK || call_is_finished(c)) {
		answer_error(c, status);
		return;
	}
	answer_reply(c, &ANSWER_NEW(c, Osmo__Token__V1__SetProfileResponse,
				osmo__token__v1__set_profile_response__init)
				 ->base);
}

struct call_step profile_api_set(void *self, struct call *c)
{
	HANDLER_ON_LOOP(c);
	const struct api *api = self;
	const Osmo__Token__V1__SetProfileRequest *in =
		(const Osmo__Token__V1__SetProfileRequest *)c->request;
	struct store_profile_change change = profile_change_from_pb(
		in->email_notification, in->slack_notification, in->bucket, in->pool);
	return answer_begun(c, profile_app_set(api->profiles, call_context(c)->principal, &change,
				       c->arena, answer_waiter(c), on_set));
}
