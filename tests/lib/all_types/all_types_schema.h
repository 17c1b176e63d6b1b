/* SPDX-License-Identifier: Apache-2.0 */
/* The schema of all_types.proto. */
#pragma once

#include "common/codec/schema.h"

/* Aborts when it cannot be made. Freed with schema_free. */
struct schema *all_types_schema_new(void);
