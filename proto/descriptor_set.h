/* SPDX-License-Identifier: Apache-2.0 */
/* The serialised google.protobuf.FileDescriptorSet of proto/, with imports and comments. Constant.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

extern const uint8_t pb_descriptor_set[];
extern const uint8_t pb_descriptor_set_end[];

static inline size_t pb_descriptor_set_size(void)
{
	return (size_t)(pb_descriptor_set_end - pb_descriptor_set);
}
