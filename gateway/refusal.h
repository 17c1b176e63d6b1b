/* SPDX-License-Identifier: Apache-2.0 */
/* Why an HTTP request does not become a call: an error that HTTP may have a status of its own for.
 * Pure; passed by value. */
#pragma once

#include "common/base/status.h"
#include "common/base/str.h"

struct [[nodiscard]] refusal {
	int http_status; /* 404, 405, 415, ...; 0: what the dialect says for status.code */
	struct status status;
	struct str allow; /* of a 405: the methods that the path has, "GET, HEAD" */
};

static inline struct refusal refusal_none(void)
{
	struct refusal r;
	r.http_status = 0;
	r.status = status_ok();
	r.allow = (struct str){NULL, 0};
	return r;
}

static inline struct refusal refusal_of(int http_status, struct status status)
{
	return (struct refusal){.http_status = http_status, .status = status};
}
