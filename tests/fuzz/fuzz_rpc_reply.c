/* SPDX-License-Identifier: Apache-2.0 */
/* The answer of a server that may be anything. Lines of the input: "name: value" is a field,
 * ">LENGTH" takes so many of the bytes behind it as data. Fed whole and byte by byte the data must
 * mean the same; what comes out is a status with text, or a message that can be packed. */
#include "common/base/xalloc.h"
#include "common/rpc/rpc_reply.h"

#include "osmo/token/v1/token_service.pb-c.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	MAX_MESSAGE_BYTES = 4096
};

struct outcome {
	struct status status;
	uint8_t *packed;
	size_t n;
};

static bool feed_data(struct rpc_reply *r, struct str bytes, bool split)
{
	if (!split)
		return rpc_reply_data(r, bytes);
	for (size_t i = 0; i < bytes.n; i++)
		if (!rpc_reply_data(r, str_sub(bytes, i, 1)))
			return false;
	return true;
}

/* False: the reply is worth nothing more. */
static bool feed(struct rpc_reply *r, struct str input, bool split)
{
	while (input.n) {
		struct str line = str_sub(input, 0, str_index(input, '\n'));
		input = str_sub(input, line.n + 1, input.n);
		uint64_t n;
		if (line.n && line.p[0] == '>' && str_to_u64(str_sub(line, 1, line.n), &n)) {
			struct str bytes = str_sub(input, 0, n < input.n ? (size_t)n : input.n);
			if (!feed_data(r, bytes, split))
				return false;
			input = str_sub(input, bytes.n, input.n);
			continue;
		}
		size_t colon = line.n ? 1 + str_index(str_sub(line, 1, line.n), ':') : 0;
		if (!rpc_reply_header(
			    r, str_sub(line, 0, colon), str_trim(str_sub(line, colon + 1, line.n))))
			return false;
	}
	return true;
}

static struct outcome run(struct str input, bool split)
{
	struct outcome o = {.n = 0};
	struct rpc_reply r;
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	rpc_reply_init(&r, &osmo__token__v1__list_response__descriptor, MAX_MESSAGE_BYTES, arena);
	if (feed(&r, input, split)) {
		o.status = rpc_reply_end(&r);
	} else {
		o.status = rpc_reply_error(&r);
		if (status_is_ok(&o.status))
			abort();
	}
	if (!str_is_utf8(str_of(o.status.message)) || !str_is_utf8(str_of(o.status.field)))
		abort();
	if (status_is_ok(&o.status)) {
		o.n = protobuf_c_message_get_packed_size(r.message);
		o.packed = xmalloc(o.n + 1);
		protobuf_c_message_pack(r.message, o.packed);
	}
	rpc_reply_done(&r);
	return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str input = {(const char *)data, size};
	struct outcome whole = run(input, false), parts = run(input, true);
	if (whole.status.code != parts.status.code || whole.n != parts.n ||
		(whole.n && memcmp(whole.packed, parts.packed, whole.n) != 0))
		abort();
	free(whole.packed);
	free(parts.packed);
	return 0;
}
