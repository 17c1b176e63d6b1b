/* SPDX-License-Identifier: Apache-2.0 */
/* The options of token-gateway: one table, from which flags, environment, file and help come. */
#pragma once

#include "common/base/status.h"
#include "common/config/options.h"

#include <stdbool.h>
#include <stdint.h>

struct gateway_program_options {
	/* Listening */
	char *http_listen, *ready_file;
	/* The service */
	char *service;
	bool service_tls;
	char *service_ca_file, *service_cert_file, *service_key_file, *service_name;
	int64_t service_connections;
	/* TLS */
	char *tls_cert_file, *tls_key_file, *tls_client_ca_file;
	int tls_client_auth;
	bool insecure_plaintext;
	/* Callers */
	struct option_list trusted_proxies;
	bool dev_login;
	/* Limits */
	int64_t threads, max_connections, max_call_ms, max_request_bytes;
	int64_t header_timeout_ms, body_timeout_ms, idle_timeout_ms;
	/* Operations */
	int log_level, log_format;
	bool metrics;
	struct option_list cors_origins;
	int64_t drain_delay_ms, drain_grace_ms;
};

extern const struct option_table gateway_option_table;

/* What the table cannot say. INVALID_ARGUMENT in the form of option errors. */
struct status gateway_options_check(const struct options *o);
