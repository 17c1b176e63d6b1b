/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd_check.h"

#include "cli/grpc_unary.h"
#include "cli/session.h"
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/random.h"
#include "common/base/secret.h"
#include "common/base/xalloc.h"

#include "osmo/token/v1/token_service.pb-c.h"

#include <time.h>

enum {
	/* Replicas hear of a delete in a moment or, without notifications, remember the token for
	 * their --cache-ttl: 30 s, if nobody said otherwise. */
	FORGOTTEN_MAX_MS = 60 * 1000,
	PAUSE_MS = 20,
	TEXT_MAX = 64 * 1024,
	NAME_BYTES = 32,
	SECRET_MAX_BYTES = 256
};

static const char prog[] = "osmo check";

/* A way to the service, and the token that is made, used and deleted over it. */
struct trial {
	struct http_client *http;
	const char *url;
	const char *admin;     /* "Authorization: Bearer …" of who makes the token */
	char name[NAME_BYTES]; /* of the token */
	char *secret;          /* "Authorization: Bearer …" with the token itself */
	char seen[NAME_BYTES]; /* the token that the service says the caller used */
	bool listed;
};

struct way {
	const char *name;
	struct status (*set)(struct trial *t);
	struct status (*list)(struct trial *t); /* fills t->listed */
	struct status (*use)(struct trial *t);  /* fills t->seen */
	struct status (*delete_token)(struct trial *t);
};

static char *bearer(const char *token)
{
	return xasprintf("Authorization: Bearer %s", token);
}

/* ---- over HTTP ---- */

/* What an answer that is not 200 says. */
static struct status http_refusal(const struct http_response *r)
{
	json_t *body = json_loadb(buf_str(&r->body).p, r->body.n, 0, NULL);
	const char *text = json_string_value(json_object_get(body, "message"));
	enum status_code code = r->status == 401 ? STATUS_UNAUTHENTICATED : STATUS_UNKNOWN;
	struct status s = status_error(
		code, "HTTP status %ld%s%s", r->status, text ? ": " : "", text ? text : "");
	json_decref(body);
	return s;
}

/* *ret (json_decref) is the answer's object. */
static struct status http_call(struct trial *t, const char *method, const char *path,
	struct str body, const char *authorization, json_t **ret)
{
	const char *const headers[] = {body.p ? "Content-Type: application/json" : NULL, NULL};
	const char *const credentials[] = {authorization, NULL};
	_cleanup_free_ char *url = xasprintf("%s%s", t->url, path);
	const struct http_request request = {.method = method,
		.url = url,
		.headers = headers,
		.credentials = credentials,
		.body = body,
		.single = true};
	_cleanup_response_ struct http_response r;
	http_response_init(&r);
	TRY(http_client_send(t->http, &request, &r));
	if (r.status != 200)
		return http_refusal(&r);
	json_t *answer = json_loadb(buf_str(&r.body).p, r.body.n, 0, NULL);
	if (!answer)
		return status_error(STATUS_INTERNAL, "the answer is no JSON object");
	*ret = answer;
	return status_ok();
}

static struct status take_secret(struct trial *t, const char *secret)
{
	if (!secret || !*secret || strlen(secret) > SECRET_MAX_BYTES)
		return status_error(STATUS_INTERNAL, "the answer holds no token");
	t->secret = bearer(secret);
	return status_ok();
}

static struct status http_set(struct trial *t)
{
	json_t *answer;
	_cleanup_free_ char *body = xasprintf("{\"name\": \"%s\"}", t->name);
	TRY(http_call(t, "POST", "/v1/tokens", str_of(body), t->admin, &answer));
	struct status s = take_secret(t, json_string_value(json_object_get(answer, "secret")));
	json_decref(answer);
	return s;
}

static struct status http_list(struct trial *t)
{
	json_t *answer;
	_cleanup_free_ char *path = xasprintf("/v1/tokens?filter=name%%3D%%22%s%%22", t->name);
	TRY(http_call(t, "GET", path, (struct str){NULL, 0}, t->admin, &answer));
	size_t i;
	const json_t *token;
	json_array_foreach(json_object_get(answer, "tokens"), i, token)
	{
		const char *name = json_string_value(json_object_get(token, "name"));
		t->listed = t->listed || (name && strcmp(name, t->name) == 0);
	}
	json_decref(answer);
	return status_ok();
}

static struct status http_use(struct trial *t)
{
	json_t *answer;
	TRY(http_call(t, "GET", "/v1/whoami", (struct str){NULL, 0}, t->secret, &answer));
	const char *name = json_string_value(json_object_get(answer, "tokenName"));
	snprintf(t->seen, sizeof t->seen, "%s", name ? name : "");
	json_decref(answer);
	return status_ok();
}

static struct status http_delete(struct trial *t)
{
	json_t *answer;
	_cleanup_free_ char *path = xasprintf("/v1/tokens/%s", t->name);
	TRY(http_call(t, "DELETE", path, (struct str){NULL, 0}, t->admin, &answer));
	json_decref(answer);
	return status_ok();
}

/* ---- over gRPC ---- */

static struct status grpc_call(struct trial *t, const char *method, const char *authorization,
	const ProtobufCMessage *request, const ProtobufCMessageDescriptor *reply,
	ProtobufCMessage **ret)
{
	const struct grpc_target target = {t->http, t->url, authorization};
	_cleanup_free_ char *full = xasprintf("osmo.token.v1.TokenService/%s", method);
	return grpc_unary(&target, full, request, reply, ret);
}

static struct status grpc_set(struct trial *t)
{
	Osmo__Token__V1__SetRequest request = OSMO__TOKEN__V1__SET_REQUEST__INIT;
	request.name = t->name;
	ProtobufCMessage *answer;
	TRY(grpc_call(t, "Set", t->admin, &request.base, &osmo__token__v1__set_response__descriptor,
		&answer));
	char *secret = ((Osmo__Token__V1__SetResponse *)answer)->secret;
	struct status s = take_secret(t, secret);
	secret_wipe(secret, strlen(secret));
	protobuf_c_message_free_unpacked(answer, NULL);
	return s;
}

static struct status grpc_list(struct trial *t)
{
	Osmo__Token__V1__ListRequest request = OSMO__TOKEN__V1__LIST_REQUEST__INIT;
	_cleanup_free_ char *filter = xasprintf("name=\"%s\"", t->name);
	request.filter = filter;
	ProtobufCMessage *answer;
	TRY(grpc_call(t, "List", t->admin, &request.base,
		&osmo__token__v1__list_response__descriptor, &answer));
	const Osmo__Token__V1__ListResponse *list = (Osmo__Token__V1__ListResponse *)answer;
	for (size_t i = 0; i < list->n_tokens; i++)
		t->listed = t->listed || strcmp(list->tokens[i]->name, t->name) == 0;
	protobuf_c_message_free_unpacked(answer, NULL);
	return status_ok();
}

static struct status grpc_use(struct trial *t)
{
	Osmo__Token__V1__WhoAmIRequest request = OSMO__TOKEN__V1__WHO_AM_IREQUEST__INIT;
	ProtobufCMessage *answer;
	TRY(grpc_call(t, "WhoAmI", t->secret, &request.base,
		&osmo__token__v1__who_am_iresponse__descriptor, &answer));
	snprintf(t->seen, sizeof t->seen, "%s",
		((Osmo__Token__V1__WhoAmIResponse *)answer)->token_name);
	protobuf_c_message_free_unpacked(answer, NULL);
	return status_ok();
}

static struct status grpc_delete(struct trial *t)
{
	Osmo__Token__V1__DeleteRequest request = OSMO__TOKEN__V1__DELETE_REQUEST__INIT;
	request.name = t->name;
	ProtobufCMessage *answer;
	TRY(grpc_call(t, "Delete", t->admin, &request.base,
		&osmo__token__v1__delete_response__descriptor, &answer));
	protobuf_c_message_free_unpacked(answer, NULL);
	return status_ok();
}

static const struct way over_http = {"HTTP", http_set, http_list, http_use, http_delete};
static const struct way over_grpc = {"gRPC", grpc_set, grpc_list, grpc_use, grpc_delete};

/* ---- the steps ---- */

static struct status check_list(const struct way *way, struct trial *t)
{
	t->listed = false;
	TRY(way->list(t));
	return t->listed ? status_ok()
			 : status_error(STATUS_INTERNAL, "the list does not hold the token");
}

static struct status check_use(const struct way *way, struct trial *t)
{
	t->seen[0] = '\0';
	TRY(way->use(t));
	if (strcmp(t->seen, t->name) == 0)
		return status_ok();
	return status_error(STATUS_INTERNAL, "the service took the token for '%s'", t->seen);
}

static struct status check_refusal(const struct way *way, struct trial *t)
{
	static const struct timespec pause = {0, PAUSE_MS * 1000000L};
	struct mono_time end = mono_time_add_ms(clock_mono(&clock_system), FORGOTTEN_MAX_MS);
	struct status s = way->use(t);
	while (status_is_ok(&s) && clock_mono(&clock_system).us < end.us) {
		nanosleep(&pause, NULL);
		s = way->use(t);
	}
	if (s.code == STATUS_UNAUTHENTICATED)
		return status_ok();
	return status_is_ok(&s) ? status_error(STATUS_INTERNAL, "it still opens the door") : s;
}

/* Shows how it went: "gRPC  a token is made    1.2 ms". */
static bool report(const struct way *way, const char *what, struct mono_time start, struct status s)
{
	double ms = (double)(clock_mono(&clock_system).us - start.us) / US_PER_MS;
	if (status_is_ok(&s))
		cli_printf("%s  %-28s %8.1f ms\n", way->name, what, ms);
	else
		console_log(CONSOLE_ERROR, "%s: not true that %s: %s", way->name, what, s.message);
	return status_is_ok(&s);
}

static bool run_trial(const struct way *way, struct trial *t)
{
	struct mono_time start = clock_mono(&clock_system);
	if (!report(way, "a token is made", start, way->set(t)))
		return false;
	start = clock_mono(&clock_system);
	bool good = report(way, "it is listed", start, check_list(way, t));
	start = clock_mono(&clock_system);
	good = report(way, "it says who its owner is", start, check_use(way, t)) && good;
	start = clock_mono(&clock_system);
	bool deleted = report(way, "it is deleted", start, way->delete_token(t));
	start = clock_mono(&clock_system);
	return deleted && report(way, "it opens nothing any more", start, check_refusal(way, t)) &&
	       good;
}

static bool check_way(struct cli *c, const struct way *way, const char *url, const char *admin)
{
	struct trial t = {.http = cli_http(c), .url = url, .admin = admin};
	uint64_t id;
	random_bytes(&random_system, &id, sizeof id);
	snprintf(t.name, sizeof t.name, "check-%016llx", (unsigned long long)id);
	bool good = run_trial(way, &t);
	secret_free(t.secret);
	return good;
}

/* ---- the arguments ---- */

/* The text of argument @name without a slash at its end; NULL after an error that was shown. */
static char *take_url(struct cli *c, const char *name, const char *shown)
{
	const char *text = args_value(c->args, name);
	struct status s = url_check(text);
	if (!status_is_ok(&s)) {
		_cleanup_free_ char *message =
			xasprintf("argument %s: %s: %s", shown, text, s.message);
		(void)cli_usage_error(c, prog, message);
		return NULL;
	}
	struct str url = str_of(text);
	while (url.n && url.p[url.n - 1] == '/')
		url.n--;
	return str_dup(url);
}

static int take_admin(struct cli *c, char **ret)
{
	_cleanup_secret_ struct secret secret = {NULL, 0};
	const char *file = args_value(c->args, "token_file");
	if (!file)
		return cli_usage_error(
			c, prog, "the following arguments are required: --token-file");
	struct status s = file_read_secret(file, false, &secret);
	if (!status_is_ok(&s)) {
		_cleanup_free_ char *message = xasprintf("argument --token-file: %s", s.message);
		return cli_usage_error(c, prog, message);
	}
	*ret = bearer(secret.p);
	return EXIT_DONE;
}

int cmd_check(struct cli *c)
{
	char *admin = NULL;
	_cleanup_free_ char *url = take_url(c, "url", "url");
	if (!url)
		return EXIT_FAILED;
	bool grpc = args_has(c->args, "grpc");
	_cleanup_free_ char *grpc_url = grpc ? take_url(c, "grpc", "--grpc") : NULL;
	if (grpc && !grpc_url)
		return EXIT_FAILED;
	int failed = take_admin(c, &admin);
	if (failed)
		return failed;
	bool good = check_way(c, &over_http, url, admin);
	if (grpc_url)
		good = check_way(c, &over_grpc, grpc_url, admin) && good;
	secret_free(admin);
	return good ? EXIT_DONE : EXIT_SERVICE;
}
