/* SPDX-License-Identifier: Apache-2.0 */
#include "service/api/compat_pb.h"

#include "service/api/answer.h"
#include "service/api/token_pb.h"

Osmo__Compat__V1__TokenObject *token_to_object(const struct token *t, struct arena *arena)
{
	const struct token_fields *f = &t->fields;
	char date[DATE_TEXT_BYTES];
	date_format(f->expires, date);
	Osmo__Compat__V1__TokenObject *pb = arena_alloc(arena, sizeof *pb);
	osmo__compat__v1__token_object__init(pb);
	pb->user_name = arena_strndup(arena, f->owner.p, f->owner.n);
	pb->token_name = arena_strndup(arena, f->name.p, f->name.n);
	pb->expires_at = arena_printf(arena, "%sT00:00:00", date);
	pb->description = arena_strndup(arena, f->description.p, f->description.n);
	pb->access_type = arena_strdup(arena, token_kind_name(f->kind));
	pb->roles = strings_to_pb(f->roles, f->n_roles, arena);
	pb->n_roles = f->n_roles;
	return pb;
}

ProtobufCMessage *compat_null_reply(struct call *c)
{
	return &ANSWER_NEW(c, Osmo__Compat__V1__NullResponse, osmo__compat__v1__null_response__init)
			->base;
}
