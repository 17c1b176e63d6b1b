/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/router.h"
#include "proto/pb_schema.h"
#include "tests/lib/all_types/all_types_schema.h"
#include "tests/lib/test.h"

#include "all_types.pb-c.h"

static struct schema *schema;
static struct router *router;
static struct arena *arena;

static int setup(void **state)
{
	(void)state;
	schema = all_types_schema_new();
	assert_ok(router_new(schema, &router));
	arena = arena_new();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(arena);
	router_free(router);
	schema_free(schema);
	return 0;
}

/* @request is "GET /path"; it goes to @rpc with these values, up to NULL. */
static void assert_route_(const char *request, const char *rpc, const char *const *values)
{
	struct str path = str_of(request), method;
	str_split(&path, ' ', &method);
	struct route_match match;
	struct refusal refusal = router_match(router, method, path, arena, &match);
	assert_ok(refusal.status);
	assert_string_equal(match.route->method->name, rpc);
	size_t n = 0;
	for (; values[n]; n++)
		assert_str(match.values[n], values[n]);
	assert_int_equal(n, match.route->n_variables);
}
#define assert_route(request, rpc, ...)                                                            \
	assert_route_((request), (rpc), (const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static void assert_refused(const char *request, int http_status, const char *message)
{
	struct str path = str_of(request), method;
	str_split(&path, ' ', &method);
	struct route_match match;
	struct refusal refusal = router_match(router, method, path, arena, &match);
	assert_int_equal(refusal.http_status, http_status);
	assert_string_equal(refusal.status.message, message);
}

static const char nothing[] = "there is nothing at this path";

static void a_star_is_one_segment(void **state)
{
	(void)state;
	assert_route("GET /t/items/a", "Star", "a");
	assert_route("POST /t/items/a", "Star", "a");
	assert_route("PURGE /t/items/a", "Star", "a");
	assert_refused("GET /t/items", 404, nothing);
	assert_refused("GET /t/items/a/b", 404, nothing);
}

static void a_literal_goes_before_a_variable(void **state)
{
	(void)state;
	assert_route("GET /t/items/all", "Fixed");
	assert_route("GET /t/items/alle", "Star", "alle");
	/* but another method of the variable is still reached */
	assert_route("POST /t/items/all", "Star", "all");
}

static void a_variable_may_span_segments(void **state)
{
	(void)state;
	assert_route("PATCH /t/shelves/1/books/2", "Several", "shelves/1/books/2");
	assert_route("PATCH /t/shelves/a%2Fb/books/%41", "Several", "shelves/a%2Fb/books/A");
	assert_refused("PATCH /t/shelves/1/books", 404, nothing);
}

static void two_stars_are_the_rest(void **state)
{
	(void)state;
	assert_route("GET /t/files/a/b/c", "Rest", "a/b/c");
	assert_route("GET /t/files/a", "Rest", "a");
	assert_route("GET /t/files", "Rest", "");
	assert_route("GET /t/files/a%2fb/%20", "Rest", "a%2fb/ ");
	assert_route("GET /t/trees/a/b:walk", "RestOf", "trees/a/b");
	assert_route("GET /t/trees:walk", "RestOf", "trees");
	assert_route("DELETE /t/x/any/a/b", "Anonymous");
}

static void variables_are_in_the_order_of_the_template(void **state)
{
	(void)state;
	assert_route("GET /t/hello/of/5", "Two", "hello", "5");
	struct route_match match;
	struct refusal refusal =
		router_match(router, STR("GET"), STR("/t/hello/of/5"), arena, &match);
	assert_ok(refusal.status);
	assert_string_equal(match.route->variables[0].name, "inner.text");
	assert_int_equal(match.route->variables[0].n_path, 2);
	assert_string_equal(match.route->variables[0].path[1]->proto_name, "text");
}

static void a_verb_ends_a_path(void **state)
{
	(void)state;
	assert_route("POST /t/items/a:undelete", "Verb", "a");
	assert_route("POST /t/items/a:b:undelete", "Verb", "a:b");
	assert_route("POST /t/items:purge", "FixedVerb");
	assert_route("POST /t/items/a:other", "Star", "a:other");
	assert_route("POST /t/items/a%3Aundelete", "Star", "a:undelete");
}

static void what_ends_with_a_verb_is_no_name(void **state)
{
	(void)state;
	assert_refused("GET /t/items/a:undelete", 405, "the path has no method GET, only POST");
	assert_refused(
		"DELETE /t/items/a:undelete", 405, "the path has no method DELETE, only POST");
	assert_route("GET /t/items/a%3Aundelete", "Star", "a:undelete");
}

static void a_segment_is_decoded_once(void **state)
{
	(void)state;
	assert_route("GET /t/items/a%2Fb", "Star", "a/b");
	assert_route("GET /t/items/%C3%A9+%2B", "Star", "é++");
	assert_route("GET /t/items/a%252e", "Star", "a%2e");
	assert_route("GET /t/items/...", "Star", "...");
	assert_route("GET /t/items/a;b=c,d@~!$&'()*", "Star", "a;b=c,d@~!$&'()*");
}

static void what_could_be_read_in_two_ways_is_refused(void **state)
{
	(void)state;
	const char escape[] = "the path has a malformed percent-escape";
	const char dots[] = "the path has a segment '.' or '..'";
	assert_refused("GET /t/items/%", 400, escape);
	assert_refused("GET /t/items/%4", 400, escape);
	assert_refused("GET /t/items/%zz", 400, escape);
	assert_refused("GET /t/items/..", 400, dots);
	assert_refused("GET /t/./items/a", 400, dots);
	assert_refused("GET /t/items/%2e%2E", 400, dots);
	assert_refused("GET /t/items/.%2e", 400, dots);
	assert_refused("GET /t/items/a%2F..%2Fb", 400, dots);
	assert_refused("GET /nowhere/..", 400, dots);
	assert_refused("GET /t/items/a%00", 400, "the path has a NUL");
	assert_refused("GET /t//items/a", 400, "the path has an empty segment");
	assert_refused("GET //t/items/a", 400, "the path has an empty segment");
	assert_refused("GET /t/items//", 400, "the path has an empty segment");
	assert_refused("GET /t/items/%FF", 400, "the path is not UTF-8");
	assert_refused("GET t/items", 400, "the path must begin with '/'");
	assert_refused("GET ", 400, "the path must begin with '/'");
	assert_refused(
		"GET /t/items/\xC3\xA9", 400, "the path has a byte that must be percent-encoded");
}

static void an_unknown_path_and_a_trailing_slash_are_not_found(void **state)
{
	(void)state;
	assert_refused("GET /", 404, nothing);
	assert_refused("GET /nowhere", 404, nothing);
	assert_refused("GET /t/items/all/", 404, nothing);
	assert_refused("GET /t/items/", 404, nothing);
	assert_refused("GET /T/items/all", 404, nothing);
	assert_refused("GET /%74/items/all", 404, nothing);
	assert_refused("PATCH /nowhere", 404, nothing);
}

static void a_wrong_method_is_told_the_right_ones(void **state)
{
	(void)state;
	struct route_match match;
	struct refusal refusal =
		router_match(router, STR("DELETE"), STR("/t/items/all"), arena, &match);
	assert_int_equal(refusal.http_status, 405);
	assert_int_equal(refusal.status.code, STATUS_UNIMPLEMENTED);
	assert_str(refusal.allow, "GET, HEAD, PURGE, POST");
	assert_string_equal(refusal.status.message,
		"the path has no method DELETE, only GET, HEAD, PURGE, POST");
	refusal = router_match(router, STR("get"), STR("/t/items:purge"), arena, &match);
	assert_int_equal(refusal.http_status, 405);
	assert_str(refusal.allow, "POST");
	refusal = router_match(router, STR("OPTIONS"), STR("*"), arena, &match);
	assert_int_equal(refusal.http_status, 405);
	assert_true(str_eq(refusal.allow, router_methods(router)));
}

static void head_goes_where_get_goes(void **state)
{
	(void)state;
	assert_route("HEAD /t/items/all", "Fixed");
	assert_route("HEAD /t/items/a", "Star", "a");
	assert_refused("HEAD /t/items:purge", 405, "the path has no method HEAD, only POST");
}

static void a_route_knows_its_bodies(void **state)
{
	(void)state;
	assert_int_equal(router_route_count(router), 11);
	const struct route *star = router_route_at(router, 0), *post = router_route_at(router, 1),
			   *book = router_route_at(router, 4);
	assert_false(star->body_is_request);
	assert_null(star->body);
	assert_true(post->body_is_request);
	assert_string_equal(post->template, "/t/items/{name=*}");
	assert_string_equal(book->body->proto_name, "inner");
	assert_string_equal(book->response_body->proto_name, "inner");
	assert_int_equal(book->index, 4);
}

static void wrong_rules_stop_the_start(void **state)
{
	(void)state;
	const struct {
		const ProtobufCServiceDescriptor *service;
		const char *message;
	} rows[] = {
		{&test__v1__same_route__descriptor,
			"google.api.http of /test.v1.SameRoute/B (GET /t/{number=*}): "
			"/test.v1.SameRoute/A has the same route"},
		{&test__v1__malformed_template__descriptor,
			"google.api.http of /test.v1.MalformedTemplate/A (GET /t/{name): the "
			"template "
			"is malformed"},
		{&test__v1__rest_in_the_middle__descriptor,
			"google.api.http of /test.v1.RestInTheMiddle/A (GET /t/{name=**}/x): the "
			"template is malformed"},
		{&test__v1__unknown_variable__descriptor,
			"google.api.http of /test.v1.UnknownVariable/A (GET /t/{nope}): there is "
			"no "
			"field 'nope'"},
		{&test__v1__repeated_variable__descriptor,
			"google.api.http of /test.v1.RepeatedVariable/A (GET /t/{tags}): 'tags' is "
			"repeated"},
		{&test__v1__message_variable__descriptor,
			"google.api.http of /test.v1.MessageVariable/A (GET /t/{inner}): 'inner' "
			"is a "
			"message"},
		{&test__v1__unknown_body__descriptor, "google.api.http of /test.v1.UnknownBody/A "
						      "(POST /t): body 'nope' is no field"},
		{&test__v1__stream_route__descriptor,
			"google.api.http of /test.v1.StreamRoute/A (POST /t): streams have no JSON "
			"form"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct schema *wrong = all_types_schema_of(rows[i].service);
		struct router *none = NULL;
		assert_status(router_new(wrong, &none), STATUS_INTERNAL, rows[i].message);
		assert_null(none);
		schema_free(wrong);
	}
}

static void our_own_routes_are_served(void **state)
{
	(void)state;
	struct schema *ours = NULL;
	struct router *routes = NULL;
	assert_ok(pb_schema_new(&ours));
	assert_ok(router_new(ours, &routes));
	struct route_match match;
	struct refusal refusal =
		router_match(routes, STR("DELETE"), STR("/v1/tokens/my-token"), arena, &match);
	assert_ok(refusal.status);
	assert_string_equal(match.route->method->path, "/osmo.token.v1.TokenService/Delete");
	assert_str(match.values[0], "my-token");
	refusal = router_match(routes, STR("GET"), STR("/api/auth/access_token"), arena, &match);
	assert_ok(refusal.status);
	assert_string_equal(match.route->method->name, "GetTokenInfo");
	refusal = router_match(
		routes, STR("PUT"), STR("/api/auth/access_token/user/n"), arena, &match);
	assert_int_equal(refusal.http_status, 405);
	assert_str(refusal.allow, "DELETE, POST");
	router_free(routes);
	schema_free(ours);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_star_is_one_segment),
		cmocka_unit_test(a_literal_goes_before_a_variable),
		cmocka_unit_test(a_variable_may_span_segments),
		cmocka_unit_test(two_stars_are_the_rest),
		cmocka_unit_test(variables_are_in_the_order_of_the_template),
		cmocka_unit_test(a_verb_ends_a_path),
		cmocka_unit_test(what_ends_with_a_verb_is_no_name),
		cmocka_unit_test(a_segment_is_decoded_once),
		cmocka_unit_test(what_could_be_read_in_two_ways_is_refused),
		cmocka_unit_test(an_unknown_path_and_a_trailing_slash_are_not_found),
		cmocka_unit_test(a_wrong_method_is_told_the_right_ones),
		cmocka_unit_test(head_goes_where_get_goes),
		cmocka_unit_test(a_route_knows_its_bodies),
		cmocka_unit_test(wrong_rules_stop_the_start),
		cmocka_unit_test(our_own_routes_are_served),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
