/* SPDX-License-Identifier: Apache-2.0 */
/* Between gRPC's slices and struct str. */
#pragma once

#include "common/base/str.h"

#include <grpc/slice.h>

/* A view; of a small slice it points into @s itself. */
static inline struct str slice_str(const grpc_slice *s)
{
	return (struct str){(const char *)GRPC_SLICE_START_PTR(*s), (size_t)GRPC_SLICE_LENGTH(*s)};
}

static inline grpc_slice slice_copy(struct str s)
{
	return grpc_slice_from_copied_buffer(s.n ? s.p : "", s.n);
}
