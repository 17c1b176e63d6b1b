/* SPDX-License-Identifier: Apache-2.0 */
/* The codec as a filter, so that another implementation can be held beside it.
 *
 * Requests on stdin: one byte, 'j' (JSON follows) or 'p' (a packed test.v1.AllTypes follows), four
 * bytes of length (little endian), the content. Answers on stdout: one byte, '=' or '!' (an error),
 * four bytes of length and the content: for 'j' the packed message, for 'p' the JSON. */
#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/xalloc.h"
#include "common/codec/pbjson.h"
#include "tests/lib/all_types/all_types_schema.h"

#include "all_types.pb-c.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool read_request(char *ret_kind, struct buf *ret)
{
	uint8_t head[5];
	if (fread(head, 1, sizeof head, stdin) != sizeof head)
		return false;
	const size_t n =
		head[1] | (size_t)head[2] << 8 | (size_t)head[3] << 16 | (size_t)head[4] << 24;
	*ret_kind = (char)head[0];
	buf_reset(ret);
	char *at = buf_reserve(ret, n);
	if (!at || fread(at, 1, n, stdin) != n)
		return false;
	ret->n = n;
	return true;
}

static void answer(char kind, const void *p, size_t n)
{
	const uint8_t head[5] = {(uint8_t)kind, (uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16),
		(uint8_t)(n >> 24)};
	fwrite(head, 1, sizeof head, stdout);
	fwrite(p, 1, n, stdout);
	fflush(stdout);
}

static struct status to_packed(
	const struct schema *schema, struct str json, struct arena *arena, struct buf *out)
{
	const struct pbjson_in in = {.schema = schema, .arena = arena};
	const struct schema_message *m = schema_find_message(schema, STR("test.v1.AllTypes"));
	ProtobufCMessage *message = pbjson_message_new(m, arena);
	TRY(pbjson_read(&in, m, json, message));
	const size_t n = protobuf_c_message_get_packed_size(message);
	uint8_t *bytes = arena_alloc(arena, n);
	protobuf_c_message_pack(message, bytes);
	buf_append(out, bytes, n);
	return status_ok();
}

static struct status to_json(const struct schema *schema, struct str packed, struct buf *out)
{
	const struct schema_message *m = schema_find_message(schema, STR("test.v1.AllTypes"));
	ProtobufCMessage *message =
		protobuf_c_message_unpack(m->c, NULL, packed.n, (const uint8_t *)packed.p);
	if (!message)
		return status_error(STATUS_INVALID_ARGUMENT, "no packed message");
	struct status status = pbjson_write(schema, m, message, out);
	protobuf_c_message_free_unpacked(message, NULL);
	return status;
}

int main(void)
{
	struct schema *schema = all_types_schema_new();
	struct arena *arena = arena_new();
	struct buf request, out;
	char kind;
	buf_init(&request, 1 << 26);
	buf_init(&out, 1 << 26);
	while (read_request(&kind, &request)) {
		struct status status = kind == 'j'
					       ? to_packed(schema, buf_str(&request), arena, &out)
					       : to_json(schema, buf_str(&request), &out);
		if (status.code == STATUS_OK)
			answer('=', buf_str(&out).p, out.n);
		else
			answer('!', status.message, strlen(status.message));
		buf_reset(&out);
		arena_reset(arena);
	}
	buf_done(&request);
	buf_done(&out);
	arena_free(arena);
	schema_free(schema);
	return 0;
}
