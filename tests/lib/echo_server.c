/* SPDX-License-Identifier: Apache-2.0 */
/* A gRPC server whose handler shows what arrived: for the tests and the bench of common/rpc.
 *
 * usage: echo_server [options] ADDRESS...
 * Prints the addresses that are bound as one JSON array and serves until SIGTERM (drains) or SIGHUP
 * (reloads). Its methods are those of TokenService:
 *   WhoAmI  at once, on the queue's thread: roles are "header=value*count", token_name the peer,
 *           user the peer's TLS identity
 *   Set     on a loop: the request's name and description come back, with headers
 *   List    filter "sleep N": after N ms, on a loop; "fail CODE TEXT": that status; else page_token
 * is how many sleepers heard that their peer is gone, and how many are asleep Delete  never, until
 * it is cancelled */
#include "common/base/arena.h"
#include "common/base/xalloc.h"
#include "common/event/loop.h"
#include "common/net/address.h"
#include "common/net/tls.h"
#include "common/rpc/call.h"
#include "common/rpc/health.h"
#include "common/rpc/rpc_server.h"
#include "proto/pb_schema.h"

#include "osmo/token/v1/token_service.pb-c.h"

#include <event2/event.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

enum {
	MAX_ADDRESSES = 8,
	MAX_LOOPS = 8,
	LOOK_MS = 5
};

struct echo {
	struct call_handler handler;
	struct call_trust trust;
	bool trusting;
	atomic_uint cancelled, asleep;
	struct health *health;
	struct rpc_server *server;
	struct loop *main;
	int64_t grace_ms;
};

struct sleeper {
	struct call *call;
	struct event *timer;
	int64_t left_ms; /* negative: for ever */
	bool needs_cancel;
};

static struct echo echo;

static void who_am_i(struct call *c)
{
	Osmo__Token__V1__WhoAmIResponse *r = arena_alloc(c->arena, sizeof *r);
	osmo__token__v1__who_am_iresponse__init(r);
	r->user = arena_strndup(c->arena, c->peer.tls_identity.p, c->peer.tls_identity.n);
	r->token_name = arena_strndup(c->arena, c->peer.text.p, c->peer.text.n);
	r->roles = arena_alloc(c->arena, CALL_METADATA_COUNT * sizeof *r->roles);
	for (enum call_metadata_key key = 0; key < CALL_METADATA_COUNT; key++) {
		const struct call_metadata *m = &c->metadata[key];
		if (m->count)
			r->roles[r->n_roles++] = arena_printf(c->arena, "%s=%.*s*%u",
				call_metadata_name(key), STR_ARG(m->value), m->count);
	}
	call_finish(c, &r->base);
}

static void set(struct call *c)
{
	const Osmo__Token__V1__SetRequest *request = (void *)c->request;
	Osmo__Token__V1__Token *token = arena_alloc(c->arena, sizeof *token);
	osmo__token__v1__token__init(token);
	token->name = request->name;
	token->n_roles = request->n_roles;
	token->roles = request->roles;
	Osmo__Token__V1__SetResponse *r = arena_alloc(c->arena, sizeof *r);
	osmo__token__v1__set_response__init(r);
	r->token = token;
	r->secret = request->description;
	c->reply_headers[CALL_REPLY_NO_STORE] = STR("");
	c->reply_headers[CALL_REPLY_SERVICE_VERSION] = STR("1.2.3");
	call_finish(c, &r->base);
}

static void wake(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	struct sleeper *s = arg;
	struct call *c = s->call;
	bool cancelled = call_is_cancelled(c);
	if (!cancelled && (s->needs_cancel || (s->left_ms -= LOOK_MS) > 0)) {
		evtimer_add(s->timer, &(struct timeval){.tv_usec = LOOK_MS * US_PER_MS});
		return;
	}
	event_free(s->timer);
	atomic_fetch_sub(&echo.asleep, 1);
	if (cancelled)
		atomic_fetch_add(&echo.cancelled, 1);
	Osmo__Token__V1__ListResponse *r = arena_alloc(c->arena, sizeof *r);
	osmo__token__v1__list_response__init(r);
	call_finish(c, &r->base);
	call_unref(c);
}

static void sleep_call(struct call *c, int64_t ms, bool needs_cancel)
{
	struct sleeper *s = arena_alloc(c->arena, sizeof *s);
	*s = (struct sleeper){.call = c, .left_ms = ms, .needs_cancel = needs_cancel};
	call_ref(c);
	atomic_fetch_add(&echo.asleep, 1);
	s->timer = evtimer_new(loop_base(c->home), wake, s);
	evtimer_add(s->timer, &(struct timeval){.tv_usec = LOOK_MS * US_PER_MS});
}

static void list(struct call *c)
{
	const Osmo__Token__V1__ListRequest *request = (void *)c->request;
	int64_t ms;
	unsigned code;
	char text[400];
	if (sscanf(request->filter, "sleep %ld", &ms) == 1) {
		sleep_call(c, ms, false);
		return;
	}
	if (sscanf(request->filter, "fail %u %399[^\n]", &code, text) == 2) {
		struct status s = status_error((enum status_code)code, "%s", text);
		if (s.code == STATUS_INVALID_ARGUMENT)
			s = status_invalid("filter", "%s", text);
		c->reply_headers[CALL_REPLY_WWW_AUTHENTICATE] = STR("Bearer realm=\"echo\"");
		call_fail(c, s);
		return;
	}
	Osmo__Token__V1__ListResponse *r = arena_alloc(c->arena, sizeof *r);
	osmo__token__v1__list_response__init(r);
	r->next_page_token = arena_printf(
		c->arena, "%u %u", atomic_load(&echo.cancelled), atomic_load(&echo.asleep));
	call_finish(c, &r->base);
}

static void on_loop(struct call *c)
{
	const char *name = c->method->name;
	if (strcmp(name, "Set") == 0)
		set(c);
	else if (strcmp(name, "List") == 0)
		list(c);
	else
		sleep_call(c, 0, true);
}

static void start(struct call_handler *self, struct call *c)
{
	(void)self;
	struct str id = c->metadata[CALL_REQUEST_ID].value;
	if (id.n < sizeof c->request_id)
		memcpy(c->request_id, id.p ? id.p : "", id.n);
	if (strcmp(c->method->path, "/osmo.token.v1.TokenService/WhoAmI") == 0)
		who_am_i(c);
	else
		call_to_loop(c, on_loop);
}

static bool keeps(
	const struct call_trust *self, const struct call_peer *peer, enum call_metadata_key key)
{
	(void)self, (void)peer, (void)key;
	return echo.trusting;
}

static void on_drained(void *arg)
{
	(void)arg;
	loop_stop(echo.main);
}

static void on_sigterm(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	event_del(arg);
	rpc_server_drain(echo.server, echo.grace_ms, echo.main, on_drained, NULL);
}

static void on_sighup(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	struct status s = rpc_server_reload(echo.server);
	printf("%s\n", status_is_ok(&s) ? "reloaded" : s.message);
	fflush(stdout);
}

/* Flips the health of the server as a whole and of TokenService. */
static void on_sigusr1(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	bool serving = health_get(echo.health, STR("")) == HEALTH_SERVING;
	health_set(echo.health, "", !serving);
	health_set(echo.health, "osmo.token.v1.TokenService", !serving);
}

static struct event *on_signal(int number, event_callback_fn fn)
{
	struct event *e = event_new(
		loop_base(echo.main), number, EV_SIGNAL | EV_PERSIST, fn, event_self_cbarg());
	event_add(e, NULL);
	return e;
}

static void print_addresses(size_t n)
{
	printf("[");
	for (size_t i = 0; i < n; i++) {
		char text[ADDRESS_TEXT_BYTES];
		address_format(rpc_server_address(echo.server, i), text);
		printf("%s\"%s\"", i ? ", " : "", text);
	}
	printf("]\n");
	fflush(stdout);
}

static void fail(struct status s)
{
	if (status_is_ok(&s))
		return;
	fprintf(stderr, "echo_server: %s: %s\n", status_code_name(s.code), s.message);
	exit(1);
}

int main(int argc, char **argv)
{
	enum {
		CERT,
		KEY,
		CA,
		CLIENT_AUTH,
		THREADS,
		LOOPS,
		MAX_CALLS,
		MAX_CONNECTIONS,
		MAX_WATCHERS,
		MAX_DEADLINE,
		GRACE,
		PING,
		HANDSHAKE,
		REFLECTION,
		TRUST
	};
	static const struct option options[] = {
		{"cert", required_argument, NULL, CERT},
		{"key", required_argument, NULL, KEY},
		{"client-ca", required_argument, NULL, CA},
		{"client-auth", required_argument, NULL, CLIENT_AUTH},
		{"threads", required_argument, NULL, THREADS},
		{"loops", required_argument, NULL, LOOPS},
		{"max-calls", required_argument, NULL, MAX_CALLS},
		{"max-connections", required_argument, NULL, MAX_CONNECTIONS},
		{"max-watchers", required_argument, NULL, MAX_WATCHERS},
		{"max-deadline-ms", required_argument, NULL, MAX_DEADLINE},
		{"grace-ms", required_argument, NULL, GRACE},
		{"min-ping-interval-ms", required_argument, NULL, PING},
		{"handshake-timeout-ms", required_argument, NULL, HANDSHAKE},
		{"reflection", no_argument, NULL, REFLECTION},
		{"trust", no_argument, NULL, TRUST},
		{NULL, 0, NULL, 0},
	};
	struct tls_options tls = {.cert_file = NULL};
	struct rpc_server_options o = {.n_loops = 1};
	echo.grace_ms = 10000;
	for (int option; (option = getopt_long(argc, argv, "", options, NULL)) >= 0;) {
		long number = optarg ? strtol(optarg, NULL, 10) : 0;
		switch (option) {
		case CERT:
			tls.cert_file = optarg;
			break;
		case KEY:
			tls.key_file = optarg;
			break;
		case CA:
			tls.client_ca_file = optarg;
			break;
		case CLIENT_AUTH:
			tls.client_auth = (enum tls_client_auth)number;
			break;
		case THREADS:
			o.n_threads = (unsigned)number;
			break;
		case LOOPS:
			o.n_loops = (size_t)number;
			break;
		case MAX_CALLS:
			o.max_calls = (unsigned)number;
			break;
		case MAX_CONNECTIONS:
			o.max_connections = (unsigned)number;
			break;
		case MAX_WATCHERS:
			o.max_watchers = (unsigned)number;
			break;
		case MAX_DEADLINE:
			o.max_deadline_ms = number;
			break;
		case GRACE:
			echo.grace_ms = number;
			break;
		case PING:
			o.min_ping_interval_ms = number;
			break;
		case HANDSHAKE:
			o.handshake_timeout_ms = number;
			break;
		case REFLECTION:
			o.reflection = true;
			break;
		case TRUST:
			echo.trusting = true;
			break;
		default:
			return 2;
		}
	}
	struct address addresses[MAX_ADDRESSES];
	for (; optind < argc && o.n_listen < MAX_ADDRESSES; optind++)
		fail(address_parse(str_of(argv[optind]), &addresses[o.n_listen++]));
	o.listen = addresses;
	if (tls.cert_file)
		o.tls = &tls;
	struct loop *loops[MAX_LOOPS];
	for (size_t i = 0; i < o.n_loops && i < MAX_LOOPS; i++) {
		loops[i] = loop_new();
		loop_start(loops[i], "loop");
	}
	o.loops = loops;
	struct schema *schema;
	fail(pb_schema_new(&schema));
	o.schema = schema;
	o.health = echo.health = health_new();
	echo.handler.start = start;
	o.handler = &echo.handler;
	echo.trust.keeps = keeps;
	o.trust = &echo.trust;
	echo.main = loop_new();
	struct event *signals[] = {on_signal(SIGTERM, on_sigterm), on_signal(SIGHUP, on_sighup),
		on_signal(SIGUSR1, on_sigusr1)};
	fail(rpc_server_new(&o, &echo.server));
	rpc_server_start(echo.server);
	health_set(echo.health, "", true);
	health_set(echo.health, "osmo.token.v1.TokenService", true);
	print_addresses(o.n_listen);
	loop_run(echo.main);

	rpc_server_free(echo.server);
	for (size_t i = 0; i < o.n_loops; i++) {
		loop_stop(loops[i]);
		loop_join(loops[i]);
		loop_free(loops[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		event_free(signals[i]);
	loop_free(echo.main);
	health_free(echo.health);
	schema_free(schema);
	return 0;
}
