/* SPDX-License-Identifier: Apache-2.0 */
/* struct token <-> osmo.token.v1.Token, and nowhere else. Messages live in the given arena. */
#pragma once

#include "common/base/arena.h"
#include "common/base/status.h"
#include "service/domain/principal.h"
#include "service/domain/token.h"

#include "osmo/token/v1/token_service.pb-c.h"

/* INVALID_ARGUMENT  on "kind": a number that is none of ours (proto3 lets any through) */
struct status token_kind_from_pb(Osmo__Token__V1__Kind kind, enum token_kind *ret);
/* A part of a second is a second. INVALID_ARGUMENT on @field: it is no google.protobuf.Duration (at
 * most 315,576,000,000 s, nanos of the same sign) */
struct status seconds_from_pb(
	const char *field, const Google__Protobuf__Duration *duration, int64_t *ret);
Osmo__Token__V1__Kind token_kind_to_pb(enum token_kind kind);

/* A view of @n strings of a message. */
const struct str *strings_from_pb(char *const *strings, size_t n, struct arena *arena);
/* Copies of @n texts. */
char **strings_to_pb(const struct str *texts, size_t n, struct arena *arena);

Osmo__Token__V1__Token *token_to_pb(const struct token *t, struct arena *arena);
/* Who a principal is; texts are borrowed from it. */
void principal_to_pb(
	const struct principal *p, struct arena *arena, Osmo__Token__V1__WhoAmIResponse *ret);
