/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/session.h"

#include "cli/jwt.h"
#include "cli/render.h"
#include "common/base/clock.h"
#include "common/base/secret.h"
#include "common/base/xalloc.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum {
	TEXT_MAX = 256 * 1024 * 1024,
	REQUEST_TIMEOUT_S = 60,
	TIMEOUT_MAX_S = 24 * 3600
};

/* ---- the console ---- */

static enum console_level console_least = CONSOLE_INFO;

void console_setup(enum console_level least)
{
	console_least = least;
}

static const char *level_name(enum console_level level)
{
	switch (level) {
	case CONSOLE_DEBUG:
		return "DEBUG";
	case CONSOLE_INFO:
		return "INFO";
	case CONSOLE_WARNING:
		return "WARNING";
	case CONSOLE_ERROR:
		return "ERROR";
	case CONSOLE_CRITICAL:
		return "CRITICAL";
	}
	return "?";
}

/* Why standard output could not be written, if that was before the last flush. */
static int output_errno;

/* Writes @text; for a terminal, control characters but line feed and tab become visible. */
static void write_text(FILE *f, struct str text)
{
	if (!isatty(fileno(f))) {
		errno = 0;
		if (fwrite(text.p, 1, text.n, f) != text.n && f == stdout && !output_errno)
			output_errno = errno;
		return;
	}
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];
		unsigned char next = i + 1 < text.n ? (unsigned char)text.p[i + 1] : 0;
		if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7F)
			fprintf(f, "\\x%02x", c);
		else if (c == 0xC2 && next >= 0x80 && next < 0xA0)
			fprintf(f, "\\x%02x", (unsigned char)text.p[++i]);
		else
			fputc(c, f);
	}
}

void cli_print(struct str text)
{
	write_text(stdout, text);
}

void cli_printf(const char *format, ...)
{
	_cleanup_buf_ struct buf text;
	buf_init(&text, TEXT_MAX);
	va_list args;
	va_start(args, format);
	buf_vprintf(&text, format, args);
	va_end(args);
	cli_print(buf_str(&text));
}

int cli_flush(void)
{
	errno = 0;
	if (fflush(stdout) == 0 && !ferror(stdout))
		return EXIT_DONE;
	fprintf(stderr, "osmo: cannot write to standard output: %s\n",
		strerror(output_errno ? output_errno
			 : errno      ? errno
				      : EIO));
	return EXIT_FAILED;
}

static void print_error(struct str text)
{
	fflush(stdout); /* in the order in which things happened */
	write_text(stderr, text);
}

void console_log(enum console_level level, const char *format, ...)
{
	if (level < console_least)
		return;
	_cleanup_buf_ struct buf line;
	buf_init(&line, TEXT_MAX);
	time_t now = (time_t)unix_time_s(clock_now(&clock_system));
	struct tm utc;
	char when[64];
	strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S+0000", gmtime_r(&now, &utc));
	buf_printf(&line, "%s client [%s] client: ", when, level_name(level));
	va_list args;
	va_start(args, format);
	buf_vprintf(&line, format, args);
	va_end(args);
	buf_append_char(&line, '\n');
	print_error(buf_str(&line));
}

/* ---- errors ---- */

int cli_fail(struct cli *c, int exit_code, long code, struct str message)
{
	if (c->error_sink)
		buf_append_str(c->error_sink, message);
	if (!message.n || c->error_sink)
		return exit_code;
	_cleanup_buf_ struct buf text;
	buf_init(&text, TEXT_MAX);
	if (c->json) {
		json_t *error = json_object();
		/* what is no UTF-8 becomes U+FFFD when it is written */
		json_object_set_new(error, "message", json_stringn_nocheck(message.p, message.n));
		json_object_set_new(error, "code", json_integer(code));
		render_json(error, 2, &text);
		json_decref(error);
		buf_append_char(&text, '\n');
		cli_print(buf_str(&text));
	} else {
		buf_append_str(&text, STR("Error message: "));
		buf_append_str(&text, message);
		buf_printf(&text, "\nError code: %ld\n", code);
		print_error(buf_str(&text));
	}
	return exit_code;
}

int cli_failf(struct cli *c, int exit_code, const char *format, ...)
{
	_cleanup_buf_ struct buf message;
	buf_init(&message, TEXT_MAX);
	va_list args;
	va_start(args, format);
	buf_vprintf(&message, format, args);
	va_end(args);
	return cli_fail(c, exit_code, 1, buf_str(&message));
}

int cli_usage_error(struct cli *c, const char *prog, const char *message)
{
	_cleanup_buf_ struct buf text;
	buf_init(&text, TEXT_MAX);
	args_error(c->args->command, prog, c->columns, message, &text);
	print_error(buf_str(&text));
	return EXIT_FAILED;
}

/* ---- the login ---- */

/* OSMO_TIMEOUT, in seconds. */
static int read_timeout(struct cli *c)
{
	const char *text = getenv("OSMO_TIMEOUT");
	uint64_t seconds = REQUEST_TIMEOUT_S;
	if (text && *text &&
		(!str_to_u64(str_of(text), &seconds) || seconds < 1 || seconds > TIMEOUT_MAX_S))
		return cli_failf(c, EXIT_FAILED,
			"OSMO_TIMEOUT must be a number of seconds from 1 to %d, got '%s'",
			TIMEOUT_MAX_S, text);
	c->timeout_ms = (unsigned)seconds * 1000;
	return EXIT_DONE;
}

int cli_init(struct cli *c, const struct command *root, const struct args *args, int columns)
{
	*c = (struct cli){.args = args, .root = root, .columns = columns};
	const char *format = args_value(args, "format_type");
	c->json = format && strcmp(format, "json") == 0;
	static const char *const variables[] = {
		"OSMO_CACERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"};
	c->cacert = args_value(args, "cacert");
	for (size_t i = 0; !c->cacert && i < ARRAY_SIZE(variables); i++) {
		const char *value = getenv(variables[i]);
		c->cacert = value && *value ? value : NULL;
	}
	return read_timeout(c);
}

void cli_done(struct cli *c)
{
	login_done(&c->login);
	http_client_free(c->http);
	free(c->login_path);
	*c = (struct cli){.args = NULL};
}

static struct status find_login_path(struct cli *c)
{
	if (c->login_path)
		return status_ok();
	struct buf path;
	buf_init(&path, TEXT_MAX);
	TRY(login_file_path(&path));
	c->login_path = buf_steal(&path);
	return status_ok();
}

int cli_login_load(struct cli *c)
{
	if (c->login_loaded)
		return EXIT_DONE;
	struct status s = find_login_path(c);
	if (status_is_ok(&s))
		s = login_file_read(c->login_path, &c->login);
	if (!status_is_ok(&s) && s.code != STATUS_NOT_FOUND)
		return cli_failf(c, EXIT_FAILED, "%s", s.message);
	c->login_loaded = true;
	return EXIT_DONE;
}

int cli_login_require(struct cli *c)
{
	int failed = cli_login_load(c);
	if (failed)
		return failed;
	if (!c->login.url || (!c->login.has_token && !c->login.has_dev))
		return cli_failf(c, EXIT_FAILED, "Must login first with \"login\" command");
	return EXIT_DONE;
}

struct status cli_login_save(struct cli *c)
{
	TRY(find_login_path(c));
	return login_file_write(c->login_path, &c->login);
}

/* ---- HTTP ---- */

static void log_exchange(const char *method, const char *url, long status, int64_t us)
{
	if (status)
		console_log(CONSOLE_DEBUG, "%s %s: %ld in %.1f ms", method, url, status,
			(double)us / US_PER_MS);
	else
		console_log(CONSOLE_DEBUG, "%s %s: no answer after %.1f ms", method, url,
			(double)us / US_PER_MS);
}

struct http_client *cli_http(struct cli *c)
{
	if (!c->http) {
		const struct http_options options = {.user_agent = "osmo-cli/" CLI_VERSION,
			.cacert = c->cacert,
			.server_name = args_value(c->args, "server_name"),
			.timeout_ms = c->timeout_ms,
			.on_exchange = log_exchange};
		c->http = http_client_new(&options);
	}
	return c->http;
}

int cli_fail_transport(struct cli *c, const struct status *s)
{
	if (s->code == STATUS_FAILED_PRECONDITION)
		return cli_failf(c, EXIT_SERVICE, "%s", s->message);
	return cli_failf(
		c, EXIT_SERVICE, "\nCannot connect to OSMO service, with error:\n%s\n", s->message);
}

int cli_parse_json(struct cli *c, struct str text, json_t **ret)
{
	json_error_t error;
	json_t *value =
		json_loadb(text.n ? text.p : "", text.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
	if (!value)
		return cli_failf(c, EXIT_SERVICE,
			"\nError decoding JSON: %s: line %d column %d (char %d)\n"
			"Original text: %.*s\n",
			error.text, error.line, error.column, error.position, STR_ARG(text));
	*ret = value;
	return EXIT_DONE;
}

/* A service that knows of a newer client says so on any answer. */
static void warn_version(const struct cli *c, const struct http_response *r)
{
	struct str version;
	if (!http_response_header(r, STR("x-osmo-service-version"), &version))
		return;
	_cleanup_buf_ struct buf text;
	buf_init(&text, TEXT_MAX);
	buf_printf(&text,
		"WARNING: New client %.*s available.\nCurrent version: " CLI_VERSION ".\n"
		"Please update by running:\ncurl -fsSL %s/client/install.sh | bash\n",
		STR_ARG(version), c->login.url ? c->login.url : "");
	print_error(buf_str(&text));
}

/* The body of a 5xx is for whoever runs the service, so all of the answer is shown. */
static int fail_server(struct cli *c, const struct http_response *r)
{
	_cleanup_buf_ struct buf message;
	buf_init(&message, TEXT_MAX);
	buf_printf(&message, "Status Code: %ld\nHeader:\n", r->status);
	struct str rest = buf_str(&r->headers);
	for (struct str line; str_split(&rest, '\n', &line);)
		if (line.n)
			buf_printf(&message, "  %.*s\n", STR_ARG(line));
	buf_append_str(&message, STR("Body:\n"));
	buf_append_str(&message, buf_str(&r->body));
	return cli_fail(c, EXIT_SERVICE, r->status, buf_str(&message));
}

static int fail_client(struct cli *c, const struct http_response *r)
{
	json_t *body =
		json_loadb(buf_str(&r->body).p, r->body.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	const json_t *error_code = json_object_get(body, "error_code");
	const json_t *text = json_object_get(body, "message");
	/* of /api, or a google.rpc.Status of /v1 */
	bool known = (error_code || json_is_integer(json_object_get(body, "code"))) &&
		     json_is_string(text);
	struct str message = known ? (struct str){json_string_value(text), json_string_length(text)}
				   : buf_str(&r->body);
	const char *name = json_string_value(error_code);
	int exit_code = r->status == 429 ? EXIT_TRY_LATER : EXIT_FAILED;
	if (name && (strcmp(name, "USAGE") == 0 || strcmp(name, "RESOURCE") == 0))
		exit_code = EXIT_SUBMISSION;
	(void)cli_fail(c, exit_code, r->status, message);
	json_decref(body);
	return exit_code;
}

int cli_check(struct cli *c, const struct http_response *r, json_t **ret)
{
	warn_version(c, r);
	if (r->status != 200)
		console_log(CONSOLE_ERROR, "Server responded with status code %ld", r->status);
	if (r->status >= 400 && r->status < 500)
		return fail_client(c, r);
	if (r->status >= 500)
		return fail_server(c, r);
	return cli_parse_json(c, buf_str(&r->body), ret);
}

static bool is_unknown_to_service(long status)
{
	return status == 404 || status == 405 || status == 422;
}

static struct status send_api(struct cli *c, const struct api_request *request,
	const char *const *credentials, struct http_response *ret)
{
	static const char *const headers[] = {
		"x-osmo-client-version: " CLI_VERSION, "Content-Type: application/json", NULL};
	_cleanup_free_ char *url = xasprintf("%s%s", c->login.url, request->path);
	const struct http_request http = {.method = request->method,
		.url = url,
		.headers = headers,
		.credentials = credentials,
		.body = request->body,
		.secret_body = request->secret_body,
		.repeatable = request->repeatable};
	TRY(http_client_send(cli_http(c), &http, ret));
	if (request->fallback && is_unknown_to_service(ret->status))
		return send_api(c, request->fallback, credentials, ret);
	return status_ok();
}

static bool is_on(const char *variable)
{
	const char *value = getenv(variable);
	return value && (strcmp(value, "true") == 0 || strcmp(value, "True") == 0);
}

/* The headers that say who calls; texts and list end up in @texts and @list. */
static void make_credentials(
	const struct login *l, char *texts[static 2], const char *list[static 3])
{
	size_t n = 0;
	if (l->has_token) {
		list[n++] = texts[0] = xasprintf("x-osmo-auth: %s", l->id_token);
		if (l->username && *l->username && is_on("OSMO_LOGIN_DEV"))
			list[n++] = texts[1] = xasprintf("x-osmo-user: %s", l->username);
	} else {
		list[n++] = texts[0] = xasprintf("x-osmo-user: %s", l->dev_username);
	}
	list[n] = NULL;
}

/* ---- JWTs ---- */

static int fail_exchange(struct cli *c, const struct http_response *r)
{
	return cli_failf(c, EXIT_SERVICE,
		"Unable to refresh login token (status code %ld): %.*s\n"
		"Please re-login with \"osmo login\"",
		r->status, STR_ARG(buf_str(&r->body)));
}

/* @text, the field @name of an answer, must be a JWT that can travel in a header. */
static struct status check_jwt(const char *text, const char *name)
{
	if (!text)
		return status_error(STATUS_INTERNAL, "it has no text \"%s\"", name);
	if (!login_text_fits_header(text))
		return status_error(STATUS_INTERNAL, "\"%s\" has control characters", name);
	struct jwt jwt;
	TRY(jwt_parse(str_of(text), &jwt));
	jwt_done(&jwt);
	return status_ok();
}

/* Takes the JWT @name out of the JSON answer of an exchange. */
static int take_field(struct cli *c, const struct http_response *r, const char *name, char **ret)
{
	json_t *answer = NULL;
	int failed = cli_parse_json(c, buf_str(&r->body), &answer);
	if (failed)
		return failed;
	const char *text = json_string_value(json_object_get(answer, name));
	struct status s = check_jwt(text, name);
	if (status_is_ok(&s)) {
		secret_free(*ret);
		*ret = xstrdup(text);
	}
	json_decref(answer);
	return status_is_ok(&s) ? EXIT_DONE
				: cli_failf(c, EXIT_SERVICE,
					  "The service did not answer with a login token: %s\n"
					  "Please re-login with \"osmo login\"",
					  s.message);
}

/* The token in the body of a POST. Existing services know only a GET with the token in the URL:
 * @legacy_url, asked if there is nothing else. */
static struct status send_exchange(struct cli *c, const char *url, const char *token,
	const char *legacy_url, struct http_response *ret)
{
	static const char *const headers[] = {"Content-Type: application/json", NULL};
	json_t *object = json_pack("{s:s}", "token", token);
	if (!object)
		return status_error(STATUS_FAILED_PRECONDITION, "the token is not valid UTF-8");
	_cleanup_buf_ struct buf body;
	buf_init(&body, TEXT_MAX);
	render_json(object, -1, &body);
	json_decref(object);
	struct http_request request = {.method = "POST",
		.url = url,
		.headers = headers,
		.body = buf_str(&body),
		.secret_body = true,
		.repeatable = true};
	struct status s = http_client_send(cli_http(c), &request, ret);
	if (status_is_ok(&s) && is_unknown_to_service(ret->status)) {
		request = (struct http_request){
			.method = "GET", .url = legacy_url, .repeatable = true};
		s = http_client_send(cli_http(c), &request, ret);
	}
	return s;
}

static int exchange_access_token(struct cli *c, struct login *login, const char *token)
{
	/* an address of the old form has the token behind the '?' */
	_cleanup_free_ char *url = xstrndup(login->refresh_url, strcspn(login->refresh_url, "?#"));
	_cleanup_buf_ struct buf legacy;
	buf_init(&legacy, TEXT_MAX);
	if (strchr(login->refresh_url, '?')) {
		buf_append_str(&legacy, str_of(login->refresh_url));
	} else {
		buf_printf(&legacy, "%s?access_token=", url);
		url_encode(str_of(token), true, &legacy);
	}
	_cleanup_response_ struct http_response r;
	http_response_init(&r);
	struct status s = send_exchange(c, url, token, legacy.p, &r);
	if (!status_is_ok(&s))
		return cli_fail_transport(c, &s);
	if (r.status >= 300)
		return fail_exchange(c, &r);
	return take_field(c, &r, "token", &login->id_token);
}

/* Logins made with an identity provider: OAuth 2.0, RFC 6749, section 6. */
static int exchange_refresh_token(struct cli *c, struct login *login)
{
	static const char *const headers[] = {
		"Content-Type: application/x-www-form-urlencoded", NULL};
	_cleanup_buf_ struct buf form;
	buf_init(&form, TEXT_MAX);
	buf_append_str(&form, STR("grant_type=refresh_token&refresh_token="));
	url_encode(str_of(login->refresh_token), true, &form);
	buf_append_str(&form, STR("&client_id=osmo-device"));
	const struct http_request request = {.method = "POST",
		.url = login->refresh_url,
		.headers = headers,
		.body = buf_str(&form),
		.secret_body = true};
	_cleanup_response_ struct http_response r;
	http_response_init(&r);
	struct status s = http_client_send(cli_http(c), &request, &r);
	if (!status_is_ok(&s))
		return cli_fail_transport(c, &s);
	if (r.status >= 300)
		return fail_exchange(c, &r);
	int failed = take_field(c, &r, "id_token", &login->id_token);
	if (failed)
		return failed;
	json_t *answer = json_loadb(r.body.p, r.body.n, 0, NULL);
	const char *next = json_string_value(json_object_get(answer, "refresh_token"));
	if (next) { /* a server that does not rotate it keeps the old one valid */
		secret_free(login->refresh_token);
		login->refresh_token = xstrdup(next);
	}
	json_decref(answer);
	return EXIT_DONE;
}

int cli_exchange(struct cli *c, struct login *login)
{
	if (!login->osmo_token && (!login->refresh_token || !*login->refresh_token))
		return cli_failf(
			c, EXIT_FAILED, "Token is expired, but no refresh token is present");
	if (!login->refresh_url || !*login->refresh_url)
		return cli_failf(
			c, EXIT_FAILED, "No token refresh url provided, please login again");
	if (!login->osmo_token)
		return exchange_refresh_token(c, login);
	char *token = login_access_token(login);
	if (!token)
		return cli_failf(
			c, EXIT_FAILED, "The login has no access token, please login again");
	int failed = exchange_access_token(c, login, token);
	secret_free(token);
	return failed;
}

/* Writes the login that was renewed. Another process that logged in or out, rotated the token or
 * renewed it meanwhile has the last word: then the file has no longer @id_token, the JWT before. */
static struct status save_renewed(struct cli *c, const char *id_token)
{
	_cleanup_login_ struct login now = {.url = NULL};
	struct status s = login_file_read(c->login_path, &now);
	if (s.code == STATUS_NOT_FOUND)
		return status_ok();
	TRY(s);
	if (!now.id_token || strcmp(now.id_token, id_token) != 0)
		return status_ok();
	return cli_login_save(c);
}

/* Exchanges the credential of the login for a new JWT, once per process. */
static int renew(struct cli *c)
{
	char *before = xstrdup(c->login.id_token);
	int failed = cli_exchange(c, &c->login);
	struct status s = failed ? status_ok() : save_renewed(c, before);
	secret_free(before);
	if (failed)
		return failed;
	c->refreshed = true;
	if (!status_is_ok(&s)) /* it serves this process all the same */
		console_log(CONSOLE_WARNING, "%s", s.message);
	return EXIT_DONE;
}

static int renew_expired(struct cli *c)
{
	if (!c->login.has_token || c->refreshed)
		return EXIT_DONE;
	struct jwt jwt;
	struct status s = jwt_parse(str_of(c->login.id_token), &jwt);
	bool live = status_is_ok(&s) && !jwt_expired(&jwt, clock_now(&clock_system));
	if (status_is_ok(&s))
		jwt_done(&jwt);
	return live ? EXIT_DONE : renew(c);
}

static struct status send_as_user(
	struct cli *c, const struct api_request *request, struct http_response *ret)
{
	char *texts[2] = {NULL, NULL};
	const char *credentials[3];
	make_credentials(&c->login, texts, credentials);
	struct status s = send_api(c, request, credentials, ret);
	secret_free(texts[0]);
	secret_free(texts[1]);
	return s;
}

/* A JWT that looks live here is refused: the keys of the service changed, its clock differs from
 * ours, or the login has ended. Nothing was done for a 401, so that any request may be sent again.
 * @hint: what to tell the user if the answer is 401 all the same. EXIT_DONE, or the exit code. */
static int send_renewed(struct cli *c, const struct api_request *request, struct http_response *ret,
	struct buf *hint)
{
	console_log(CONSOLE_DEBUG, "The service refuses the login token; renewing it");
	c->error_sink = hint;
	int failed = renew(c);
	c->error_sink = NULL;
	if (failed)
		return EXIT_DONE; /* the refusal is what there is to show */
	buf_append_str(hint, STR("The login token was renewed, and the service refuses the new one "
				 "as well"));
	struct status s = send_as_user(c, request, ret);
	return status_is_ok(&s) ? EXIT_DONE : cli_fail_transport(c, &s);
}

int cli_call(struct cli *c, const struct api_request *request, json_t **ret)
{
	int failed = cli_login_require(c);
	if (failed || (failed = renew_expired(c)))
		return failed;
	_cleanup_response_ struct http_response r;
	http_response_init(&r);
	struct status s = send_as_user(c, request, &r);
	if (!status_is_ok(&s))
		return cli_fail_transport(c, &s);
	_cleanup_buf_ struct buf hint;
	buf_init(&hint, TEXT_MAX);
	bool renewable = r.status == 401 && !c->refreshed && login_is_renewable(&c->login);
	if (renewable && (failed = send_renewed(c, request, &r, &hint)))
		return failed;
	failed = cli_check(c, &r, ret);
	if (renewable && r.status == 401)
		console_log(CONSOLE_ERROR, "%.*s", STR_ARG(buf_str(&hint)));
	return failed;
}
