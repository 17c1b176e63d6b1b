/* SPDX-License-Identifier: Apache-2.0 */
/* Percent-decoding (RFC 3986, section 2.1), once. Pure. */
#pragma once

#include "common/base/arena.h"
#include "common/base/str.h"

#include <stdbool.h>

enum percent_mode {
	PERCENT_ALL,
	PERCENT_KEEP_SLASH, /* %2F stays as it is: it is not the slash between segments */
	PERCENT_QUERY,      /* and "+" is a blank (application/x-www-form-urlencoded) */
};

/* @s decoded, in @arena (or @s itself, when there is nothing to decode); false for a malformed
 * escape. The result may hold any byte, NUL too. */
bool percent_decode(struct str s, enum percent_mode mode, struct arena *arena, struct str *ret);
