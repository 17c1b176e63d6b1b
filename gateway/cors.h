/* SPDX-License-Identifier: Apache-2.0 */
/* Cross-origin requests (the Fetch standard): off unless origins are configured.
 *
 * An origin that is on the list is echoed, with Vary: Origin. "*" allows any origin, and then never
 * with credentials: browsers may send an Authorization header of the script's, never a cookie.
 * Pure. Threads: any. */
#pragma once

#include "common/base/status.h"
#include "common/base/str.h"
#include "gateway/http_parser.h"

#include <stdbool.h>
#include <stddef.h>

struct cors {
	const struct str *origins;
	size_t n_origins;
	struct str methods;
	bool any;
};

/* @origins is borrowed, and @methods, those of all paths ("GET, HEAD, POST").
 * INVALID_ARGUMENT for what is no origin ("https://host[:port]" or "*"). */
struct status cors_init(
	struct cors *c, const struct str *origins, size_t n_origins, struct str methods);
void cors_done(struct cors *c);

/* Adds the headers of an actual request's reply, if its origin is allowed; at most @max in all. */
void cors_reply_headers(const struct cors *c, const struct http_request *r,
	struct http_header *headers, size_t *n, size_t max);

/* True for a preflight (OPTIONS with Origin and Access-Control-Request-Method) while CORS is on:
 * the reply is 204 with the headers that were added, none for an origin that is not allowed. */
bool cors_is_preflight(const struct cors *c, const struct http_request *r,
	struct http_header *headers, size_t *n, size_t max);
