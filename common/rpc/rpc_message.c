/* SPDX-License-Identifier: Apache-2.0 */
#include "common/rpc/rpc_message.h"

#include "common/base/buf.h"
#include "common/rpc/slices.h"

#include <grpc/slice.h>
#define ZLIB_CONST
#include <zlib.h>

static struct status too_large(size_t max_bytes)
{
	return status_quota("message",
		"The message is larger than %zu bytes, the most that is accepted", max_bytes);
}

/* @from holds compressed bytes; wherever they end early or late, they are no message. */
static bool inflate_slices(z_stream *z, const grpc_slice_buffer *from, struct buf *out)
{
	int result = Z_OK;
	for (size_t i = 0; i < from->count; i++) {
		struct str in = slice_str(&from->slices[i]);
		z->next_in = (const Bytef *)in.p;
		z->avail_in = (uInt)in.n;
		while (z->avail_in && result == Z_OK) {
			char chunk[4096];
			z->next_out = (Bytef *)chunk;
			z->avail_out = sizeof chunk;
			result = inflate(z, Z_NO_FLUSH);
			if (result != Z_OK && result != Z_STREAM_END)
				return false;
			if (!buf_append(out, chunk, sizeof chunk - z->avail_out))
				return false;
		}
		if (z->avail_in)
			return false;
	}
	return result == Z_STREAM_END;
}

static struct status inflate_bytes(const grpc_slice_buffer *from, int window_bits, size_t max_bytes,
	struct arena *arena, struct str *ret)
{
	_cleanup_buf_ struct buf out;
	buf_init(&out, max_bytes);
	z_stream z = {.zalloc = Z_NULL};
	if (inflateInit2(&z, window_bits) != Z_OK)
		return status_error(STATUS_UNAVAILABLE, "Out of memory");
	bool whole = inflate_slices(&z, from, &out);
	inflateEnd(&z);
	if (buf_overflown(&out))
		return too_large(max_bytes);
	if (!whole)
		return status_error(STATUS_INVALID_ARGUMENT,
			"The message is not compressed as its grpc-encoding says");
	*ret = arena_str(arena, buf_str(&out));
	return status_ok();
}

static struct str join(const grpc_slice_buffer *from, struct arena *arena)
{
	char *p = arena_alloc(arena, from->length);
	size_t n = 0;
	for (size_t i = 0; i < from->count; i++) {
		struct str part = slice_str(&from->slices[i]);
		memcpy(p + n, part.p, part.n);
		n += part.n;
	}
	return (struct str){p, n};
}

struct status rpc_message_bytes(
	grpc_byte_buffer *from, size_t max_bytes, struct arena *arena, struct str *ret)
{
	enum {
		WINDOW_ZLIB = 15,
		WINDOW_GZIP = 15 + 16
	};
	const grpc_slice_buffer *slices = &from->data.raw.slice_buffer;
	if (slices->length > max_bytes)
		return too_large(max_bytes);
	switch (from->data.raw.compression) {
	case GRPC_COMPRESS_GZIP:
		return inflate_bytes(slices, WINDOW_GZIP, max_bytes, arena, ret);
	case GRPC_COMPRESS_DEFLATE:
		return inflate_bytes(slices, WINDOW_ZLIB, max_bytes, arena, ret);
	case GRPC_COMPRESS_NONE:
	case GRPC_COMPRESS_ALGORITHMS_COUNT:
		break;
	}
	if (slices->count == 0)
		*ret = STR("");
	else if (slices->count == 1)
		*ret = slice_str(&slices->slices[0]);
	else
		*ret = join(slices, arena);
	return status_ok();
}

grpc_byte_buffer *rpc_message_pack(const ProtobufCMessage *message)
{
	grpc_slice slice = grpc_slice_malloc(protobuf_c_message_get_packed_size(message));
	protobuf_c_message_pack(message, GRPC_SLICE_START_PTR(slice));
	grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);
	grpc_slice_unref(slice);
	return buffer;
}
