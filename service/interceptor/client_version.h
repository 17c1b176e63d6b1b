/* SPDX-License-Identifier: Apache-2.0 */
/* Tells existing clients (those that send x-osmo-client-version) whether they are up to date.
 *
 * Older than the latest: the answer carries x-osmo-service-version. Older than the least supported:
 * FAILED_PRECONDITION. Not a version: INVALID_ARGUMENT. */
#pragma once

#include "common/base/status.h"
#include "common/base/str.h"
#include "service/interceptor/chain.h"

struct client_version_config {
	const char *latest;      /* "6.0.0" */
	const char *least;       /* or NULL: any */
	const char *service_url; /* where the client is installed from, or NULL */
};

/* "major.minor.revision" with an optional ".suffix" of letters and digits. */
bool client_version_is_valid(struct str version);
/* By the three numbers, then by the suffix; both valid. */
int client_version_compare(struct str a, struct str b);

/* self: a const struct client_version_config. */
struct call_step client_version_run(void *self, struct call *c);
