/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP as a command line needs it: one request after another, over libcurl.
 *
 * Proxies come from the environment and certificate authorities from the system, as users of curl
 * expect. Credentials (http_request.credentials, .secret_body) never follow a redirect to another
 * host. Repeated, at most five times and with random pauses: connections that could not be made;
 * and, if the request may be repeated, answers that were lost, and 413, 429 and 503 with
 * Retry-After. Time-outs are not repeated. Threads: one at a time. */
#pragma once

#include "common/base/buf.h"
#include "common/base/status.h"
#include "common/base/str.h"

#include <stdbool.h>

struct http_client;

struct http_options {
	const char *user_agent;
	const char *cacert; /* a file or a folder (c_rehash) of certificate authorities, or NULL */
	const char *server_name; /* that servers go by instead of the host of their URL, or NULL */
	unsigned timeout_ms;     /* without any progress */
	/* Told once per exchange, for logs: @url has no query. NULL is fine. */
	void (*on_exchange)(const char *method, const char *url, long status, int64_t us);
};

struct http_request {
	const char *method;
	const char *url;
	const char *const *headers;     /* "Name: value", NULL-terminated, or NULL */
	const char *const *credentials; /* as headers; for the host of @url only */
	struct str body;                /* p == NULL: none */
	bool secret_body;               /* @body is for the host of @url only */
	bool repeatable;                /* a second time does no harm */
	bool single;                    /* try once */
	bool http2;                     /* HTTP/2, without TLS from the first byte on */
};

struct http_response {
	long status;
	struct buf headers; /* "Name: value\n" … as received */
	struct buf body;
};

void http_response_init(struct http_response *r);
void http_response_done(struct http_response *r);
#define _cleanup_response_ __attribute__((cleanup(http_response_done)))
/* The value of the (first) header @name; false if there is none. */
bool http_response_header(const struct http_response *r, struct str name, struct str *ret);

struct http_client *http_client_new(const struct http_options *options);
void http_client_free(struct http_client *c);
DEFINE_CLEANUP(struct http_client *, http_client_free);

/* Sends @request and fills @ret (initialised by the caller), following redirects.
 *
 * UNAVAILABLE          no connection, or it broke: the message is for the user
 * DEADLINE_EXCEEDED    no progress for timeout_ms
 * FAILED_PRECONDITION  a redirect would carry secret_body elsewhere; too many redirects
 * RESOURCE_EXHAUSTED   the answer is larger than 64 MiB */
struct status http_client_send(
	struct http_client *c, const struct http_request *request, struct http_response *ret);

/* Appends @s with every byte outside RFC 3986's unreserved set percent-encoded; a space is '+' if
 * @form. "." and ".." are encoded as well, so that they stay names. */
void url_encode(struct str s, bool form, struct buf *out);

/* INVALID_ARGUMENT  @url is not http(s)://HOST[:PORT][/PATH]; the message says what is wrong */
struct status url_check(const char *url);
