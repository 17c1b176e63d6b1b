/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/grpc_unary.h"

#include "common/base/base64.h" /* hex_value */
#include "common/base/xalloc.h"

enum {
	PREFIX_BYTES = 5 /* compressed or not, and the length of the message */
};

static char *frame(const ProtobufCMessage *message, size_t *ret_n)
{
	size_t n = protobuf_c_message_get_packed_size(message);
	char *text = xmalloc(PREFIX_BYTES + n);
	text[0] = 0;
	for (size_t i = 0; i < 4; i++)
		text[1 + i] = (char)(n >> (24 - 8 * i));
	protobuf_c_message_pack(message, (uint8_t *)text + PREFIX_BYTES);
	*ret_n = PREFIX_BYTES + n;
	return text;
}

/* grpc-message is percent-encoded. */
static void decode_message(struct str text, struct buf *out)
{
	for (size_t i = 0; i < text.n; i++) {
		int high = text.p[i] == '%' && i + 2 < text.n ? hex_value(text.p[i + 1]) : -1;
		int low = high < 0 ? -1 : hex_value(text.p[i + 2]);
		char decoded = (char)(high * 16 + low);
		buf_append_char(out, low < 0 ? text.p[i] : decoded);
		i += low < 0 ? 0 : 2;
	}
}

/* The status that stands in the trailers (or, without a message, in the headers). */
static struct status answer_status(const struct http_response *r)
{
	struct str code_text, message;
	uint64_t code;
	if (r->status != 200)
		return status_error(
			STATUS_UNAVAILABLE, "not an answer of gRPC: HTTP status %ld", r->status);
	if (!http_response_header(r, STR("grpc-status"), &code_text) ||
		!str_to_u64(code_text, &code) || code > STATUS_UNAUTHENTICATED)
		return status_error(STATUS_INTERNAL, "not an answer of gRPC: no grpc-status");
	if (code == STATUS_OK)
		return status_ok();
	_cleanup_buf_ struct buf text;
	buf_init(&text, 1024);
	if (http_response_header(r, STR("grpc-message"), &message))
		decode_message(message, &text);
	return status_error((enum status_code)code, "%.*s", STR_ARG(buf_str(&text)));
}

static struct status unframe(
	struct str body, const ProtobufCMessageDescriptor *reply, ProtobufCMessage **ret)
{
	size_t n = 0;
	for (size_t i = 0; i < 4 && body.n >= PREFIX_BYTES; i++)
		n = n << 8 | (unsigned char)body.p[1 + i];
	ProtobufCMessage *message = NULL;
	if (body.n >= PREFIX_BYTES && body.p[0] == 0 && body.n == PREFIX_BYTES + n)
		message = protobuf_c_message_unpack(
			reply, NULL, n, (const uint8_t *)body.p + PREFIX_BYTES);
	if (!message)
		return status_error(STATUS_INTERNAL, "the answer is no %s", reply->name);
	*ret = message;
	return status_ok();
}

struct status grpc_unary(const struct grpc_target *target, const char *method,
	const ProtobufCMessage *request, const ProtobufCMessageDescriptor *reply,
	ProtobufCMessage **ret)
{
	const char *const headers[] = {"Content-Type: application/grpc", "TE: trailers", NULL};
	const char *const credentials[] = {target->authorization, NULL};
	_cleanup_free_ char *url = xasprintf("%s/%s", target->url, method);
	size_t n;
	_cleanup_free_ char *body = frame(request, &n);
	const struct http_request http = {.method = "POST",
		.url = url,
		.headers = headers,
		.credentials = credentials,
		.body = {body, n},
		.single = true,
		.http2 = true};
	_cleanup_response_ struct http_response r;
	http_response_init(&r);
	struct status s = http_client_send(target->http, &http, &r);
	if (status_is_ok(&s))
		s = answer_status(&r);
	if (status_is_ok(&s))
		s = unframe(buf_str(&r.body), reply, ret);
	return s;
}
