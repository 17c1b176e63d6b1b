/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/base64.h" /* hex_value */
#include "service/api/answer.h"
#include "service/api/api.h"
#include "service/api/exchange.h"
#include "service/api/handlers.h"
#include "service/api/token_pb.h"
#include "service/app/access.h"
#include "service/auth/authenticator.h"
#include "service/auth/keyring.h"
#include "service/interceptor/auth_failure.h"
#include "service/interceptor/token_use.h"

#include "osmo/token/v1/auth_service.pb-c.h"

#include <string.h>

static char *text_or_empty(struct arena *arena, const char *text)
{
	return arena_strdup(arena, text ? text : "");
}

struct call_step auth_api_login_info(void *self, struct call *c)
{
	const struct login_info *login = &((const struct api *)self)->login;
	Osmo__Token__V1__LoginInfoResponse *reply = ANSWER_NEW(
		c, Osmo__Token__V1__LoginInfoResponse, osmo__token__v1__login_info_response__init);
	reply->device_endpoint = text_or_empty(c->arena, login->device_endpoint);
	reply->device_client_id = text_or_empty(c->arena, login->device_client_id);
	reply->browser_endpoint = text_or_empty(c->arena, login->browser_endpoint);
	reply->browser_client_id = text_or_empty(c->arena, login->browser_client_id);
	reply->token_endpoint = text_or_empty(c->arena, login->token_endpoint);
	reply->logout_endpoint = text_or_empty(c->arena, login->logout_endpoint);
	return call_finished(c, &reply->base);
}

static char *copy(struct arena *arena, struct str s)
{
	return arena_strndup(arena, s.p, s.n);
}

static Osmo__Token__V1__JsonWebKey *key_to_pb(const struct jwt_public_key *key, struct arena *arena)
{
	Osmo__Token__V1__JsonWebKey *pb = arena_alloc(arena, sizeof *pb);
	osmo__token__v1__json_web_key__init(pb);
	pb->kty = copy(arena, key->kty);
	pb->kid = copy(arena, key->kid);
	pb->alg = copy(arena, key->alg);
	pb->use = arena_strdup(arena, "sig");
	if (key->n.n) {
		pb->has_n_case = OSMO__TOKEN__V1__JSON_WEB_KEY__HAS_N_N;
		pb->n = copy(arena, key->n);
		pb->has_e_case = OSMO__TOKEN__V1__JSON_WEB_KEY__HAS_E_E;
		pb->e = copy(arena, key->e);
		return pb;
	}
	pb->has_crv_case = OSMO__TOKEN__V1__JSON_WEB_KEY__HAS_CRV_CRV;
	pb->crv = copy(arena, key->crv);
	pb->has_x_case = OSMO__TOKEN__V1__JSON_WEB_KEY__HAS_X_X;
	pb->x = copy(arena, key->x);
	pb->has_y_case = OSMO__TOKEN__V1__JSON_WEB_KEY__HAS_Y_Y;
	pb->y = copy(arena, key->y);
	return pb;
}

struct call_step auth_api_keys(void *self, struct call *c)
{
	const struct api *api = self;
	_cleanup_(keyring_state_unrefp) struct keyring_state *ring = keyring_get(api->keyring);
	Osmo__Token__V1__KeysResponse *reply =
		ANSWER_NEW(c, Osmo__Token__V1__KeysResponse, osmo__token__v1__keys_response__init);
	reply->n_keys = ring->trusted.n;
	reply->keys = arena_calloc(c->arena, reply->n_keys, sizeof *reply->keys);
	for (size_t i = 0; i < reply->n_keys; i++)
		reply->keys[i] = key_to_pb(jwt_key_public(ring->trusted.keys[i]), c->arena);
	return call_finished(c, &reply->base);
}

/* --- Exchange, TokenInfo --- */

static ProtobufCMessage *exchange_reply(struct call *c, const struct exchange_answer *answer)
{
	Osmo__Token__V1__ExchangeResponse *reply = ANSWER_NEW(
		c, Osmo__Token__V1__ExchangeResponse, osmo__token__v1__exchange_response__init);
	reply->token = copy(c->arena, secret_str(&answer->jwt));
	reply->expires_at = (uint32_t)unix_time_s(answer->expires);
	return &reply->base;
}

static ProtobufCMessage *info_reply(struct call *c, const struct exchange_answer *answer)
{
	Osmo__Token__V1__TokenInfoResponse *reply = ANSWER_NEW(
		c, Osmo__Token__V1__TokenInfoResponse, osmo__token__v1__token_info_response__init);
	reply->token = token_to_pb(answer->token, c->arena);
	reply->expired = answer->outcome == EXCHANGE_EXPIRED;
	return &reply->base;
}

static struct status refusal(enum exchange_outcome outcome)
{
	(void)outcome; /* one answer for all that is wrong with a token */
	return exchange_refusal();
}

struct call_step auth_api_exchange(void *self, struct call *c)
{
	struct str token = str_of(((const Osmo__Token__V1__ExchangeRequest *)c->request)->token);
	return exchange_handle(self, c, token, EXCHANGE_FOR_JWT, refusal, exchange_reply);
}

struct call_step auth_api_token_info(void *self, struct call *c)
{
	struct str token = str_of(((const Osmo__Token__V1__TokenInfoRequest *)c->request)->token);
	return exchange_handle(self, c, token, EXCHANGE_FOR_INFO, refusal, info_reply);
}

/* --- Authorize --- */

struct authorize_context {
	struct call *call;
	const struct api *api;
};

static ProtobufCMessage *decide(
	const struct api *api, struct call *c, const struct principal *principal)
{
	const Osmo__Token__V1__AuthorizeRequest *in =
		(const Osmo__Token__V1__AuthorizeRequest *)c->request;
	struct access_decision d = access_decide(
		api->access, principal, str_of(in->path), str_of(in->method), c->arena);
	Osmo__Token__V1__AuthorizeResponse *reply = ANSWER_NEW(
		c, Osmo__Token__V1__AuthorizeResponse, osmo__token__v1__authorize_response__init);
	reply->allowed = d.allowed;
	reply->reason = arena_strdup(c->arena, d.reason);
	reply->role = copy(c->arena, d.role);
	reply->policy = copy(c->arena, d.policy);
	if (principal->kind != PRINCIPAL_ANONYMOUS) {
		reply->identity = arena_alloc(c->arena, sizeof *reply->identity);
		principal_to_pb(principal, c->arena, reply->identity);
	}
	return &reply->base;
}

/* An invalid credential is a decision as well. */
static ProtobufCMessage *invalid_credential(struct call *c)
{
	Osmo__Token__V1__AuthorizeResponse *reply = ANSWER_NEW(
		c, Osmo__Token__V1__AuthorizeResponse, osmo__token__v1__authorize_response__init);
	reply->reason = arena_strdup(c->arena, AUTH_INVALID_CREDENTIAL);
	return &reply->base;
}

/* NULL and *@ret_status when no decision can be made. */
static ProtobufCMessage *answer_outcome(const struct api *api, struct call *c,
	const struct auth_outcome *outcome, struct status *ret_status)
{
	if (outcome->status.code == STATUS_OK) {
		token_use_note_elsewhere(api->use, outcome->principal.token);
		return decide(api, c, &outcome->principal);
	}
	if (outcome->status.code == STATUS_UNAUTHENTICATED) {
		auth_failures_note(api->failures, c, AUTH_FAILURE_AUTHORIZE, outcome->reason);
		return invalid_credential(c);
	}
	*ret_status = outcome->status;
	return NULL;
}

static void on_authenticated(void *arg, struct auth_outcome *outcome)
{
	struct authorize_context *context = arg;
	struct call *c = context->call;
	struct status status = status_ok();
	ProtobufCMessage *reply = NULL;
	if (!call_is_finished(c))
		reply = answer_outcome(context->api, c, outcome, &status);
	if (reply)
		answer_reply(c, reply);
	else
		answer_error(c, &status);
}

/* RFC 9110, 9.1: a token. " POST" would match no rule that denies. */
static bool is_method(struct str s)
{
	static const char others[] = "!#$%&'*+-.^_`|~";
	for (size_t i = 0; i < s.n; i++) {
		const char c = s.p[i], lower = (char)(c | 0x20);
		if (!(lower >= 'a' && lower <= 'z') && !(c >= '0' && c <= '9') &&
			!strchr(others, c))
			return false;
	}
	return s.n > 0;
}

/* "%77": of a path as it was sent. */
static bool has_escape(const char *path)
{
	for (; (path = strchr(path, '%')); path++)
		if (hex_value(path[1]) >= 0 && hex_value(path[2]) >= 0)
			return true;
	return false;
}

static struct status check_authorize(const Osmo__Token__V1__AuthorizeRequest *in)
{
	if (!is_method(str_of(in->method)))
		return status_invalid(
			"method", "method must be an HTTP method like GET, got '%s'", in->method);
	if (in->path[0] != '/')
		return status_invalid("path", "path must begin with '/', got '%s'", in->path);
	/* A rule that denies would not match it, and what is behind serves it all the same. */
	if (strpbrk(in->path, "?#"))
		return status_invalid("path", "path must be without query and fragment, got '%.*s'",
			(int)(strcspn(in->path, "?#") + 1), in->path);
	/* Nor this. A name that has such text once it is decoded is refused as well: rare, and
	 * safe. */
	if (has_escape(in->path))
		return status_invalid("path", "path must be percent-decoded, got '%s'", in->path);
	return status_ok();
}

struct call_step auth_api_authorize(void *self, struct call *c)
{
	const struct api *api = self;
	const Osmo__Token__V1__AuthorizeRequest *in =
		(const Osmo__Token__V1__AuthorizeRequest *)c->request;
	struct status valid = check_authorize(in);
	if (valid.code != STATUS_OK)
		return call_failed(c, valid);
	if (!in->credential[0])
		return call_finished(c, decide(api, c, &principal_anonymous));

	_cleanup_auth_outcome_ struct auth_outcome outcome = {.status = status_ok()};
	if (authenticator_try(api->authenticator, str_of(in->credential), &outcome)) {
		struct status status = status_ok();
		ProtobufCMessage *reply = answer_outcome(api, c, &outcome, &status);
		return reply ? call_finished(c, reply) : call_failed(c, status);
	}
	HANDLER_ON_LOOP(c);
	struct authorize_context *context = arena_alloc(c->arena, sizeof *context);
	*context = (struct authorize_context){c, api};
	struct store_waiter waiter = answer_waiter(c);
	waiter.arg = context;
	authenticator_check(api->authenticator, str_of(in->credential), waiter, on_authenticated);
	return call_pending(c);
}
