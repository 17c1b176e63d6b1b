/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/transcode.h"

#include "common/base/escape.h"
#include "common/codec/pbjson.h"
#include "gateway/percent.h"

#include <string.h>

enum {
	MAX_PATH_FIELDS = 16, /* of "a.b.c" in a query */
};

/* A field that the query has set. */
struct given {
	const struct given *next;
	const ProtobufCMessage *message;
	const struct schema_field *field;
};

/* One request on its way to a message. */
struct transcoding {
	struct pbjson_in in;
	const struct route *route;
	const struct dialect *dialect;
	ProtobufCMessage *message;
	const struct given *given;
};

/* ---- the body ---- */

/* The next ";name=value" of a media type; the value without quotes. */
static bool next_parameter(struct str *rest, struct str *ret_name, struct str *ret_value)
{
	struct str part;
	if (!str_split(rest, ';', &part))
		return false;
	const size_t equals = str_index(part, '=');
	*ret_name = str_trim(str_sub(part, 0, equals));
	*ret_value = str_trim(str_sub(part, equals + 1, part.n));
	if (ret_value->n >= 2 && ret_value->p[0] == '"' && ret_value->p[ret_value->n - 1] == '"')
		*ret_value = str_sub(*ret_value, 1, ret_value->n - 2);
	return true;
}

static bool is_json(struct str content_type)
{
	struct str rest = content_type, type, name, value;
	if (!str_split(&rest, ';', &type) ||
		!str_eq_nocase(str_trim(type), STR("application/json")))
		return false;
	while (next_parameter(&rest, &name, &value))
		if (str_eq_nocase(name, STR("charset")) && !str_eq_nocase(value, STR("utf-8")) &&
			!str_eq_nocase(value, STR("utf8")))
			return false;
	return true;
}

static struct refusal read_body(const struct transcoding *t, const struct transcode_input *in)
{
	const struct route *route = t->route;
	if (str_empty(in->body))
		return refusal_none();
	if (!route->body_is_request && !route->body) {
		if (t->dialect->lenient)
			return refusal_none();
		return refusal_of(400, status_error(STATUS_INVALID_ARGUMENT, "%s %s takes no body",
					       route->http_method, route->template));
	}
	if (!is_json(in->content_type))
		return refusal_of(
			415, status_error(STATUS_INVALID_ARGUMENT,
				     "the body must be application/json in UTF-8, Content-Type "
				     "says '%s'",
				     shown(in->content_type).text));
	return refusal_of(
		400, route->body ? pbjson_read_field(&t->in, route->body, in->body, t->message)
				 : pbjson_read(&t->in, route->method->input, in->body, t->message));
}

/* ---- path and query ---- */

/* The message that holds the last field of @path; those on the way are made. */
static struct status reach(const struct transcoding *t, const struct schema_field *const *path,
	size_t n, const char *name, ProtobufCMessage **ret)
{
	ProtobufCMessage *message = t->message;
	for (size_t i = 0; i + 1 < n; i++) {
		message = pbjson_submessage(&t->in, path[i], message);
		if (!message)
			return status_invalid(name,
				"%s: another member of the same oneof is given already", name);
	}
	*ret = message;
	return status_ok();
}

static struct status set_variables(const struct transcoding *t, const struct route_match *match)
{
	for (size_t i = 0; i < t->route->n_variables; i++) {
		const struct route_variable *v = &t->route->variables[i];
		ProtobufCMessage *message = NULL;
		TRY(reach(t, v->path, v->n_path, v->name, &message));
		TRY(pbjson_read_text(
			&t->in, v->path[v->n_path - 1], match->values[i], v->name, message));
	}
	return status_ok();
}

/* The fields that the name of a query parameter leads to; 0 if there is no such way. */
static size_t resolve(
	const struct schema_message *m, struct str name, const struct schema_field **path)
{
	struct str rest = name, part;
	size_t n = 0;
	while (str_split(&rest, '.', &part)) {
		const struct schema_field *f = m ? schema_find_field(m, part) : NULL;
		if (!f || n == MAX_PATH_FIELDS)
			return 0;
		path[n++] = f;
		const bool passable = f->message && f->message->well_known == SCHEMA_PLAIN &&
				      f->c->label != PROTOBUF_C_LABEL_REPEATED;
		m = passable ? f->message : NULL;
	}
	return n;
}

/* Fields that the body or the path carries are not the query's. */
static bool is_bound(const struct route *route, const struct schema_field *const *path, size_t n)
{
	if (route->body_is_request || route->body == path[0])
		return true;
	for (size_t i = 0; i < route->n_variables; i++)
		if (route->variables[i].n_path == n &&
			memcmp(route->variables[i].path, path, n * sizeof *path) == 0)
			return true;
	return false;
}

/* Notes that @field of @message is given; an error when it was and is not repeated. */
static struct status note_given(struct transcoding *t, const ProtobufCMessage *message,
	const struct schema_field *field, const char *name)
{
	if (t->dialect->lenient || field->c->label == PROTOBUF_C_LABEL_REPEATED)
		return status_ok();
	for (const struct given *g = t->given; g; g = g->next)
		if (g->message == message && g->field == field)
			return status_invalid(name, "%s: the query parameter is given twice", name);
	struct given *g = arena_alloc(t->in.arena, sizeof *g);
	*g = (struct given){.next = t->given, .message = message, .field = field};
	t->given = g;
	return status_ok();
}

static struct status set_parameter(struct transcoding *t, struct str key, struct str value)
{
	const struct schema_field *path[MAX_PATH_FIELDS];
	const char *name = arena_strndup(t->in.arena, key.p, key.n);
	const size_t n = resolve(t->route->method->input, key, path);
	if (t->dialect->lenient && (!n || is_bound(t->route, path, n)))
		return status_ok();
	if (!n)
		return status_invalid(name, "%s: there is no query parameter of this name", name);
	if (is_bound(t->route, path, n))
		return status_invalid(
			name, "%s: belongs into the body or the path, not into the query", name);
	ProtobufCMessage *message = NULL;
	TRY(reach(t, path, n, name, &message));
	TRY(note_given(t, message, path[n - 1], name));
	return pbjson_read_text(&t->in, path[n - 1], value, name, message);
}

static struct status set_query(struct transcoding *t, struct str query)
{
	struct str rest = query, part, key, value;
	while (str_split(&rest, '&', &part)) {
		if (!part.n)
			continue;
		const size_t equals = str_index(part, '=');
		if (!percent_decode(str_sub(part, 0, equals), PERCENT_QUERY, t->in.arena, &key) ||
			!percent_decode(str_sub(part, equals + 1, part.n), PERCENT_QUERY,
				t->in.arena, &value))
			return status_error(STATUS_INVALID_ARGUMENT,
				"the query has a malformed percent-escape");
		if (!str_is_utf8(key) || str_index(key, '\0') < key.n)
			return status_error(STATUS_INVALID_ARGUMENT,
				"the query has a name that is not UTF-8 or has a NUL");
		TRY(set_parameter(t, key, value));
	}
	return status_ok();
}

/* ---- the door ---- */

struct refusal transcode_request(const struct schema *schema, const struct route_match *match,
	const struct transcode_input *in, struct arena *arena, ProtobufCMessage **ret)
{
	const struct schema_message *input = match->route->method->input;
	struct transcoding t = {
		.in = {.schema = schema, .arena = arena, .ignore_unknown = in->dialect->lenient},
		.route = match->route,
		.dialect = in->dialect,
		.message = pbjson_message_new(input, arena),
	};
	struct refusal refusal = read_body(&t, in);
	if (refusal.status.code != STATUS_OK)
		return refusal;
	struct status status = set_variables(&t, match);
	if (status.code == STATUS_OK)
		status = set_query(&t, in->query);
	if (status.code != STATUS_OK)
		return refusal_of(400, status);
	*ret = t.message;
	return refusal_none();
}

struct status transcode_reply(const struct schema *schema, const struct route *route,
	const ProtobufCMessage *reply, struct buf *out)
{
	return route->response_body ? pbjson_write_field(schema, route->response_body, reply, out)
				    : pbjson_write(schema, route->method->output, reply, out);
}
