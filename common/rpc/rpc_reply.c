/* SPDX-License-Identifier: Apache-2.0 */
#include "common/rpc/rpc_reply.h"

#include "common/base/base64.h"
#include "common/rpc/wire.h"

#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"

#include <stdio.h>
#include <string.h>

enum {
	NOT_THERE = -1,
	MALFORMED = -2,
	MAX_PUSHBACK_MS = 24 * 3600 * 1000,
};

void rpc_reply_init(struct rpc_reply *r, const ProtobufCMessageDescriptor *type,
	size_t max_message_bytes, struct arena *arena)
{
	memset(r, 0, sizeof *r);
	r->arena_ = arena;
	r->type_ = type;
	r->max_message_bytes_ = max_message_bytes;
	r->grpc_status_ = NOT_THERE;
	buf_init(&r->part_, max_message_bytes);
}

void rpc_reply_done(struct rpc_reply *r)
{
	buf_done(&r->part_);
}

static bool wrong(struct rpc_reply *r, struct status why)
{
	if (status_is_ok(&r->error_))
		r->error_ = why;
	return false;
}

/* --- fields --- */

/* grpc-message; what is no escape stands for itself ("must not error", the protocol says). */
static struct str percent_decode(struct str s, struct arena *arena)
{
	if (!memchr(s.p, '%', s.n))
		return arena_str(arena, s);
	char *to = arena_alloc(arena, s.n);
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++, n++) {
		int high = s.p[i] == '%' && i + 2 < s.n ? hex_value(s.p[i + 1]) : -1;
		int low = high >= 0 ? hex_value(s.p[i + 2]) : -1;
		to[n] = s.p[i];
		if (low >= 0) {
			to[n] = (char)(high * 16 + low);
			i += 2;
		}
	}
	return (struct str){to, n};
}

static int small_number(struct str s)
{
	uint64_t n;
	return s.n <= 3 && str_to_u64(s, &n) ? (int)n : MALFORMED;
}

static const Google__Rpc__Status *parse_details(struct str bytes, struct arena *arena)
{
	ProtobufCMessage *message;
	struct status parsed = wire_parse(&google__rpc__status__descriptor,
		(const uint8_t *)bytes.p, bytes.n, arena, &message);
	return status_is_ok(&parsed) ? (const void *)message : NULL;
}

/* Details that are not a google.rpc.Status are none. */
static void take_details(struct rpc_reply *r, struct str value)
{
	_cleanup_buf_ struct buf bytes;
	buf_init(&bytes, value.n);
	if (base64_decode(&bytes, value) && parse_details(buf_str(&bytes), r->arena_))
		r->details = arena_str(r->arena_, buf_str(&bytes));
}

static void take_pushback(struct rpc_reply *r, struct str value)
{
	int64_t ms;
	r->has_pushback = true;
	r->pushback_ms = str_to_i64(value, &ms) && ms >= 0 && ms <= MAX_PUSHBACK_MS ? ms : -1;
}

/* gRPC's own; false: it is none of them. */
static bool take_grpc_field(struct rpc_reply *r, struct str name, struct str value)
{
	if (str_eq(name, STR("grpc-status"))) {
		r->has_status = true;
		r->grpc_status_ = small_number(value);
	} else if (str_eq(name, STR("grpc-message"))) {
		r->grpc_message_ = percent_decode(value, r->arena_);
	} else if (str_eq(name, STR("grpc-status-details-bin"))) {
		take_details(r, value);
	} else if (str_eq(name, STR("grpc-retry-pushback-ms"))) {
		take_pushback(r, value);
	} else {
		return false;
	}
	return true;
}

static bool is_grpc_type(struct str value)
{
	static const char type[] = "application/grpc";
	const size_t n = sizeof type - 1;
	return value.n >= n && str_eq_nocase(str_sub(value, 0, n), STR("application/grpc")) &&
	       (value.n == n || value.p[n] == '+' || value.p[n] == ';');
}

static void take_field(struct rpc_reply *r, struct str name, struct str value)
{
	for (enum call_reply_header h = 0; h < CALL_REPLY_HEADER_COUNT; h++)
		if (str_eq(name, str_of(call_reply_header_name(h))))
			r->headers[h] = arena_str(r->arena_, value);
	if (str_eq(name, STR("content-type")))
		r->is_grpc_ = is_grpc_type(value);
	else if (str_eq(name, STR("x-request-id")))
		r->request_id = arena_str(r->arena_, value);
}

bool rpc_reply_header(struct rpc_reply *r, struct str name, struct str value)
{
	r->header_bytes_ += name.n + value.n;
	if (r->header_bytes_ > RPC_REPLY_MAX_HEADER_BYTES)
		return wrong(r, status_error(STATUS_RESOURCE_EXHAUSTED,
					"The service answered with more than %d bytes of headers",
					RPC_REPLY_MAX_HEADER_BYTES));
	if (str_eq(name, STR(":status"))) { /* also of interim heads, which another one follows */
		r->http_status_ = small_number(value);
	} else if (!str_starts_with(name, STR("grpc-")) || !take_grpc_field(r, name, value)) {
		take_field(r, name, value);
	}
	return true;
}

/* --- the message --- */

static bool parse_message(struct rpc_reply *r, struct str bytes)
{
	struct status s = wire_parse_answer(
		r->type_, (const uint8_t *)bytes.p, bytes.n, r->arena_, &r->message);
	if (status_is_ok(&s))
		return true;
	return wrong(r, status_error(STATUS_INTERNAL, "The service's answer: %s", s.message));
}

/* Takes of @bytes what belongs to the prefix; false when there is something wrong in it. */
static bool take_prefix(struct rpc_reply *r, struct str *bytes)
{
	size_t missing = RPC_REPLY_PREFIX_BYTES - r->prefix_n_;
	size_t n = bytes->n < missing ? bytes->n : missing;
	memcpy(r->prefix_ + r->prefix_n_, bytes->p, n);
	r->prefix_n_ += n;
	*bytes = str_sub(*bytes, n, bytes->n - n);
	if (r->prefix_n_ < RPC_REPLY_PREFIX_BYTES)
		return true;
	const uint8_t *p = r->prefix_;
	r->message_n_ = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
	if (p[0] != 0)
		return wrong(
			r, status_error(STATUS_INTERNAL,
				   "The service's answer is compressed, which was not asked for"));
	if (r->message_n_ > r->max_message_bytes_)
		return wrong(r, status_error(STATUS_RESOURCE_EXHAUSTED,
					"The service's answer has %zu bytes, at most %zu are taken",
					r->message_n_, r->max_message_bytes_));
	return true;
}

/* An answer is small, as a rule, and here in one piece: then it is read where it lies. */
bool rpc_reply_data(struct rpc_reply *r, struct str bytes)
{
	if (!r->is_grpc_) /* the page of a proxy, say: its status is all we want to know */
		return true;
	r->has_data = true;
	if (r->prefix_n_ < RPC_REPLY_PREFIX_BYTES) {
		if (!take_prefix(r, &bytes))
			return false;
		if (r->prefix_n_ < RPC_REPLY_PREFIX_BYTES)
			return true;
		if (bytes.n == r->message_n_)
			return parse_message(r, bytes);
	}
	if (r->message || bytes.n > r->message_n_ - r->part_.n)
		return bytes.n == 0 ||
		       wrong(r, status_error(STATUS_INTERNAL,
					"The service answered with more than one message"));
	buf_append_str(&r->part_, bytes);
	return r->part_.n < r->message_n_ || parse_message(r, buf_str(&r->part_));
}

/* --- the end --- */

/* http-grpc-status-mapping.md of gRPC */
static enum status_code code_of_http(int status)
{
	switch (status) {
	case 400:
		return STATUS_INTERNAL;
	case 401:
		return STATUS_UNAUTHENTICATED;
	case 403:
		return STATUS_PERMISSION_DENIED;
	case 404:
		return STATUS_UNIMPLEMENTED;
	case 429:
	case 502:
	case 503:
	case 504:
		return STATUS_UNAVAILABLE;
	default:
		return STATUS_UNKNOWN;
	}
}

static struct status without_status(const struct rpc_reply *r)
{
	if (r->http_status_ != 200)
		return status_error(code_of_http(r->http_status_),
			"The service answered with HTTP status %d", r->http_status_);
	if (!r->is_grpc_)
		return status_error(STATUS_UNKNOWN, "The service did not answer with gRPC");
	return status_error(STATUS_INTERNAL, "The service ended its answer without a status");
}

static void read_field(const Google__Protobuf__Any *detail, struct arena *arena, struct status *s)
{
	if (strcmp(detail->type_url, "type.googleapis.com/google.rpc.BadRequest") != 0)
		return;
	ProtobufCMessage *message;
	struct status parsed = wire_parse(&google__rpc__bad_request__descriptor, detail->value.data,
		detail->value.len, arena, &message);
	const Google__Rpc__BadRequest *bad = status_is_ok(&parsed) ? (void *)message : NULL;
	if (bad && bad->n_field_violations)
		snprintf(s->field, sizeof s->field, "%s", bad->field_violations[0]->field);
}

/* The details have the message as it was: around a header's value there may be no space. */
static struct str whole_message(const struct rpc_reply *r, const Google__Rpc__Status *details)
{
	struct str header = r->grpc_message_, whole = str_of(details ? details->message : NULL);
	return str_eq(str_trim(whole), str_trim(header)) ? whole : header;
}

static struct status service_error(struct rpc_reply *r)
{
	enum status_code code = r->grpc_status_ > 0 && r->grpc_status_ < STATUS_CODE_COUNT
					? (enum status_code)r->grpc_status_
					: STATUS_UNKNOWN;
	const Google__Rpc__Status *details =
		r->details.n ? parse_details(r->details, r->arena_) : NULL;
	struct str text = whole_message(r, details);
	struct status s =
		status_error(code, "%.*s", STR_ARG(str_sub(text, 0, str_utf8_prefix(text))));
	for (size_t i = 0; details && i < details->n_details; i++)
		read_field(details->details[i], r->arena_, &s);
	return s;
}

struct status rpc_reply_end(struct rpc_reply *r)
{
	if (!r->has_status)
		return without_status(r);
	if (r->grpc_status_ != 0)
		return service_error(r);
	if (!status_is_ok(&r->error_))
		return r->error_;
	if (!r->message && r->prefix_n_)
		return status_error(STATUS_INTERNAL, "The service's answer is cut short");
	if (!r->message)
		return status_error(STATUS_INTERNAL, "The service answered without a message");
	return status_ok();
}

struct status rpc_reply_error(const struct rpc_reply *r)
{
	return r->error_;
}

struct status rpc_reply_reset(uint32_t http2_error)
{
	enum {
		REFUSED_STREAM = 7,
		CANCEL = 8,
		ENHANCE_YOUR_CALM = 11,
		INADEQUATE_SECURITY = 12,
	};
	switch (http2_error) {
	case REFUSED_STREAM:
		return status_error(STATUS_UNAVAILABLE, "The service refused the call");
	case CANCEL:
		return status_error(STATUS_CANCELLED, "The service cancelled the call");
	case ENHANCE_YOUR_CALM:
		return status_error(STATUS_RESOURCE_EXHAUSTED, "The service is overloaded");
	case INADEQUATE_SECURITY:
		return status_error(
			STATUS_PERMISSION_DENIED, "The service asks for better encryption");
	default:
		return status_error(STATUS_INTERNAL,
			"The service reset the call with HTTP/2 error %u", http2_error);
	}
}
