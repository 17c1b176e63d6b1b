/* SPDX-License-Identifier: Apache-2.0 */
#include "service/service.h"

#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/xalloc.h"
#include "common/codec/schema.h"
#include "common/event/loop.h"
#include "common/metrics/metrics.h"
#include "common/metrics/process_metrics.h"
#include "common/net/address.h"
#include "common/net/tls.h"
#include "common/program/file_watch.h"
#include "common/program/program_loops.h"
#include "common/program/program_options.h"
#include "common/program/program_start.h"
#include "common/rpc/health.h"
#include "common/rpc/proxy_trust.h"
#include "common/rpc/rpc_server.h"
#include "gateway/gateway.h"
#include "proto/pb_schema.h"
#include "service/admin_token.h"
#include "service/api/api.h"
#include "service/app/access.h"
#include "service/app/exchange_app.h"
#include "service/app/profile_app.h"
#include "service/app/role_app.h"
#include "service/app/token_app.h"
#include "service/app/token_keeper.h"
#include "service/auth/authenticator.h"
#include "service/auth/keyring.h"
#include "service/auth/server_key.h"
#include "service/commands.h"
#include "service/files.h"
#include "service/interceptor/access_log.h"
#include "service/interceptor/auth_failure.h"
#include "service/interceptor/authn.h"
#include "service/interceptor/authz.h"
#include "service/interceptor/chain.h"
#include "service/interceptor/client_version.h"
#include "service/interceptor/deadline.h"
#include "service/interceptor/gate.h"
#include "service/interceptor/request_id.h"
#include "service/interceptor/token_use.h"
#include "service/open_store.h"
#include "service/options.h"
#include "service/roles_config.h"
#include "service/store/cache.h"
#include "service/store/role_cache.h"
#include "service/store/store.h"
#include "service/store/store_metrics.h"
#include "service/store/token_lookup.h"
#include "service/sync.h"

#include <event2/event.h>
#include <stdio.h>
#include <unistd.h>

enum {
	TRY_MS = 5000, /* for one operation of the start */
	HEALTH_INTERVAL_S = 1,
	STEP_COUNT = 8,
	ROLES_MIN_TTL_MS = 1000
};

struct service {
	struct options *options, *reloaded;   /* the second is the latest, or NULL */
	const struct service_options *values; /* of the first: texts of it are everywhere */
	struct arena *arena;                  /* what is made of options and lives as long */

	struct metrics *metrics;
	struct schema *schema;
	struct program_loops loops;
	size_t prepared; /* steps of service_prepare that are done */

	struct service_files files;
	struct store *store;
	struct cache *cache;
	struct token_lookup *lookup;
	struct role_cache *roles;
	bool roles_run;
	struct keyring *keyring;
	bool keyring_runs;
	struct keyring *external_keys; /* NULL: there is no other issuer */
	struct authenticator_issuer external_issuer;
	struct authenticator *authenticator;

	struct token_keeper *keeper;
	struct proxy_trust trust;
	struct token_use use;
	struct auth_failures failures;
	struct gate gate;
	struct authn authn;
	struct authz authz;
	struct access_policy access;
	struct access_log *access_log;
	struct deadline_config deadline;
	struct client_version_config client_version;
	struct token_app token_app;
	struct profile_app profile_app;
	struct role_app role_app;
	struct exchange_app *exchange_app;
	struct api api;
	atomic_size_t listed_bytes; /* of api */
	struct method_table *methods;
	struct chain_step steps[STEP_COUNT];
	struct chain *chain;

	struct health *health;
	struct event *health_timer;
	struct rpc_server *rpc;
	struct gateway *gateway;
	struct file_watch *watch;
};

/* --- helpers --- */

static char *path_in(struct service *s, const char *name)
{
	return arena_printf(s->arena, "%s/%s", s->values->data_dir, name);
}

static struct mono_time in_ms(int64_t ms)
{
	return mono_time_add_ms(clock_mono(&clock_system), ms);
}

/* --- storage and keys --- */

/* What the existing probes ask. */
static const char *const alive_methods[] = {"/osmo.compat.v1.CompatService/GetHealth",
	"/osmo.compat.v1.CompatService/GetVersion", NULL};

static double read_uses_stored(void *arg)
{
	return (double)token_keeper_stats(arg).stored;
}

static double read_uses_lost(void *arg)
{
	return (double)token_keeper_stats(arg).lost;
}

static double read_purged(void *arg)
{
	return (double)token_keeper_stats(arg).purged;
}

static void register_keeper_metrics(struct service *s)
{
	static const char name[] = "token_service_token_uses_total";
	static const char help[] = "Times of last use that were to be stored, by what came of it.";
	metrics_counter_callback(s->metrics, name, help, METRIC_LABELS({"result", "stored"}),
		read_uses_stored, s->keeper);
	metrics_counter_callback(s->metrics, name, help, METRIC_LABELS({"result", "lost"}),
		read_uses_lost, s->keeper);
	metrics_counter_callback(s->metrics, "token_service_tokens_purged_total",
		"Tokens deleted because they expired long ago.", NULL, read_purged, s->keeper);
}

/* A store of our own keeps what it last said while it is away; of a shared one it holds no longer
 * than a cached token does. */
static struct role_cache *make_roles(struct service *s)
{
	int64_t ttl_ms = s->values->cache_ttl_ms;
	bool shared = s->values->store == SERVICE_STORE_POSTGRES;
	int64_t interval_ms = shared ? ttl_ms / 3 : ttl_ms;
	return role_cache_new_with(&(struct role_cache_options){
		.store = s->store,
		.home = s->loops.control,
		.clock = &clock_system,
		.ttl_ms = interval_ms > ROLES_MIN_TTL_MS ? interval_ms : ROLES_MIN_TTL_MS,
		.max_age_ms = !shared                         ? 0
			      : ttl_ms > 3 * ROLES_MIN_TTL_MS ? ttl_ms
							      : 3 * ROLES_MIN_TTL_MS,
	});
}

static struct status open_storage(struct service *s)
{
	const struct service_options *v = s->values;
	if (v->check_store && v->store == SERVICE_STORE_SQLITE)
		TRY(commands_check_before_start(v));
	TRY(open_store(&(struct open_store_options){.values = v,
			       .loops = &s->loops,
			       .metrics = s->metrics,
			       .migrates_later = true},
		&s->store));
	store_metrics_register(s->store, s->metrics);
	s->cache = cache_new(&(struct cache_options){
		.max_bytes = (size_t)v->cache_max_bytes,
		.ttl_ms = v->cache_ttl_ms,
		.unknown_ttl_ms = v->cache_ttl_ms,
		.random = &random_system,
	});
	s->lookup = token_lookup_new(s->store, s->cache, &clock_system);
	store_metrics_register_cache(s->cache, s->lookup, s->metrics);
	s->roles = make_roles(s);
	gate_init(&s->gate, s->roles, alive_methods);
	s->keeper = token_keeper_new(&(struct token_keeper_config){
		.store = s->store,
		.home = s->loops.control,
		.clock = &clock_system,
		.grace_ms = v->expired_token_grace_ms,
	});
	register_keeper_metrics(s);
	return status_ok();
}

static struct status open_server_key(struct service *s)
{
	if (s->files.server_key)
		return status_ok();
	return server_key_read_or_make(path_in(s, "key"), &random_system, &s->files.server_key);
}

static struct status make_keyring(struct service *s)
{
	const struct service_options *v = s->values;
	if (v->jwt_key_file)
		return keyring_new_fixed(&s->files.signing_keys, s->loops.control, &s->keyring);
	s->keyring = keyring_new(&(struct keyring_config){
		.algorithm = (enum jwt_algorithm)v->jwt_algorithm,
		.key_lifetime_s = v->jwt_key_lifetime_ms / 1000,
		.server_key = s->files.server_key,
		.store = s->store,
		.home = s->loops.control,
		.clock = &clock_system,
	});
	return status_ok();
}

/* --- who callers are and what they may do --- */

static struct role_set *current_roles(void *arg)
{
	return role_cache_get(arg);
}

static void reload_roles(void *arg, struct store_waiter waiter, store_done_fn *done)
{
	role_cache_reload(arg, waiter, done);
}

static bool derive_secret(void *arg, size_t which, const uint8_t salt[32], uint8_t ret[32])
{
	return server_key_derive_token(arg, which, salt, ret);
}

static struct status make_access(struct service *s)
{
	const struct option_list *list = &s->values->personal_token_denied;
	struct access_rule *rules = arena_calloc(s->arena, list->count, sizeof *rules);
	for (size_t i = 0; i < list->count; i++)
		TRY(role_action_parse(str_of(list->items[i]), &rules[i].action));
	s->access = (struct access_policy){
		.roles = current_roles,
		.roles_arg = s->roles,
		.personal_token_denied = rules,
		.n_personal_token_denied = list->count,
	};
	return status_ok();
}

static void make_external_issuer(struct service *s)
{
	const struct service_options *v = s->values;
	if (!v->external_issuer)
		return;
	enum {
		LEEWAY_S = 5
	};
	s->external_keys = keyring_new_foreign(&s->files.external_keys);
	s->external_issuer.keys = s->external_keys;
	s->external_issuer.issuer = (struct jwt_issuer){
		.issuer = str_of(v->external_issuer),
		.audience = str_of(v->external_audience),
		.user_claim = str_of(v->external_user_claim),
		.roles_claim = str_of(v->external_roles_claim),
		.leeway_s = LEEWAY_S,
	};
}

static struct status make_authn(struct service *s)
{
	const struct service_options *v = s->values;
	make_external_issuer(s);
	s->authenticator = authenticator_new(&(struct authenticator_config){
		.tokens = s->lookup,
		.keyring = s->keyring,
		.clock = &clock_system,
		.issuer = str_of(v->jwt_issuer),
		.audience = str_of(v->jwt_audience),
		.external = &s->external_issuer,
		.n_external = s->external_keys ? 1 : 0,
	});
	struct authn_identity *identities =
		arena_calloc(s->arena, v->mtls_identities.count, sizeof *identities);
	for (size_t i = 0; i < v->mtls_identities.count; i++)
		TRY(authn_identity_parse(
			str_of(v->mtls_identities.items[i]), s->arena, &identities[i]));
	const struct authn_config config = {
		.authenticator = s->authenticator,
		.trusted_proxies = &s->trust.proxies,
		.identities = identities,
		.n_identities = v->mtls_identities.count,
		.dev_login = v->dev_login,
		.default_roles = program_list_texts(s->arena, &v->default_roles),
		.n_default_roles = v->default_roles.count,
		.use = &s->use,
		.failures = &s->failures,
	};
	s->use = (struct token_use){s->keeper, &s->trust.proxies};
	auth_failures_init(&s->failures, &clock_system, s->metrics);
	authn_init(&s->authn, &config);
	return status_ok();
}

static struct status make_trust(struct service *s)
{
	struct cidr_list proxies = {.n = 0};
	TRY(cidr_list_of(program_list_texts(s->arena, &s->values->trusted_proxies),
		s->values->trusted_proxies.count, &proxies));
	proxy_trust_init(&s->trust, proxies, s->values->dev_login);
	return status_ok();
}

/* --- the way of a call --- */

static struct status make_apps(struct service *s)
{
	const struct service_options *v = s->values;
	char *lifetime_text = arena_alloc(s->arena, 32);
	int32_t days;
	TRY(service_options_max_lifetime(s->options, &days, lifetime_text));
	s->token_app = (struct token_app){
		.store = s->store,
		.clock = &clock_system,
		.random = &random_system,
		.access = &s->access,
		.default_roles = program_list_texts(s->arena, &v->default_roles),
		.n_default_roles = v->default_roles.count,
		.max_lifetime_days = days,
		.max_lifetime_text = lifetime_text,
		.max_tokens_per_user = (size_t)v->max_tokens_per_user,
		.derive = derive_secret,
		.derive_arg = s->files.server_key,
	};
	s->profile_app = (struct profile_app){
		.store = s->store,
		.pools = program_list_texts(s->arena, &v->pools),
		.n_pools = v->pools.count,
		.buckets = program_list_texts(s->arena, &v->buckets),
		.n_buckets = v->buckets.count,
	};
	s->role_app = (struct role_app){
		.store = s->store,
		.access = &s->access,
		.reload = reload_roles,
		.reload_arg = s->roles,
	};
	return status_ok();
}

static struct status make_chain(struct service *s)
{
	const struct service_options *v = s->values;
	s->api = (struct api){
		.tokens = &s->token_app,
		.profiles = &s->profile_app,
		.roles = &s->role_app,
		.exchange = s->exchange_app,
		.keyring = s->keyring,
		.authenticator = s->authenticator,
		.access = &s->access,
		.use = &s->use,
		.failures = &s->failures,
		.login = {v->login_device_endpoint, v->login_device_client_id,
			v->login_browser_endpoint, v->login_browser_client_id,
			v->login_token_endpoint, v->login_logout_endpoint},
		.version = v->service_version,
		.listed_bytes = &s->listed_bytes,
	};
	TRY(method_table_new(s->schema, &s->api, &s->methods));
	s->access_log = access_log_new(s->schema, s->metrics, v->access_log);
	s->deadline = (struct deadline_config){v->max_call_ms};
	s->authz = (struct authz){&s->access, method_table_permission, s->methods};
	s->client_version = (struct client_version_config){
		.latest = v->client_latest_version ? v->client_latest_version : v->service_version,
		.least = v->client_min_version,
		.service_url = v->service_url,
	};
	/* The one place where the order stands. */
	const struct chain_step steps[] = {
		{"request_id", request_id_run, NULL},
		{"access_log", access_log_run, s->access_log},
		{"gate", gate_run, &s->gate},
		{"deadline", deadline_run, &s->deadline},
		{"authn", authn_run, &s->authn},
		{"authz", authz_run, &s->authz},
		{"client_version", client_version_run, &s->client_version},
		{"handler", method_table_run, s->methods},
	};
	_Static_assert(ARRAY_SIZE(steps) <= STEP_COUNT, "room for all steps");
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
		s->steps[i] = steps[i];
	s->chain = chain_new(s->steps, ARRAY_SIZE(steps));
	return status_ok();
}

/* --- readiness --- */

struct ready_check {
	struct service *service;
	void (*done)(void *arg, struct status status);
	void *arg;
};

static void on_checked(void *arg, const struct status *status)
{
	struct ready_check *check = arg;
	struct status gate = gate_status(&check->service->gate);
	check->done(check->arg, status_is_ok(status) ? gate : *status);
	free(check);
}

enum {
	CHECK_TIMEOUT_MS = 5000
};

static void check_ready(
	void *self, struct loop *home, void (*done)(void *arg, struct status status), void *arg)
{
	struct service *s = self;
	struct status gate = gate_status(&s->gate);
	if (!status_is_ok(&gate)) {
		done(arg, gate);
		return;
	}
	struct ready_check *check = xnew(struct ready_check);
	*check = (struct ready_check){s, done, arg};
	store_check(
		s->store, (struct store_waiter){home, in_ms(CHECK_TIMEOUT_MS), check}, on_checked);
}

static void set_health(struct service *s, bool serving)
{
	health_set(s->health, "", serving);
	for (size_t i = 0; i < schema_service_count(s->schema); i++)
		health_set(s->health, schema_service_at(s->schema, i)->full_name, serving);
}

static void on_health(void *arg, const struct status *status)
{
	struct service *s = arg;
	struct status gate = gate_status(&s->gate);
	set_health(s, status_is_ok(status) && status_is_ok(&gate));
}

static void on_health_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct service *s = arg;
	if (!s->store) /* it has been stopped, and we are about to be */
		return;
	store_check(s->store, (struct store_waiter){s->loops.control, in_ms(CHECK_TIMEOUT_MS), s},
		on_health);
}

/* --- the network --- */

static double read_rpc_calls(void *arg)
{
	return rpc_server_stats(arg).calls;
}

static double read_rpc_connections(void *arg)
{
	return rpc_server_stats(arg).connections;
}

static double read_rpc_refused(void *arg)
{
	return (double)rpc_server_stats(arg).refused_calls;
}

static double read_rpc_refused_connections(void *arg)
{
	return (double)rpc_server_stats(arg).refused_connections;
}

static void register_rpc_metrics(struct service *s)
{
	metrics_gauge_callback(s->metrics, "token_service_grpc_calls_in_flight",
		"gRPC calls that are not answered yet.", NULL, read_rpc_calls, s->rpc);
	metrics_gauge_callback(s->metrics, "token_service_grpc_connections",
		"Open gRPC connections.", NULL, read_rpc_connections, s->rpc);
	metrics_counter_callback(s->metrics, "token_service_grpc_refused_calls_total",
		"gRPC calls refused because there were too many.", NULL, read_rpc_refused, s->rpc);
	metrics_counter_callback(s->metrics, "token_service_grpc_refused_connections_total",
		"gRPC connections closed at the cap.", NULL, read_rpc_refused_connections, s->rpc);
}

static struct status open_rpc(struct service *s)
{
	const struct service_options *v = s->values;
	struct address listen;
	TRY(address_parse(str_of(v->grpc_listen), &listen));
	const struct tls_options tls = {v->tls_cert_file, v->tls_key_file, v->tls_client_ca_file,
		(enum tls_client_auth)v->tls_client_auth};
	const struct rpc_server_options options = {
		.listen = &listen,
		.n_listen = 1,
		.tls = v->tls_cert_file ? &tls : NULL,
		.n_threads = (unsigned)s->loops.n,
		.loops = s->loops.workers,
		.n_loops = s->loops.n,
		.handler = chain_handler(s->chain),
		.schema = s->schema,
		.health = s->health,
		.trust = &s->trust.trust,
		.reflection = v->reflection,
		.max_message_bytes = (size_t)v->max_request_bytes,
		.max_streams = (unsigned)v->max_streams,
		.max_connections = (unsigned)v->max_connections,
		.max_calls = (unsigned)v->max_calls,
		.max_deadline_ms = v->max_call_ms,
	};
	TRY(rpc_server_new(&options, &s->rpc));
	register_rpc_metrics(s);
	return status_ok();
}

static struct status open_gateway(struct service *s)
{
	const struct service_options *v = s->values;
	if (str_eq(str_of(v->http_listen), STR("off")))
		return status_ok();
	struct address listen;
	TRY(address_parse(str_of(v->http_listen), &listen));
	struct gateway_options options = {
		.listen = &listen,
		.tls = listen.kind == ADDRESS_UNIX ? NULL : s->files.tls,
		.loops = s->loops.workers,
		.n_loops = s->loops.n,
		.upstream = chain_handler(s->chain),
		.schema = s->schema,
		.trust = &s->trust.trust,
		.metrics = s->metrics,
		.show_metrics = v->metrics,
		.http = HTTP_SERVER_OPTIONS_DEFAULT,
		.max_call_ms = v->max_call_ms,
		.cors_origins = program_list_texts(s->arena, &v->cors_origins),
		.n_cors_origins = v->cors_origins.count,
		.version = service_option_table.version,
	};
	options.http.limits.max_body_bytes = (uint32_t)v->max_request_bytes;
	options.http.max_connections = (uint32_t)v->max_connections;
	options.http.header_timeout_ms = (uint32_t)v->header_timeout_ms;
	options.http.body_timeout_ms = (uint32_t)v->body_timeout_ms;
	options.http.idle_timeout_ms = (uint32_t)v->idle_timeout_ms;
	return gateway_new(&options, &s->gateway);
}

void service_addresses(
	const struct service *s, char grpc[ADDRESS_TEXT_BYTES], char http[ADDRESS_TEXT_BYTES])
{
	address_format(rpc_server_address(s->rpc, 0), grpc);
	http[0] = '\0';
	if (s->gateway)
		address_format(gateway_address(s->gateway), http);
}

static struct status write_ready_file(struct service *s, const char *grpc, const char *http)
{
	if (!s->values->ready_file)
		return status_ok();
	_cleanup_buf_ struct buf text;
	buf_init(&text, 4096);
	buf_printf(&text, "{\"grpc\": \"%s\"", grpc);
	if (*http)
		buf_printf(&text, ", \"http\": \"%s\"", http);
	buf_append_str(&text, STR("}\n"));
	return file_write_atomic(s->values->ready_file, buf_str(&text), 0644);
}

static void warn_of_unsafe_settings(const struct service *s)
{
	const struct service_options *v = s->values;
	if (v->dev_login)
		log_warning("unsafe.dev_login",
			LOG_TEXT("meaning", "anybody who can connect is whoever x-osmo-user says"));
	if (v->insecure_plaintext && !v->tls_cert_file)
		log_warning("unsafe.plaintext",
			LOG_TEXT("meaning", "tokens cross the network in the clear"));
	for (size_t i = 0; i < s->trust.proxies.n; i++)
		if (s->trust.proxies.networks[i].bits == 0)
			log_warning("unsafe.trusted_proxy",
				LOG_TEXT("meaning", "x-osmo-user is believed from anywhere"));
}

/* --- files that change --- */

static struct status read_tls(void *arg)
{
	struct service *s = arg;
	TRY(rpc_server_reload(s->rpc));
	return tls_server_reload(s->files.tls);
}

static struct status read_jwt_keys(void *arg)
{
	struct service *s = arg;
	_cleanup_jwt_keys_ struct jwt_keys keys = {.n = 0};
	TRY(service_files_read_signing_keys(s->values, &keys));
	return keyring_set_fixed(s->keyring, &keys);
}

static struct status read_external_keys(void *arg)
{
	struct service *s = arg;
	_cleanup_jwt_keys_ struct jwt_keys keys = {.n = 0};
	TRY(service_files_read_external_keys(s->values, &keys));
	return keyring_set_fixed(s->external_keys, &keys);
}

static void watch_files(struct service *s)
{
	const struct service_options *v = s->values;
	const char *const tls[] = {v->tls_cert_file, v->tls_key_file, v->tls_client_ca_file};
	const char *const keys[] = {v->jwt_key_file};
	const char *const external[] = {v->external_jwks_file};
	if (v->tls_cert_file)
		file_watch_add(s->watch, "tls", tls, ARRAY_SIZE(tls), read_tls, s);
	if (v->jwt_key_file)
		file_watch_add(s->watch, "jwt_keys", keys, ARRAY_SIZE(keys), read_jwt_keys, s);
	if (v->external_issuer)
		file_watch_add(s->watch, "external_keys", external, ARRAY_SIZE(external),
			read_external_keys, s);
}

/* --- start and stop --- */

static void start_health(struct service *s)
{
	struct timeval interval = {HEALTH_INTERVAL_S, 0};
	s->health_timer =
		event_new(loop_base(s->loops.control), -1, EV_PERSIST, on_health_timer, s);
	event_add(s->health_timer, &interval);
}

/* Everything that a call needs, but no network; what fails here does not mend by itself. */
static struct status start_inside(struct service *s)
{
	TRY(service_files_read(s->values, &s->files));
	TRY(pb_schema_new(&s->schema));
	program_loops_init(&s->loops, s->values->threads);
	s->health = health_new();
	set_health(s, false);
	start_health(s);
	TRY(open_storage(s));
	program_loops_run_control(&s->loops);
	TRY(open_server_key(s));
	TRY(make_keyring(s));
	TRY(make_trust(s));
	TRY(make_access(s));
	TRY(make_authn(s));
	s->exchange_app = exchange_app_new(&(struct exchange_app_config){
		.tokens = s->lookup,
		.keyring = s->keyring,
		.clock = &clock_system,
		.random = &random_system,
		.issuer = str_of(s->values->jwt_issuer),
		.audience = str_of(s->values->jwt_audience),
	});
	TRY(make_apps(s));
	TRY(make_chain(s));
	chain_set_ready_check(s->chain, check_ready, s);
	return status_ok();
}

static struct status start(struct service *s)
{
	process_metrics_register(s->metrics, "token-service", service_option_table.version);
	watch_files(s);
	TRY(start_inside(s));
	TRY(open_rpc(s));
	TRY(open_gateway(s));
	warn_of_unsafe_settings(s);
	program_loops_run(&s->loops);
	rpc_server_start(s->rpc);
	file_watch_start(s->watch, s->loops.control);
	return status_ok();
}

static struct service *service_new(struct options *o)
{
	struct service *s = xnew(struct service);
	s->options = o;
	s->values = options_values(o);
	s->arena = arena_new();
	s->metrics = metrics_new();
	s->watch = file_watch_new();
	return s;
}

struct status service_start(struct options *o, struct service **ret)
{
	struct service *s = service_new(o);
	struct status status = start(s);
	if (status.code != STATUS_OK) {
		service_stop(s);
		return status;
	}
	*ret = s;
	return status_ok();
}

/* --- what the store must give before calls are answered --- */

static struct options *latest_options(const struct service *s)
{
	return s->reloaded ? s->reloaded : s->options;
}

/* They were checked with the options. */
static struct role_set *configured_roles(const struct service_options *v)
{
	struct role_set *roles = NULL;
	struct status status = roles_config_parse(v->roles, &roles);
	return status_is_ok(&status) ? roles : role_set_new();
}

static struct status prepare_roles(struct service *s)
{
	struct sync sync;
	sync_init(&sync);
	struct store_waiter waiter = {s->loops.control, in_ms(TRY_MS), &sync};
	if (s->roles_run)
		role_cache_reload(s->roles, waiter, sync_on_done);
	else
		role_cache_start(s->roles, configured_roles(options_values(latest_options(s))),
			waiter, sync_on_done);
	s->roles_run = true;
	return sync_wait(&sync);
}

static struct status prepare_keyring(struct service *s)
{
	if (s->values->jwt_key_file)
		return status_ok();
	struct sync sync;
	sync_init(&sync);
	keyring_start(s->keyring, in_ms(TRY_MS), sync_on_done, &sync);
	s->keyring_runs = true;
	return sync_wait(&sync);
}

static struct status prepare_admin_token(struct service *s)
{
	struct admin_token t;
	bool made;
	TRY(admin_token_init(&t, s->options, s->store, s->loops.control));
	t.given_file = s->values->admin_token_file;
	TRY(admin_token_ensure(&t, &made));
	if (made && !t.given_file)
		log_info("admin_token.made", LOG_TEXT("file", t.path),
			LOG_I64("lifetime_days", t.lifetime_days));
	return status_ok();
}

/* Now rather than at the next turn of its timer. */
static void look_at_health(struct service *s)
{
	struct sync sync;
	sync_init(&sync);
	store_check(s->store, (struct store_waiter){s->loops.control, in_ms(TRY_MS), &sync},
		sync_on_done);
	struct status status = sync_wait(&sync);
	set_health(s, status_is_ok(&status));
}

static bool may_pass(const struct status *status)
{
	return status->code == STATUS_UNAVAILABLE || status->code == STATUS_DEADLINE_EXCEEDED ||
	       status->code == STATUS_RESOURCE_EXHAUSTED || status->code == STATUS_ABORTED;
}

static struct status prepare(struct service *s)
{
	static struct status (*const steps[])(struct service *) = {
		prepare_roles, prepare_keyring, prepare_admin_token};
	for (; s->prepared < ARRAY_SIZE(steps); s->prepared++)
		TRY(steps[s->prepared](s));
	return status_ok();
}

struct status service_prepare(struct service *s, bool *ret_again)
{
	struct status status = prepare(s);
	*ret_again = may_pass(&status);
	if (status_is_ok(&status)) {
		gate_open(&s->gate);
		look_at_health(s);
	} else if (*ret_again) {
		gate_set_reason(&s->gate, &status);
	}
	return status;
}

struct status service_announce(struct service *s)
{
	char grpc[ADDRESS_TEXT_BYTES], http[ADDRESS_TEXT_BYTES];
	service_addresses(s, grpc, http);
	log_info("service.ready", LOG_TEXT("version", service_option_table.version),
		LOG_TEXT("grpc", grpc), LOG_TEXT("http", *http ? http : "off"),
		LOG_TEXT("data_dir", s->values->data_dir), LOG_I64("threads", (int64_t)s->loops.n));
	return write_ready_file(s, grpc, http);
}

void service_set_draining(struct service *s)
{
	health_shut_down(s->health);
	if (s->gateway)
		gateway_set_draining(s->gateway);
}

static void stop_network(struct service *s)
{
	struct sync rpc, gateway;
	int64_t grace_ms = s->values->drain_grace_ms;
	bool stops_gateway = s->gateway && s->loops.run;
	sync_init(&rpc);
	sync_init(&gateway);
	if (s->rpc && s->loops.run)
		rpc_server_drain(s->rpc, grace_ms, s->loops.control, sync_on_stopped, &rpc);
	else
		sync_on_stopped(&rpc);
	if (stops_gateway)
		gateway_stop(s->gateway, (uint32_t)grace_ms, s->loops.control, sync_on_stopped,
			&gateway);
	else
		sync_on_stopped(&gateway);
	(void)!sync_wait(&rpc).code;
	(void)!sync_wait(&gateway).code;
}

static void stop_control(struct service *s)
{
	if (!s->loops.control)
		return;
	loop_stop(s->loops.control);
	loop_join(s->loops.control);
}

static void stop_keyring(struct service *s)
{
	if (!s->keyring_runs)
		return;
	struct sync sync;
	sync_init(&sync);
	keyring_stop(s->keyring, sync_on_stopped, &sync);
	(void)!sync_wait(&sync).code;
}

struct store_end {
	struct service *service;
	struct sync sync;
};

/* On the control loop, whose timer asks the store how it is. */
static void on_store_stopped(void *arg)
{
	struct store_end *end = arg;
	end->service->store = NULL;
	sync_on_stopped(&end->sync);
}

static void stop_store(struct service *s)
{
	if (!s->store)
		return;
	struct sync sync;
	if (s->keeper) {
		sync_init(&sync);
		token_keeper_stop(s->keeper, sync_on_stopped, &sync);
		(void)!sync_wait(&sync).code;
	}
	if (s->roles) {
		sync_init(&sync);
		role_cache_stop(s->roles, sync_on_stopped, &sync);
		(void)!sync_wait(&sync).code;
	}
	struct store_end end = {.service = s};
	sync_init(&end.sync);
	store_stop(s->store, s->loops.control, on_store_stopped, &end);
	(void)!sync_wait(&end.sync).code;
}

static void free_all(struct service *s)
{
	rpc_server_free(s->rpc);
	gateway_free(s->gateway);
	chain_free(s->chain);
	access_log_free(s->access_log);
	method_table_free(s->methods);
	exchange_app_free(s->exchange_app);
	authenticator_free(s->authenticator);
	proxy_trust_done(&s->trust);
	keyring_free(s->keyring);
	keyring_free(s->external_keys);
	if (s->roles)
		gate_done(&s->gate);
	token_keeper_free(s->keeper);
	role_cache_free(s->roles);
	token_lookup_free(s->lookup);
	cache_free(s->cache);
	service_files_done(&s->files);
	if (s->health_timer)
		event_free(s->health_timer);
	health_free(s->health);
	file_watch_free(s->watch);
	program_loops_done(&s->loops);
	schema_free(s->schema);
	metrics_free(s->metrics);
	options_free(s->reloaded);
	arena_free(s->arena);
	free(s);
}

void service_stop(struct service *s)
{
	stop_network(s);
	stop_keyring(s);
	stop_store(s); /* which may live on the loops */
	program_loops_stop_workers(&s->loops);
	stop_control(s);
	free_all(s);
}

/* --- reload --- */

/* The configuration as it would be now, checked as a whole. */
static struct status check_reload(const struct service *s)
{
	_cleanup_(options_freep) struct options *fresh = NULL;
	TRY(options_reload(latest_options(s), NULL, NULL, &fresh));
	return service_options_check(fresh);
}

static void on_roles_configured(void *arg, const struct status *status)
{
	(void)arg;
	if (status_is_ok(status))
		log_info("reload.roles");
	else /* it is tried on */
		log_warning("reload.roles", LOG_STATUS(status));
}

static void apply_options(struct service *s, const struct service_options *v)
{
	log_set_level((enum log_level)v->log_level);
	if (s->roles_run)
		role_cache_configure(s->roles, configured_roles(v),
			(struct store_waiter){s->loops.control, in_ms(TRY_MS), s},
			on_roles_configured);
}

static bool reload_options(struct service *s)
{
	_cleanup_(options_freep) struct options *fresh = NULL;
	struct status status = check_reload(s);
	if (status_is_ok(&status))
		status =
			options_reload(latest_options(s), program_log_changed_option, NULL, &fresh);
	if (!status_is_ok(&status)) {
		log_error("reload.options", LOG_STATUS(&status));
		return false;
	}
	options_free(s->reloaded);
	s->reloaded = TAKE_PTR(fresh);
	apply_options(s, options_values(s->reloaded));
	return true;
}

void service_reload(struct service *s)
{
	bool good = reload_options(s);
	if (s->keyring_runs)
		keyring_follow(s->keyring);
	if (file_watch_read(s->watch) && good)
		log_info("reload.done");
}
