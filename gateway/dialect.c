/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/dialect.h"

#include "common/codec/json_text.h"
#include "common/codec/pbjson.h"

#include "google/rpc/status.pb-c.h"

/* What both agree on; the rest is 400 or a status of its own. */
#define COMMON_STATUSES                                                                            \
	[STATUS_OK] = 200, [STATUS_CANCELLED] = 499, [STATUS_UNKNOWN] = 500,                       \
	[STATUS_INVALID_ARGUMENT] = 400, [STATUS_DEADLINE_EXCEEDED] = 504,                         \
	[STATUS_PERMISSION_DENIED] = 403, [STATUS_RESOURCE_EXHAUSTED] = 429,                       \
	[STATUS_FAILED_PRECONDITION] = 400, [STATUS_ABORTED] = 409, [STATUS_OUT_OF_RANGE] = 400,   \
	[STATUS_UNIMPLEMENTED] = 501, [STATUS_INTERNAL] = 500, [STATUS_UNAVAILABLE] = 503,         \
	[STATUS_DATA_LOSS] = 500, [STATUS_UNAUTHENTICATED] = 401

const struct dialect dialect_v1 = {
	.name = "v1",
	.http_status = {COMMON_STATUSES, [STATUS_NOT_FOUND] = 404, [STATUS_ALREADY_EXISTS] = 409},
};

const struct dialect dialect_api = {
	.name = "api",
	.http_status = {COMMON_STATUSES, [STATUS_NOT_FOUND] = 400, [STATUS_ALREADY_EXISTS] = 400},
	.lenient = true,
	.error_code = true,
};

const struct dialect *dialect_of(struct str path)
{
	static const char *const prefixes[] = {"/api", "/client", "/health"};
	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		const struct str prefix = str_of(prefixes[i]);
		if (str_starts_with(path, prefix) &&
			(path.n == prefix.n || path.p[prefix.n] == '/'))
			return &dialect_api;
	}
	return &dialect_v1;
}

int dialect_http_status(const struct dialect *d, enum status_code code)
{
	const size_t index = (size_t)code;
	return d->http_status[index < STATUS_CODE_COUNT ? index : STATUS_UNKNOWN];
}

/* Each detail by itself: one of a type that is not known here is left out. */
static void write_details(const struct schema *schema, struct str bytes, struct buf *out)
{
	const struct schema_message *any = schema_find_message(schema, STR("google.protobuf.Any"));
	Google__Rpc__Status *status =
		google__rpc__status__unpack(NULL, bytes.n, (const uint8_t *)bytes.p);
	_cleanup_buf_ struct buf detail;
	buf_init(&detail, out->max_);
	bool first = true;
	for (size_t i = 0; status && any && i < status->n_details; i++) {
		buf_reset(&detail);
		struct status written =
			pbjson_write(schema, any, &status->details[i]->base, &detail);
		if (written.code != STATUS_OK)
			continue;
		if (!first)
			buf_append_char(out, ',');
		first = false;
		buf_append_str(out, buf_str(&detail));
	}
	if (status)
		google__rpc__status__free_unpacked(status, NULL);
}

/* Existing clients exit with the class of a 400: all errors about tokens, roles and profiles have
 * the class of a user's mistake, a client that is out of date has that of none. Other statuses are
 * their own class, a number. */
static void write_error_code(const struct status *status, int http_status, struct buf *out)
{
	if (http_status != 400)
		buf_printf(out, ",\"error_code\":%d", http_status);
	else if (status->code == STATUS_FAILED_PRECONDITION)
		buf_append_str(out, STR(",\"error_code\":\"OSMO_ERROR\""));
	else
		buf_append_str(out, STR(",\"error_code\":\"USER\""));
	buf_append_str(out, STR(",\"workflow_id\":null"));
}

void dialect_write_error(const struct dialect *d, const struct schema *schema,
	const struct status *status, int http_status, struct str details, struct buf *out)
{
	buf_printf(out, "{\"code\":%d,\"message\":", (int)status->code);
	json_append_string(out, str_of(status->message));
	buf_append_str(out, STR(",\"details\":["));
	if (details.n)
		write_details(schema, details, out);
	buf_append_char(out, ']');
	if (d->error_code)
		write_error_code(status, http_status, out);
	buf_append_char(out, '}');
}

struct str dialect_www_authenticate(int http_status, bool has_credential)
{
	if (http_status == 403)
		return STR("Bearer realm=\"osmo\", error=\"insufficient_scope\"");
	if (http_status != 401)
		return (struct str){NULL, 0};
	return has_credential ? STR("Bearer realm=\"osmo\", error=\"invalid_token\"")
			      : STR("Bearer realm=\"osmo\"");
}

static bool is_of_quota(struct str details)
{
	Google__Rpc__Status *status =
		google__rpc__status__unpack(NULL, details.n, (const uint8_t *)details.p);
	bool found = false;
	for (size_t i = 0; status && i < status->n_details; i++)
		found = found || str_ends_with(str_of(status->details[i]->type_url),
					 STR("/google.rpc.QuotaFailure"));
	if (status)
		google__rpc__status__free_unpacked(status, NULL);
	return found;
}

struct str dialect_retry_after(int http_status, struct str details)
{
	if (http_status == 503 || (http_status == 429 && !is_of_quota(details)))
		return STR("1");
	return (struct str){NULL, 0};
}
