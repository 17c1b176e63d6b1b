/* SPDX-License-Identifier: Apache-2.0 */
#include "service/options.h"

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/net/web_url.h"
#include "common/program/program_options.h"
#include "service/app/role_app.h"
#include "service/auth/jwt_key.h"
#include "service/domain/principal.h"
#include "service/domain/role.h"
#include "service/interceptor/authn.h"
#include "service/interceptor/client_version.h"
#include "service/roles_config.h"
#include "service/store/postgres/postgres_store.h"

#include <stdio.h>

#ifndef PROJECT_VERSION
#error "PROJECT_VERSION must be given by the build"
#endif

/* The HTTP listener may be switched off. */
static struct status check_address_or_off(struct str value)
{
	return str_eq(value, STR("off")) ? status_ok() : program_check_address(value);
}

static struct status check_action(struct str value)
{
	struct role_action action;
	return role_action_parse(value, &action);
}

static struct status check_identity(struct str value)
{
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	struct authn_identity identity;
	return authn_identity_parse(value, arena, &identity);
}

static struct status check_version(struct str value)
{
	if (client_version_is_valid(value))
		return status_ok();
	return status_error(STATUS_INVALID_ARGUMENT, "must be a version like 6.0.0, got '%.*s'",
		STR_ARG(value));
}

static struct status check_name(struct str value)
{
	if (principal_name_is_valid(value))
		return status_ok();
	return status_error(STATUS_INVALID_ARGUMENT,
		"must be 1 to %d bytes without control characters, got '%.*s'",
		PRINCIPAL_NAME_MAX_BYTES, STR_ARG(value));
}

static const struct option_choice algorithm_choices[] = {
	{"ES256", JWT_ES256}, {"RS256", JWT_RS256}, {NULL, 0}};

static const struct option_choice store_choices[] = {
	{"sqlite", SERVICE_STORE_SQLITE}, {"postgres", SERVICE_STORE_POSTGRES}, {NULL, 0}};
static const struct option_choice pooler_choices[] = {{"none", 0}, {"transaction", 1}, {NULL, 0}};

#define FLAG(m) OPTION_FLAG_AT(struct service_options, m)
#define STRING(m) OPTION_STRING_AT(struct service_options, m)
#define INT(m) OPTION_INT_AT(struct service_options, m)
#define DURATION(m) OPTION_DURATION_AT(struct service_options, m)
#define SIZE(m) OPTION_SIZE_AT(struct service_options, m)
#define ENUM(m) OPTION_ENUM_AT(struct service_options, m)
#define LIST(m) OPTION_LIST_AT(struct service_options, m)
#define SECTION(m) OPTION_SECTION_AT(struct service_options, m)

/* clang-format off */
static const struct option_spec specs[] = {
	{.name = "grpc-listen", STRING(grpc_listen), .metavar = "ADDR", .initial = "127.0.0.1:50051",
		.check = program_check_address, .group = "Listening",
		.help = "where gRPC is served: host:port (port 0: the kernel chooses) or unix:PATH"},
	{.name = "http-listen", STRING(http_listen), .metavar = "ADDR", .initial = "127.0.0.1:8080",
		.check = check_address_or_off, .group = "Listening",
		.help = "where HTTP is served, or 'off'"},
	{.name = "ready-file", STRING(ready_file), .metavar = "FILE", .group = "Listening",
		.help = "written once calls are answered: the addresses really bound, as JSON"},
	{.name = "reflection", FLAG(reflection), .group = "Listening",
		.help = "serve gRPC reflection, for grpcurl and the like"},

	{.name = "data-dir", STRING(data_dir), .metavar = "DIR", .initial = "/var/lib/token-service",
		.group = "Storage", .help = "folder of the database, keys and the first admin token"},
	{.name = "store", ENUM(store), .choices = store_choices, .initial = "sqlite",
		.group = "Storage",
		.help = "sqlite: a file in the data directory; postgres: a database that replicas share"},
	{.name = "postgres-url", STRING(postgres_url), .metavar = "URL",
		.check = postgres_store_check_url, .group = "Storage",
		.help = "postgresql://USER@HOST/NAME, without the password; of several hosts "
			"(HOST,HOST) the one that takes writes is used"},
	{.name = "postgres-password-file", STRING(postgres_password_file), .metavar = "FILE",
		.group = "Storage", .help = "its password; read again for each connection"},
	{.name = "postgres-connections", INT(postgres_connections), .metavar = "N", .initial = "8",
		.min = 1, .max = 1000, .group = "Storage",
		.help = "of this process, shared out among its threads; one more listens to changes"},
	{.name = "postgres-connect-timeout", DURATION(postgres_connect_timeout_ms),
		.metavar = "TIME", .initial = "3s", .min = 10, .max = 3600 * 1000,
		.group = "Storage", .help = "for each address of a host"},
	{.name = "postgres-statement-timeout", DURATION(postgres_statement_timeout_ms),
		.metavar = "TIME", .initial = "5s", .min = 10, .max = 3600 * 1000,
		.group = "Storage", .help = "after which a server that hangs is given up"},
	{.name = "postgres-pooler", ENUM(postgres_pooler), .choices = pooler_choices,
		.initial = "none", .group = "Storage",
		.help = "transaction: the URL is a pooler's (pgbouncer) that shares connections by "
			"transaction"},
	{.name = "postgres-direct-url", STRING(postgres_direct_url), .metavar = "URL",
		.check = postgres_store_check_url, .group = "Storage",
		.help = "past the pooler, to hear of other replicas' changes; without it they hold "
			"after --cache-ttl"},
	{.name = "osmo-url", STRING(osmo_url), .metavar = "URL", .check = postgres_store_check_url,
		.flags = OPTION_COMMAND_ONLY | OPTION_REQUIRED, .group = "Storage",
		.help = "the existing database: postgresql://USER@HOST/NAME, without the password"},
	{.name = "osmo-password-file", STRING(osmo_password_file), .metavar = "FILE",
		.flags = OPTION_COMMAND_ONLY, .group = "Storage", .help = "its password"},
	{.name = "check-store", FLAG(check_store), .group = "Storage",
		.help = "read all of the embedded database before the start, and refuse a damaged one"},
	{.name = "cache-ttl", DURATION(cache_ttl_ms), .metavar = "TIME", .initial = "30s", .min = 0,
		.max = 3600 * 1000, .group = "Storage",
		.help = "how long a verified token may be remembered"},
	{.name = "cache-max-bytes", SIZE(cache_max_bytes), .metavar = "SIZE", .initial = "16MiB",
		.min = 64 * 1024, .group = "Storage", .help = "memory of that cache"},

	{.name = "tls-cert-file", STRING(tls_cert_file), .metavar = "FILE", .group = "TLS",
		.help = "certificate and chain (PEM) of both listeners; it and the next two files are "
			"read again when they change, and on SIGHUP"},
	{.name = "tls-key-file", STRING(tls_key_file), .metavar = "FILE", .group = "TLS",
		.help = "its private key (PEM)"},
	{.name = "tls-client-ca-file", STRING(tls_client_ca_file), .metavar = "FILE", .group = "TLS",
		.help = "authorities (PEM) that client certificates must come from"},
	{.name = "tls-client-auth", ENUM(tls_client_auth), .choices = program_tls_client_auth_choices,
		.initial = "none", .group = "TLS", .help = "whether clients show a certificate"},
	{.name = "insecure-plaintext", FLAG(insecure_plaintext), .group = "TLS",
		.help = "serve other machines without TLS: tokens can then be read on the way"},

	{.name = "trusted-proxy", LIST(trusted_proxies), .metavar = "CIDR", .check = program_check_network,
		.group = "Callers",
		.help = "peers (networks, or 'unix') whose x-osmo-user and x-osmo-roles are believed"},
	{.name = "mtls-identity", LIST(mtls_identities), .metavar = "NAME=USER[:ROLE+ROLE...]",
		.check = check_identity, .group = "Callers",
		.help = "a client certificate (its SPIFFE ID, URI or common name) is this user, or "
			"service/NAME"},
	{.name = "default-roles", LIST(default_roles), .metavar = "ROLE", .initial = "osmo-user",
		.check = role_name_check, .group = "Callers", .help = "roles of every user, and of personal tokens"},
	{.name = "roles", SECTION(roles), .flags = OPTION_RELOADABLE, .group = "Callers",
		.help = "roles that this file owns: a list of name, description and policies, each "
			"a list of actions http:<path glob>:<method>"},
	{.name = "dev-login", FLAG(dev_login), .group = "Callers",
		.help = "believe x-osmo-user from anybody; on loopback and unix sockets only"},
	{.name = "admin-token-file", STRING(admin_token_file), .metavar = "FILE", .group = "Callers",
		.help = "holds the first admin token; without it one is made in the data directory"},
	{.name = "external-issuer", STRING(external_issuer), .metavar = "URL", .group = "Callers",
		.help = "\"iss\" of JWTs of an identity provider that are accepted too"},
	{.name = "external-audience", STRING(external_audience), .metavar = "NAME", .group = "Callers",
		.help = "their \"aud\""},
	{.name = "external-jwks-file", STRING(external_jwks_file), .metavar = "FILE",
		.group = "Callers", .help = "their public keys, a JWK Set; read again when it changes"},
	{.name = "external-user-claim", STRING(external_user_claim), .metavar = "CLAIM",
		.initial = "sub", .group = "Callers", .help = "their claim that names the user"},
	{.name = "external-roles-claim", STRING(external_roles_claim), .metavar = "CLAIM",
		.initial = "roles", .group = "Callers", .help = "their claim that lists roles"},

	{.name = "max-token-lifetime", DURATION(max_token_lifetime_ms), .metavar = "TIME",
		.initial = "365d", .min = 24LL * 3600 * 1000, .max = 36500LL * 24 * 3600 * 1000,
		.group = "Tokens", .help = "how far ahead an expiry date may lie, in whole days"},
	{.name = "max-tokens-per-user", INT(max_tokens_per_user), .metavar = "N",
		.initial = "1000", .min = 0, .max = 10000000, .group = "Tokens",
		.help = "personal tokens of one user that are not expired; 0: any number"},
	{.name = "expired-token-grace", DURATION(expired_token_grace_ms), .metavar = "TIME",
		.initial = "30d", .min = 0, .max = 36500LL * 24 * 3600 * 1000, .group = "Tokens",
		.help = "how long an expired token stays listed before it is deleted"},
	{.name = "personal-token-denied", LIST(personal_token_denied), .metavar = "ACTION",
		.initial = "http:/api/pool/*/workflow:Post,http:/api/pool/*/workflow/*/restart:Post",
		.check = check_action, .group = "Tokens",
		.help = "what nobody may do with a personal token, whatever its roles say"},
	{.name = "jwt-issuer", STRING(jwt_issuer), .metavar = "NAME", .initial = "osmo",
		.group = "Tokens", .help = "\"iss\" of our JWTs"},
	{.name = "jwt-audience", STRING(jwt_audience), .metavar = "NAME", .initial = "osmo",
		.group = "Tokens", .help = "\"aud\" of our JWTs"},
	{.name = "jwt-algorithm", ENUM(jwt_algorithm), .choices = algorithm_choices,
		.initial = "ES256", .group = "Tokens", .help = "how our JWTs are signed"},
	{.name = "jwt-key-file", STRING(jwt_key_file), .metavar = "FILE", .group = "Tokens",
		.help = "private key (PEM or JWK) to sign with, then others to be trusted, "
			"read again when it changes; without it keys are made and stored"},
	{.name = "jwt-key-lifetime", DURATION(jwt_key_lifetime_ms), .metavar = "TIME",
		.initial = "90d", .min = 3600 * 1000, .max = 3650LL * 24 * 3600 * 1000,
		.group = "Tokens", .help = "after which a stored key gives way to the next"},
	{.name = "encryption-key-file", STRING(encryption_key_file), .metavar = "FILE",
		.group = "Tokens",
		.help = "what stored keys are encrypted with: 64 hexadecimal digits (or base64 of 32 "
			"bytes); earlier ones may follow, one a line; without it DIR/key, made at "
			"the first start"},

	{.name = "pools", LIST(pools), .metavar = "NAME", .initial = "default",
		.check = check_name, .group = "Existing clients", .help = "pools that profiles know"},
	{.name = "buckets", LIST(buckets), .metavar = "NAME", .check = check_name,
		.group = "Existing clients", .help = "buckets that profiles know"},
	{.name = "login-device-endpoint", STRING(login_device_endpoint), .metavar = "URL",
		.check = web_url_check, .group = "Existing clients", .help = "of the identity provider, told to clients"},
	{.name = "login-device-client-id", STRING(login_device_client_id), .metavar = "ID",
		.group = "Existing clients", .help = "likewise"},
	{.name = "login-browser-endpoint", STRING(login_browser_endpoint), .metavar = "URL",
		.check = web_url_check, .group = "Existing clients", .help = "likewise"},
	{.name = "login-browser-client-id", STRING(login_browser_client_id), .metavar = "ID",
		.group = "Existing clients", .help = "likewise"},
	{.name = "login-token-endpoint", STRING(login_token_endpoint), .metavar = "URL",
		.check = web_url_check, .group = "Existing clients", .help = "likewise"},
	{.name = "login-logout-endpoint", STRING(login_logout_endpoint), .metavar = "URL",
		.check = web_url_check, .group = "Existing clients", .help = "likewise"},
	{.name = "service-version", STRING(service_version), .metavar = "VERSION",
		.initial = "6.0.0", .check = check_version, .group = "Existing clients",
		.help = "the version of the API that clients are told"},
	{.name = "client-latest-version", STRING(client_latest_version), .metavar = "VERSION",
		.check = check_version, .group = "Existing clients",
		.help = "older clients are told that there is a new one (default: the service's)"},
	{.name = "client-min-version", STRING(client_min_version), .metavar = "VERSION",
		.check = check_version, .group = "Existing clients",
		.help = "older clients are refused"},
	{.name = "service-url", STRING(service_url), .metavar = "URL",
		.check = web_url_check, .group = "Existing clients",
		.help = "where clients are told to update from"},

	{.name = "threads", INT(threads), .metavar = "N", .initial = "0", .min = 0, .max = 256,
		.group = "Limits", .help = "event loops, and threads for gRPC; 0: one per processor"},
	{.name = "max-connections", INT(max_connections), .metavar = "N", .initial = "10000",
		.min = 1, .max = 1000000, .group = "Limits", .help = "of each listener"},
	{.name = "max-streams", INT(max_streams), .metavar = "N", .initial = "128", .min = 1,
		.max = 100000, .group = "Limits", .help = "calls at a time on a gRPC connection"},
	{.name = "max-calls", INT(max_calls), .metavar = "N", .initial = "10000", .min = 1,
		.max = 1000000, .group = "Limits",
		.help = "gRPC calls at a time; further ones get RESOURCE_EXHAUSTED at once"},
	{.name = "max-call-time", DURATION(max_call_ms), .metavar = "TIME", .initial = "30s",
		.min = 10, .max = 3600 * 1000, .group = "Limits",
		.help = "whatever deadline a caller asks for"},
	{.name = "max-request-bytes", SIZE(max_request_bytes), .metavar = "SIZE",
		.initial = "1MiB", .min = 1024, .max = 64 * 1024 * 1024, .group = "Limits",
		.help = "of an HTTP body and of a gRPC message"},
	{.name = "header-timeout", DURATION(header_timeout_ms), .metavar = "TIME", .initial = "10s",
		.min = 10, .max = 3600 * 1000, .group = "Limits",
		.help = "for the whole head of an HTTP request"},
	{.name = "body-timeout", DURATION(body_timeout_ms), .metavar = "TIME", .initial = "30s",
		.min = 10, .max = 3600 * 1000, .group = "Limits",
		.help = "for the whole body of an HTTP request"},
	{.name = "idle-timeout", DURATION(idle_timeout_ms), .metavar = "TIME", .initial = "75s",
		.min = 10, .max = 24 * 3600 * 1000, .group = "Limits",
		.help = "of an HTTP connection between requests"},

	{.name = "log-level", ENUM(log_level), .choices = program_log_level_choices, .initial = "info",
		.flags = OPTION_RELOADABLE, .group = "Operations", .help = "the least that is logged"},
	{.name = "log-format", ENUM(log_format), .choices = program_log_format_choices, .initial = "auto",
		.group = "Operations", .help = "auto: logfmt on a terminal, else JSON"},
	{.name = "access-log", FLAG(access_log), .group = "Operations",
		.help = "log every call (audit events are logged always)"},
	{.name = "metrics", FLAG(metrics), .initial = "true", .group = "Operations",
		.help = "serve /metrics on the HTTP listener"},
	{.name = "cors-origin", LIST(cors_origins), .metavar = "ORIGIN",
		.check = web_origin_check, .group = "Operations",
		.help = "web origins that browsers may call from"},
	{.name = "drain-delay", DURATION(drain_delay_ms), .metavar = "TIME", .initial = "0",
		.min = 0, .max = 600 * 1000, .group = "Operations",
		.help = "after SIGTERM: not ready, but still accepting, for so long"},
	{.name = "drain-grace", DURATION(drain_grace_ms), .metavar = "TIME", .initial = "25s",
		.min = 0, .max = 3600 * 1000, .group = "Operations",
		.help = "then: calls in flight have so long to finish"},
};
/* clang-format on */

static const char *const admin_token_options[] = {
	"data-dir", "log-level", "log-format", "max-token-lifetime", "encryption-key-file", NULL};

static const char *const backup_options[] = {"data-dir", "log-level", "log-format", NULL};
static const char *const migrate_options[] = {"data-dir", "log-level", "log-format", "store",
	"postgres-url", "postgres-password-file", "encryption-key-file", NULL};

static const char *const rotate_options[] = {"data-dir", "log-level", "log-format", "store",
	"postgres-url", "postgres-password-file", "encryption-key-file", NULL};

static const char *const import_options[] = {"osmo-url", "osmo-password-file", "data-dir",
	"log-level", "log-format", "store", "postgres-url", "postgres-password-file",
	"encryption-key-file", NULL};

static const struct option_command commands[] = {
	{"admin-token",
		"make a new admin token in DIR/admin.token, when it was lost or has expired; the "
		"service must not be running",
		admin_token_options, NULL},
	{"backup",
		"copy the embedded database, as it is at one moment, to the new file FILE; also "
		"while the service runs",
		backup_options, "FILE"},
	{"check",
		"read all of the embedded database and report what is damaged; also while the "
		"service runs",
		backup_options, NULL},
	{"migrate", "bring the schema of the database up to date, as a start does, and exit",
		migrate_options, NULL},
	{"rotate-keys",
		"sign JWTs with the next key, which everybody who asked for the keys knows "
		"already, and "
		"make another next one; those that were signed before stay good. Also while the "
		"service runs, which follows within a minute, or on SIGHUP",
		rotate_options, NULL},
	{"import-osmo",
		"copy access tokens, roles and profiles of an existing OSMO 6.0 database, which "
		"stays as it is; tokens that are there already are left alone, roles and profiles "
		"written over; with the embedded store the service must not be running",
		import_options, NULL},
};

static const struct option_manual manual[] = {
	{"SIGNALS", "SIGTERM, SIGINT",
		"Stop: not ready at once, still accepting for --drain-delay, then calls in flight "
		"have "
		"--drain-grace to finish. A second one ends it at once."},
	{"SIGNALS", "SIGHUP",
		"Read certificates and keys (which are read when they change, too), the "
		"configuration file and what can be reloaded again. "
		"What is wrong is logged, and nothing changes."},
	{"FILES", "/etc/token-service/token-service.yaml",
		"The configuration of the system's service, given to it as --config."},
	{"FILES", "DIR/tokens.db, DIR/tokens.db-wal, DIR/tokens.db-shm",
		"The database (SQLite). Local disks only; one process at a time."},
	{"BACKUP", NULL,
		"token-service backup FILE copies the embedded database while the service runs. "
		"To restore it: stop the service, remove DIR/tokens.db, DIR/tokens.db-wal and "
		"DIR/tokens.db-shm, copy FILE to DIR/tokens.db, start the service. Keep DIR/key "
		"(or "
		"the file of --encryption-key-file) with it, but apart: without that key the "
		"signing keys in the backup cannot be opened."},
	{"FILES", "DIR/key", "Made at the first start; encrypts the signing keys in the database."},
	{"FILES", "DIR/admin.token",
		"The first administrator's token, made once, readable by the owner only."},
	{"EXIT STATUS", "0", "Stopped as it was told, or the configuration is valid."},
	{"EXIT STATUS", "1", "It could not start, or could not go on."},
	{"EXIT STATUS", "2", "A wrong option or configuration; one line says which."},
	{"SEE ALSO", NULL, "token-gateway(8), osmo(1), systemd(1)"},
	{NULL, NULL, NULL},
};

const struct option_table service_option_table = {
	.program = "token-service",
	.version = PROJECT_VERSION,
	.env_prefix = "TOKEN_SERVICE",
	.summary =
		"Access tokens for a platform: made, listed, deleted, and checked on every call.",
	.phrase = "serve access tokens over gRPC and HTTP",
	.manual = manual,
	.values_size = sizeof(struct service_options),
	.specs = specs,
	.count = ARRAY_SIZE(specs),
	.commands = commands,
	.command_count = ARRAY_SIZE(commands),
};

static struct status check_tls(const struct options *o, const struct service_options *v)
{
	const struct program_tls_options tls = {
		v->tls_cert_file, v->tls_key_file, v->tls_client_ca_file, v->tls_client_auth};
	return program_check_tls(o, &tls);
}

static struct status check_ready_file(const struct options *o, const struct service_options *v)
{
	/* The data directory is made before the file is. */
	if (v->ready_file && str_starts_with(str_of(v->ready_file), str_of(v->data_dir)))
		return status_ok();
	return program_check_ready_file(o, v->ready_file);
}

static struct status check_listeners(const struct options *o, const struct service_options *v)
{
	TRY(program_check_listener(o, "grpc-listen", v->grpc_listen, v->tls_cert_file,
		v->insecure_plaintext, v->dev_login));
	if (str_eq(str_of(v->http_listen), STR("off")))
		return status_ok();
	return program_check_listener(o, "http-listen", v->http_listen, v->tls_cert_file,
		v->insecure_plaintext, v->dev_login);
}

static struct status check_external(const struct options *o, const struct service_options *v)
{
	if (v->external_issuer && (!v->external_audience || !v->external_jwks_file))
		return options_error(o, "external-issuer",
			"given together with --external-audience and --external-jwks-file");
	if (!v->external_issuer && v->external_jwks_file)
		return options_error(
			o, "external-jwks-file", "given together with --external-issuer");
	if (v->external_issuer && str_eq(str_of(v->external_issuer), str_of(v->jwt_issuer)))
		return options_error(o, "external-issuer",
			"another name than that of --jwt-issuer, by which our own JWTs are known");
	return status_ok();
}

static bool has_default(const struct options *o, const struct option_spec *spec)
{
	_cleanup_buf_ struct buf text;
	buf_init(&text, 4096);
	options_format(o, spec->name, &text);
	return str_eq(buf_str(&text), str_of(spec->initial));
}

/* A default that is written down, as the chart does, says nothing. */
static struct status check_no_postgres(const struct options *o)
{
	for (size_t i = 0; i < ARRAY_SIZE(specs); i++)
		if (str_starts_with(str_of(specs[i].name), STR("postgres-")) &&
			!has_default(o, &specs[i]))
			return options_error(
				o, specs[i].name, "given together with --store=postgres");
	return status_ok();
}

static struct status check_store(const struct options *o, const struct service_options *v)
{
	bool postgres = v->store == SERVICE_STORE_POSTGRES;
	if (postgres && !v->postgres_url)
		return options_error(
			o, "store", "sqlite, or be given together with --postgres-url");
	if (!postgres)
		TRY(check_no_postgres(o));
	/* Replicas read each other's signing keys. */
	if (postgres && !v->encryption_key_file)
		return options_error(
			o, "store", "sqlite, or be given together with --encryption-key-file");
	if (v->postgres_direct_url && !v->postgres_pooler)
		return options_error(o, "postgres-direct-url",
			"given together with --postgres-pooler=transaction");
	return status_ok();
}

struct status service_options_max_lifetime(
	const struct options *o, int32_t *ret_days, char ret_text[32])
{
	const struct service_options *v = options_values(o);
	const int64_t day_ms = INT64_C(24) * 3600 * 1000;
	if (v->max_token_lifetime_ms % day_ms != 0)
		return options_error(o, "max-token-lifetime", "a number of whole days, like 365d");
	_cleanup_buf_ struct buf text;
	buf_init(&text, 31);
	options_format(o, "max-token-lifetime", &text);
	snprintf(ret_text, 32, "%.*s", STR_ARG(buf_str(&text)));
	*ret_days = (int32_t)(v->max_token_lifetime_ms / day_ms);
	return status_ok();
}

static struct status check_roles(const struct service_options *v)
{
	_cleanup_(role_set_unrefp) struct role_set *roles = NULL;
	return roles_config_parse(v->roles, &roles);
}

struct status service_options_check(const struct options *o)
{
	const struct service_options *v = options_values(o);
	char text[32];
	int32_t days;
	TRY(check_tls(o, v));
	TRY(check_roles(v));
	TRY(check_ready_file(o, v));
	TRY(check_store(o, v));
	TRY(check_listeners(o, v));
	TRY(check_external(o, v));
	return service_options_max_lifetime(o, &days, text);
}
