/* SPDX-License-Identifier: Apache-2.0 */
/* The Grpc-Timeout header: 1 to 8 digits and a unit (gRPC over HTTP/2, "Timeout"). Pure. */
#pragma once

#include "common/base/str.h"

#include <stdbool.h>
#include <stdint.h>

/* In milliseconds, rounded up. False when malformed. */
bool grpc_timeout_parse(struct str text, int64_t *ret_ms);
