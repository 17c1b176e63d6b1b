/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/arena.h"
#include "common/rpc/call.h"
#include "gateway/dialect.h"
#include "proto/pb_schema.h"
#include "tests/lib/test.h"

#include "google/rpc/status.pb-c.h"

static struct schema *schema;
static struct arena *arena;

static int setup(void **state)
{
	(void)state;
	assert_ok(pb_schema_new(&schema));
	arena = arena_new();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(arena);
	schema_free(schema);
	return 0;
}

static void the_path_chooses_the_dialect(void **state)
{
	(void)state;
	const char *const api[] = {"/api", "/api/version", "/api/", "/client/version", "/health"};
	const char *const v1[] = {
		"/v1/tokens", "/", "/apis", "/healthz", "", "/API/version", "/x/api"};
	for (size_t i = 0; i < ARRAY_SIZE(api); i++)
		assert_ptr_equal(dialect_of(str_of(api[i])), &dialect_api);
	for (size_t i = 0; i < ARRAY_SIZE(v1); i++)
		assert_ptr_equal(dialect_of(str_of(v1[i])), &dialect_v1);
}

static void every_code_has_its_http_status(void **state)
{
	(void)state;
	const struct {
		enum status_code code;
		int v1, api;
	} rows[STATUS_CODE_COUNT] = {
		{STATUS_OK, 200, 200},
		{STATUS_CANCELLED, 499, 499},
		{STATUS_UNKNOWN, 500, 500},
		{STATUS_INVALID_ARGUMENT, 400, 400},
		{STATUS_DEADLINE_EXCEEDED, 504, 504},
		{STATUS_NOT_FOUND, 404, 400},
		{STATUS_ALREADY_EXISTS, 409, 400},
		{STATUS_PERMISSION_DENIED, 403, 403},
		{STATUS_RESOURCE_EXHAUSTED, 429, 429},
		{STATUS_FAILED_PRECONDITION, 400, 400},
		{STATUS_ABORTED, 409, 409},
		{STATUS_OUT_OF_RANGE, 400, 400},
		{STATUS_UNIMPLEMENTED, 501, 501},
		{STATUS_INTERNAL, 500, 500},
		{STATUS_UNAVAILABLE, 503, 503},
		{STATUS_DATA_LOSS, 500, 500},
		{STATUS_UNAUTHENTICATED, 401, 401},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(dialect_http_status(&dialect_v1, rows[i].code), rows[i].v1);
		assert_int_equal(dialect_http_status(&dialect_api, rows[i].code), rows[i].api);
	}
	assert_int_equal(dialect_http_status(&dialect_v1, (enum status_code)77), 500);
}

static void assert_body(const struct dialect *d, struct status status, int http_status,
	struct str details, const char *wanted)
{
	_cleanup_buf_ struct buf out;
	buf_init(&out, 10000);
	dialect_write_error(d, schema, &status, http_status, details, &out);
	assert_str(buf_str(&out), wanted);
}

static void an_error_is_a_google_rpc_status(void **state)
{
	(void)state;
	const struct str none = {NULL, 0};
	assert_body(&dialect_v1, status_error(STATUS_NOT_FOUND, "no \"x\""), 404, none,
		"{\"code\":5,\"message\":\"no \\\"x\\\"\",\"details\":[]}");
	const struct status status = status_invalid("roles[1]", "unknown role");
	assert_body(&dialect_v1, status, 400, status_details_of(&status, "r-1", arena),
		"{\"code\":3,\"message\":\"unknown role\",\"details\":["
		"{\"@type\":\"type.googleapis.com/google.rpc.BadRequest\",\"fieldViolations\":["
		"{\"field\":\"roles[1]\",\"description\":\"unknown role\"}]}]}");
	const struct status ours = status_error(STATUS_INTERNAL, "a fault of ours");
	assert_body(&dialect_v1, ours, 500, status_details_of(&ours, "r-1", arena),
		"{\"code\":13,\"message\":\"a fault of ours\",\"details\":["
		"{\"@type\":\"type.googleapis.com/google.rpc.RequestInfo\",\"requestId\":\"r-1\","
		"\"servingData\":\"\"}]}");
}

static void existing_clients_see_a_class_of_error(void **state)
{
	(void)state;
	const struct str none = {NULL, 0};
	assert_body(&dialect_api, status_error(STATUS_NOT_FOUND, "gone"), 400, none,
		"{\"code\":5,\"message\":\"gone\",\"details\":[],\"error_code\":\"USER\","
		"\"workflow_id\":null}");
	assert_body(&dialect_api, status_error(STATUS_NOT_FOUND, "no path"), 404, none,
		"{\"code\":5,\"message\":\"no path\",\"details\":[],\"error_code\":404,"
		"\"workflow_id\":null}");
	assert_body(&dialect_api, status_error(STATUS_PERMISSION_DENIED, "no"), 403, none,
		"{\"code\":7,\"message\":\"no\",\"details\":[],\"error_code\":403,"
		"\"workflow_id\":null}");
	assert_body(&dialect_api, status_error(STATUS_FAILED_PRECONDITION, "old"), 400, none,
		"{\"code\":9,\"message\":\"old\",\"details\":[],\"error_code\":\"OSMO_ERROR\","
		"\"workflow_id\":null}");
}

static void details_that_are_not_known_are_left_out(void **state)
{
	(void)state;
	const struct status status = status_error(STATUS_UNAVAILABLE, "away");
	Google__Protobuf__Any unknown = GOOGLE__PROTOBUF__ANY__INIT;
	unknown.type_url = (char *)(uintptr_t) "type.googleapis.com/x.Unknown";
	struct str known = status_details_of(&status, "", arena);
	Google__Rpc__Status *message =
		google__rpc__status__unpack(NULL, known.n, (const uint8_t *)known.p);
	assert_int_equal(message->n_details, 1);
	Google__Protobuf__Any *details[] = {&unknown, message->details[0], &unknown};
	Google__Rpc__Status mixed = GOOGLE__RPC__STATUS__INIT;
	mixed.n_details = 3;
	mixed.details = details;
	uint8_t bytes[500];
	const struct str packed = {(char *)bytes, google__rpc__status__pack(&mixed, bytes)};
	assert_body(&dialect_v1, status, 503, packed,
		"{\"code\":14,\"message\":\"away\",\"details\":["
		"{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":\"1s\"}]}");
	google__rpc__status__free_unpacked(message, NULL);
	assert_body(&dialect_v1, status, 503, STR("\xFF\xFF"),
		"{\"code\":14,\"message\":\"away\",\"details\":[]}");
}

static void a_401_says_no_more_than_it_may(void **state)
{
	(void)state;
	assert_str(dialect_www_authenticate(401, false), "Bearer realm=\"osmo\"");
	assert_str(dialect_www_authenticate(401, true),
		"Bearer realm=\"osmo\", error=\"invalid_token\"");
	assert_str(dialect_www_authenticate(403, true),
		"Bearer realm=\"osmo\", error=\"insufficient_scope\"");
	assert_null(dialect_www_authenticate(400, true).p);
	assert_str(dialect_retry_after(429, STR("")), "1");
	assert_str(dialect_retry_after(503, STR("\xFF")), "1");
	assert_null(dialect_retry_after(500, STR("")).p);
	const struct status busy = status_error(STATUS_RESOURCE_EXHAUSTED, "busy"),
			    full = status_quota("user:a", "full");
	assert_str(dialect_retry_after(429, status_details_of(&busy, "", arena)), "1");
	assert_null(dialect_retry_after(429, status_details_of(&full, "", arena)).p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_path_chooses_the_dialect),
		cmocka_unit_test(every_code_has_its_http_status),
		cmocka_unit_test(an_error_is_a_google_rpc_status),
		cmocka_unit_test(existing_clients_see_a_class_of_error),
		cmocka_unit_test(details_that_are_not_known_are_left_out),
		cmocka_unit_test(a_401_says_no_more_than_it_may),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
