/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP API as an OpenAPI 3.0.3 document, made from the schema, the routes and the comments of
 * the .proto files: nothing of it is written by hand. Threads: any. */
#pragma once

#include "common/base/buf.h"
#include "common/base/status.h"
#include "common/codec/schema.h"
#include "gateway/router.h"

struct openapi_info {
	const char *title;
	const char *version; /* of the product */
};

/* Appends the document, for all routes of @router, which is made of @schema.
 *
 * RESOURCE_EXHAUSTED  @out is full
 * INTERNAL            a comment is not UTF-8 */
struct status openapi_write(const struct schema *schema, const struct router *router,
	const struct openapi_info *info, struct buf *out);
