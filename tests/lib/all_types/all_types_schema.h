/* SPDX-License-Identifier: Apache-2.0 */
/* The schema of all_types.proto; abort when it cannot be made, because that is a bug of the test.
 */
#pragma once

#include "common/codec/schema.h"

/* AllTypesService and RouteService. Freed with schema_free. */
struct schema *all_types_schema_new(void);
/* One service. */
struct schema *all_types_schema_of(const ProtobufCServiceDescriptor *service);
