/* SPDX-License-Identifier: Apache-2.0 */
#include "common/rpc/call.h"

#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"

#include <assert.h>
#include <string.h>

static const char *const metadata_names[CALL_METADATA_COUNT] = {
	[CALL_AUTHORIZATION] = "authorization",
	[CALL_OSMO_AUTH] = "x-osmo-auth",
	[CALL_OSMO_USER] = "x-osmo-user",
	[CALL_OSMO_ROLES] = "x-osmo-roles",
	[CALL_CLIENT_VERSION] = "x-osmo-client-version",
	[CALL_REQUEST_ID] = "x-request-id",
	[CALL_TRACEPARENT] = "traceparent",
	[CALL_TRACESTATE] = "tracestate",
	[CALL_USER_AGENT] = "user-agent",
	[CALL_FORWARDED_FOR] = "x-forwarded-for",
};

static const char *const reply_header_names[CALL_REPLY_HEADER_COUNT] = {
	[CALL_REPLY_SERVICE_VERSION] = "x-osmo-service-version",
	[CALL_REPLY_WWW_AUTHENTICATE] = "www-authenticate",
	[CALL_REPLY_NO_STORE] = "cache-control",
};

const char *call_metadata_name(enum call_metadata_key key)
{
	return metadata_names[key];
}

bool call_metadata_key_of(struct str name, enum call_metadata_key *ret)
{
	for (size_t i = 0; i < CALL_METADATA_COUNT; i++) {
		if (str_eq_nocase(name, str_of(metadata_names[i]))) {
			*ret = (enum call_metadata_key)i;
			return true;
		}
	}
	return false;
}

bool call_metadata_is_identity(enum call_metadata_key key)
{
	return key == CALL_OSMO_USER || key == CALL_OSMO_ROLES || key == CALL_FORWARDED_FOR;
}

const char *call_reply_header_name(enum call_reply_header header)
{
	return reply_header_names[header];
}

void call_init(struct call *call, const struct call_ops *ops)
{
	memset(call, 0, sizeof *call);
	call->ops = ops;
	call->deadline = MONO_TIME_NEVER;
	atomic_init(&call->refs_, 1);
}

void call_ref(struct call *call)
{
	atomic_fetch_add_explicit(&call->refs_, 1, memory_order_relaxed);
}

void call_unref(struct call *call)
{
	if (atomic_fetch_sub_explicit(&call->refs_, 1, memory_order_acq_rel) != 1)
		return;
	while (call->releases_) {
		struct call_release *release = call->releases_;
		call->releases_ = release->next_;
		release->run(release);
	}
	call->ops->release(call);
}

void call_at_release(struct call *call, struct call_release *release)
{
	release->next_ = call->releases_;
	call->releases_ = release;
}

static void hide_internals(struct call *call)
{
	if (!status_code_is_our_fault(call->status.code))
		return;
	call->status = status_error(call->status.code, "internal error%s%s",
		call->request_id[0] ? ", request id " : "", call->request_id);
	call->status_details = (struct str){NULL, 0};
}

static bool claim(struct call *call)
{
	return !atomic_exchange_explicit(&call->finished_, true, memory_order_acq_rel);
}

static void tell_finished(struct call *call)
{
	if (call->observe)
		call->observe(call);
	hide_internals(call);
	call->ops->finished(call);
}

bool call_finish(struct call *call, ProtobufCMessage *reply)
{
	if (!claim(call))
		return false;
	call->status = status_ok();
	call->reply = reply;
	tell_finished(call);
	return true;
}

bool call_fail(struct call *call, struct status status)
{
	if (!claim(call))
		return false;
	assert(!status_is_ok(&status)); /* there would be no reply to go with it */
	call->status = status;
	tell_finished(call);
	return true;
}

bool call_is_finished(const struct call *call)
{
	return atomic_load_explicit(&call->finished_, memory_order_acquire);
}

/* Both sides write theirs before they read the other's, so at least one of them sees both. */
void call_cancel(struct call *call)
{
	atomic_store(&call->cancelled_, true);
	call_cancel_fn *fn = atomic_load(&call->on_cancel_);
	if (fn)
		fn(call);
}

void call_on_cancel(struct call *call, call_cancel_fn *fn)
{
	atomic_store(&call->on_cancel_, fn);
	if (atomic_load(&call->cancelled_))
		fn(call);
}

bool call_is_cancelled(const struct call *call)
{
	return atomic_load_explicit(&call->cancelled_, memory_order_acquire);
}

static void run_on_loop(struct loop_task *task)
{
	struct call *call = container_of(task, struct call, task_);
	call->on_loop = true;
	call->on_loop_(call);
	call_unref(call);
}

void call_to_loop(struct call *call, void (*run)(struct call *call))
{
	call_ref(call);
	call->on_loop_ = run;
	call->task_.run = run_on_loop;
	loop_post(call->home, &call->task_);
}

static void *arena_allocate(void *arena, size_t size)
{
	return arena_alloc(arena, size);
}

static void arena_no_free(void *arena, void *p)
{
	(void)arena;
	(void)p;
}

ProtobufCAllocator call_allocator(struct arena *arena)
{
	return (ProtobufCAllocator){
		.alloc = arena_allocate, .free = arena_no_free, .allocator_data = arena};
}

static Google__Protobuf__Any *pack_any(
	struct arena *arena, const ProtobufCMessage *message, const char *full_name)
{
	Google__Protobuf__Any *any = arena_alloc(arena, sizeof *any);
	google__protobuf__any__init(any);
	any->type_url = arena_printf(arena, "type.googleapis.com/%s", full_name);
	any->value.len = protobuf_c_message_get_packed_size(message);
	any->value.data = arena_alloc(arena, any->value.len);
	protobuf_c_message_pack(message, any->value.data);
	return any;
}

static Google__Protobuf__Any *bad_request(const struct status *status, struct arena *arena)
{
	Google__Rpc__BadRequest__FieldViolation violation =
		GOOGLE__RPC__BAD_REQUEST__FIELD_VIOLATION__INIT;
	Google__Rpc__BadRequest__FieldViolation *violations[] = {&violation};
	/* protobuf-c forgot the const; packing only reads */
	violation.field = (char *)(uintptr_t)status->field;
	violation.description = (char *)(uintptr_t)status->message;
	Google__Rpc__BadRequest details = GOOGLE__RPC__BAD_REQUEST__INIT;
	details.n_field_violations = 1;
	details.field_violations = violations;
	return pack_any(arena, &details.base, "google.rpc.BadRequest");
}

static Google__Protobuf__Any *quota_failure(const struct status *status, struct arena *arena)
{
	Google__Rpc__QuotaFailure__Violation violation =
		GOOGLE__RPC__QUOTA_FAILURE__VIOLATION__INIT;
	Google__Rpc__QuotaFailure__Violation *violations[] = {&violation};
	violation.subject = (char *)(uintptr_t)status->field;
	violation.description = (char *)(uintptr_t)status->message;
	Google__Rpc__QuotaFailure details = GOOGLE__RPC__QUOTA_FAILURE__INIT;
	details.n_violations = 1;
	details.violations = violations;
	return pack_any(arena, &details.base, "google.rpc.QuotaFailure");
}

static Google__Protobuf__Any *retry_info(struct arena *arena)
{
	Google__Protobuf__Duration delay = GOOGLE__PROTOBUF__DURATION__INIT;
	delay.seconds = 1;
	Google__Rpc__RetryInfo details = GOOGLE__RPC__RETRY_INFO__INIT;
	details.retry_delay = &delay;
	return pack_any(arena, &details.base, "google.rpc.RetryInfo");
}

static Google__Protobuf__Any *request_info(const char *request_id, struct arena *arena)
{
	Google__Rpc__RequestInfo details = GOOGLE__RPC__REQUEST_INFO__INIT;
	details.request_id = (char *)(uintptr_t)request_id;
	return pack_any(arena, &details.base, "google.rpc.RequestInfo");
}

struct str status_details_of(
	const struct status *status, const char *request_id, struct arena *arena)
{
	Google__Protobuf__Any *details[3];
	Google__Rpc__Status message = GOOGLE__RPC__STATUS__INIT;
	message.code = (int32_t)status->code;
	message.message = (char *)(uintptr_t)status->message;
	message.details = details;
	bool quota = status->code == STATUS_RESOURCE_EXHAUSTED && status->field[0];
	if (quota)
		details[message.n_details++] = quota_failure(status, arena);
	else if (status->field[0])
		details[message.n_details++] = bad_request(status, arena);
	if (status->code == STATUS_UNAVAILABLE ||
		(status->code == STATUS_RESOURCE_EXHAUSTED && !quota))
		details[message.n_details++] = retry_info(arena);
	/* for those errors only that are looked up in the log: the others are alike, byte for byte
	 */
	if (request_id[0] && status_code_is_our_fault(status->code))
		details[message.n_details++] = request_info(request_id, arena);
	size_t size = google__rpc__status__get_packed_size(&message);
	uint8_t *bytes = arena_alloc(arena, size);
	google__rpc__status__pack(&message, bytes);
	return (struct str){(char *)bytes, size};
}

struct str call_status_details(struct call *call)
{
	if (!call->status_details.n)
		call->status_details =
			status_details_of(&call->status, call->request_id, call->arena);
	return call->status_details;
}
