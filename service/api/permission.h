/* SPDX-License-Identifier: Apache-2.0 */
/* What an RPC needs, compiled from its (osmo.options.v1.access). Immutable; part of the table. */
#pragma once

#include "common/base/arena.h"
#include "common/base/status.h"
#include "common/base/str.h"
#include "service/interceptor/authz.h" /* struct permission */

#include <protobuf-c/protobuf-c.h>

struct schema_method;
struct rpc_access;

/* INTERNAL  the option is missing or does not fit the request message */
struct status rpc_access_parse(
	const struct schema_method *method, struct arena *arena, const struct rpc_access **ret);

/* With {fields} filled in from @request; the first action whose condition holds. */
void rpc_access_of(const struct rpc_access *access, const ProtobufCMessage *request,
	struct arena *arena, struct permission *ret);
