/* SPDX-License-Identifier: Apache-2.0 */
/* token-gateway: the gateway in a process of its own, a gRPC client of the service. */
#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/process.h"
#include "common/base/xalloc.h"
#include "common/event/loop.h"
#include "common/event/stop_signals.h"
#include "common/metrics/metrics.h"
#include "common/metrics/process_metrics.h"
#include "common/net/address.h"
#include "common/net/tls.h"
#include "common/net/tls_client.h"
#include "common/program/file_watch.h"
#include "common/program/program_loops.h"
#include "common/program/program_options.h"
#include "common/program/program_start.h"
#include "common/rpc/proxy_trust.h"
#include "gateway/gateway.h"
#include "gateway/options.h"
#include "gateway/upstream/grpc_upstream.h"
#include "proto/pb_schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	EXIT_USAGE = 2
};

struct program {
	struct options *options;
	const struct gateway_program_options *values;
	struct arena *arena;
	struct metrics *metrics;
	struct schema *schema;
	struct program_loops loops;
	struct proxy_trust trust;
	struct grpc_upstream *upstream;
	struct tls_server *tls;
	struct gateway *gateway;
	struct file_watch *watch;
};

static struct status open_upstream(struct program *p)
{
	const struct gateway_program_options *v = p->values;
	struct address service;
	TRY(address_parse(str_of(v->service), &service));
	const struct tls_client_options tls = {.ca_file = v->service_ca_file,
		.cert_file = v->service_cert_file,
		.key_file = v->service_key_file,
		.server_name = v->service_name};
	const struct grpc_upstream_options options = {
		.address = &service,
		.tls = v->service_tls && service.kind != ADDRESS_UNIX ? &tls : NULL,
		.loops = p->loops.workers,
		.n_loops = p->loops.n,
		.n_connections = (unsigned)v->service_connections,
		.user_agent = "token-gateway/" PROJECT_VERSION,
		.schema = p->schema,
	};
	return grpc_upstream_new(&options, &p->upstream);
}

static struct status make_trust(struct program *p)
{
	struct cidr_list proxies = {.n = 0};
	TRY(cidr_list_of(program_list_texts(p->arena, &p->values->trusted_proxies),
		p->values->trusted_proxies.count, &proxies));
	proxy_trust_init(&p->trust, proxies, p->values->dev_login);
	return status_ok();
}

static struct status open_gateway(struct program *p)
{
	const struct gateway_program_options *v = p->values;
	struct address listen;
	TRY(address_parse(str_of(v->http_listen), &listen));
	if (v->tls_cert_file) {
		const struct tls_options tls = {v->tls_cert_file, v->tls_key_file,
			v->tls_client_ca_file, (enum tls_client_auth)v->tls_client_auth};
		TRY(tls_server_new(&tls, &p->tls));
	}
	struct gateway_options options = {
		.listen = &listen,
		.tls = listen.kind == ADDRESS_UNIX ? NULL : p->tls,
		.loops = p->loops.workers,
		.n_loops = p->loops.n,
		.upstream = grpc_upstream_handler(p->upstream),
		.schema = p->schema,
		.trust = &p->trust.trust,
		.metrics = p->metrics,
		.show_metrics = v->metrics,
		.counts_calls = true,
		.http = HTTP_SERVER_OPTIONS_DEFAULT,
		.max_call_ms = v->max_call_ms,
		.cors_origins = program_list_texts(p->arena, &v->cors_origins),
		.n_cors_origins = v->cors_origins.count,
		.version = gateway_option_table.version,
	};
	options.http.limits.max_body_bytes = (uint32_t)v->max_request_bytes;
	options.http.max_connections = (uint32_t)v->max_connections;
	options.http.header_timeout_ms = (uint32_t)v->header_timeout_ms;
	options.http.body_timeout_ms = (uint32_t)v->body_timeout_ms;
	options.http.idle_timeout_ms = (uint32_t)v->idle_timeout_ms;
	return gateway_new(&options, &p->gateway);
}

static struct status write_ready_file(const struct program *p, const char *http)
{
	if (!p->values->ready_file)
		return status_ok();
	_cleanup_buf_ struct buf text;
	buf_init(&text, 4096);
	buf_printf(&text, "{\"http\": \"%s\"}\n", http);
	return file_write_atomic(p->values->ready_file, buf_str(&text), 0644);
}

static struct status read_listener_tls(void *arg)
{
	struct program *p = arg;
	return tls_server_reload(p->tls);
}

static struct status read_service_tls(void *arg)
{
	struct program *p = arg;
	return grpc_upstream_reload(p->upstream);
}

static void watch_files(struct program *p)
{
	const struct gateway_program_options *v = p->values;
	const char *const listener[] = {v->tls_cert_file, v->tls_key_file, v->tls_client_ca_file};
	const char *const service[] = {
		v->service_cert_file, v->service_key_file, v->service_ca_file};
	if (v->tls_cert_file)
		file_watch_add(
			p->watch, "tls", listener, ARRAY_SIZE(listener), read_listener_tls, p);
	if (v->service_tls)
		file_watch_add(
			p->watch, "service_tls", service, ARRAY_SIZE(service), read_service_tls, p);
}

static struct status start(struct program *p)
{
	watch_files(p);
	process_metrics_register(p->metrics, "token-gateway", gateway_option_table.version);
	TRY(pb_schema_new(&p->schema));
	program_loops_init(&p->loops, p->values->threads);
	TRY(make_trust(p));
	TRY(open_upstream(p));
	grpc_upstream_register(p->upstream, p->metrics);
	TRY(open_gateway(p));
	if (p->values->dev_login)
		log_warning("unsafe.dev_login",
			LOG_TEXT("meaning", "x-osmo-user of anybody is passed on"));
	if (p->values->insecure_plaintext)
		log_warning("unsafe.plaintext",
			LOG_TEXT("meaning", "tokens may cross the network in the clear"));
	program_loops_run_control(&p->loops);
	program_loops_run(&p->loops);
	file_watch_start(p->watch, p->loops.control);
	return status_ok();
}

/* Whoever waits for the ready file may send a signal at once: they are waited for by now. */
static struct status announce(const struct program *p)
{
	char http[ADDRESS_TEXT_BYTES];
	address_format(gateway_address(p->gateway), http);
	log_info("gateway.ready", LOG_TEXT("version", gateway_option_table.version),
		LOG_TEXT("http", http), LOG_TEXT("service", p->values->service),
		LOG_I64("threads", (int64_t)p->loops.n));
	return write_ready_file(p, http);
}

static void on_stopped(void *arg)
{
	loop_stop(arg);
}

static void stop(struct program *p)
{
	if (p->loops.run) {
		gateway_stop(p->gateway, (uint32_t)p->values->drain_grace_ms, p->loops.control,
			on_stopped, p->loops.control);
		loop_join(p->loops.control);
		grpc_upstream_stop(p->upstream);
	}
	program_loops_stop_workers(&p->loops);
	gateway_free(p->gateway);
	grpc_upstream_free(p->upstream);
	tls_server_free(p->tls);
	proxy_trust_done(&p->trust);
	file_watch_free(p->watch);
	program_loops_done(&p->loops);
	schema_free(p->schema);
	metrics_free(p->metrics);
	arena_free(p->arena);
}

static void reload(struct program *p)
{
	_cleanup_(options_freep) struct options *fresh = NULL;
	struct status status = options_reload(p->options, program_log_changed_option, NULL, &fresh);
	if (status.code == STATUS_OK) {
		const struct gateway_program_options *v = options_values(fresh);
		log_set_level((enum log_level)v->log_level);
	} else {
		log_error("reload.options", LOG_STATUS(&status));
	}
	if (file_watch_read(p->watch) && status.code == STATUS_OK)
		log_info("reload.done");
}

static int serve(struct program *p, struct stop_signals *signals)
{
	struct status status = start(p);
	stop_signals_started(signals);
	if (status.code == STATUS_OK)
		status = announce(p);
	if (status.code != STATUS_OK) {
		fprintf(stderr, "token-gateway: %s\n", status.message);
		return status.code == STATUS_INVALID_ARGUMENT ? EXIT_USAGE : EXIT_FAILURE;
	}
	process_notify_ready();
	while (stop_signals_wait(signals) == STOP_SIGNAL_RELOAD) {
		process_notify_reloading();
		reload(p);
		process_notify_ready();
	}
	log_info("gateway.draining", LOG_I64("delay_ms", p->values->drain_delay_ms),
		LOG_I64("grace_ms", p->values->drain_grace_ms));
	process_notify_stopping();
	gateway_set_draining(p->gateway);
	stop_signals_draining(signals, p->values->drain_delay_ms);
	return EXIT_SUCCESS;
}

static int run(struct options *o)
{
	const struct gateway_program_options *v = options_values(o);
	struct status status = gateway_options_check(o);
	if (status.code != STATUS_OK) {
		fprintf(stderr, "token-gateway: %s\n", status.message);
		return EXIT_USAGE;
	}
	if (options_action(o) == OPTIONS_CHECK) {
		program_warn_of_env(&gateway_option_table);
		puts("the configuration is valid");
		return EXIT_SUCCESS;
	}
	struct stop_signals signals;
	program_start(&signals, (enum log_level)v->log_level, (enum log_format)v->log_format);
	program_warn_of_env(&gateway_option_table);
	struct program program = {.options = o,
		.values = v,
		.arena = arena_new(),
		.metrics = metrics_new(),
		.watch = file_watch_new()};
	int code = serve(&program, &signals);
	stop(&program);
	if (code == EXIT_SUCCESS)
		log_info("gateway.stopped");
	return code;
}

int main(int argc, char **argv)
{
	process_hold_standard_streams();
	struct options *o = NULL;
	int code;
	if (options_start(&gateway_option_table, argc, argv, &o, &code)) {
		code = run(o);
		options_free(o);
	}
	return code;
}
