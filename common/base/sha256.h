/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 of a text, in the time of the hash alone: it is taken on every call. Pure; any thread. */
#pragma once

#include "common/base/str.h"

#include <stdint.h>

enum {
	SHA256_BYTES = 32
};
void sha256(struct str text, uint8_t ret[SHA256_BYTES]);
