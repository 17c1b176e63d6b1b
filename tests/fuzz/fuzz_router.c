/* SPDX-License-Identifier: Apache-2.0 */
/* "METHOD target\nbody" through router and transcoder, of the tests' services and of ours: no route
 * gets a path that is not what it was decoded from, and every refusal has a status and a text. */
#include "gateway/transcode.h"
#include "proto/pb_schema.h"
#include "tests/lib/all_types/all_types_schema.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "fuzz_router: %s\n", what);
	abort();
}

static void check_refusal(const struct refusal *r)
{
	must(r->http_status >= 400 && r->http_status <= 415, "a refusal without a status");
	must(r->status.code != STATUS_OK && r->status.message[0], "a refusal without a text");
	must((r->http_status == 405) == (r->allow.n > 0), "405 and Allow go together");
}

static void check_value(struct str value)
{
	struct str rest = value, part;
	must(str_is_utf8(value), "a value that is not UTF-8");
	must(str_index(value, '\0') == value.n, "a value with a NUL");
	while (str_split(&rest, '/', &part))
		must(!str_eq(part, STR("..")) && !str_eq(part, STR(".")), "a dot segment");
}

static void run(const struct schema *schema, const struct router *router, struct str method,
	struct str target, struct str body)
{
	struct arena *arena = arena_new();
	const size_t mark = str_index(target, '?');
	const struct str path = str_sub(target, 0, mark);
	const struct transcode_input in = {
		.dialect = dialect_of(path),
		.query = str_sub(target, mark + 1, target.n),
		.content_type = STR("application/json"),
		.body = body,
	};
	struct route_match match;
	struct refusal refusal = router_match(router, method, path, arena, &match);
	if (refusal.status.code == STATUS_OK) {
		for (size_t i = 0; i < match.route->n_variables; i++)
			check_value(match.values[i]);
		ProtobufCMessage *message = NULL;
		refusal = transcode_request(schema, &match, &in, arena, &message);
		if (refusal.status.code == STATUS_OK)
			must(protobuf_c_message_check(message), "a message that is not whole");
	}
	if (refusal.status.code != STATUS_OK)
		check_refusal(&refusal);
	arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct schema *schemas[2];
	static struct router *routers[2];
	if (!schemas[0]) {
		schemas[0] = all_types_schema_new();
		struct status status = pb_schema_new(&schemas[1]);
		must(status.code == STATUS_OK, status.message);
		for (int i = 0; i < 2; i++) {
			status = router_new(schemas[i], &routers[i]);
			must(status.code == STATUS_OK, status.message);
		}
	}
	struct str rest = {(const char *)data, size}, line = {NULL, 0}, method = {NULL, 0};
	str_split(&rest, '\n', &line);
	str_split(&line, ' ', &method);
	for (int i = 0; i < 2; i++)
		run(schemas[i], routers[i], method, line, rest);
	return 0;
}
