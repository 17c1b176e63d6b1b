/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of a request: the first one chooses the message type. What is accepted can be packed and is
 * accepted again, and its strings are UTF-8 without NUL. */
#include "common/base/str.h"
#include "common/rpc/wire.h"

#include "google/protobuf/descriptor.pb-c.h"
#include "google/protobuf/struct.pb-c.h"
#include "google/rpc/status.pb-c.h"
#include "grpc/reflection/v1/reflection.pb-c.h"
#include "osmo/token/v1/token_service.pb-c.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const ProtobufCMessageDescriptor *const types[] = {
	&osmo__token__v1__set_request__descriptor,
	&osmo__token__v1__list_response__descriptor,
	&grpc__reflection__v1__server_reflection_request__descriptor,
	&google__rpc__status__descriptor,
	&google__protobuf__value__descriptor,
	&google__protobuf__file_descriptor_proto__descriptor,
};

static void check_again(const ProtobufCMessage *message, struct arena *arena)
{
	size_t n = protobuf_c_message_get_packed_size(message);
	uint8_t *bytes = arena_alloc(arena, n ? n : 1);
	ProtobufCMessage *again;
	if (protobuf_c_message_pack(message, bytes) != n)
		abort();
	struct status s = wire_parse(message->descriptor, bytes, n, arena, &again);
	if (!status_is_ok(&s))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	ProtobufCMessage *message;
	struct status s =
		wire_parse(types[data[0] % ARRAY_SIZE(types)], data + 1, size - 1, arena, &message);
	/* numbers that came packed may go out one field each, and then be too many */
	if (status_is_ok(&s) && size < WIRE_MAX_FIELDS)
		check_again(message, arena);
	else if (status_is_ok(&s))
		return 0;
	else if (s.code != STATUS_INVALID_ARGUMENT || !str_is_utf8(str_of(s.message)))
		abort();
	return 0;
}
