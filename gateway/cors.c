/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/cors.h"

static bool is_origin(struct str s)
{
	struct str rest = str_starts_with(s, STR("https://"))  ? str_sub(s, 8, s.n)
			  : str_starts_with(s, STR("http://")) ? str_sub(s, 7, s.n)
							       : STR("");
	for (size_t i = 0; i < rest.n; i++) {
		unsigned char c = (unsigned char)rest.p[i];
		if (c <= ' ' || c >= 0x7F || c == '/' || c == '?' || c == '#' || c == ',')
			return false;
	}
	return rest.n > 0;
}

struct status cors_init(struct cors *c, const struct str *origins, size_t n_origins)
{
	*c = (struct cors){.origins = origins, .n_origins = n_origins};
	for (size_t i = 0; i < n_origins; i++) {
		if (str_eq(origins[i], STR("*")))
			c->any = true;
		else if (!is_origin(origins[i]))
			return status_error(STATUS_INVALID_ARGUMENT,
				"--cors-origin must be an origin like https://app.example.com, or "
				"*, "
				"got '%.*s'",
				STR_ARG(origins[i]));
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
		add(headers, n, max, "Access-Control-Allow-Methods", STR("GET, POST, PUT, DELETE"));
		add(headers, n, max, "Access-Control-Allow-Headers",
			STR("authorization, content-type, grpc-timeout, traceparent, tracestate, "
			    "x-osmo-auth, x-osmo-client-version, x-request-id"));
		add(headers, n, max, "Access-Control-Max-Age", STR("600"));
	}
	return true;
}
