/* SPDX-License-Identifier: Apache-2.0 */
#include "common/rpc/core_context.h"

#include <assert.h>
#include <grpc/byte_buffer.h>
#include <grpc/slice.h>
#include <string.h>

/* grpc_core::FilterStackCall::StartBatch: every call of a server is one, its grpc_call * is `this`.
 */
extern grpc_call_error start_batch_of_call(grpc_call *call, const grpc_op *ops, size_t n, void *tag,
	bool tag_is_closure) __asm__("_ZN9grpc_core15FilterStackCall10StartBatchEPK7grpc_opmPvb")
	__attribute__((weak));
/* grpc_core::Server::SendGoaways; a grpc_server * is `this`. */
extern void send_goaways_of_server(grpc_server *server) __asm__(
	"_ZN9grpc_core6Server11SendGoawaysEv") __attribute__((weak));

struct errand {
	void (*fn)(void *arg);
	void *arg;
};

bool core_context_is_known(void)
{
	return start_batch_of_call && send_goaways_of_server &&
	       strcmp(grpc_version_string(), "29.0.0") == 0; /* gRPC 1.51 */
}

static void on_released(void *p)
{
	const struct errand *errand = p;
	errand->fn(errand->arg);
}

void core_context_run(void (*fn)(void *arg), void *arg)
{
	assert(core_context_is_known());
	struct errand errand = {fn, arg};
	grpc_slice slice = grpc_slice_new_with_user_data(&errand, 1, on_released, &errand);
	grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);
	grpc_slice_unref(slice);
	grpc_byte_buffer_destroy(buffer); /* the last to hold the slice */
}

grpc_call_error core_start_batch(grpc_call *call, const grpc_op *ops, size_t n, void *tag)
{
	return start_batch_of_call(call, ops, n, tag, false);
}

void core_send_goaways(grpc_server *server)
{
	send_goaways_of_server(server);
}
