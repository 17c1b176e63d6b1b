/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/pb_schema.h"

#include "proto/descriptor_set.h"

#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"
#include "grpc/health/v1/health.pb-c.h"
#include "grpc/reflection/v1/reflection.pb-c.h"
#include "grpc/reflection/v1alpha/reflection.pb-c.h"
#include "osmo/compat/v1/compat_service.pb-c.h"
#include "osmo/token/v1/auth_service.pb-c.h"
#include "osmo/token/v1/profile_service.pb-c.h"
#include "osmo/token/v1/role_service.pb-c.h"
#include "osmo/token/v1/token_service.pb-c.h"

static const ProtobufCServiceDescriptor *const services[] = {
	&osmo__token__v1__token_service__descriptor,
	&osmo__token__v1__auth_service__descriptor,
	&osmo__token__v1__profile_service__descriptor,
	&osmo__token__v1__role_service__descriptor,
	&osmo__compat__v1__compat_service__descriptor,
	/* Answered by the gRPC server itself (common/rpc/rpc_server.h). */
	&grpc__health__v1__health__descriptor,
	&grpc__reflection__v1__server_reflection__descriptor,
	&grpc__reflection__v1alpha__server_reflection__descriptor,
};

/* The body of an error, and what may travel in its details. */
static const ProtobufCMessageDescriptor *const messages[] = {
	&google__rpc__status__descriptor,
	&google__rpc__bad_request__descriptor,
	&google__rpc__quota_failure__descriptor,
	&google__rpc__request_info__descriptor,
	&google__rpc__retry_info__descriptor,
};

struct status pb_schema_new(struct schema **ret)
{
	static const struct schema_roots roots = {
		.services = services,
		.n_services = ARRAY_SIZE(services),
		.messages = messages,
		.n_messages = ARRAY_SIZE(messages),
	};
	return schema_new(pb_descriptor_set, pb_descriptor_set_size(), &roots, ret);
}
