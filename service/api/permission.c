/* SPDX-License-Identifier: Apache-2.0 */
#include "service/api/permission.h"

#include "common/base/buf.h"
#include "common/codec/schema.h"
#include "service/domain/role.h"

#include "osmo/options/v1/access.pb-c.h"

#include <string.h>

enum {
	ACCESS_OPTION = 51000,
	PATH_MAX_BYTES = 8192
};

/* Text, then the value of a string field (or of none). */
struct path_piece {
	struct str text;
	const ProtobufCFieldDescriptor *field;
};

struct rpc_action {
	const struct path_piece *pieces;
	size_t n_pieces;
	struct str method;
	const ProtobufCFieldDescriptor *when_field; /* NULL: always */
	int when_value;                             /* of an enum; a string must not be empty */
};

struct rpc_access {
	bool any_credential;
	const struct rpc_action *actions;
	size_t n_actions;
};

static struct status broken(const struct schema_method *method, const char *what, const char *value)
{
	return status_error(
		STATUS_INTERNAL, "%s: osmo.options.v1.access: %s '%s'", method->path, what, value);
}

static struct status find_field(const struct schema_method *method, const char *name,
	ProtobufCType type, const ProtobufCFieldDescriptor **ret)
{
	const ProtobufCFieldDescriptor *field =
		protobuf_c_message_descriptor_get_field_by_name(method->input->c, name);
	if (!field || field->type != type || field->label == PROTOBUF_C_LABEL_REPEATED)
		return broken(method, "no such field", name);
	*ret = field;
	return status_ok();
}

static struct status parse_path(const struct schema_method *method, struct str path,
	struct arena *arena, struct rpc_action *action)
{
	struct path_piece *pieces = arena_calloc(arena, path.n + 1, sizeof *pieces);
	size_t n = 0;
	while (path.n) {
		size_t open = str_index(path, '{');
		pieces[n].text = arena_str(arena, str_sub(path, 0, open));
		path = str_sub(path, open, path.n);
		if (path.n) {
			size_t close = str_index(path, '}');
			struct str name = arena_str(arena, str_sub(path, 1, close - 1));
			TRY(find_field(method, name.p, PROTOBUF_C_TYPE_STRING, &pieces[n].field));
			path = str_sub(path, close + 1, path.n);
		}
		n++;
	}
	action->pieces = pieces;
	action->n_pieces = n;
	return status_ok();
}

static struct status parse_action(const struct schema_method *method,
	const Osmo__Options__V1__Action *in, struct arena *arena, struct rpc_action *ret)
{
	struct role_action parsed;
	if (role_action_parse(str_of(in->action), &parsed).code != STATUS_OK)
		return broken(method, "no action", in->action);
	ret->method = arena_str(arena, parsed.method);
	TRY(parse_path(method, parsed.path, arena, ret));
	if (!in->when_field[0])
		return status_ok();
	if (!in->when_value[0])
		return find_field(method, in->when_field, PROTOBUF_C_TYPE_STRING, &ret->when_field);
	TRY(find_field(method, in->when_field, PROTOBUF_C_TYPE_ENUM, &ret->when_field));
	const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value_by_name(
		ret->when_field->descriptor, in->when_value);
	if (!value)
		return broken(method, "no such value", in->when_value);
	ret->when_value = value->value;
	return status_ok();
}

static struct status compile(const struct schema_method *method,
	const Osmo__Options__V1__Access *option, struct arena *arena, const struct rpc_access **ret)
{
	struct rpc_access *access = arena_calloc(arena, 1, sizeof *access);
	struct rpc_action *actions = arena_calloc(arena, option->n_actions, sizeof *actions);
	access->any_credential = option->any_credential;
	access->actions = actions;
	access->n_actions = option->n_actions;
	for (size_t i = 0; i < option->n_actions; i++)
		TRY(parse_action(method, option->actions[i], arena, &actions[i]));
	bool covers_all = option->n_actions && !actions[option->n_actions - 1].when_field;
	if (access->any_credential == covers_all)
		return broken(method, "must be any_credential, or actions of which the last has no",
			"when_field");
	*ret = access;
	return status_ok();
}

struct status rpc_access_parse(
	const struct schema_method *method, struct arena *arena, const struct rpc_access **ret)
{
	struct str bytes;
	if (!schema_method_option(method, ACCESS_OPTION, &bytes))
		return status_error(STATUS_INTERNAL,
			"%s states no osmo.options.v1.access: nobody could be allowed to call it",
			method->path);
	Osmo__Options__V1__Access *option =
		osmo__options__v1__access__unpack(NULL, bytes.n, (const uint8_t *)bytes.p);
	if (!option)
		return broken(method, "cannot be read:", "");
	struct status status = compile(method, option, arena, ret);
	osmo__options__v1__access__free_unpacked(option, NULL);
	return status;
}

/* A value fills one segment of a path: what would make more of it, or none, is percent-coded, so
 * that a rule never sees a path that is not canonical. No valid name has such characters. */
static void append_segment(struct buf *path, struct str value)
{
	bool dots = str_eq(value, STR(".")) || str_eq(value, STR(".."));
	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.p[i];
		if (c < 0x20 || c == 0x7F || c == '/' || c == '%' || dots)
			buf_printf(path, "%%%02X", c);
		else
			buf_append_char(path, (char)c);
	}
}

static const void *member(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	return (const char *)message + field->offset;
}

static bool holds(const struct rpc_action *action, const ProtobufCMessage *request)
{
	const ProtobufCFieldDescriptor *field = action->when_field;
	if (!field)
		return true;
	if (field->type == PROTOBUF_C_TYPE_STRING)
		return **(char *const *)member(request, field) != '\0';
	return *(const int *)member(request, field) == action->when_value;
}

void rpc_access_of(const struct rpc_access *access, const ProtobufCMessage *request,
	struct arena *arena, struct permission *ret)
{
	*ret = (struct permission){.any_credential = access->any_credential};
	const struct rpc_action *action = access->actions;
	if (access->any_credential)
		return;
	while (!holds(action, request))
		action++; /* the last one always holds */
	ret->method = action->method;
	if (action->n_pieces == 1 && !action->pieces[0].field) {
		ret->path = action->pieces[0].text;
		return;
	}
	_cleanup_buf_ struct buf path;
	buf_init(&path, PATH_MAX_BYTES);
	for (size_t i = 0; i < action->n_pieces; i++) {
		buf_append_str(&path, action->pieces[i].text);
		if (action->pieces[i].field)
			append_segment(&path,
				str_of(*(char *const *)member(request, action->pieces[i].field)));
	}
	ret->path = buf_overflown(&path) ? STR("") : arena_str(arena, buf_str(&path));
}
