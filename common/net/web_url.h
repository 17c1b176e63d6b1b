/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of the web as options name them: what a browser or a client is told to go to, and where
 * it comes from. Pure. Threads: any. */
#pragma once

#include "common/base/status.h"
#include "common/base/str.h"

/* INVALID_ARGUMENT  @text is no "http://HOST..." or "https://HOST..." of printable ASCII without
 * spaces; the message stands behind the name of an option */
struct status web_url_check(struct str text);

/* INVALID_ARGUMENT  @text is no origin: scheme, host and perhaps port (RFC 6454, 6.2), and not "*"
 */
struct status web_origin_check(struct str text);
