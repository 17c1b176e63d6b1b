/* SPDX-License-Identifier: Apache-2.0 */
/* The schema of all that our programs speak: the one list of generated services. */
#pragma once

#include "common/base/status.h"
#include "common/codec/schema.h"

/* *@ret is the caller's (schema_free). INTERNAL when generated code and descriptor set do not fit.
 */
struct status pb_schema_new(struct schema **ret);
