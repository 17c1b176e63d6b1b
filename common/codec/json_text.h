/* SPDX-License-Identifier: Apache-2.0 */
/* Text as a JSON string (RFC 8259, section 7). Pure. */
#pragma once

#include "common/base/buf.h"
#include "common/base/str.h"

/* Appends @s in quotes, escaped. Bytes that are not UTF-8 become U+FFFD, one for each, so that what
 * is written is JSON whatever a peer or a database held. False when @out overflows. */
bool json_append_string(struct buf *out, struct str s);
