/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/upstream/grpc_upstream.h"

#include "common/base/xalloc.h"
#include "common/codec/schema.h"
#include "common/metrics/metrics.h"
#include "common/rpc/call.h"
#include "common/rpc/request_id.h"
#include "common/rpc/rpc_client.h"

#include "google/api/http.pb-c.h"

struct grpc_upstream {
	struct call_handler handler;
	struct rpc_client *client;
	int64_t ready_timeout_ms;
};

enum {
	HTTP_RULE = 72295728, /* google.api.http, an extension of MethodOptions */
	READY_TIMEOUT_MS = 2000,
};

static bool reads_only(const struct schema_method *m)
{
	struct str bytes;
	if (!schema_method_option(m, HTTP_RULE, &bytes))
		return false;
	Google__Api__HttpRule *rule =
		google__api__http_rule__unpack(NULL, bytes.n, (const uint8_t *)bytes.p);
	bool result = rule && rule->pattern_case == GOOGLE__API__HTTP_RULE__PATTERN_GET;
	google__api__http_rule__free_unpacked(rule, NULL);
	return result;
}

static void start(struct call_handler *self, struct call *call)
{
	request_id_assign(call);
	rpc_client_call(container_of(self, struct grpc_upstream, handler)->client, call);
}

static void check_ready(struct call_handler *self, struct loop *home,
	void (*done)(void *arg, struct status status), void *arg)
{
	struct grpc_upstream *u = container_of(self, struct grpc_upstream, handler);
	rpc_client_check(u->client, "", u->ready_timeout_ms, home, done, arg);
}

struct status grpc_upstream_new(const struct grpc_upstream_options *o, struct grpc_upstream **ret)
{
	const struct rpc_client_options options = {
		.address = o->address,
		.tls = o->tls,
		.loops = o->loops,
		.n_loops = o->n_loops,
		.n_connections = o->n_connections,
		.user_agent = o->user_agent,
		.schema = o->schema,
		.retry = reads_only,
	};
	struct rpc_client *client;
	TRY(rpc_client_new(&options, &client));
	struct grpc_upstream *u = xnew(struct grpc_upstream);
	u->handler = (struct call_handler){.start = start, .check_ready = check_ready};
	u->client = client;
	u->ready_timeout_ms = o->ready_timeout_ms ? o->ready_timeout_ms : READY_TIMEOUT_MS;
	*ret = u;
	return status_ok();
}

void grpc_upstream_stop(struct grpc_upstream *u)
{
	rpc_client_stop(u->client);
}

struct status grpc_upstream_reload(struct grpc_upstream *u)
{
	return rpc_client_reload(u->client);
}

void grpc_upstream_free(struct grpc_upstream *u)
{
	if (!u)
		return;
	rpc_client_free(u->client);
	free(u);
}

static double read_connections(void *arg)
{
	return (double)rpc_client_stats(arg).connections;
}

static double read_opened(void *arg)
{
	return (double)rpc_client_stats(arg).opened;
}

static double read_failed(void *arg)
{
	return (double)rpc_client_stats(arg).failed;
}

static double read_waiting(void *arg)
{
	return (double)rpc_client_stats(arg).waiting;
}

static double read_retries(void *arg)
{
	return (double)rpc_client_stats(arg).retries;
}

void grpc_upstream_register(struct grpc_upstream *u, struct metrics *m)
{
	struct rpc_client *c = u->client;
	metrics_gauge_callback(m, "gateway_upstream_connections",
		"Open gRPC connections to the service.", NULL, read_connections, c);
	metrics_gauge_callback(m, "gateway_upstream_calls_waiting",
		"Calls that wait for a connection to the service.", NULL, read_waiting, c);
	metrics_counter_callback(m, "gateway_upstream_opened_total",
		"gRPC connections to the service that were opened.", NULL, read_opened, c);
	metrics_counter_callback(m, "gateway_upstream_failed_total",
		"Attempts to connect to the service that failed.", NULL, read_failed, c);
	metrics_counter_callback(m, "gateway_upstream_retries_total",
		"Calls that were sent to the service again.", NULL, read_retries, c);
}

struct call_handler *grpc_upstream_handler(struct grpc_upstream *u)
{
	return &u->handler;
}
