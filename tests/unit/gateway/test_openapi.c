/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/openapi.h"
#include "proto/pb_schema.h"
#include "tests/lib/all_types/all_types_schema.h"
#include "tests/lib/test.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static const struct openapi_info info = {.title = "tokens", .version = "1.2.3"};
static json_t *ours, *tests;

static json_t *document_of(struct schema *schema)
{
	struct router *router = NULL;
	assert_ok(router_new(schema, &router));
	_cleanup_buf_ struct buf out;
	buf_init(&out, 1 << 20);
	assert_ok(openapi_write(schema, router, &info, &out));
	json_t *document = json_loadb(out.p, out.n, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(document);
	router_free(router);
	schema_free(schema);
	return document;
}

static int setup(void **state)
{
	(void)state;
	struct schema *schema = NULL;
	assert_ok(pb_schema_new(&schema));
	ours = document_of(schema);
	tests = document_of(all_types_schema_new());
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	json_decref(ours);
	json_decref(tests);
	return 0;
}

/* The value at "a/b/c" (a slash inside a key: "~1"), or NULL. */
static json_t *at(json_t *j, const char *path)
{
	struct str rest = str_of(path), part;
	while (j && str_split(&rest, '/', &part)) {
		char key[200], *to = key;
		for (size_t i = 0; i < part.n; i++) {
			const bool slash = part.p[i] == '~';
			*to++ = (char)(slash ? '/' : part.p[i]);
			i += slash;
		}
		*to = '\0';
		j = json_is_array(j) ? json_array_get(j, (size_t)(key[0] - '0')) /* few */
				     : json_object_get(j, key);
	}
	return j;
}

static void assert_text(json_t *j, const char *path, const char *wanted)
{
	json_t *value = at(j, path);
	if (!json_is_string(value))
		fail_msg("%s is no string", path);
	assert_string_equal(json_string_value(value), wanted);
}

static void check_references(json_t *root, json_t *j)
{
	const char *key;
	json_t *value;
	size_t i;
	json_array_foreach(j, i, value) check_references(root, value);
	json_object_foreach(j, key, value)
	{
		if (strcmp(key, "$ref") == 0 && json_is_string(value)) {
			const char *target = json_string_value(value);
			assert_true(strncmp(target, "#/", 2) == 0);
			if (!at(root, target + 2))
				fail_msg("%s leads nowhere", target);
		}
		check_references(root, value);
	}
}

static void every_reference_leads_somewhere(void **state)
{
	(void)state;
	check_references(ours, ours);
	check_references(tests, tests);
}

/* Each "{x}" of @path is a required parameter, and there is no other in the path. */
static void check_path_parameters(const char *path, json_t *operation)
{
	json_t *parameters = json_object_get(operation, "parameters"), *parameter;
	size_t in_template = 0, declared = 0, i;
	for (const char *p = path; (p = strchr(p, '{')); p++)
		in_template++;
	json_array_foreach(parameters, i, parameter)
	{
		assert_true(json_is_object(json_object_get(parameter, "schema")));
		if (strcmp(json_string_value(json_object_get(parameter, "in")), "path") != 0)
			continue;
		char name[100];
		snprintf(name, sizeof name, "{%s}",
			json_string_value(json_object_get(parameter, "name")));
		assert_non_null(strstr(path, name));
		assert_true(json_is_true(json_object_get(parameter, "required")));
		declared++;
	}
	assert_int_equal(in_template, declared);
}

static void check_operations(json_t *document)
{
	json_t *item, *operation, *seen = json_object();
	const char *path, *method;
	json_object_foreach(json_object_get(document, "paths"), path, item)
	{
		json_object_foreach(item, method, operation)
		{
			const char *id =
				json_string_value(json_object_get(operation, "operationId"));
			assert_non_null(id);
			assert_null(json_object_get(seen, id));
			json_object_set_new(seen, id, json_true());
			check_path_parameters(path, operation);
			assert_non_null(
				at(operation, "responses/200/content/application~1json/schema"));
			assert_non_null(at(operation, "responses/default"));
		}
	}
	assert_true(json_object_size(seen) > 0);
	json_decref(seen);
}

static void every_operation_has_a_name_its_parameters_and_its_answers(void **state)
{
	(void)state;
	check_operations(ours);
	check_operations(tests);
}

static void the_document_says_what_it_is(void **state)
{
	(void)state;
	assert_text(ours, "openapi", "3.0.3");
	assert_text(ours, "info/title", "tokens");
	assert_text(ours, "info/version", "1.2.3");
	assert_text(ours, "components/securitySchemes/bearer/scheme", "bearer");
	assert_text(ours, "components/securitySchemes/osmoAuth/name", "x-osmo-auth");
}

static void comments_of_the_protos_are_the_descriptions(void **state)
{
	(void)state;
	assert_text(ours, "paths/~1v1~1whoami/get/summary", "Tells who the caller is");
	assert_text(ours, "paths/~1v1~1tokens/get/parameters/1/description",
		"At most this many tokens; 0 is 100; more than 1,000 is 1,000.");
	assert_text(ours, "components/schemas/osmo.token.v1.Kind/enum/1", "SERVICE");
}

static void both_dialects_have_their_errors(void **state)
{
	(void)state;
	assert_text(ours, "paths/~1v1~1whoami/get/responses/default/$ref",
		"#/components/responses/Error");
	assert_text(ours, "paths/~1api~1version/get/responses/default/$ref",
		"#/components/responses/ErrorOfOld");
	/* unknown fields are refused by one and ignored by the other */
	assert_true(json_is_false(
		at(ours, "components/schemas/osmo.token.v1.SetRequest/additionalProperties")));
	assert_null(at(
		ours, "components/schemas/osmo.compat.v1.SetProfileRequest/additionalProperties"));
}

static void fields_have_the_types_of_their_json(void **state)
{
	(void)state;
	const char base[] = "components/schemas/osmo.token.v1.Token/properties/";
	char path[200];
	snprintf(path, sizeof path, "%screateTime/format", base);
	assert_text(ours, path, "date-time");
	snprintf(path, sizeof path, "%screateTime/nullable", base);
	assert_true(json_is_true(at(ours, path)));
	snprintf(path, sizeof path, "%skind/$ref", base);
	assert_text(ours, path, "#/components/schemas/osmo.token.v1.Kind");
	snprintf(path, sizeof path, "%sroles/items/type", base);
	assert_text(ours, path, "string");
	assert_text(ours,
		"paths/~1api~1auth~1access_token~1user~1{name}/post/responses/200/content/"
		"application~1json/schema/type",
		"string");
}

static void templates_become_paths(void **state)
{
	(void)state;
	assert_text(tests, "paths/~1t~1{name}/patch/parameters/0/schema/pattern",
		"^shelves/[^/]+/books/[^/]+$");
	assert_text(
		tests, "paths/~1t~1items~1{name}:undelete/post/operationId", "RouteService_Verb");
	assert_text(tests, "paths/~1t~1{segment1}~1any~1{segment2}/delete/parameters/1/name",
		"segment2");
	assert_non_null(at(tests, "paths/~1t~1{inner.text}~1of~1{number}/get"));
	/* the body of a route does not hold what its path holds */
	assert_null(at(tests,
		"paths/~1t~1items~1{name}/post/requestBody/content/application~1json/schema/"
		"properties/name"));
	assert_non_null(at(tests,
		"paths/~1t~1items~1{name}/post/requestBody/content/application~1json/schema/"
		"properties/number"));
}

static void a_full_buffer_is_reported(void **state)
{
	(void)state;
	struct schema *schema = all_types_schema_new();
	struct router *router = NULL;
	assert_ok(router_new(schema, &router));
	_cleanup_buf_ struct buf out;
	buf_init(&out, 100);
	assert_status(openapi_write(schema, router, &info, &out), STATUS_RESOURCE_EXHAUSTED,
		"openapi: longer than 100 bytes");
	router_free(router);
	schema_free(schema);
}

int main(void)
{
	const struct CMUnitTest all[] = {
		cmocka_unit_test(every_reference_leads_somewhere),
		cmocka_unit_test(every_operation_has_a_name_its_parameters_and_its_answers),
		cmocka_unit_test(the_document_says_what_it_is),
		cmocka_unit_test(comments_of_the_protos_are_the_descriptions),
		cmocka_unit_test(both_dialects_have_their_errors),
		cmocka_unit_test(fields_have_the_types_of_their_json),
		cmocka_unit_test(templates_become_paths),
		cmocka_unit_test(a_full_buffer_is_reported),
	};
	return cmocka_run_group_tests(all, setup, teardown);
}
