/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/openapi.h"

#include "common/base/arena.h"
#include "common/codec/pbjson.h"
#include "gateway/dialect.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum {
	MAX_QUERY_DEPTH = 4, /* of "a.b.c" that is listed; the router takes deeper ones */
};

/* The document while it grows. jansson's ..._new functions take the value, also when they fail: an
 * error shows at the end, when the document cannot be dumped. */
struct document {
	const struct schema *schema;
	struct arena *arena;
	json_t *schemas; /* components.schemas; a member is made when it is first referred to */
	bool strict;     /* the route at hand refuses unknown fields */
};

static void unref(json_t *j)
{
	json_decref(j);
}
DEFINE_CLEANUP(json_t *, unref);

static void set(json_t *object, const char *key, json_t *value)
{
	json_object_set_new(object, key, value);
}

static void describe(json_t *object, const char *comment)
{
	if (comment[0])
		set(object, "description", json_string(comment));
}

static json_t *type_of(const char *type, const char *format)
{
	json_t *j = json_pack("{s:s}", "type", type);
	if (format)
		set(j, "format", json_string(format));
	return j;
}

/* ---- schemas ---- */

static json_t *field_schema(struct document *d, const struct schema_field *f);
static json_t *fields_schema(
	struct document *d, const struct schema_message *m, const struct route *without);

static json_t *reference(const char *name)
{
	_cleanup_buf_ struct buf path;
	buf_init(&path, 1024);
	buf_printf(&path, "#/components/schemas/%s", name);
	return json_pack("{s:s}", "$ref", buf_str(&path).p);
}

static json_t *enum_reference(struct document *d, const struct schema_enum *e)
{
	if (e->is_null_value)
		return json_pack("{s:s,s:b,s:[n]}", "type", "string", "nullable", 1, "enum");
	if (json_object_get(d->schemas, e->full_name))
		return reference(e->full_name);
	json_t *values = json_array();
	_cleanup_buf_ struct buf text;
	buf_init(&text, 100000);
	buf_append_str(&text, str_of(e->comment));
	for (unsigned i = 0; i < e->c->n_values; i++) {
		json_array_append_new(values, json_string(e->c->values[i].name));
		if (e->value_comments[i][0])
			buf_printf(&text, "%s- %s: %s", text.n ? "\n" : "", e->c->values[i].name,
				e->value_comments[i]);
	}
	json_t *j = json_pack("{s:s,s:o}", "type", "string", "enum", values);
	describe(j, buf_str(&text).p);
	set(d->schemas, e->full_name, j);
	return reference(e->full_name);
}

static json_t *well_known_schema(struct document *d, const struct schema_message *m)
{
	switch (m->well_known) {
	case SCHEMA_TIMESTAMP:
		return type_of("string", "date-time");
	case SCHEMA_DURATION:
		return json_pack("{s:s,s:s,s:s}", "type", "string", "pattern",
			"^-?[0-9]+([.][0-9]{1,9})?s$", "example", "1.500s");
	case SCHEMA_FIELD_MASK:
		return type_of("string", NULL);
	case SCHEMA_STRUCT:
		return json_pack("{s:s,s:b}", "type", "object", "additionalProperties", 1);
	case SCHEMA_LIST_VALUE:
		return json_pack("{s:s,s:{}}", "type", "array", "items");
	case SCHEMA_VALUE:
		return json_pack("{s:s}", "description", "Any JSON value.");
	case SCHEMA_ANY:
		return json_pack("{s:s,s:{s:{s:s}},s:b}", "type", "object", "properties", "@type",
			"type", "string", "additionalProperties", 1);
	case SCHEMA_WRAPPER:
		return field_schema(d, &m->fields[0]);
	case SCHEMA_EMPTY:
	case SCHEMA_PLAIN:
		break;
	}
	return json_object();
}

static json_t *message_schema(struct document *d, const struct schema_message *m)
{
	if (m->well_known != SCHEMA_PLAIN && m->well_known != SCHEMA_EMPTY)
		return well_known_schema(d, m);
	if (!json_object_get(d->schemas, m->full_name)) {
		set(d->schemas, m->full_name, json_object()); /* it may contain itself */
		set(d->schemas, m->full_name, fields_schema(d, m, NULL));
	}
	return reference(m->full_name);
}

static json_t *value_schema(struct document *d, const struct schema_field *f)
{
	switch (f->c->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
		return type_of("integer", "int32");
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		return json_pack("{s:s,s:s,s:i,s:I}", "type", "integer", "format", "int64",
			"minimum", 0, "maximum", (json_int_t)UINT32_MAX);
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		return type_of("string", "int64");
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		return type_of("string", "uint64");
	case PROTOBUF_C_TYPE_FLOAT:
		return type_of("number", "float");
	case PROTOBUF_C_TYPE_DOUBLE:
		return type_of("number", "double");
	case PROTOBUF_C_TYPE_BOOL:
		return type_of("boolean", NULL);
	case PROTOBUF_C_TYPE_ENUM:
		return enum_reference(d, f->enumeration);
	case PROTOBUF_C_TYPE_STRING:
		return type_of("string", NULL);
	case PROTOBUF_C_TYPE_BYTES:
		return type_of("string", "byte");
	case PROTOBUF_C_TYPE_MESSAGE:
		break;
	}
	return message_schema(d, f->message);
}

/* A reference stands alone in OpenAPI 3.0: what is said beside it needs an allOf around it. */
static json_t *beside(json_t *j)
{
	if (!json_object_get(j, "$ref"))
		return j;
	json_t *wrapped = json_pack("{s:[o]}", "allOf", j);
	return wrapped;
}

static json_t *field_schema(struct document *d, const struct schema_field *f)
{
	json_t *j;
	if (f->is_map) {
		j = json_pack("{s:s,s:o}", "type", "object", "additionalProperties",
			field_schema(d, &f->message->fields[1]));
	} else {
		j = value_schema(d, f);
		if (f->c->label == PROTOBUF_C_LABEL_REPEATED) {
			j = json_pack("{s:s,s:o}", "type", "array", "items", j);
		} else if (f->message && f->message->well_known != SCHEMA_VALUE) {
			j = beside(j);
			set(j, "nullable", json_true());
		}
	}
	if (f->comment[0]) {
		j = beside(j);
		describe(j, f->comment);
	}
	return j;
}

static bool is_path_variable(const struct route *route, const struct schema_field *f)
{
	for (size_t i = 0; i < route->n_variables; i++)
		if (route->variables[i].n_path == 1 && route->variables[i].path[0] == f)
			return true;
	return false;
}

/* A message as an object; for the body of a route without what its path carries. */
static json_t *fields_schema(
	struct document *d, const struct schema_message *m, const struct route *without)
{
	json_t *properties = json_object();
	for (size_t i = 0; i < m->n_fields; i++)
		if (!without || !is_path_variable(without, &m->fields[i]))
			set(properties, m->fields[i].json_name, field_schema(d, &m->fields[i]));
	json_t *j = json_pack("{s:s,s:o}", "type", "object", "properties", properties);
	if (d->strict)
		set(j, "additionalProperties", json_false());
	describe(j, m->comment);
	return j;
}

/* ---- operations ---- */

static json_t *parameter(struct document *d, const char *in, const char *name,
	const struct schema_field *f, const char *pattern)
{
	const bool repeated = f->c->label == PROTOBUF_C_LABEL_REPEATED;
	json_t *schema = value_schema(d, f);
	json_object_del(schema, "description");
	if (pattern)
		set(schema, "pattern", json_string(pattern));
	if (repeated)
		schema = json_pack("{s:s,s:o}", "type", "array", "items", schema);
	json_t *j = json_pack("{s:s,s:s,s:b,s:o}", "name", name, "in", in, "required",
		strcmp(in, "path") == 0, "schema", schema);
	describe(j, f->comment);
	return j;
}

/* True if the query may not carry the field: the body or the path does. */
static bool is_bound(const struct route *route, const struct schema_field *f)
{
	return route->body_is_request || route->body == f || is_path_variable(route, f);
}

/* The fields of @m as query parameters, those of messages inside as "a.b". */
static void add_query_parameters(struct document *d, const struct route *route,
	const struct schema_message *m, const char *prefix, unsigned depth, json_t *parameters)
{
	for (size_t i = 0; i < m->n_fields && depth < MAX_QUERY_DEPTH; i++) {
		const struct schema_field *f = &m->fields[i];
		if (depth == 0 && is_bound(route, f))
			continue;
		const char *name = arena_printf(d->arena, "%s%s", prefix, f->json_name);
		if (pbjson_field_is_text(f))
			json_array_append_new(parameters, parameter(d, "query", name, f, NULL));
		else if (f->message->well_known == SCHEMA_PLAIN && !f->is_map &&
			 f->c->label != PROTOBUF_C_LABEL_REPEATED && f->message != m)
			add_query_parameters(d, route, f->message,
				arena_printf(d->arena, "%s.", name), depth + 1, parameters);
	}
}

/* The regular expression of "shelves/<star>"; NULL for a variable of one segment. */
static const char *pattern_of(struct document *d, struct str segments)
{
	struct str part;
	_cleanup_buf_ struct buf out;
	buf_init(&out, 4096);
	if (str_eq(segments, STR("*")))
		return NULL;
	buf_append_char(&out, '^');
	for (bool first = true; str_split(&segments, '/', &part); first = false) {
		if (!first)
			buf_append_char(&out, '/');
		if (str_eq(part, STR("*")))
			buf_append_str(&out, STR("[^/]+"));
		else if (str_eq(part, STR("**")))
			buf_append_str(&out, STR(".*"));
		else
			buf_append_str(&out, part);
	}
	buf_append_char(&out, '$');
	return arena_str(d->arena, buf_str(&out)).p;
}

/* "/a/{name=b/<star>}:verb" as "/a/{name}:verb"; segments without a name get one. */
static const char *path_of(struct document *d, const struct route *route, json_t *parameters)
{
	_cleanup_buf_ struct buf out;
	buf_init(&out, 4096);
	struct str rest = str_of(route->template);
	size_t variable = 0, anonymous = 0;
	while (rest.n) {
		if (rest.p[0] == '{') {
			const struct route_variable *v = &route->variables[variable++];
			struct str inside = str_sub(rest, 1, str_index(rest, '}') - 1);
			const size_t equals = str_index(inside, '=');
			const char *pattern =
				equals < inside.n
					? pattern_of(d, str_sub(inside, equals + 1, inside.n))
					: NULL;
			buf_printf(&out, "{%s}", v->name);
			json_array_append_new(parameters,
				parameter(d, "path", v->name, v->path[v->n_path - 1], pattern));
			rest = str_sub(rest, inside.n + 2, rest.n);
		} else if (rest.p[0] == '*') {
			const bool two = str_starts_with(rest, STR("**"));
			const char *name = arena_printf(d->arena, "segment%zu", ++anonymous);
			buf_printf(&out, "{%s}", name);
			json_array_append_new(parameters,
				json_pack("{s:s,s:s,s:b,s:{s:s}}", "name", name, "in", "path",
					"required", 1, "schema", "type", "string"));
			rest = str_sub(rest, two ? 2 : 1, rest.n);
		} else {
			buf_append_char(&out, rest.p[0]);
			rest = str_sub(rest, 1, rest.n);
		}
	}
	return arena_str(d->arena, buf_str(&out)).p;
}

static json_t *content(json_t *schema)
{
	return json_pack("{s:{s:o}}", "application/json", "schema", schema);
}

static json_t *request_body(struct document *d, const struct route *route)
{
	json_t *schema;
	if (route->body)
		schema = value_schema(d, route->body);
	else if (route->n_variables)
		schema = fields_schema(d, route->method->input, route);
	else
		schema = message_schema(d, route->method->input);
	return json_pack("{s:o}", "content", content(schema));
}

static json_t *responses(struct document *d, const struct route *route)
{
	json_t *schema = route->response_body ? field_schema(d, route->response_body)
					      : message_schema(d, route->method->output);
	return json_pack("{s:{s:s,s:o},s:{s:s}}", "200", "description", "The answer.", "content",
		content(schema), "default", "$ref",
		d->strict ? "#/components/responses/Error" : "#/components/responses/ErrorOfOld");
}

static const char *short_name(const char *full_name)
{
	const char *dot = strrchr(full_name, '.');
	return dot ? dot + 1 : full_name;
}

/* The first sentence, or line, of a comment. */
static struct str summary_of(const char *comment)
{
	const struct str s = str_of(comment);
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '\n' || (s.p[i] == '.' && (i + 1 == s.n || s.p[i + 1] == ' ' ||
								s.p[i + 1] == '\n')))
			return str_sub(s, 0, i);
	return s;
}

static json_t *operation(
	struct document *d, const struct route *route, unsigned number, json_t *parameters)
{
	const struct schema_method *m = route->method;
	const char *service = short_name(m->service_name);
	const struct str summary = summary_of(m->comment);
	json_t *j = json_pack("{s:[s],s:s}", "tags", service, "operationId",
		number ? arena_printf(d->arena, "%s_%s_%u", service, m->name, number + 1)
		       : arena_printf(d->arena, "%s_%s", service, m->name));
	if (summary.n)
		set(j, "summary", json_stringn(summary.p, summary.n));
	describe(j, m->comment);
	add_query_parameters(d, route, m->input, "", 0, parameters);
	set(j, "parameters", parameters);
	if (route->body_is_request || route->body)
		set(j, "requestBody", request_body(d, route));
	set(j, "responses", responses(d, route));
	return j;
}

/* Methods that OpenAPI has; others (of custom rules) stay undocumented. */
static const char *method_key(const char *http_method)
{
	static const char *const methods[][2] = {{"GET", "get"}, {"PUT", "put"}, {"POST", "post"},
		{"DELETE", "delete"}, {"OPTIONS", "options"}, {"HEAD", "head"}, {"PATCH", "patch"},
		{"TRACE", "trace"}};
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		if (strcmp(http_method, methods[i][0]) == 0)
			return methods[i][1];
	return NULL;
}

static json_t *paths(struct document *d, const struct router *router)
{
	json_t *all = json_object();
	unsigned number = 0; /* of the bindings of one RPC */
	for (size_t i = 0; i < router_route_count(router); i++) {
		const struct route *route = router_route_at(router, i);
		number = i && router_route_at(router, i - 1)->method == route->method ? number + 1
										      : 0;
		const char *key = method_key(route->http_method);
		if (!key)
			continue;
		d->strict = !dialect_of(str_of(route->template))->lenient;
		json_t *parameters = json_array();
		const char *path = path_of(d, route, parameters);
		json_t *item = json_object_get(all, path);
		if (!item) {
			item = json_object();
			set(all, path, item);
		}
		set(item, key, operation(d, route, number, parameters));
	}
	return all;
}

/* ---- the rest ---- */

static json_t *tags(const struct schema *schema, const struct router *router)
{
	json_t *all = json_array();
	for (size_t i = 0; i < schema_service_count(schema); i++) {
		const struct schema_service *service = schema_service_at(schema, i);
		bool routed = false;
		for (size_t k = 0; k < router_route_count(router) && !routed; k++)
			routed = strcmp(router_route_at(router, k)->method->service_name,
					 service->full_name) == 0;
		if (!routed)
			continue;
		json_t *tag = json_pack("{s:s}", "name", short_name(service->full_name));
		describe(tag, service->comment);
		json_array_append_new(all, tag);
	}
	return all;
}

/* Status is written by hand because the gateway writes it so (dialect.c). */
static void add_error_schemas(json_t *schemas)
{
	set(schemas, "Error",
		json_pack("{s:s,s:s,s:[sss],s:{s:{s:s,s:s},s:{s:s},s:{s:s,s:{s:s,s:b}}}}", "type",
			"object", "description",
			"An error: google.rpc.Code, a text for a person, and details, each with "
			"its type as @type.",
			"required", "code", "message", "details", "properties", "code", "type",
			"integer", "format", "int32", "message", "type", "string", "details",
			"type", "array", "items", "type", "object", "additionalProperties", 1));
	set(schemas, "ErrorOfOld",
		json_pack("{s:[{s:s},{s:s,s:[ss],s:{s:{s:[{s:s},{s:s}],s:s},s:{s:s,s:b}}}]}",
			"allOf", "$ref", "#/components/schemas/Error", "type", "object", "required",
			"error_code", "workflow_id", "properties", "error_code", "oneOf", "type",
			"string", "type", "integer", "description",
			"USER or another class for status 400, the status itself for others.",
			"workflow_id", "type", "string", "nullable", 1));
}

static json_t *error_response(const char *schema)
{
	return json_pack(
		"{s:s,s:o}", "description", "An error.", "content", content(reference(schema)));
}

static json_t *components(struct document *d)
{
	add_error_schemas(d->schemas);
	json_t *security = json_pack("{s:{s:s,s:s,s:s},s:{s:s,s:s,s:s,s:s}}", "bearer", "type",
		"http", "scheme", "bearer", "description", "An access token or a JWT.", "osmoAuth",
		"type", "apiKey", "in", "header", "name", "x-osmo-auth", "description",
		"The same, without \"Bearer\", as existing clients send it.");
	return json_pack("{s:O,s:{s:o,s:o},s:o}", "schemas", d->schemas, "responses", "Error",
		error_response("Error"), "ErrorOfOld", error_response("ErrorOfOld"),
		"securitySchemes", security);
}

static int append(const char *text, size_t n, void *out)
{
	return buf_append(out, text, n) ? 0 : -1;
}

struct status openapi_write(const struct schema *schema, const struct router *router,
	const struct openapi_info *info, struct buf *out)
{
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	_cleanup_(unrefp) json_t *schemas = json_object();
	struct document d = {.schema = schema, .arena = arena, .schemas = schemas};
	json_t *all_paths = paths(&d, router);
	/* the empty requirement: some calls are open to everybody */
	_cleanup_(unrefp) json_t *root = json_pack(
		"{s:s,s:{s:s,s:s,s:{s:s,s:s}},s:[{s:[]},{s:[]},{}],s:o,s:o,s:o}", "openapi",
		"3.0.3", "info", "title", info->title, "version", info->version, "license", "name",
		"Apache-2.0", "url", "https://www.apache.org/licenses/LICENSE-2.0", "security",
		"bearer", "osmoAuth", "tags", tags(schema, router), "paths", all_paths,
		"components", components(&d));
	if (!root)
		return status_error(STATUS_INTERNAL, "openapi: a comment or a name is not UTF-8");
	if (json_dump_callback(root, append, out, JSON_COMPACT) != 0)
		return status_error(
			STATUS_RESOURCE_EXHAUSTED, "openapi: longer than %zu bytes", out->max_);
	return status_ok();
}
