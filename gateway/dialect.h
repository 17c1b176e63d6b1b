/* SPDX-License-Identifier: Apache-2.0 */
/* How errors and lenience differ between /v1 and the surface of existing clients: the one place.
 *
 *                    /v1 and all else                    /api, /client, /health
 *   HTTP status      one per google.rpc.Code             400 for all that the user got wrong
 *   error body       {"code","message","details"}        and "error_code", "workflow_id": null
 *   unknown fields   400                                 ignored
 *   a key repeated   400, unless the field is repeated   the last one counts
 *
 * A handler never knows which one called it. Constant; threads: any. */
#pragma once

#include "common/base/buf.h"
#include "common/base/status.h"
#include "common/base/str.h"
#include "common/codec/schema.h"

#include <stdbool.h>

struct dialect {
	const char *name;
	int http_status[STATUS_CODE_COUNT];
	bool lenient;    /* as old clients need it: see above */
	bool error_code; /* the body of an error has error_code and workflow_id */
};

extern const struct dialect dialect_v1, dialect_api;

/* By the path of the request, as it was sent. */
const struct dialect *dialect_of(struct str path);

/* The HTTP status of a code; UNKNOWN's for a number that is no code. */
int dialect_http_status(const struct dialect *d, enum status_code code);

/* Appends the body of an error. @http_status is the one that is sent; @details is a serialised
 * google.rpc.Status (status_details_of), whose details are taken over as far as @schema knows their
 * types. */
void dialect_write_error(const struct dialect *d, const struct schema *schema,
	const struct status *status, int http_status, struct str details, struct buf *out);

/* What WWW-Authenticate says with a 401 or 403 (RFC 6750, section 3) when nobody said it before; p
 * is NULL for other statuses. No error code when no credential came; one and the same for all bad
 * ones. */
struct str dialect_www_authenticate(int http_status, bool has_credential);
/* Retry-After of a 429 or 503 with these @details (as above); p is NULL for others, and for a quota
 * that is used up, which time does not mend. */
struct str dialect_retry_after(int http_status, struct str details);
