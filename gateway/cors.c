/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/cors.h"

#include "common/net/web_url.h"

struct status cors_init(
	struct cors *c, const struct str *origins, size_t n_origins, struct str methods)
{
	*c = (struct cors){.origins = origins, .n_origins = n_origins, .methods = methods};
	for (size_t i = 0; i < n_origins; i++) {
		struct status status = web_origin_check(origins[i]);
		if (!status_is_ok(&status))
			return status_error(status.code, "--cors-origin %s", status.message);
		c->any = c->any || str_eq(origins[i], STR("*"));
	}
	return status_ok();
}

void cors_done(struct cors *c)
{
	*c = (struct cors){.origins = NULL};
}

static void add(
	struct http_header *headers, size_t *n, size_t max, const char *name, struct str value)
{
	if (*n < max)
		headers[(*n)++] = (struct http_header){str_of(name), value};
}

static bool is_allowed(const struct cors *c, struct str origin)
{
	for (size_t i = 0; i < c->n_origins; i++)
		if (str_eq(c->origins[i], origin))
			return true;
	return c->any;
}

/* False when there is nothing to add. */
static bool allow_origin(const struct cors *c, const struct http_request *r,
	struct http_header *headers, size_t *n, size_t max)
{
	if (!c->n_origins)
		return false;
	if (!c->any)
		add(headers, n, max, "Vary", STR("Origin"));
	struct str origin = http_request_header(r, STR("origin"));
	if (!origin.p || !is_allowed(c, origin))
		return false;
	add(headers, n, max, "Access-Control-Allow-Origin", c->any ? STR("*") : origin);
	return true;
}

void cors_reply_headers(const struct cors *c, const struct http_request *r,
	struct http_header *headers, size_t *n, size_t max)
{
	if (allow_origin(c, r, headers, n, max))
		add(headers, n, max, "Access-Control-Expose-Headers",
			STR("x-request-id, x-osmo-service-version, www-authenticate, retry-after"));
}

bool cors_is_preflight(const struct cors *c, const struct http_request *r,
	struct http_header *headers, size_t *n, size_t max)
{
	if (!c->n_origins || !str_eq(r->method, STR("OPTIONS")) ||
		!http_request_find(r, STR("origin")) ||
		!http_request_find(r, STR("access-control-request-method")))
		return false;
	if (allow_origin(c, r, headers, n, max)) {
		add(headers, n, max, "Access-Control-Allow-Methods", c->methods);
		add(headers, n, max, "Access-Control-Allow-Headers",
			STR("authorization, content-encoding, content-type, grpc-timeout, "
			    "traceparent, tracestate, x-osmo-auth, x-osmo-client-version, "
			    "x-request-id"));
		add(headers, n, max, "Access-Control-Max-Age", STR("600"));
	}
	return true;
}
