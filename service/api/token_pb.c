/* SPDX-License-Identifier: Apache-2.0 */
#include "service/api/token_pb.h"

#include <inttypes.h>

struct status token_kind_from_pb(Osmo__Token__V1__Kind kind, enum token_kind *ret)
{
	if (kind != OSMO__TOKEN__V1__KIND__USER && kind != OSMO__TOKEN__V1__KIND__SERVICE)
		return status_invalid(
			"kind", "kind must be USER (0) or SERVICE (1), got %d", (int)kind);
	*ret = kind == OSMO__TOKEN__V1__KIND__SERVICE ? TOKEN_SERVICE : TOKEN_USER;
	return status_ok();
}

struct status seconds_from_pb(
	const char *field, const Google__Protobuf__Duration *duration, int64_t *ret)
{
	const int64_t seconds_max = INT64_C(315576000000);
	const int32_t nanos_max = 999999999;
	const int64_t s = duration->seconds;
	const int32_t nanos = duration->nanos;
	bool in_range =
		s >= -seconds_max && s <= seconds_max && nanos >= -nanos_max && nanos <= nanos_max;
	bool one_sign = (s <= 0 || nanos >= 0) && (s >= 0 || nanos <= 0);
	if (!in_range || !one_sign)
		return status_invalid(field,
			"%s is no duration: %" PRId64 " seconds and %" PRId32 " nanoseconds", field,
			s, nanos);
	*ret = s + (nanos > 0) - (nanos < 0);
	return status_ok();
}

Osmo__Token__V1__Kind token_kind_to_pb(enum token_kind kind)
{
	return kind == TOKEN_SERVICE ? OSMO__TOKEN__V1__KIND__SERVICE : OSMO__TOKEN__V1__KIND__USER;
}

const struct str *strings_from_pb(char *const *strings, size_t n, struct arena *arena)
{
	struct str *texts = arena_calloc(arena, n, sizeof *texts);
	for (size_t i = 0; i < n; i++)
		texts[i] = str_of(strings[i]);
	return texts;
}

char **strings_to_pb(const struct str *texts, size_t n, struct arena *arena)
{
	char **strings = arena_calloc(arena, n, sizeof *strings);
	for (size_t i = 0; i < n; i++)
		strings[i] = arena_strndup(arena, texts[i].p, texts[i].n);
	return strings;
}

static char *copy(struct arena *arena, struct str s)
{
	return arena_strndup(arena, s.p, s.n);
}

static char *date_text(struct arena *arena, struct date d)
{
	char *text = arena_alloc(arena, DATE_TEXT_BYTES);
	date_format(d, text);
	return text;
}

static Google__Protobuf__Timestamp *timestamp(struct arena *arena, struct unix_time t)
{
	if (t.us == 0)
		return NULL;
	Google__Protobuf__Timestamp *pb = arena_alloc(arena, sizeof *pb);
	google__protobuf__timestamp__init(pb);
	pb->seconds = unix_time_s(t);
	pb->nanos = (int32_t)((t.us - pb->seconds * US_PER_S) * 1000);
	return pb;
}

Osmo__Token__V1__Token *token_to_pb(const struct token *t, struct arena *arena)
{
	const struct token_fields *f = &t->fields;
	Osmo__Token__V1__Token *pb = arena_alloc(arena, sizeof *pb);
	osmo__token__v1__token__init(pb);
	pb->name = copy(arena, f->name);
	pb->user = copy(arena, f->owner);
	pb->kind = token_kind_to_pb(f->kind);
	pb->description = copy(arena, f->description);
	pb->roles = strings_to_pb(f->roles, f->n_roles, arena);
	pb->n_roles = f->n_roles;
	pb->expire_date = date_text(arena, f->expires);
	pb->create_time = timestamp(arena, f->created);
	pb->last_used_time = timestamp(arena, f->last_used);
	pb->last_used_address = copy(arena, f->last_used_from);
	pb->old_secret_until = timestamp(arena, f->old_until);
	return pb;
}

void principal_to_pb(
	const struct principal *p, struct arena *arena, Osmo__Token__V1__WhoAmIResponse *ret)
{
	osmo__token__v1__who_am_iresponse__init(ret);
	ret->user = copy(arena, p->name);
	ret->principal_kind = p->kind == PRINCIPAL_SERVICE ? OSMO__TOKEN__V1__KIND__SERVICE
							   : OSMO__TOKEN__V1__KIND__USER;
	ret->roles = strings_to_pb(p->roles, p->n_roles, arena);
	ret->n_roles = p->n_roles;
	ret->auth_method = arena_strdup(arena, auth_method_name(p->method));
	if (p->token) {
		ret->token_name = copy(arena, p->token->fields.name);
		ret->token_kind = token_kind_to_pb(p->token->fields.kind);
		ret->expire_date = date_text(arena, p->token->fields.expires);
	}
}
