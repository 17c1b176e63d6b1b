/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/http_client.h"

#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/base/xalloc.h"

#include <curl/curl.h>
#include <sys/stat.h>
#include <time.h>

enum {
	MAX_REDIRECTS = 10,
	MAX_REPEATS = 5,
	CONNECT_TIMEOUT_MS = 20 * 1000,
	FIRST_PAUSE_MS = 50,
	MAX_RETRY_AFTER_MS = 30 * 1000,
	MAX_BODY_BYTES = 64 * 1024 * 1024,
	MAX_HEADER_BYTES = 1024 * 1024
};

struct http_client {
	struct http_options options;
	CURL *easy;
	char error[CURL_ERROR_SIZE];
};

void http_response_init(struct http_response *r)
{
	r->status = 0;
	buf_init(&r->headers, MAX_HEADER_BYTES);
	buf_init(&r->body, MAX_BODY_BYTES); /* it may be a token */
}

void http_response_done(struct http_response *r)
{
	buf_done(&r->headers);
	buf_done(&r->body);
}

bool http_response_header(const struct http_response *r, struct str name, struct str *ret)
{
	struct str rest = buf_str(&r->headers);
	for (struct str line; str_split(&rest, '\n', &line);) {
		size_t colon = str_index(line, ':');
		if (colon < line.n && str_eq_nocase(str_sub(line, 0, colon), name)) {
			*ret = str_trim(str_sub(line, colon + 1, line.n));
			return true;
		}
	}
	return false;
}

/* ---- URLs ---- */

void url_encode(struct str s, bool form, struct buf *out)
{
	static const char hex[] = "0123456789ABCDEF";
	bool dots = !form && (str_eq(s, STR(".")) || str_eq(s, STR("..")));
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
			     (c >= 'a' && c <= 'z') || (c && strchr("-_~", c)) ||
			     (c == '.' && !dots);
		if (plain) {
			buf_append_char(out, (char)c);
		} else if (form && c == ' ') {
			buf_append_char(out, '+');
		} else {
			buf_append_char(out, '%');
			buf_append_char(out, hex[c >> 4]);
			buf_append_char(out, hex[c & 15]);
		}
	}
}

static bool url_has(CURLU *u, CURLUPart part)
{
	char *text = NULL;
	bool has = curl_url_get(u, part, &text, 0) == CURLUE_OK;
	curl_free(text);
	return has;
}

static struct status check_parts(CURLU *u)
{
	char *scheme = NULL;
	if (curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK)
		return status_error(STATUS_INVALID_ARGUMENT, "invalid or missing URL scheme");
	bool known = strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0;
	curl_free(scheme);
	if (!known)
		return status_error(STATUS_INVALID_ARGUMENT, "URL scheme not permitted");
	if (url_has(u, CURLUPART_USER) || url_has(u, CURLUPART_PASSWORD))
		return status_error(
			STATUS_INVALID_ARGUMENT, "user and password do not belong into it");
	if (url_has(u, CURLUPART_QUERY) || url_has(u, CURLUPART_FRAGMENT))
		return status_error(STATUS_INVALID_ARGUMENT, "'?' and '#' do not belong into it");
	return status_ok();
}

struct status url_check(const char *url)
{
	static const char wanted[] = "expected http://HOST[:PORT] or https://HOST[:PORT]";
	if (!strstr(url, "://"))
		return status_error(
			STATUS_INVALID_ARGUMENT, "invalid or missing URL scheme; %s", wanted);
	for (const char *p = url; *p; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7F)
			return status_error(STATUS_INVALID_ARGUMENT,
				"blanks and control characters do not belong into it; %s", wanted);
	if (!str_is_utf8(str_of(url)))
		return status_error(STATUS_INVALID_ARGUMENT, "it is no UTF-8; %s", wanted);
	CURLU *u = curl_url();
	CURLUcode code = curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME);
	struct status s = code == CURLUE_OK ? check_parts(u)
					    : status_error(STATUS_INVALID_ARGUMENT, "invalid URL");
	curl_url_cleanup(u);
	if (status_is_ok(&s))
		return s;
	return status_error(STATUS_INVALID_ARGUMENT, "%s; %s", s.message, wanted);
}

struct origin {
	char *scheme, *host, *port;
};

static void origin_done(struct origin *o)
{
	curl_free(o->scheme);
	curl_free(o->host);
	curl_free(o->port);
}

static bool origin_of(const char *url, struct origin *ret)
{
	*ret = (struct origin){NULL, NULL, NULL};
	CURLU *u = curl_url();
	bool ok = curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
		  curl_url_get(u, CURLUPART_SCHEME, &ret->scheme, 0) == CURLUE_OK &&
		  curl_url_get(u, CURLUPART_HOST, &ret->host, 0) == CURLUE_OK &&
		  curl_url_get(u, CURLUPART_PORT, &ret->port, CURLU_DEFAULT_PORT) == CURLUE_OK;
	curl_url_cleanup(u);
	return ok;
}

/* The same host and port and scheme; or the step from http to https on the usual ports. */
static bool may_carry_credentials(const char *from, const char *to)
{
	__attribute__((cleanup(origin_done))) struct origin a;
	__attribute__((cleanup(origin_done))) struct origin b;
	bool known = origin_of(from, &a);
	known = origin_of(to, &b) && known;
	if (!known || !str_eq_nocase(str_of(a.host), str_of(b.host)))
		return false;
	if (strcmp(a.scheme, b.scheme) == 0 && strcmp(a.port, b.port) == 0)
		return true;
	return strcmp(a.scheme, "http") == 0 && strcmp(a.port, "80") == 0 &&
	       strcmp(b.scheme, "https") == 0 && strcmp(b.port, "443") == 0;
}

/* ---- one exchange ---- */

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
	struct http_response *r = arg;
	return buf_append(&r->body, p, size * n) ? size * n : 0;
}

static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
	struct http_response *r = arg;
	struct str line = str_trim((struct str){p, size * n});
	if (str_starts_with(line, STR("HTTP/")))
		buf_reset(&r->headers); /* what came before was a 1xx or a proxy's answer */
	else if (line.n)
		buf_printf(&r->headers, "%.*s\n", STR_ARG(line));
	return buf_overflown(&r->headers) ? 0 : size * n;
}

struct http_client *http_client_new(const struct http_options *options)
{
	struct http_client *c = xnew(struct http_client);
	c->options = *options;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) || !(c->easy = curl_easy_init()))
		abort(); /* out of memory */
	return c;
}

void http_client_free(struct http_client *c)
{
	if (!c)
		return;
	curl_easy_cleanup(c->easy);
	free(c);
}

static void set_tls(struct http_client *c)
{
	const char *file = c->options.cacert, *folder = NULL;
	struct stat s;
	if (file && stat(file, &s) == 0 && S_ISDIR(s.st_mode)) {
		folder = file;
		file = NULL; /* also of the system: only the folder's authorities count */
	}
	if (c->options.cacert) {
		curl_easy_setopt(c->easy, CURLOPT_CAINFO, file);
		curl_easy_setopt(c->easy, CURLOPT_CAPATH, folder);
		curl_easy_setopt(c->easy, CURLOPT_PROXY_CAINFO, file);
		curl_easy_setopt(c->easy, CURLOPT_PROXY_CAPATH, folder);
	}
	curl_easy_setopt(c->easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
}

static struct curl_slist *make_headers(const struct http_request *request, bool credentials)
{
	struct curl_slist *list = NULL;
	for (size_t i = 0; request->headers && request->headers[i]; i++)
		list = curl_slist_append(list, request->headers[i]);
	for (size_t i = 0; credentials && request->credentials && request->credentials[i]; i++)
		list = curl_slist_append(list, request->credentials[i]);
	/* no wait for "100 Continue" before a body */
	return curl_slist_append(list, "Expect:");
}

static void set_method(struct http_client *c, const char *method, struct str body)
{
	if (strcmp(method, "GET") == 0) {
		curl_easy_setopt(c->easy, CURLOPT_HTTPGET, 1L);
		return;
	}
	curl_easy_setopt(c->easy, CURLOPT_POST, 1L);
	curl_easy_setopt(c->easy, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(c->easy, CURLOPT_POSTFIELDS, body.p ? body.p : "");
	curl_easy_setopt(c->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.n);
}

static void report(
	struct http_client *c, const char *method, const char *url, long status, int64_t us)
{
	if (!c->options.on_exchange)
		return;
	_cleanup_free_ char *plain = xstrndup(url, strcspn(url, "?#"));
	c->options.on_exchange(method, plain, status, us);
}

/* Each time by a connection of its own: libcurl 7.88 breaks one that HTTP/2 begins at once when it
 * uses it again. */
static void set_http2(struct http_client *c, const char *url)
{
	bool tls = str_starts_with(str_of(url), STR("https:"));
	curl_easy_setopt(c->easy, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(c->easy, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(c->easy, CURLOPT_HTTP_VERSION,
		(long)(tls ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE));
}

/* The request is one to options.server_name, by a connection to the host of @url. */
static struct curl_slist *set_server_name(struct http_client *c, const char *url)
{
	struct curl_slist *list = NULL;
	char *host = NULL;
	char *named = NULL;
	CURLU *u = curl_url();
	if (curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
		curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
		curl_url_set(u, CURLUPART_HOST, c->options.server_name, 0) == CURLUE_OK &&
		curl_url_get(u, CURLUPART_URL, &named, 0) == CURLUE_OK) {
		_cleanup_free_ char *text = xasprintf("::%s:", host);
		list = curl_slist_append(NULL, text);
		curl_easy_setopt(c->easy, CURLOPT_CONNECT_TO, list);
		curl_easy_setopt(c->easy, CURLOPT_URL, named);
	}
	curl_free(named);
	curl_free(host);
	curl_url_cleanup(u);
	return list;
}

static CURLcode exchange(struct http_client *c, const struct http_request *request,
	const char *method, const char *url, struct str body, struct curl_slist *headers,
	struct http_response *ret)
{
	curl_easy_reset(c->easy);
	c->error[0] = '\0';
	buf_reset(&ret->headers);
	buf_reset(&ret->body);
	curl_easy_setopt(c->easy, CURLOPT_URL, url);
	curl_easy_setopt(c->easy, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(c->easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c->easy, CURLOPT_USERAGENT, c->options.user_agent);
	curl_easy_setopt(c->easy, CURLOPT_ERRORBUFFER, c->error);
	curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c->easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c->easy, CURLOPT_WRITEDATA, ret);
	curl_easy_setopt(c->easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c->easy, CURLOPT_HEADERDATA, ret);
	curl_easy_setopt(c->easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	long connect_ms = c->options.timeout_ms < CONNECT_TIMEOUT_MS ? (long)c->options.timeout_ms
								     : CONNECT_TIMEOUT_MS;
	curl_easy_setopt(c->easy, CURLOPT_CONNECTTIMEOUT_MS, connect_ms);
	curl_easy_setopt(c->easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(
		c->easy, CURLOPT_LOW_SPEED_TIME, (long)(c->options.timeout_ms + 999) / 1000);
	set_tls(c);
	struct curl_slist *connect_to = c->options.server_name ? set_server_name(c, url) : NULL;
	if (request->http2)
		set_http2(c, url);
	set_method(c, method, body);
	struct mono_time start = clock_mono(&clock_system);
	CURLcode code = curl_easy_perform(c->easy);
	curl_slist_free_all(connect_to);
	if (code == CURLE_OK)
		curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &ret->status);
	report(c, method, url, code == CURLE_OK ? ret->status : 0,
		clock_mono(&clock_system).us - start.us);
	return code;
}

/* ---- repetition ---- */

static void pause_ms(int64_t ms)
{
	struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000};
	nanosleep(&t, NULL);
}

/* A random part of @most, so that many clients do not come back together. */
static int64_t jitter(int64_t most)
{
	uint32_t r;
	random_bytes(&random_system, &r, sizeof r);
	return (int64_t)((double)r / UINT32_MAX * (double)most);
}

/* The pause that the server asked for, or -1. */
static int64_t retry_after_ms(const struct http_response *r)
{
	struct str value;
	if ((r->status != 413 && r->status != 429 && r->status != 503) ||
		!http_response_header(r, STR("Retry-After"), &value))
		return -1;
	uint64_t seconds;
	if (str_to_u64(value, &seconds))
		return seconds > MAX_RETRY_AFTER_MS ? INT64_MAX : (int64_t)seconds * 1000;
	_cleanup_free_ char *text = str_dup(value);
	time_t date = curl_getdate(text, NULL);
	if (date < 0)
		return -1;
	int64_t ms = ((int64_t)date - unix_time_s(clock_now(&clock_system))) * 1000;
	return ms < 0 ? 0 : ms;
}

static bool is_lost_answer(CURLcode code)
{
	return code == CURLE_GOT_NOTHING || code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR ||
	       code == CURLE_PARTIAL_FILE;
}

static bool is_no_connection(CURLcode code)
{
	return code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST ||
	       code == CURLE_COULDNT_RESOLVE_PROXY;
}

/* How long to wait before the next try; -1: this was the last. */
static int64_t next_try_ms(const struct http_request *request, CURLcode code,
	const struct http_response *r, unsigned tries)
{
	if (request->single || tries >= MAX_REPEATS)
		return -1;
	int64_t pause = FIRST_PAUSE_MS << tries;
	if (code != CURLE_OK)
		return is_no_connection(code) || (is_lost_answer(code) && request->repeatable)
			       ? pause / 2 + jitter(pause / 2)
			       : -1;
	int64_t asked = request->repeatable ? retry_after_ms(r) : -1;
	return asked < 0 || asked > MAX_RETRY_AFTER_MS ? -1 : asked + jitter(FIRST_PAUSE_MS);
}

static struct status curl_status(const struct http_client *c, CURLcode code)
{
	const char *text = c->error[0] ? c->error : curl_easy_strerror(code);
	if (code == CURLE_OPERATION_TIMEDOUT)
		return status_error(STATUS_DEADLINE_EXCEEDED, "%s", text);
	if (code == CURLE_WRITE_ERROR)
		return status_error(
			STATUS_RESOURCE_EXHAUSTED, "the answer of the server is too large");
	return status_error(STATUS_UNAVAILABLE, "%s", text);
}

/* ---- redirects ---- */

/* Where the request stands while it is redirected. */
struct hop {
	const char *method;
	char *url;
	struct str body;
	bool credentials;
};

static struct status send_hop(struct http_client *c, const struct http_request *request,
	const struct hop *hop, struct http_response *ret)
{
	struct curl_slist *headers = make_headers(request, hop->credentials);
	CURLcode code;
	for (unsigned tries = 0;; tries++) {
		code = exchange(c, request, hop->method, hop->url, hop->body, headers, ret);
		int64_t pause = next_try_ms(request, code, ret, tries);
		if (pause < 0)
			break;
		pause_ms(pause);
	}
	curl_slist_free_all(headers);
	return code == CURLE_OK ? status_ok() : curl_status(c, code);
}

/* RFC 9110, 15.4: 303 asks for GET; 301 and 302 turn a POST into GET, as browsers always did. */
static void redirect_method(struct hop *hop, long status)
{
	bool get = status == 303 || (status == 302 && strcmp(hop->method, "GET") != 0) ||
		   (status == 301 && strcmp(hop->method, "POST") == 0);
	if (get) {
		hop->method = "GET";
		hop->body = (struct str){NULL, 0};
	}
}

static struct status redirect(
	const struct http_request *request, struct hop *hop, long status, const char *to)
{
	if (!may_carry_credentials(hop->url, to)) {
		if (request->secret_body && hop->body.p)
			return status_error(STATUS_FAILED_PRECONDITION,
				"the server redirects to another host (%.*s), where the token is "
				"not sent",
				(int)strcspn(to, "?#"), to);
		hop->credentials = false;
	}
	redirect_method(hop, status);
	free(hop->url);
	hop->url = xstrdup(to);
	return status_ok();
}

static bool is_redirect(long status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static struct status follow(struct http_client *c, const struct http_request *request,
	struct hop *hop, struct http_response *ret)
{
	for (int redirects = 0;; redirects++) {
		TRY(send_hop(c, request, hop, ret));
		char *to = NULL;
		if (is_redirect(ret->status))
			curl_easy_getinfo(c->easy, CURLINFO_REDIRECT_URL, &to);
		if (!to)
			return status_ok();
		if (redirects == MAX_REDIRECTS)
			return status_error(STATUS_FAILED_PRECONDITION,
				"the server redirects more than %d times", MAX_REDIRECTS);
		_cleanup_free_ char *copy = xstrdup(to);
		TRY(redirect(request, hop, ret->status, copy));
	}
}

struct status http_client_send(
	struct http_client *c, const struct http_request *request, struct http_response *ret)
{
	struct hop hop = {request->method, xstrdup(request->url), request->body, true};
	struct status s = follow(c, request, &hop, ret);
	free(hop.url);
	return s;
}
