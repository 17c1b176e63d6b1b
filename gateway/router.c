/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/router.h"

#include "common/base/buf.h"
#include "common/base/xalloc.h"
#include "common/codec/pbjson.h"
#include "gateway/percent.h"

#include "google/api/http.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* uthash's own choice, Jenkins' hash, falls through switch labels, which clang warns of. */
#define HASH_FUNCTION(key, n, hash) HASH_FNV(key, n, hash)
#include <uthash.h>

enum {
	HTTP_RULE_OPTION = 72295728, /* google.api.http */
	MAX_TEMPLATE_SEGMENTS = 32,
	MAX_METHODS = 8,
};

/* Where a template ends. */
struct end {
	struct end *next;
	struct str verb; /* without the colon; empty if there is none */
	const struct route *route;
	struct span {
		size_t first, end; /* segments of the path; end SIZE_MAX: all that are left */
		bool single;       /* exactly one segment, not a rest */
	} spans[ROUTE_MAX_VARIABLES];
};

struct node {
	struct str literal;
	struct node *next;     /* sibling: another literal */
	struct node *literals; /* first child of each kind */
	struct node *star, *rest;
	struct end *ends;
};

/* A template without variables: found by the whole path. */
struct fixed_path {
	const char *path;
	const struct node *node;
	UT_hash_handle hh;
};

/* HTTP methods, each once. */
struct methods {
	const char *names[MAX_METHODS];
	size_t n;
};

struct router {
	struct arena *arena;
	struct methods methods; /* of all routes */
	struct str method_list; /* the same as text */
	struct node root;
	struct fixed_path *fixed;
	const struct route **routes;
	size_t n_routes;
};

static void add_method_name(struct methods *m, const char *name)
{
	for (size_t i = 0; i < m->n; i++)
		if (strcmp(m->names[i], name) == 0)
			return;
	if (m->n < MAX_METHODS)
		m->names[m->n++] = name;
}

/* As in the header Allow; where GET is, HEAD is too. */
static struct str list_methods(const struct methods *m, struct arena *arena)
{
	_cleanup_buf_ struct buf names;
	buf_init(&names, 256);
	for (size_t i = 0; i < m->n; i++) {
		buf_printf(&names, "%s%s", i ? ", " : "", m->names[i]);
		if (strcmp(m->names[i], "GET") == 0)
			buf_append_str(&names, STR(", HEAD"));
	}
	return arena_str(arena, buf_str(&names));
}

/* ---- templates ---- */

enum segment_kind {
	SEGMENT_LITERAL,
	SEGMENT_STAR,
	SEGMENT_REST
};

struct template
{
	struct {
		enum segment_kind kind;
		struct str text;
	} segments[MAX_TEMPLATE_SEGMENTS];
	size_t n_segments;
	struct {
		struct str name;
		size_t first, end;
	} variables[ROUTE_MAX_VARIABLES];
	size_t n_variables;
	struct str verb;
};

static bool take(struct str *rest, char c)
{
	if (!rest->n || rest->p[0] != c)
		return false;
	*rest = str_sub(*rest, 1, rest->n);
	return true;
}

/* The part before the first of @stops. */
static struct str take_until(struct str *rest, const char *stops)
{
	size_t n = 0;
	while (n < rest->n && !strchr(stops, rest->p[n]))
		n++;
	const struct str part = str_sub(*rest, 0, n);
	*rest = str_sub(*rest, n, rest->n);
	return part;
}

static bool parse_plain_segment(struct template *t, struct str *rest)
{
	if (t->n_segments == MAX_TEMPLATE_SEGMENTS)
		return false;
	/* a rest is the last one */
	if (t->n_segments && t->segments[t->n_segments - 1].kind == SEGMENT_REST)
		return false;
	const struct str text = take_until(rest, "/:{}=");
	enum segment_kind kind = SEGMENT_LITERAL;
	if (str_eq(text, STR("*")))
		kind = SEGMENT_STAR;
	else if (str_eq(text, STR("**")))
		kind = SEGMENT_REST;
	else if (!text.n || str_index(text, '*') < text.n || str_index(text, '%') < text.n)
		return false;
	t->segments[t->n_segments].kind = kind;
	t->segments[t->n_segments++].text = text;
	return true;
}

/* {name} or {name=segments} */
static bool parse_variable(struct template *t, struct str *rest)
{
	if (t->n_variables == ROUTE_MAX_VARIABLES)
		return false;
	const struct str name = take_until(rest, "/:{}=");
	const size_t first = t->n_segments;
	struct str star = STR("*");
	if (!name.n)
		return false;
	if (take(rest, '=')) {
		do
			if (!parse_plain_segment(t, rest))
				return false;
		while (take(rest, '/'));
	} else if (!parse_plain_segment(t, &star)) {
		return false;
	}
	t->variables[t->n_variables].name = name;
	t->variables[t->n_variables].first = first;
	t->variables[t->n_variables++].end = t->n_segments;
	return take(rest, '}');
}

static bool parse_template(struct str text, struct template *t)
{
	struct str rest = text;
	*t = (struct template){.n_segments = 0};
	if (!take(&rest, '/'))
		return false;
	do
		if (take(&rest, '{') ? !parse_variable(t, &rest) : !parse_plain_segment(t, &rest))
			return false;
	while (take(&rest, '/'));
	if (take(&rest, ':')) {
		t->verb = take_until(&rest, "/:{}=*");
		if (!t->verb.n)
			return false;
	}
	return !rest.n;
}

/* ---- rules ---- */

static struct status wrong(const struct route *route, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static struct status wrong(const struct route *route, const char *format, ...)
{
	char what[256];
	va_list args;
	va_start(args, format);
	vsnprintf(what, sizeof what, format, args);
	va_end(args);
	return status_error(STATUS_INTERNAL, "google.api.http of %s (%s %s): %s",
		route->method->path, route->http_method, route->template, what);
}

static struct status resolve_variable(
	struct arena *arena, const struct route *route, struct str name, struct route_variable *ret)
{
	const struct schema_field *path[16];
	size_t n = 0;
	const struct schema_message *m = route->method->input;
	struct str rest = name, part;
	while (str_split(&rest, '.', &part)) {
		const struct schema_field *f = m ? schema_find_field(m, part) : NULL;
		if (!f || n == ARRAY_SIZE(path))
			return wrong(route, "there is no field '%.*s'", STR_ARG(name));
		if (f->c->label == PROTOBUF_C_LABEL_REPEATED)
			return wrong(route, "'%.*s' is repeated", STR_ARG(name));
		m = f->message;
		path[n++] = f;
	}
	if (!n || !pbjson_field_is_text(path[n - 1]))
		return wrong(route, "'%.*s' is a message", STR_ARG(name));
	const struct schema_field **copy = arena_calloc(arena, n, sizeof *copy);
	memcpy(copy, path, n * sizeof *copy);
	*ret = (struct route_variable){
		.name = arena_strndup(arena, name.p, name.n), .path = copy, .n_path = n};
	return status_ok();
}

static struct node *child(
	struct arena *arena, struct node *parent, enum segment_kind kind, struct str text)
{
	struct node **at = kind == SEGMENT_STAR ? &parent->star : &parent->rest;
	if (kind == SEGMENT_LITERAL) {
		at = &parent->literals;
		while (*at && !str_eq((*at)->literal, text))
			at = &(*at)->next;
	}
	if (!*at) {
		*at = arena_calloc(arena, 1, sizeof **at);
		(*at)->literal = arena_str(arena, text);
	}
	return *at;
}

static struct status insert(struct router *r, const struct route *route, const struct template *t)
{
	struct node *node = &r->root;
	bool fixed = !t->verb.n;
	for (size_t i = 0; i < t->n_segments; i++) {
		node = child(r->arena, node, t->segments[i].kind, t->segments[i].text);
		fixed &= t->segments[i].kind == SEGMENT_LITERAL;
	}
	for (const struct end *e = node->ends; e; e = e->next)
		if (str_eq(e->verb, t->verb) &&
			strcmp(e->route->http_method, route->http_method) == 0)
			return wrong(route, "%s has the same route", e->route->method->path);
	struct fixed_path *f = NULL;
	HASH_FIND_STR(r->fixed, route->template, f);
	if (fixed && !f) {
		f = arena_calloc(r->arena, 1, sizeof *f);
		f->path = route->template;
		f->node = node;
		HASH_ADD_KEYPTR(hh, r->fixed, f->path, strlen(f->path), f);
	}
	struct end *end = arena_calloc(r->arena, 1, sizeof *end);
	*end = (struct end){
		.next = node->ends, .verb = arena_str(r->arena, t->verb), .route = route};
	for (size_t i = 0; i < t->n_variables; i++) {
		const size_t first = t->variables[i].first, last = t->variables[i].end - 1;
		const bool rest = t->segments[last].kind == SEGMENT_REST;
		end->spans[i] = (struct span){.first = first,
			.end = rest ? SIZE_MAX : last + 1,
			.single = first == last && !rest};
	}
	node->ends = end;
	return status_ok();
}

static struct status resolve_body(const struct route *route, const char *name, const char *what,
	const struct schema_message *m, const struct schema_field **ret)
{
	if (!name[0])
		return status_ok();
	*ret = schema_find_field(m, str_of(name));
	return *ret ? status_ok() : wrong(route, "%s '%s' is no field", what, name);
}

static struct status add_route(struct router *r, const struct schema_method *m,
	const char *http_method, const Google__Api__HttpRule *rule, const char *text)
{
	struct route *route = arena_calloc(r->arena, 1, sizeof *route);
	route->method = m;
	route->http_method = arena_strdup(r->arena, http_method);
	route->template = arena_strdup(r->arena, text);
	route->index = r->n_routes;
	if (m->client_streaming || m->server_streaming)
		return wrong(route, "streams have no JSON form");
	struct template t;
	if (!parse_template(str_of(text), &t))
		return wrong(route, "the template is malformed");
	for (size_t i = 0; i < t.n_variables; i++) {
		TRY(resolve_variable(r->arena, route, t.variables[i].name, &route->variables[i]));
		for (size_t k = 0; k < i; k++)
			if (strcmp(route->variables[i].name, route->variables[k].name) == 0)
				return wrong(route, "'%s' stands twice", route->variables[i].name);
	}
	route->n_variables = t.n_variables;
	route->body_is_request = strcmp(rule->body, "*") == 0;
	if (!route->body_is_request)
		TRY(resolve_body(route, rule->body, "body", m->input, &route->body));
	TRY(resolve_body(
		route, rule->response_body, "response_body", m->output, &route->response_body));
	TRY(insert(r, route, &t));
	r->routes = xreallocarray(r->routes, r->n_routes + 1, sizeof *r->routes);
	r->routes[r->n_routes++] = route;
	add_method_name(&r->methods, route->http_method);
	return status_ok();
}

static struct status add_rule(
	struct router *r, const struct schema_method *m, const Google__Api__HttpRule *rule)
{
	switch ((int)rule->pattern_case) { /* protobuf-c adds a member of its own to every enum */
	case GOOGLE__API__HTTP_RULE__PATTERN_GET:
		return add_route(r, m, "GET", rule, rule->get);
	case GOOGLE__API__HTTP_RULE__PATTERN_PUT:
		return add_route(r, m, "PUT", rule, rule->put);
	case GOOGLE__API__HTTP_RULE__PATTERN_POST:
		return add_route(r, m, "POST", rule, rule->post);
	case GOOGLE__API__HTTP_RULE__PATTERN_DELETE:
		return add_route(r, m, "DELETE", rule, rule->delete_);
	case GOOGLE__API__HTTP_RULE__PATTERN_PATCH:
		return add_route(r, m, "PATCH", rule, rule->patch);
	case GOOGLE__API__HTTP_RULE__PATTERN_CUSTOM:
		return add_route(r, m, rule->custom->kind, rule, rule->custom->path);
	default:
		break;
	}
	return status_error(
		STATUS_INTERNAL, "google.api.http of %s: it has no method and path", m->path);
}

static void free_rule(Google__Api__HttpRule *rule)
{
	google__api__http_rule__free_unpacked(rule, NULL);
}
DEFINE_CLEANUP(Google__Api__HttpRule *, free_rule);

static struct status add_method(struct router *r, const struct schema_method *m)
{
	struct str bytes;
	if (!schema_method_option(m, HTTP_RULE_OPTION, &bytes))
		return status_ok();
	_cleanup_(free_rulep) Google__Api__HttpRule *rule =
		google__api__http_rule__unpack(NULL, bytes.n, (const uint8_t *)bytes.p);
	if (!rule)
		return status_error(
			STATUS_INTERNAL, "google.api.http of %s cannot be read", m->path);
	TRY(add_rule(r, m, rule));
	for (size_t i = 0; i < rule->n_additional_bindings; i++) {
		if (rule->additional_bindings[i]->n_additional_bindings)
			return status_error(STATUS_INTERNAL,
				"google.api.http of %s: additional_bindings are nested", m->path);
		TRY(add_rule(r, m, rule->additional_bindings[i]));
	}
	return status_ok();
}

struct status router_new(const struct schema *schema, struct router **ret)
{
	_cleanup_(router_freep) struct router *r = xnew(struct router);
	r->arena = arena_new();
	for (size_t i = 0; i < schema_method_count(schema); i++)
		TRY(add_method(r, schema_method_at(schema, i)));
	r->method_list = list_methods(&r->methods, r->arena);
	*ret = TAKE_PTR(r);
	return status_ok();
}

void router_free(struct router *r)
{
	if (!r)
		return;
	HASH_CLEAR(hh, r->fixed);
	free(r->routes);
	arena_free(r->arena);
	free(r);
}

size_t router_route_count(const struct router *r)
{
	return r->n_routes;
}

const struct route *router_route_at(const struct router *r, size_t index)
{
	return r->routes[index];
}

struct str router_methods(const struct router *r)
{
	return r->method_list;
}

/* ---- requests ---- */

struct search {
	struct str method;
	const struct str *segments; /* as they were sent */
	size_t n_segments;
	struct str last; /* segments[n - 1], without the verb if one is looked for */
	struct str verb;
	struct methods allowed; /* of routes that match but for the method */
};

static const struct end *find_end(struct search *s, const struct node *node)
{
	const bool head = str_eq(s->method, STR("HEAD"));
	const struct end *found = NULL;
	for (const struct end *e = node->ends; e; e = e->next) {
		if (!str_eq(e->verb, s->verb))
			continue;
		const struct str has = str_of(e->route->http_method);
		if (str_eq(has, s->method) || (head && !found && str_eq(has, STR("GET"))))
			found = e;
		add_method_name(&s->allowed, e->route->http_method);
	}
	return found;
}

/* As deep as the templates are; a segment meets each node of its level once at most. */
static const struct end *find(struct search *s, const struct node *node, size_t at)
{
	const struct end *end = NULL;
	if (at == s->n_segments) {
		end = find_end(s, node);
	} else {
		const struct str segment = at + 1 == s->n_segments ? s->last : s->segments[at];
		for (const struct node *c = node->literals; c && !end; c = c->next)
			if (str_eq(c->literal, segment))
				end = find(s, c, at + 1);
		if (!end && node->star && segment.n)
			end = find(s, node->star, at + 1);
	}
	if (!end && node->rest)
		end = find_end(s, node->rest);
	return end;
}

static bool has_dot_segment(struct str decoded)
{
	struct str rest = decoded, part;
	while (str_split(&rest, '/', &part))
		if (str_eq(part, STR(".")) || str_eq(part, STR("..")))
			return true;
	return false;
}

/* Decoded once, nothing of it may mean something else to whoever looks at the path next. */
static struct status check_segment(struct str segment, struct arena *arena)
{
	struct str decoded = segment;
	for (size_t i = 0; i < segment.n; i++)
		if ((unsigned char)segment.p[i] <= 0x20 || (unsigned char)segment.p[i] >= 0x7F)
			return status_error(STATUS_INVALID_ARGUMENT,
				"the path has a byte that must be percent-encoded");
	if (str_index(segment, '%') < segment.n &&
		!percent_decode(segment, PERCENT_ALL, arena, &decoded))
		return status_error(
			STATUS_INVALID_ARGUMENT, "the path has a malformed percent-escape");
	if (str_index(decoded, '\0') < decoded.n)
		return status_error(STATUS_INVALID_ARGUMENT, "the path has a NUL");
	if (has_dot_segment(decoded))
		return status_error(STATUS_INVALID_ARGUMENT, "the path has a segment '.' or '..'");
	if (!str_is_utf8(decoded))
		return status_error(STATUS_INVALID_ARGUMENT, "the path is not UTF-8");
	return status_ok();
}

/* Cuts @path into segments; *ret_slash when it ends with a slash. */
static struct status split(
	struct str path, struct arena *arena, struct str **ret, size_t *ret_n, bool *ret_slash)
{
	if (!path.n || path.p[0] != '/')
		return status_error(STATUS_INVALID_ARGUMENT, "the path must begin with '/'");
	size_t most = 0, n = 0;
	for (size_t i = 0; i < path.n; i++)
		most += path.p[i] == '/';
	struct str *segments = arena_alloc(arena, most * sizeof *segments);
	struct str rest = str_sub(path, 1, path.n);
	*ret_slash = false;
	while (str_split(&rest, '/', &segments[n])) {
		if (!segments[n].n && !rest.p) {
			*ret_slash = true;
			break;
		}
		if (!segments[n].n)
			return status_error(
				STATUS_INVALID_ARGUMENT, "the path has an empty segment");
		TRY(check_segment(segments[n++], arena));
	}
	*ret = segments;
	*ret_n = n;
	return status_ok();
}

/* A variable of one segment is decoded as a whole; in a longer one %2F stays what tells a slash in
 * a segment from a slash between two. */
static struct str value_of(const struct search *s, const struct span *span, struct arena *arena)
{
	const size_t end = span->end == SIZE_MAX ? s->n_segments : span->end;
	if (span->first >= end)
		return STR("");
	const struct str last = end == s->n_segments ? s->last : s->segments[end - 1];
	const char *start = span->first + 1 == end ? last.p : s->segments[span->first].p;
	struct str value = {start, (size_t)(last.p + last.n - start)};
	if (str_index(value, '%') < value.n)
		percent_decode(
			value, span->single ? PERCENT_ALL : PERCENT_KEEP_SLASH, arena, &value);
	return value;
}

static struct refusal not_allowed(const struct search *s, struct str method, struct arena *arena)
{
	const struct str allowed = list_methods(&s->allowed, arena);
	struct refusal refusal = refusal_of(
		405, status_error(STATUS_UNIMPLEMENTED, "the path has no method %.*s, only %.*s",
			     method.n < 32 ? (int)method.n : 32, method.p, STR_ARG(allowed)));
	refusal.allow = allowed;
	return refusal;
}

struct refusal router_match(const struct router *r, struct str method, struct str path,
	struct arena *arena, struct route_match *ret)
{
	struct search s = {.method = method};
	const struct fixed_path *fixed = NULL;
	HASH_FIND(hh, r->fixed, path.p, path.n, fixed);
	const struct end *end = fixed ? find_end(&s, fixed->node) : NULL;
	if (end) {
		ret->route = end->route;
		return refusal_none();
	}

	if (str_eq(path, STR("*"))) { /* of OPTIONS: the server as a whole (RFC 9110, 9.3.7) */
		s.allowed = r->methods;
		return not_allowed(&s, method, arena);
	}
	struct str *segments = NULL;
	bool slash = false;
	struct status status = split(path, arena, &segments, &s.n_segments, &slash);
	if (status.code != STATUS_OK)
		return refusal_of(400, status);
	s.segments = segments;
	if (segments && !slash && s.n_segments) {
		const struct str last = segments[s.n_segments - 1];
		size_t colon = last.n;
		bool is_verb = false;
		while (colon && last.p[colon - 1] != ':')
			colon--;
		if (colon && colon < last.n) {
			s.last = str_sub(last, 0, colon - 1);
			s.verb = str_sub(last, colon, last.n);
			end = find(&s, &r->root, 0);
			is_verb = s.allowed.n >
				  0; /* of this search alone: no fixed path has a colon */
		}
		if (!end && !is_verb) { /* a colon like any character */
			s.last = last;
			s.verb = STR("");
			end = find(&s, &r->root, 0);
		}
	}
	if (!end && s.allowed.n)
		return not_allowed(&s, method, arena);
	if (!end)
		return refusal_of(
			404, status_error(STATUS_NOT_FOUND, "there is nothing at this path"));
	ret->route = end->route;
	for (size_t i = 0; i < end->route->n_variables; i++)
		ret->values[i] = value_of(&s, &end->spans[i], arena);
	return refusal_none();
}
