/* SPDX-License-Identifier: Apache-2.0 */
/* From HTTP method and path to an RPC: the google.api.http rules of the schema.
 *
 * Templates are those of google/api/http.proto: {name}, {name=*}, {name=a/<star>}, <star><star>,
 * :verb, additional_bindings. Where several match, a literal segment goes before a variable, and a
 * variable before a rest (two stars), from left to right. What ends with a verb of a template is
 * that verb's, whatever the method: the rest is never a name with a colon. Literals are compared as
 * they were sent: each route has one spelling.
 *
 * Threads: immutable after router_new, so any. */
#pragma once

#include "common/base/arena.h"
#include "common/base/cleanup.h"
#include "common/base/status.h"
#include "common/base/str.h"
#include "common/codec/schema.h"
#include "gateway/refusal.h"

#include <stdbool.h>
#include <stddef.h>

struct router;

enum {
	ROUTE_MAX_VARIABLES = 8
};

struct route_variable {
	const char *name;                       /* as in the template: "name", "token.name" */
	const struct schema_field *const *path; /* the fields to it, from the request down */
	size_t n_path;
};

/* One binding of an RPC. */
struct route {
	const struct schema_method *method;
	const char *http_method; /* "GET" */
	const char *template;    /* "/v1/tokens/{name}" */
	struct route_variable variables[ROUTE_MAX_VARIABLES];
	size_t n_variables;
	bool body_is_request;                     /* body: "*" */
	const struct schema_field *body;          /* body: "f"; NULL otherwise */
	const struct schema_field *response_body; /* NULL: the reply is the response */
	size_t index;                             /* dense, for tables beside the router */
};

struct route_match {
	const struct route *route;
	struct str values[ROUTE_MAX_VARIABLES]; /* decoded, in the arena; one per variable */
};

/* Methods without a rule have no route. @schema must outlive the router.
 *
 * INTERNAL  a rule of the .proto files is wrong: a malformed template, a field that does not exist
 * or cannot be text, two RPCs with the same route; it is named */
struct status router_new(const struct schema *schema, struct router **ret);
void router_free(struct router *r);
DEFINE_CLEANUP(struct router *, router_free);

size_t router_route_count(const struct router *r);
const struct route *router_route_at(const struct router *r, size_t index);
/* All methods that some path has, as in the header Allow. */
struct str router_methods(const struct router *r);

/* Finds the route of a request; @path is as it was sent, without the query. HEAD goes where GET
 * goes.
 *
 * 400  a malformed percent-escape; NUL, "." or ".." as a segment, also when encoded; an empty
 * segment; what is not UTF-8
 * 404  no route, also for a trailing slash
 * 405  the path has other methods, or is "*" and has all: refusal.allow names them, in @arena */
struct refusal router_match(const struct router *r, struct str method, struct str path,
	struct arena *arena, struct route_match *ret);
