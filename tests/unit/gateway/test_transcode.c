/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/transcode.h"
#include "proto/pb_schema.h"
#include "tests/lib/all_types/all_types_schema.h"
#include "tests/lib/test.h"

#include "all_types.pb-c.h"
#include "osmo/compat/v1/compat_service.pb-c.h"
#include "osmo/token/v1/profile_service.pb-c.h"
#include "osmo/token/v1/token_service.pb-c.h"

static struct schema *ours, *tests;
static struct router *our_router, *test_router;
static struct arena *arena;

static int setup(void **state)
{
	(void)state;
	assert_ok(pb_schema_new(&ours));
	assert_ok(router_new(ours, &our_router));
	tests = all_types_schema_new();
	assert_ok(router_new(tests, &test_router));
	arena = arena_new();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(arena);
	router_free(our_router);
	router_free(test_router);
	schema_free(ours);
	schema_free(tests);
	return 0;
}

/* A request to one of ours, or of the tests when its path begins with /t/. */
static struct refusal send_typed(const char *method, const char *target, const char *content_type,
	const char *body, ProtobufCMessage **ret)
{
	struct str path = str_of(target);
	const size_t mark = str_index(path, '?');
	struct transcode_input in = {
		.dialect = dialect_of(path),
		.query = str_sub(path, mark + 1, path.n),
		.content_type = str_of(content_type),
		.body = str_of(body),
	};
	path.n = mark;
	const bool test = str_starts_with(path, STR("/t/"));
	struct route_match match;
	struct refusal refusal =
		router_match(test ? test_router : our_router, str_of(method), path, arena, &match);
	if (refusal.status.code != STATUS_OK)
		return refusal;
	return transcode_request(test ? tests : ours, &match, &in, arena, ret);
}

static ProtobufCMessage *send(const char *method, const char *target, const char *body)
{
	ProtobufCMessage *message = NULL;
	struct refusal refusal = send_typed(method, target, "application/json", body, &message);
	assert_ok(refusal.status);
	return message;
}

static void assert_refused(const char *method, const char *target, const char *body,
	const char *field, const char *text)
{
	ProtobufCMessage *message = NULL;
	struct refusal refusal = send_typed(method, target, "application/json", body, &message);
	assert_null(message);
	assert_int_equal(refusal.http_status, 400);
	assert_string_equal(refusal.status.field, field);
	assert_status(refusal.status, STATUS_INVALID_ARGUMENT, text);
}

static void a_body_is_the_request(void **state)
{
	(void)state;
	Osmo__Token__V1__SetRequest *m = (void *)send("POST", "/v1/tokens",
		"{\"name\":\"a\",\"kind\":\"service\",\"roles\":[\"x\",\"y\"],\"expire_date\":"
		"\"2030-01-01\"}");
	assert_string_equal(m->name, "a");
	assert_int_equal(m->kind, OSMO__TOKEN__V1__KIND__SERVICE);
	assert_int_equal(m->n_roles, 2);
	assert_string_equal(m->expire_date, "2030-01-01");
	assert_refused("POST", "/v1/tokens", "{\"name\":5}", "name",
		"name: expected a string, got a number");
	assert_refused("POST", "/v1/tokens", "{\"nmae\":\"a\"}", "nmae",
		"nmae: there is no field of this name");
	assert_refused("POST", "/v1/tokens", "{", "",
		"not valid JSON: unexpected end at line 1, column 2");
}

static void no_body_is_an_empty_request(void **state)
{
	(void)state;
	Osmo__Token__V1__SetRequest *m = (void *)send("POST", "/v1/tokens", "");
	assert_string_equal(m->name, "");
}

static void a_body_may_be_one_field_and_the_rest_the_query(void **state)
{
	(void)state;
	Test__V1__RouteRequest *m = (void *)send("PATCH",
		"/t/shelves/1/books/2?number=7&tags=a&tags=b+c&tags=d%2Be&flag=true&color=green&"
		"time=1970-01-01T00:00:01Z",
		"{\"text\":\"t\"}");
	assert_string_equal(m->name, "shelves/1/books/2");
	assert_int_equal(m->number, 7);
	assert_int_equal(m->n_tags, 3);
	assert_string_equal(m->tags[1], "b c");
	assert_string_equal(m->tags[2], "d+e");
	assert_true(m->flag);
	assert_int_equal(m->color, TEST__V1__COLOR__GREEN);
	assert_int_equal(m->time->seconds, 1);
	assert_string_equal(m->inner->text, "t");
	assert_refused("PATCH", "/t/shelves/1/books/2", "{\"number\":\"x\"}", "inner.number",
		"inner.number: expected an integer of 32 bits, got 'x'");
	assert_refused("PATCH", "/t/shelves/1/books/2?inner.number=5", "{}", "inner.number",
		"inner.number: belongs into the body or the path, not into the query");
}

static void a_query_reaches_into_messages(void **state)
{
	(void)state;
	Test__V1__RouteRequest *m =
		(void *)send("GET", "/t/items/all?inner.inner.number=5&inner.text=&&name=n", "");
	assert_int_equal(m->inner->inner->number, 5);
	assert_string_equal(m->inner->text, "");
	assert_string_equal(m->name, "n");
	assert_refused("GET", "/t/items/all?inner=x", "", "inner",
		"inner: an object cannot be given as text");
	assert_refused("GET", "/t/items/all?labels=x", "", "labels",
		"labels: an object cannot be given as text");
	assert_refused("GET", "/t/items/all?labels.a=x", "", "labels.a",
		"labels.a: there is no query parameter of this name");
	assert_refused("GET", "/t/items/all?time.seconds=1", "", "time.seconds",
		"time.seconds: there is no query parameter of this name");
	assert_refused("GET", "/t/items/all?inner.", "", "inner.",
		"inner.: there is no query parameter of this name");
}

static void a_path_variable_reaches_into_messages(void **state)
{
	(void)state;
	Test__V1__RouteRequest *m = (void *)send("GET", "/t/hello/of/5", "");
	assert_string_equal(m->inner->text, "hello");
	assert_int_equal(m->number, 5);
	assert_refused("GET", "/t/hello/of/five", "", "number",
		"number: expected an integer of 32 bits, got 'five'");
}

static void what_the_path_says_wins(void **state)
{
	(void)state;
	Test__V1__RouteRequest *m =
		(void *)send("POST", "/t/items/a", "{\"name\":\"b\",\"number\":1}");
	assert_string_equal(m->name, "a");
	assert_int_equal(m->number, 1);
}

static void unknown_and_repeated_parameters_are_refused(void **state)
{
	(void)state;
	Osmo__Token__V1__ListRequest *m =
		(void *)send("GET", "/v1/tokens?kind=Service&page_size=5&pageToken=x", "");
	assert_int_equal(m->kind, OSMO__TOKEN__V1__KIND__SERVICE);
	assert_int_equal(m->page_size, 5);
	assert_string_equal(m->page_token, "x");
	assert_refused("GET", "/v1/tokens?page=5", "", "page",
		"page: there is no query parameter of this name");
	assert_refused("GET", "/v1/tokens?page_size=5&pageSize=6", "", "pageSize",
		"pageSize: the query parameter is given twice");
	assert_refused("DELETE", "/v1/tokens/a?name=b", "", "name",
		"name: belongs into the body or the path, not into the query");
	assert_refused("POST", "/v1/tokens?name=b", "{}", "name",
		"name: belongs into the body or the path, not into the query");
	assert_refused("GET", "/v1/tokens?kind=robot", "", "kind",
		"kind: expected one of USER, SERVICE, got 'robot'");
	assert_refused("GET", "/v1/tokens?page_size=", "", "page_size",
		"page_size: expected an integer of 32 bits, got ''");
	assert_refused(
		"GET", "/v1/tokens?filter=%zz", "", "", "the query has a malformed percent-escape");
	assert_refused("GET", "/v1/tokens?filter=%00", "", "filter",
		"filter: expected UTF-8 text without NUL");
	assert_refused("GET", "/v1/tokens?fil%FFter=", "", "",
		"the query has a name that is not UTF-8 or has a NUL");
}

static void old_clients_are_read_as_they_write(void **state)
{
	(void)state;
	Osmo__Compat__V1__CreateTokenRequest *m = (void *)send("POST",
		"/api/auth/access_token/service/"
		"a%20b?expires_at=2027-01-01&description=x+%C3%A9&roles=r1&"
		"roles=r2&whatever=1&expires_at=2027-1-2&name=z",
		"");
	assert_string_equal(m->name, "a b");
	assert_string_equal(m->expires_at, "2027-1-2");
	assert_string_equal(m->description, "x é");
	assert_int_equal(m->n_roles, 2);
	Osmo__Compat__V1__SetProfileRequest *p = (void *)send("POST", "/api/profile/settings",
		"{\"bucket\":\"b\",\"nonsense\":{\"a\":[1]},\"pool\":null}");
	assert_string_equal(p->bucket->value, "b");
	assert_null(p->pool);
	send("GET", "/api/auth/access_token/user", "ignored");
}

static void a_body_that_is_not_json_is_415(void **state)
{
	(void)state;
	const char *const good[] = {"application/json", "Application/JSON; charset=UTF-8",
		"application/json;charset=\"utf-8\"", "application/json; q=1"};
	const char *const bad[] = {"", "text/plain", "application/x-www-form-urlencoded",
		"application/json; charset=latin1", "application/jsonx", "multipart/form-data"};
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		ProtobufCMessage *message = NULL;
		struct refusal refusal = send_typed("POST", "/v1/tokens", good[i], "{}", &message);
		assert_ok(refusal.status);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		ProtobufCMessage *message = NULL;
		struct refusal refusal = send_typed("POST", "/v1/tokens", bad[i], "{}", &message);
		assert_int_equal(refusal.http_status, 415);
		assert_int_equal(refusal.status.code, STATUS_INVALID_ARGUMENT);
	}
	/* without a body the type says nothing */
	ProtobufCMessage *message = NULL;
	struct refusal refusal = send_typed("GET", "/v1/whoami", "text/plain", "", &message);
	assert_ok(refusal.status);
}

static void a_body_where_none_is_taken_is_refused(void **state)
{
	(void)state;
	assert_refused("GET", "/v1/whoami", "{}", "", "GET /v1/whoami takes no body");
	assert_refused(
		"DELETE", "/v1/tokens/a", "{}", "", "DELETE /v1/tokens/{name} takes no body");
}

static void assert_reply(
	const char *method, const char *path, const ProtobufCMessage *reply, const char *wanted)
{
	struct route_match match;
	struct refusal refusal =
		router_match(our_router, str_of(method), str_of(path), arena, &match);
	assert_ok(refusal.status);
	_cleanup_buf_ struct buf out;
	buf_init(&out, 10000);
	assert_ok(transcode_reply(ours, match.route, reply, &out));
	assert_str(buf_str(&out), wanted);
}

static void a_reply_is_the_response_or_one_field_of_it(void **state)
{
	(void)state;
	Osmo__Token__V1__DeleteResponse deleted = OSMO__TOKEN__V1__DELETE_RESPONSE__INIT;
	assert_reply("DELETE", "/v1/tokens/a", &deleted.base, "{}");
	Osmo__Compat__V1__NullResponse null = OSMO__COMPAT__V1__NULL_RESPONSE__INIT;
	assert_reply("DELETE", "/api/auth/access_token/user/a", &null.base, "null");
	Osmo__Compat__V1__CreateTokenResponse token = OSMO__COMPAT__V1__CREATE_TOKEN_RESPONSE__INIT;
	token.token = (char *)(uintptr_t) "abc";
	assert_reply("POST", "/api/auth/access_token/user/a", &token.base, "\"abc\"");
	Osmo__Compat__V1__ListTokensResponse list = OSMO__COMPAT__V1__LIST_TOKENS_RESPONSE__INIT;
	assert_reply("GET", "/api/auth/access_token/user", &list.base, "[]");
	Osmo__Compat__V1__ExchangeTokenResponse jwt =
		OSMO__COMPAT__V1__EXCHANGE_TOKEN_RESPONSE__INIT;
	jwt.token = (char *)(uintptr_t) "j.w.t";
	jwt.expires_at = 1777636800;
	assert_reply("GET", "/api/auth/jwt/access_token", &jwt.base,
		"{\"token\":\"j.w.t\",\"expires_at\":1777636800,\"error\":null}");
}

int main(void)
{
	const struct CMUnitTest all[] = {
		cmocka_unit_test(a_body_is_the_request),
		cmocka_unit_test(no_body_is_an_empty_request),
		cmocka_unit_test(a_body_may_be_one_field_and_the_rest_the_query),
		cmocka_unit_test(a_query_reaches_into_messages),
		cmocka_unit_test(a_path_variable_reaches_into_messages),
		cmocka_unit_test(what_the_path_says_wins),
		cmocka_unit_test(unknown_and_repeated_parameters_are_refused),
		cmocka_unit_test(old_clients_are_read_as_they_write),
		cmocka_unit_test(a_body_that_is_not_json_is_415),
		cmocka_unit_test(a_body_where_none_is_taken_is_refused),
		cmocka_unit_test(a_reply_is_the_response_or_one_field_of_it),
	};
	return cmocka_run_group_tests(all, setup, teardown);
}
