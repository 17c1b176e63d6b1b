/* SPDX-License-Identifier: Apache-2.0 */
#include "service/api/profile_pb.h"

Google__Protobuf__StringValue *string_value_to_pb(struct str text, struct arena *arena)
{
	if (!text.p)
		return NULL;
	Google__Protobuf__StringValue *pb = arena_alloc(arena, sizeof *pb);
	google__protobuf__string_value__init(pb);
	pb->value = arena_strndup(arena, text.p, text.n);
	return pb;
}

struct store_profile_change profile_change_from_pb(const Google__Protobuf__BoolValue *email,
	const Google__Protobuf__BoolValue *slack, const Google__Protobuf__StringValue *bucket,
	const Google__Protobuf__StringValue *pool)
{
	return (struct store_profile_change){
		.set_email = email != NULL,
		.set_slack = slack != NULL,
		.set_bucket = bucket != NULL,
		.set_pool = pool != NULL,
		.to =
			{
				.email_notification = email && email->value,
				.slack_notification = slack && slack->value,
				.bucket = bucket ? str_of(bucket->value) : (struct str){NULL, 0},
				.pool = pool ? str_of(pool->value) : (struct str){NULL, 0},
			},
	};
}
