/* SPDX-License-Identifier: Apache-2.0 */
/* The options of token-service: one table, from which flags, environment, file and help come. */
#pragma once

#include "common/base/secret.h"
#include "common/base/status.h"
#include "common/config/options.h"
#include "common/net/address.h"

#include <stdbool.h>
#include <stdint.h>

struct yaml_node;

enum service_store {
	SERVICE_STORE_SQLITE,
	SERVICE_STORE_POSTGRES
};

struct service_options {
	/* Listening */
	char *grpc_listen, *http_listen, *ready_file;
	bool reflection;
	/* Storage */
	char *data_dir;
	int store; /* enum service_store */
	char *postgres_url, *postgres_direct_url, *postgres_password_file;
	int postgres_pooler; /* 1: by transaction */
	int64_t postgres_connections, postgres_connect_timeout_ms, postgres_statement_timeout_ms;
	int64_t cache_ttl_ms, cache_max_bytes;
	bool check_store;
	char *osmo_url, *osmo_password_file; /* of import-osmo */
	/* TLS */
	char *tls_cert_file, *tls_key_file, *tls_client_ca_file;
	int tls_client_auth;
	bool insecure_plaintext;
	/* Who callers are */
	struct option_list trusted_proxies, mtls_identities, default_roles;
	const struct yaml_node *roles; /* roles_config_parse */
	bool dev_login;
	char *admin_token_file;
	char *external_issuer, *external_audience, *external_jwks_file;
	char *external_user_claim, *external_roles_claim;
	/* Tokens and JWTs */
	int64_t max_token_lifetime_ms, max_tokens_per_user, expired_token_grace_ms;
	struct option_list personal_token_denied;
	char *jwt_issuer, *jwt_audience, *jwt_key_file;
	int jwt_algorithm;
	int64_t jwt_key_lifetime_ms;
	char *encryption_key_file;
	/* What existing clients ask for */
	struct option_list pools, buckets;
	char *login_device_endpoint, *login_device_client_id, *login_browser_endpoint;
	char *login_browser_client_id, *login_token_endpoint, *login_logout_endpoint;
	char *service_version, *client_latest_version, *client_min_version, *service_url;
	/* Limits */
	int64_t threads, max_connections, max_streams, max_calls, max_call_ms, max_request_bytes;
	int64_t header_timeout_ms, body_timeout_ms, idle_timeout_ms;
	/* Operations */
	int log_level, log_format;
	bool access_log, metrics;
	struct option_list cors_origins;
	int64_t drain_delay_ms, drain_grace_ms;
};

extern const struct option_table service_option_table;

/* What the table cannot say: options that need each other, addresses that may not be in the clear.
 * INVALID_ARGUMENT in the form of option errors. */
struct status service_options_check(const struct options *o);

/* "365d" as @ret_text (at most 32 bytes) and in whole days. */
struct status service_options_max_lifetime(
	const struct options *o, int32_t *ret_days, char ret_text[32]);
