/* SPDX-License-Identifier: Apache-2.0 */
/* Login of existing clients: exchange, token info, keys, where to log in. */
#include "service/api/answer.h"
#include "service/api/api.h"
#include "service/api/compat_pb.h"
#include "service/api/exchange.h"
#include "service/api/handlers.h"
#include "service/api/profile_pb.h"
#include "service/auth/keyring.h"

static ProtobufCMessage *exchange_reply(struct call *c, const struct exchange_answer *answer)
{
	Osmo__Compat__V1__ExchangeTokenResponse *reply =
		ANSWER_NEW(c, Osmo__Compat__V1__ExchangeTokenResponse,
			osmo__compat__v1__exchange_token_response__init);
	struct str jwt = secret_str(&answer->jwt);
	reply->token = arena_strndup(c->arena, jwt.p, jwt.n);
	reply->expires_at = (uint32_t)unix_time_s(answer->expires);
	return &reply->base;
}

static ProtobufCMessage *info_reply(struct call *c, const struct exchange_answer *answer)
{
	return &token_to_object(answer->token, c->arena)->base;
}

static struct call_step handle(
	const struct api *api, struct call *c, enum exchange_wish wish, exchange_reply_fn *reply)
{
	const Osmo__Compat__V1__ExchangeTokenRequest *in =
		(const Osmo__Compat__V1__ExchangeTokenRequest *)c->request;
	/* in the body of a POST or in the query of a GET */
	struct str token = str_of(in->token[0] ? in->token : in->access_token);
	if (!token.n)
		return call_failed(
			c, status_invalid("access_token", "access_token: field required"));
	return exchange_handle(api, c, token, wish, exchange_legacy_refusal, reply);
}

struct call_step compat_api_exchange_token(void *self, struct call *c)
{
	return handle(self, c, EXCHANGE_FOR_JWT, exchange_reply);
}

struct call_step compat_api_get_token_info(void *self, struct call *c)
{
	return handle(self, c, EXCHANGE_FOR_INFO, info_reply);
}

/* --- Keys: a JSON object each, of the fields that its kind has --- */

static void add_member(
	Google__Protobuf__Struct *object, const char *name, struct str text, struct arena *arena)
{
	if (!text.n)
		return;
	Google__Protobuf__Struct__FieldsEntry *entry = arena_alloc(arena, sizeof *entry);
	google__protobuf__struct__fields_entry__init(entry);
	entry->key = arena_strdup(arena, name);
	entry->value = arena_alloc(arena, sizeof *entry->value);
	google__protobuf__value__init(entry->value);
	entry->value->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE;
	entry->value->string_value = arena_strndup(arena, text.p, text.n);
	object->fields[object->n_fields++] = entry;
}

static Google__Protobuf__Struct *key_object(const struct jwt_public_key *key, struct arena *arena)
{
	enum {
		MEMBERS_MAX = 9
	};
	Google__Protobuf__Struct *object = arena_alloc(arena, sizeof *object);
	google__protobuf__struct__init(object);
	object->fields = arena_calloc(arena, MEMBERS_MAX, sizeof *object->fields);
	add_member(object, "kty", key->kty, arena);
	add_member(object, "kid", key->kid, arena);
	add_member(object, "alg", key->alg, arena);
	add_member(object, "use", STR("sig"), arena);
	add_member(object, "crv", key->crv, arena);
	add_member(object, "x", key->x, arena);
	add_member(object, "y", key->y, arena);
	add_member(object, "n", key->n, arena);
	add_member(object, "e", key->e, arena);
	return object;
}

struct call_step compat_api_get_keys(void *self, struct call *c)
{
	const struct api *api = self;
	_cleanup_(keyring_state_unrefp) struct keyring_state *ring = keyring_get(api->keyring);
	Osmo__Compat__V1__GetKeysResponse *reply = ANSWER_NEW(
		c, Osmo__Compat__V1__GetKeysResponse, osmo__compat__v1__get_keys_response__init);
	reply->n_keys = ring->trusted.n;
	reply->keys = arena_calloc(c->arena, reply->n_keys, sizeof *reply->keys);
	for (size_t i = 0; i < reply->n_keys; i++)
		reply->keys[i] = key_object(jwt_key_public(ring->trusted.keys[i]), c->arena);
	return call_finished(c, &reply->base);
}

static Google__Protobuf__StringValue *text_or_null(struct arena *arena, const char *text)
{
	return string_value_to_pb(str_of(text), arena);
}

struct call_step compat_api_get_login_info(void *self, struct call *c)
{
	const struct login_info *login = &((const struct api *)self)->login;
	Osmo__Compat__V1__LoginInfo *reply =
		ANSWER_NEW(c, Osmo__Compat__V1__LoginInfo, osmo__compat__v1__login_info__init);
	reply->device_endpoint = text_or_null(c->arena, login->device_endpoint);
	reply->device_client_id = text_or_null(c->arena, login->device_client_id);
	reply->browser_endpoint = text_or_null(c->arena, login->browser_endpoint);
	reply->browser_client_id = text_or_null(c->arena, login->browser_client_id);
	reply->token_endpoint = text_or_null(c->arena, login->token_endpoint);
	reply->logout_endpoint = text_or_null(c->arena, login->logout_endpoint);
	return call_finished(c, &reply->base);
}
