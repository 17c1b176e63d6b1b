/* SPDX-License-Identifier: Apache-2.0 */
/* What a client reads in a JWT that it carries: who it is for, and until when.
 *
 * Nothing is verified here: only the server can, and does. Pure. */
#pragma once

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/base/str.h"

#include <stdbool.h>

struct jwt {
	bool has_expiry;
	double expiry_s;   /* claim "exp" */
	char *name;        /* claim "name", or NULL */
	char *unique_name; /* claim "unique_name", or NULL */
	/* The access token that it was made from: claims "osmo_token_name", "osmo_token_kind". */
	char *token_name, *token_kind;
};

/* INVALID_ARGUMENT  @text is not three parts, the second of them base64url of a JSON object
 * On success the caller calls jwt_done. */
struct status jwt_parse(struct str text, struct jwt *ret);
void jwt_done(struct jwt *j);

/* True from three seconds before the expiry on, so that a request on its way does not find it
 * expired; never for a token without expiry. */
bool jwt_expired(const struct jwt *j, struct unix_time now);
