/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/options.h"

#include "common/net/address.h"
#include "common/net/web_url.h"
#include "common/program/program_options.h"

#ifndef PROJECT_VERSION
#error "PROJECT_VERSION must be given by the build"
#endif

#define FLAG(m) OPTION_FLAG_AT(struct gateway_program_options, m)
#define STRING(m) OPTION_STRING_AT(struct gateway_program_options, m)
#define INT(m) OPTION_INT_AT(struct gateway_program_options, m)
#define DURATION(m) OPTION_DURATION_AT(struct gateway_program_options, m)
#define SIZE(m) OPTION_SIZE_AT(struct gateway_program_options, m)
#define ENUM(m) OPTION_ENUM_AT(struct gateway_program_options, m)
#define LIST(m) OPTION_LIST_AT(struct gateway_program_options, m)

/* clang-format off */
static const struct option_spec specs[] = {
	{.name = "http-listen", STRING(http_listen), .metavar = "ADDR", .initial = "127.0.0.1:8080",
		.check = program_check_address, .group = "Listening",
		.help = "where HTTP is served: host:port (port 0: the kernel chooses) or unix:PATH"},
	{.name = "ready-file", STRING(ready_file), .metavar = "FILE", .group = "Listening",
		.help = "written once requests are answered: the address really bound, as JSON"},

	{.name = "service", STRING(service), .metavar = "ADDR", .initial = "127.0.0.1:50051",
		.check = program_check_address, .group = "The service",
		.help = "where token-service serves gRPC: host:port or unix:PATH"},
	{.name = "service-tls", FLAG(service_tls), .group = "The service",
		.help = "speak TLS with it"},
	{.name = "service-ca-file", STRING(service_ca_file), .metavar = "FILE",
		.group = "The service",
		.help = "authorities (PEM) that its certificate must come from (default: the system's); "
			"this file and the next two are read again when they change"},
	{.name = "service-cert-file", STRING(service_cert_file), .metavar = "FILE",
		.group = "The service", .help = "certificate (PEM) to show it"},
	{.name = "service-key-file", STRING(service_key_file), .metavar = "FILE",
		.group = "The service", .help = "its private key (PEM)"},
	{.name = "service-name", STRING(service_name), .metavar = "NAME", .group = "The service",
		.help = "that its certificate must hold, if it is not the host"},
	{.name = "service-connections", INT(service_connections), .metavar = "N", .initial = "1",
		.min = 1, .max = 64, .group = "The service", .help = "gRPC connections to it that each thread has at least; as many as its name has "
			"addresses, if those are more"},

	{.name = "tls-cert-file", STRING(tls_cert_file), .metavar = "FILE", .group = "TLS",
		.help = "certificate and chain (PEM) of the listener; it and the next two files are "
			"read again when they change, and on SIGHUP"},
	{.name = "tls-key-file", STRING(tls_key_file), .metavar = "FILE", .group = "TLS",
		.help = "its private key (PEM)"},
	{.name = "tls-client-ca-file", STRING(tls_client_ca_file), .metavar = "FILE", .group = "TLS",
		.help = "authorities (PEM) that client certificates must come from"},
	{.name = "tls-client-auth", ENUM(tls_client_auth), .choices = program_tls_client_auth_choices,
		.initial = "none", .group = "TLS", .help = "whether clients show a certificate"},
	{.name = "insecure-plaintext", FLAG(insecure_plaintext), .group = "TLS",
		.help = "serve other machines, or reach the service there, without TLS: tokens can then "
			"be read on the way"},

	{.name = "trusted-proxy", LIST(trusted_proxies), .metavar = "CIDR", .check = program_check_network,
		.group = "Callers",
		.help = "peers (networks, or 'unix') whose x-osmo-user and x-osmo-roles are passed on; "
			"the service must trust this gateway too"},
	{.name = "dev-login", FLAG(dev_login), .group = "Callers",
		.help = "pass x-osmo-user of anybody on; on loopback and unix sockets only"},

	{.name = "threads", INT(threads), .metavar = "N", .initial = "0", .min = 0, .max = 256,
		.group = "Limits", .help = "event loops; 0: one per processor"},
	{.name = "max-connections", INT(max_connections), .metavar = "N", .initial = "10000",
		.min = 1, .max = 1000000, .group = "Limits", .help = "of the listener"},
	{.name = "max-call-time", DURATION(max_call_ms), .metavar = "TIME", .initial = "30s",
		.min = 10, .max = 3600 * 1000, .group = "Limits",
		.help = "whatever deadline a client asks for"},
	{.name = "max-request-bytes", SIZE(max_request_bytes), .metavar = "SIZE",
		.initial = "1MiB", .min = 1024, .max = 64 * 1024 * 1024, .group = "Limits",
		.help = "of a body"},
	{.name = "header-timeout", DURATION(header_timeout_ms), .metavar = "TIME", .initial = "10s",
		.min = 10, .max = 3600 * 1000, .group = "Limits",
		.help = "for the whole head of a request"},
	{.name = "body-timeout", DURATION(body_timeout_ms), .metavar = "TIME", .initial = "30s",
		.min = 10, .max = 3600 * 1000, .group = "Limits",
		.help = "for the whole body of a request"},
	{.name = "idle-timeout", DURATION(idle_timeout_ms), .metavar = "TIME", .initial = "75s",
		.min = 10, .max = 24 * 3600 * 1000, .group = "Limits",
		.help = "of a connection between requests"},

	{.name = "log-level", ENUM(log_level), .choices = program_log_level_choices, .initial = "info",
		.flags = OPTION_RELOADABLE, .group = "Operations", .help = "the least that is logged"},
	{.name = "log-format", ENUM(log_format), .choices = program_log_format_choices, .initial = "auto",
		.group = "Operations", .help = "auto: logfmt on a terminal, else JSON"},
	{.name = "metrics", FLAG(metrics), .initial = "true", .group = "Operations",
		.help = "serve /metrics"},
	{.name = "cors-origin", LIST(cors_origins), .metavar = "ORIGIN",
		.check = web_origin_check, .group = "Operations",
		.help = "web origins that browsers may call from"},
	{.name = "drain-delay", DURATION(drain_delay_ms), .metavar = "TIME", .initial = "0",
		.min = 0, .max = 600 * 1000, .group = "Operations",
		.help = "after SIGTERM: not ready, but still accepting, for so long"},
	{.name = "drain-grace", DURATION(drain_grace_ms), .metavar = "TIME", .initial = "25s",
		.min = 0, .max = 3600 * 1000, .group = "Operations",
		.help = "then: requests in flight have so long to finish"},
};
/* clang-format on */

static const struct option_manual manual[] = {
	{"SIGNALS", "SIGTERM, SIGINT",
		"Stop: not ready at once, still accepting for --drain-delay, then requests in "
		"flight "
		"have --drain-grace to finish. A second one ends it at once."},
	{"SIGNALS", "SIGHUP",
		"Read the certificates again, changed or not. What is wrong is logged."},
	{"FILES", "/etc/token-gateway/token-gateway.yaml",
		"The configuration of the system's gateway, given to it as --config."},
	{"EXIT STATUS", "0", "Stopped as it was told, or the configuration is valid."},
	{"EXIT STATUS", "1", "It could not start, or could not go on."},
	{"EXIT STATUS", "2", "A wrong option or configuration; one line says which."},
	{"SEE ALSO", NULL, "token-service(8), osmo(1), systemd(1)"},
	{NULL, NULL, NULL},
};

const struct option_table gateway_option_table = {
	.program = "token-gateway",
	.version = PROJECT_VERSION,
	.env_prefix = "TOKEN_GATEWAY",
	.summary = "The JSON/HTTP front of a token-service elsewhere.",
	.phrase = "JSON and HTTP in front of a token-service",
	.manual = manual,
	.values_size = sizeof(struct gateway_program_options),
	.specs = specs,
	.count = ARRAY_SIZE(specs),
};

static struct status check_service_tls(
	const struct options *o, const struct gateway_program_options *v)
{
	TRY(program_check_pair(o, "service-cert-file", v->service_cert_file, "service-key-file",
		v->service_key_file));
	const char *useless = v->service_ca_file     ? "service-ca-file"
			      : v->service_cert_file ? "service-cert-file"
			      : v->service_name      ? "service-name"
						     : NULL;
	if (useless && !v->service_tls)
		return options_error(o, useless, "given together with --service-tls");
	return status_ok();
}

struct status gateway_options_check(const struct options *o)
{
	const struct gateway_program_options *v = options_values(o);
	const struct program_tls_options tls = {
		v->tls_cert_file, v->tls_key_file, v->tls_client_ca_file, v->tls_client_auth};
	struct address service;
	TRY(program_check_tls(o, &tls));
	TRY(check_service_tls(o, v));
	TRY(program_check_ready_file(o, v->ready_file));
	TRY(program_check_listener(o, "http-listen", v->http_listen, v->tls_cert_file,
		v->insecure_plaintext, v->dev_login));
	TRY(address_parse(str_of(v->service), &service));
	if (!address_is_loopback(&service) && !v->service_tls && !v->insecure_plaintext)
		return options_error(o, "service",
			"a loopback address or a unix socket without --service-tls (or with "
			"--insecure-plaintext)");
	return status_ok();
}
