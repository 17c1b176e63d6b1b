/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles and their wrapper types on the wire. Messages live in the given arena. */
#pragma once

#include "common/base/arena.h"
#include "service/store/store.h"

#include "google/protobuf/wrappers.pb-c.h"

/* NULL for a text that is not there (p == NULL). */
Google__Protobuf__StringValue *string_value_to_pb(struct str text, struct arena *arena);

/* A wrapper that is not there leaves its field as it is. Texts are borrowed. */
struct store_profile_change profile_change_from_pb(const Google__Protobuf__BoolValue *email,
	const Google__Protobuf__BoolValue *slack, const Google__Protobuf__StringValue *bucket,
	const Google__Protobuf__StringValue *pool);
