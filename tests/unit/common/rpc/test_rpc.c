/* SPDX-License-Identifier: Apache-2.0 */
/* Server and client of this folder against each other, over real sockets. */
#include "common/base/arena.h"
#include "common/base/xalloc.h"
#include "common/codec/schema.h"
#include "common/event/loop.h"
#include "common/net/address.h"
#include "common/net/tls.h"
#include "common/net/tls_client.h"
#include "common/rpc/call.h"
#include "common/rpc/health.h"
#include "common/rpc/rpc_client.h"
#include "common/rpc/rpc_server.h"
#include "proto/pb_schema.h"
#include "tests/lib/certs.h"
#include "tests/lib/test.h"

#include "osmo/token/v1/token_service.pb-c.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	N_LOOPS = 2,
	PATIENCE_S = 30
};

/* What the handler does with a Set, by its name; everything else is answered inside start. */
struct world {
	struct schema *schema;
	struct loop *loops[N_LOOPS];
	struct health *health;
	struct rpc_server *server;
	struct rpc_client *client;
	struct address address;
	char path[64];

	struct call_handler handler;
	struct call_trust trust;
	atomic_uint handled;
	sem_t stuck;     /* a call waits ... */
	sem_t cancelled; /* ... until it is cancelled */
	struct rpc_server_options options;
	sem_t drained;
	bool gone;
};

static struct world *world;

static ProtobufCMessage *set_response(struct call *c, char *secret)
{
	Osmo__Token__V1__SetResponse *r = arena_alloc(c->arena, sizeof *r);
	osmo__token__v1__set_response__init(r);
	r->secret = secret;
	return &r->base;
}

static void on_cancel(struct call *c)
{
	sem_post(&world->cancelled);
	if (call_fail(c, status_error(STATUS_CANCELLED, "stopped")))
		call_unref(c);
}

static void on_loop(struct call *c)
{
	const Osmo__Token__V1__SetRequest *request = (void *)c->request;
	assert_true(loop_is_current(c->home));
	if (strcmp(request->name, "stuck") == 0) {
		call_ref(c);
		call_on_cancel(c, on_cancel);
		sem_post(&world->stuck);
		return;
	}
	call_finish(c, set_response(c, request->description));
}

static void answer_who(struct call *c)
{
	Osmo__Token__V1__WhoAmIResponse *r = arena_alloc(c->arena, sizeof *r);
	osmo__token__v1__who_am_iresponse__init(r);
	struct str auth = c->metadata[CALL_AUTHORIZATION].value;
	struct str forwarded = c->metadata[CALL_FORWARDED_FOR].value;
	r->user = arena_strndup(c->arena, auth.p ? auth.p : "", auth.n);
	r->token_name = arena_strndup(c->arena, forwarded.p ? forwarded.p : "", forwarded.n);
	r->auth_method = arena_strndup(c->arena, c->peer.text.p, c->peer.text.n);
	struct str identity = c->peer.tls_identity;
	r->expire_date = arena_strndup(c->arena, identity.p ? identity.p : "", identity.n);
	r->roles = arena_alloc(c->arena, sizeof *r->roles);
	r->roles[0] = arena_printf(c->arena, "%u %lld", c->metadata[CALL_AUTHORIZATION].count,
		(long long)((c->deadline.us - c->received.us) / US_PER_MS));
	r->n_roles = 1;
	c->reply_headers[CALL_REPLY_SERVICE_VERSION] = STR("9.9");
	call_finish(c, &r->base);
}

static void start(struct call_handler *self, struct call *c)
{
	(void)self;
	atomic_fetch_add(&world->handled, 1);
	struct str id = c->metadata[CALL_REQUEST_ID].value;
	if (id.p)
		snprintf(c->request_id, sizeof c->request_id, "%.*s", STR_ARG(id));
	if (strcmp(c->method->name, "WhoAmI") == 0)
		answer_who(c);
	else if (strcmp(c->method->name, "List") == 0)
		call_fail(c, status_invalid("filter", " filter: caf\xc3\xa9, "));
	else if (strcmp(c->method->name, "Delete") == 0)
		call_fail(c, status_error(STATUS_UNAVAILABLE, "not now"));
	else
		call_to_loop(c, on_loop);
}

static bool keeps(
	const struct call_trust *self, const struct call_peer *peer, enum call_metadata_key key)
{
	(void)self;
	return key == CALL_FORWARDED_FOR && peer->address.ss_family == AF_UNIX;
}

static bool retry_reads(const struct schema_method *m)
{
	return strcmp(m->name, "Delete") == 0;
}

static void on_drained(void *arg)
{
	sem_post(arg);
}

static void wait_for(sem_t *s)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE_S;
	assert_int_equal(sem_timedwait(s, &until), 0);
}

static void open_client(struct world *w, bool (*retry)(const struct schema_method *m),
	const struct tls_client_options *tls)
{
	const struct rpc_client_options options = {.address = &w->address,
		.loops = w->loops,
		.n_loops = N_LOOPS,
		.schema = w->schema,
		.retry = retry,
		.tls = tls};
	assert_ok(rpc_client_new(&options, &w->client));
}

static void close_client(struct world *w)
{
	rpc_client_stop(w->client);
	rpc_client_free(w->client);
	w->client = NULL;
}

static void open_world(struct world *w, const char *listen, struct rpc_server_options options)
{
	world = w;
	*w = (struct world){.options = options};
	sem_init(&w->stuck, 0, 0);
	sem_init(&w->cancelled, 0, 0);
	sem_init(&w->drained, 0, 0);
	assert_ok(pb_schema_new(&w->schema));
	for (size_t i = 0; i < N_LOOPS; i++) {
		w->loops[i] = loop_new();
		loop_start(w->loops[i], "loop");
	}
	w->health = health_new();
	w->handler.start = start;
	w->trust.keeps = keeps;
	assert_ok(address_parse(str_of(listen), &w->address));
	options.listen = &w->address;
	options.n_listen = 1;
	options.loops = w->loops;
	options.n_loops = N_LOOPS;
	options.handler = &w->handler;
	options.schema = w->schema;
	options.health = w->health;
	options.trust = &w->trust;
	assert_ok(rpc_server_new(&options, &w->server));
	rpc_server_start(w->server);
	w->address = *rpc_server_address(w->server, 0);
	health_set(w->health, "", true);
	open_client(w, retry_reads, NULL);
}

static void close_server(struct world *w)
{
	rpc_server_drain(w->server, 5000, w->loops[0], on_drained, &w->drained);
	wait_for(&w->drained);
	rpc_server_free(w->server);
	w->server = NULL;
}

static void close_world(struct world *w)
{
	close_client(w);
	if (w->server)
		close_server(w);
	for (size_t i = 0; i < N_LOOPS; i++) {
		loop_stop(w->loops[i]);
		loop_join(w->loops[i]);
		loop_free(w->loops[i]);
	}
	health_free(w->health);
	schema_free(w->schema);
}

/* A call as a transport makes it. */
struct outgoing {
	struct call call;
	sem_t finished, released;
};

static void finished(struct call *c)
{
	if (c->status.code != STATUS_INVALID_ARGUMENT && c->status.code != STATUS_DEADLINE_EXCEEDED)
		assert_true(loop_is_current(c->home));
	sem_post(&container_of(c, struct outgoing, call)->finished);
}

static void released(struct call *c)
{
	sem_post(&container_of(c, struct outgoing, call)->released);
}

static void prepare(struct outgoing *o, const char *path, const ProtobufCMessage *request)
{
	static const struct call_ops ops = {.finished = finished, .release = released};
	call_init(&o->call, &ops);
	sem_init(&o->finished, 0, 0);
	sem_init(&o->released, 0, 0);
	o->call.arena = arena_new();
	o->call.method = schema_find_method(world->schema, str_of(path));
	assert_non_null(o->call.method);
	o->call.request = (ProtobufCMessage *)(uintptr_t)request;
	o->call.home = world->loops[0];
	o->call.deadline = mono_time_add_ms(clock_mono(&clock_system), PATIENCE_S * 1000);
}

static void run(struct outgoing *o)
{
	rpc_client_call(world->client, &o->call);
	wait_for(&o->finished);
}

static void done(struct outgoing *o)
{
	call_unref(&o->call);
	wait_for(&o->released);
	arena_free(o->call.arena);
}

static const Osmo__Token__V1__WhoAmIRequest who = OSMO__TOKEN__V1__WHO_AM_IREQUEST__INIT;
#define SERVICE "/osmo.token.v1.TokenService/"

static void prepare_set(
	struct outgoing *o, Osmo__Token__V1__SetRequest *request, char *name, char *description)
{
	osmo__token__v1__set_request__init(request);
	request->name = name;
	request->description = description;
	prepare(o, SERVICE "Set", &request->base);
}

static void an_answer_inside_the_start_arrives(void **state)
{
	(void)state;
	struct world w;
	open_world(&w, "127.0.0.1:0", (struct rpc_server_options){0});
	struct outgoing o;
	prepare(&o, SERVICE "WhoAmI", &who.base);
	o.call.metadata[CALL_AUTHORIZATION] =
		(struct call_metadata){.value = STR("Bearer x"), .count = 3};
	o.call.metadata[CALL_REQUEST_ID] = (struct call_metadata){.value = STR("r-1"), .count = 1};
	o.call.deadline = mono_time_add_ms(clock_mono(&clock_system), 5000);
	run(&o);
	assert_ok(o.call.status);
	const Osmo__Token__V1__WhoAmIResponse *r = (void *)o.call.reply;
	assert_string_equal(r->user, "Bearer x");
	unsigned count;
	long deadline_ms;
	assert_int_equal(sscanf(r->roles[0], "%u %ld", &count, &deadline_ms), 2);
	assert_int_equal(count, 2); /* more than one is told apart from one, no further */
	assert_in_range(deadline_ms, 1000, 5100); /* grpc-timeout is rounded up a little */
	assert_int_equal(strncmp(r->auth_method, "127.0.0.1:", 10), 0);
	assert_str(o.call.reply_headers[CALL_REPLY_SERVICE_VERSION], "9.9");
	assert_string_equal(o.call.request_id, ""); /* just errors tell it */
	done(&o);
	close_world(&w);
}

static void an_answer_from_the_loop_arrives(void **state)
{
	(void)state;
	struct world w;
	open_world(&w, "127.0.0.1:0", (struct rpc_server_options){0});
	char name[] = "ci", description[] = "words";
	for (int i = 0; i < 200; i++) {
		struct outgoing o;
		Osmo__Token__V1__SetRequest request;
		prepare_set(&o, &request, name, description);
		run(&o);
		assert_ok(o.call.status);
		const Osmo__Token__V1__SetResponse *r = (void *)o.call.reply;
		assert_string_equal(r->secret, "words");
		done(&o);
	}
	close_world(&w);
}

static void an_error_arrives_with_message_field_and_details(void **state)
{
	(void)state;
	struct world w;
	open_world(&w, "127.0.0.1:0", (struct rpc_server_options){0});
	const Osmo__Token__V1__ListRequest request = OSMO__TOKEN__V1__LIST_REQUEST__INIT;
	struct outgoing o;
	prepare(&o, SERVICE "List", &request.base);
	o.call.metadata[CALL_REQUEST_ID] = (struct call_metadata){.value = STR("r-2"), .count = 1};
	run(&o);
	assert_string_equal(o.call.status.field, "filter");
	assert_status(o.call.status, STATUS_INVALID_ARGUMENT, " filter: caf\xc3\xa9, ");
	assert_true(o.call.status_details.n > 0);
	/* just errors that are looked up in the log say under which name */
	assert_null(memmem(
		o.call.status_details.p, o.call.status_details.n, "google.rpc.RequestInfo", 22));
	assert_string_equal(o.call.request_id, "r-2");
	done(&o);
	close_world(&w);
}

static void only_methods_that_read_are_sent_again(void **state)
{
	(void)state;
	struct world w;
	open_world(&w, "127.0.0.1:0", (struct rpc_server_options){0});
	const Osmo__Token__V1__DeleteRequest request = OSMO__TOKEN__V1__DELETE_REQUEST__INIT;
	struct outgoing o;
	prepare(&o, SERVICE "Delete", &request.base); /* retry_reads names it */
	run(&o);
	assert_status(o.call.status, STATUS_UNAVAILABLE, "not now");
	assert_int_equal(atomic_load(&w.handled), 4);
	done(&o);
	close_client(&w);
	open_client(&w, NULL, NULL);
	prepare(&o, SERVICE "Delete", &request.base);
	run(&o);
	assert_int_equal(atomic_load(&w.handled), 5);
	done(&o);
	close_world(&w);
}

static void a_cancelled_call_is_cancelled_at_the_service(void **state)
{
	(void)state;
	struct world w;
	open_world(&w, "127.0.0.1:0", (struct rpc_server_options){0});
	char name[] = "stuck", none[] = "";
	struct outgoing o;
	Osmo__Token__V1__SetRequest request;
	prepare_set(&o, &request, name, none);
	rpc_client_call(w.client, &o.call);
	wait_for(&w.stuck);
	call_cancel(&o.call);
	wait_for(&o.finished);
	assert_int_equal(o.call.status.code, STATUS_CANCELLED);
	wait_for(&w.cancelled);
	done(&o);
	close_world(&w);
}

static void a_call_past_its_deadline_ends_on_both_sides(void **state)
{
	(void)state;
	struct world w;
	open_world(&w, "127.0.0.1:0", (struct rpc_server_options){0});
	char name[] = "stuck", none[] = "";
	struct outgoing o;
	Osmo__Token__V1__SetRequest request;
	prepare_set(&o, &request, name, none);
	o.call.deadline = mono_time_add_ms(clock_mono(&clock_system), 100);
	run(&o);
	assert_int_equal(o.call.status.code, STATUS_DEADLINE_EXCEEDED);
	wait_for(&w.cancelled);
	done(&o);
	prepare_set(&o, &request, name, none);
	o.call.deadline = clock_mono(&clock_system);
	run(&o);
	assert_int_equal(o.call.status.code, STATUS_DEADLINE_EXCEEDED);
	done(&o);
	close_world(&w);
}

static void the_server_caps_deadlines(void **state)
{
	(void)state;
	struct world w;
	open_world(&w, "127.0.0.1:0", (struct rpc_server_options){.max_deadline_ms = 700});
	struct outgoing o;
	for (int i = 0; i < 2; i++) {
		prepare(&o, SERVICE "WhoAmI", &who.base);
		if (i)
			o.call.deadline = MONO_TIME_NEVER;
		run(&o);
		assert_string_equal(
			((Osmo__Token__V1__WhoAmIResponse *)o.call.reply)->roles[0], "0 700");
		done(&o);
	}
	close_world(&w);
}

static void a_header_that_cannot_be_sent_is_refused(void **state)
{
	(void)state;
	struct world w;
	open_world(&w, "127.0.0.1:0", (struct rpc_server_options){0});
	struct outgoing o;
	prepare(&o, SERVICE "WhoAmI", &who.base);
	o.call.metadata[CALL_OSMO_USER] =
		(struct call_metadata){.value = STR("\xc3\xa9"), .count = 1};
	run(&o);
	assert_status(o.call.status, STATUS_INVALID_ARGUMENT,
		"Header 'x-osmo-user' must be printable ASCII text");
	done(&o);
	close_world(&w);
}

static void no_service_is_unavailable_and_comes_back(void **state)
{
	(void)state;
	struct world w;
	open_world(&w, "127.0.0.1:0", (struct rpc_server_options){0});
	close_server(&w);
	struct outgoing o;
	prepare(&o, SERVICE "WhoAmI", &who.base);
	run(&o);
	assert_status(o.call.status, STATUS_UNAVAILABLE, "The service cannot be reached");
	done(&o);

	health_free(w.health);
	w.health = health_new();
	struct rpc_server_options options = {.listen = &w.address,
		.n_listen = 1,
		.loops = w.loops,
		.n_loops = N_LOOPS,
		.handler = &w.handler,
		.schema = w.schema,
		.health = w.health};
	assert_ok(rpc_server_new(&options, &w.server));
	rpc_server_start(w.server);
	struct status s;
	for (int i = 0; i < PATIENCE_S * 20; i++) {
		prepare(&o, SERVICE "WhoAmI", &who.base);
		run(&o);
		s = o.call.status;
		done(&o);
		if (status_is_ok(&s))
			break;
		usleep(50000);
	}
	assert_ok(s);
	close_world(&w);
}

struct readiness {
	struct status status;
	sem_t known;
};

static void on_checked(void *arg, struct status status)
{
	struct readiness *r = arg;
	assert_true(loop_is_current(world->loops[1]));
	r->status = status;
	sem_post(&r->known);
}

static struct status check(const char *service)
{
	struct readiness r;
	sem_init(&r.known, 0, 0);
	rpc_client_check(world->client, service, 5000, world->loops[1], on_checked, &r);
	wait_for(&r.known);
	return r.status;
}

static void readiness_is_the_health_of_the_service(void **state)
{
	(void)state;
	struct world w;
	open_world(&w, "127.0.0.1:0", (struct rpc_server_options){0});
	assert_ok(check(""));
	health_set(w.health, "", false);
	assert_status(check(""), STATUS_UNAVAILABLE, "The service is not ready");
	assert_int_equal(check("nobody").code, STATUS_UNAVAILABLE);
	close_world(&w);
}

static void a_unix_socket_carries_calls_and_may_be_trusted(void **state)
{
	(void)state;
	char path[64], listen[80];
	snprintf(path, sizeof path, "/tmp/test_rpc.%d.sock", getpid());
	snprintf(listen, sizeof listen, "unix:%s", path);
	struct world w;
	open_world(&w, listen, (struct rpc_server_options){.unix_mode = 0640});
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	struct outgoing o;
	prepare(&o, SERVICE "WhoAmI", &who.base);
	o.call.peer.text = STR("10.0.0.9:41000");
	o.call.peer.address.ss_family = AF_INET;
	o.call.metadata[CALL_FORWARDED_FOR] =
		(struct call_metadata){.value = STR("192.0.2.1"), .count = 1};
	run(&o);
	assert_ok(o.call.status);
	const Osmo__Token__V1__WhoAmIResponse *r = (void *)o.call.reply;
	assert_string_equal(r->auth_method, "unix");
	assert_string_equal(r->token_name, "192.0.2.1, 10.0.0.9");
	done(&o);

	struct rpc_server *second;
	struct rpc_server_options options = {.listen = &w.address,
		.n_listen = 1,
		.loops = w.loops,
		.n_loops = 1,
		.handler = &w.handler,
		.schema = w.schema,
		.health = w.health};
	assert_int_equal(rpc_server_new(&options, &second).code, STATUS_FAILED_PRECONDITION);
	close_world(&w);
	assert_int_equal(stat(path, &st), -1);
}

static void identity_headers_of_others_are_dropped(void **state)
{
	(void)state;
	struct world w;
	open_world(&w, "127.0.0.1:0", (struct rpc_server_options){0});
	struct outgoing o;
	prepare(&o, SERVICE "WhoAmI", &who.base);
	o.call.metadata[CALL_FORWARDED_FOR] =
		(struct call_metadata){.value = STR("192.0.2.1"), .count = 1};
	run(&o);
	assert_string_equal(((Osmo__Token__V1__WhoAmIResponse *)o.call.reply)->token_name, "");
	done(&o);
	close_world(&w);
}

static void a_port_in_use_is_refused(void **state)
{
	(void)state;
	struct world w;
	open_world(&w, "127.0.0.1:0", (struct rpc_server_options){0});
	struct rpc_server *second;
	struct rpc_server_options options = {.listen = &w.address,
		.n_listen = 1,
		.loops = w.loops,
		.n_loops = 1,
		.handler = &w.handler,
		.schema = w.schema,
		.health = w.health};
	struct status s = rpc_server_new(&options, &second);
	assert_int_equal(s.code, STATUS_FAILED_PRECONDITION);
	char text[ADDRESS_TEXT_BYTES];
	address_format(&w.address, text);
	assert_non_null(strstr(s.message, text));
	close_world(&w);
}

/* Many calls at once, some answered on the queue's thread, some on loops. */
enum {
	BURST = 400
};

static void start_burst(struct outgoing *calls, Osmo__Token__V1__SetRequest *requests)
{
	static char name[] = "ci", description[] = "words";
	for (size_t i = 0; i < BURST; i++) {
		if (i % 2)
			prepare(&calls[i], SERVICE "WhoAmI", &who.base);
		else
			prepare_set(&calls[i], &requests[i], name, description);
		rpc_client_call(world->client, &calls[i].call);
	}
}

static void many_calls_at_once_are_all_answered(void **state)
{
	(void)state;
	struct world w;
	open_world(&w, "127.0.0.1:0", (struct rpc_server_options){0});
	static struct outgoing calls[BURST];
	static Osmo__Token__V1__SetRequest requests[BURST];
	for (int round = 0; round < 5; round++) {
		start_burst(calls, requests);
		for (size_t i = 0; i < BURST; i++) {
			wait_for(&calls[i].finished);
			assert_ok(calls[i].call.status);
			done(&calls[i]);
		}
	}
	assert_int_equal(atomic_load(&w.handled), 5 * BURST);
	close_world(&w);
}

static void past_the_limit_calls_are_refused_and_before_it_served(void **state)
{
	(void)state;
	struct world w;
	open_world(&w, "127.0.0.1:0", (struct rpc_server_options){.max_calls = 2});
	static char name[] = "stuck", none[] = "";
	struct outgoing stuck[2], more;
	Osmo__Token__V1__SetRequest requests[2];
	for (size_t i = 0; i < 2; i++) {
		prepare_set(&stuck[i], &requests[i], name, none);
		rpc_client_call(w.client, &stuck[i].call);
		wait_for(&w.stuck);
	}
	prepare(&more, SERVICE "WhoAmI", &who.base);
	run(&more);
	assert_status(more.call.status, STATUS_RESOURCE_EXHAUSTED,
		"The server is busy with 2 calls; try again later");
	assert_int_equal(atomic_load(&w.handled), 2);
	assert_int_equal(rpc_server_stats(w.server).refused_calls, 1);
	done(&more);
	for (size_t i = 0; i < 2; i++) {
		call_cancel(&stuck[i].call);
		wait_for(&stuck[i].finished);
		wait_for(&w.cancelled);
		done(&stuck[i]);
	}
	struct status s;
	for (int i = 0; i < PATIENCE_S * 100; i++) {
		prepare(&more, SERVICE "WhoAmI", &who.base);
		run(&more);
		s = more.call.status;
		done(&more);
		if (status_is_ok(&s))
			break;
		usleep(10000);
	}
	assert_ok(s);
	close_world(&w);
}

static int connect_to(const struct address *a)
{
	struct sockaddr_storage sa;
	socklen_t length;
	assert_ok(address_resolve(a, &sa, &length));
	int fd = socket(sa.ss_family, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, length), 0);
	return fd;
}

/* Closed by the server? One that is served gets a SETTINGS frame first. */
static bool is_refused(int fd)
{
	char byte;
	struct timeval patience = {.tv_sec = PATIENCE_S};
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	return recv(fd, &byte, 1, 0) <= 0;
}

static void past_the_cap_connections_are_closed_until_others_go(void **state)
{
	(void)state;
	struct world w;
	open_world(&w, "127.0.0.1:0", (struct rpc_server_options){.max_connections = 3});
	int fds[3];
	for (size_t i = 0; i < 3; i++) {
		fds[i] = connect_to(&w.address);
		assert_false(is_refused(fds[i]));
	}
	int more = connect_to(&w.address);
	assert_true(is_refused(more));
	close(more);
	assert_int_equal(rpc_server_stats(w.server).refused_connections, 1);
	close(fds[0]);
	bool refused = true;
	for (int i = 0; i < PATIENCE_S * 100 && refused; i++) {
		more = connect_to(&w.address);
		refused = is_refused(more);
		close(more);
		usleep(10000);
	}
	assert_false(refused);
	close(fds[1]);
	close(fds[2]);
	close_world(&w);
}

static void connections_that_went_are_not_counted(void **state)
{
	(void)state;
	struct world w;
	open_world(&w, "127.0.0.1:0", (struct rpc_server_options){0});
	int stays = connect_to(&w.address);
	assert_false(is_refused(stays));
	for (int i = 0; i < 20; i++) {
		int goes = connect_to(&w.address);
		assert_false(is_refused(goes));
		close(goes);
	}
	unsigned open = 21;
	for (int i = 0; i < PATIENCE_S * 100 && open != 1; i++) {
		usleep(10000);
		open = rpc_server_stats(w.server).connections;
	}
	assert_int_equal(open, 1);
	close(stays);
	close_world(&w);
}

static void a_silent_connection_is_closed(void **state)
{
	(void)state;
	struct world w;
	open_world(&w, "127.0.0.1:0", (struct rpc_server_options){.handshake_timeout_ms = 200});
	int fd = connect_to(&w.address);
	char bytes[4096];
	struct timeval patience = {.tv_sec = PATIENCE_S};
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	ssize_t n;
	do
		n = recv(fd, bytes, sizeof bytes, 0);
	while (n > 0); /* its settings and a GOAWAY */
	assert_int_equal(n, 0);
	close(fd);
	close_world(&w);
}

static void a_drain_lets_calls_finish(void **state)
{
	(void)state;
	struct world w;
	open_world(&w, "127.0.0.1:0", (struct rpc_server_options){0});
	static struct outgoing calls[BURST];
	static Osmo__Token__V1__SetRequest requests[BURST];
	start_burst(calls, requests);
	while (atomic_load(&w.handled) < BURST)
		usleep(1000);
	rpc_server_drain(w.server, PATIENCE_S * 1000, w.loops[0], on_drained, &w.drained);
	wait_for(&w.drained);
	for (size_t i = 0; i < BURST; i++) {
		wait_for(&calls[i].finished);
		assert_ok(calls[i].call.status);
		done(&calls[i]);
	}
	rpc_server_free(w.server);
	w.server = NULL;
	close_world(&w);
}

static void a_drain_cancels_what_outlasts_its_grace(void **state)
{
	(void)state;
	struct world w;
	open_world(&w, "127.0.0.1:0", (struct rpc_server_options){0});
	char name[] = "stuck", none[] = "";
	struct outgoing o;
	Osmo__Token__V1__SetRequest request;
	prepare_set(&o, &request, name, none);
	rpc_client_call(w.client, &o.call);
	wait_for(&w.stuck);
	rpc_server_drain(w.server, 100, w.loops[0], on_drained, &w.drained);
	wait_for(&w.cancelled);
	wait_for(&w.drained);
	wait_for(&o.finished);
	assert_int_equal(o.call.status.code, STATUS_UNAVAILABLE);
	done(&o);
	rpc_server_free(w.server);
	w.server = NULL;
	close_world(&w);
}

/* TLS */

static char folder[] = "/tmp/test_rpc.XXXXXX";

static const char *in_folder(const char *name)
{
	static char paths[8][100];
	static unsigned next;
	char *path = paths[next++ % 8];
	snprintf(path, sizeof paths[0], "%s/%s", folder, name);
	return path;
}

static void make_certificates(void)
{
	struct certs_ca ca, other;
	assert_non_null(mkdtemp(folder));
	certs_ca_init(&ca, "ca");
	certs_ca_init(&other, "other ca");
	certs_ca_write(&ca, in_folder("ca.crt"));
	certs_ca_write(&other, in_folder("other.crt"));
	certs_issue(&ca, "server", "DNS:service.example", in_folder("server.crt"),
		in_folder("server.key"));
	certs_issue(&ca, "gateway", NULL, in_folder("gateway.crt"), in_folder("gateway.key"));
	certs_ca_done(&ca);
	certs_ca_done(&other);
}

static void remove_certificates(void)
{
	static const char *const names[] = {
		"ca.crt", "other.crt", "server.crt", "server.key", "gateway.crt", "gateway.key"};
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		unlink(in_folder(names[i]));
	rmdir(folder);
}

static struct status who_over(
	struct world *w, const struct tls_client_options *tls, char identity[64])
{
	close_client(w);
	open_client(w, NULL, tls);
	struct outgoing o;
	prepare(&o, SERVICE "WhoAmI", &who.base);
	o.call.deadline = mono_time_add_ms(clock_mono(&clock_system), 5000);
	run(&o);
	struct status s = o.call.status;
	if (status_is_ok(&s))
		snprintf(identity, 64, "%s",
			((Osmo__Token__V1__WhoAmIResponse *)o.call.reply)->expire_date);
	done(&o);
	return s;
}

static void client_and_service_know_each_other_by_certificate(void **state)
{
	(void)state;
	make_certificates();
	const struct tls_options tls = {.cert_file = in_folder("server.crt"),
		.key_file = in_folder("server.key"),
		.client_ca_file = in_folder("ca.crt"),
		.client_auth = TLS_CLIENT_OPTIONAL};
	struct world w;
	open_world(&w, "127.0.0.1:0", (struct rpc_server_options){.tls = &tls});
	char identity[64];
	struct tls_client_options client = {.ca_file = in_folder("ca.crt"),
		.cert_file = in_folder("gateway.crt"),
		.key_file = in_folder("gateway.key"),
		.server_name = "service.example"};
	assert_ok(who_over(&w, &client, identity));
	assert_string_equal(identity, "gateway");
	client.cert_file = client.key_file = NULL;
	assert_ok(who_over(&w, &client, identity));
	assert_string_equal(identity, "");

	client.server_name = "other.example";
	assert_int_not_equal(who_over(&w, &client, identity).code, STATUS_OK);
	client.server_name = NULL; /* 127.0.0.1 is not in the certificate */
	assert_int_not_equal(who_over(&w, &client, identity).code, STATUS_OK);
	client = (struct tls_client_options){
		.ca_file = in_folder("other.crt"), .server_name = "service.example"};
	assert_int_not_equal(who_over(&w, &client, identity).code, STATUS_OK);
	assert_int_not_equal(who_over(&w, NULL, identity).code, STATUS_OK);
	close_world(&w);
}

static void a_tls_file_that_is_wrong_is_named(void **state)
{
	(void)state;
	struct schema *schema;
	assert_ok(pb_schema_new(&schema));
	struct address address;
	assert_ok(address_parse(STR("127.0.0.1:1"), &address));
	static const struct {
		struct tls_client_options tls;
		const char *word;
	} bad[] = {
		{{.ca_file = "/nowhere/ca.crt"}, "/nowhere/ca.crt"},
		{{.ca_file = "/dev/null"}, "/dev/null"},
		{{.cert_file = "/nowhere/a.crt"}, "key"},
		{{.cert_file = "/nowhere/a.crt", .key_file = "/nowhere/a.key"}, "/nowhere/a.crt"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct rpc_client *client;
		const struct rpc_client_options options = {.address = &address,
			.schema = schema,
			.loops = NULL,
			.n_loops = 0,
			.tls = &bad[i].tls};
		struct status s = rpc_client_new(&options, &client);
		assert_int_equal(s.code, STATUS_INVALID_ARGUMENT);
		assert_non_null(strstr(s.message, bad[i].word));
	}
	schema_free(schema);
	remove_certificates();
}

static void a_server_that_never_started_can_be_freed(void **state)
{
	(void)state;
	struct world w;
	open_world(&w, "127.0.0.1:0", (struct rpc_server_options){0});
	struct address any;
	assert_ok(address_parse(STR("127.0.0.1:0"), &any));
	struct rpc_server_options options = {.listen = &any,
		.n_listen = 1,
		.loops = w.loops,
		.n_loops = 1,
		.handler = &w.handler,
		.schema = w.schema,
		.health = w.health};
	struct rpc_server *second;
	assert_ok(rpc_server_new(&options, &second));
	assert_int_not_equal(rpc_server_address(second, 0)->port, 0);
	rpc_server_free(second);
	close_world(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_inside_the_start_arrives),
		cmocka_unit_test(an_answer_from_the_loop_arrives),
		cmocka_unit_test(an_error_arrives_with_message_field_and_details),
		cmocka_unit_test(only_methods_that_read_are_sent_again),
		cmocka_unit_test(a_cancelled_call_is_cancelled_at_the_service),
		cmocka_unit_test(a_call_past_its_deadline_ends_on_both_sides),
		cmocka_unit_test(the_server_caps_deadlines),
		cmocka_unit_test(a_header_that_cannot_be_sent_is_refused),
		cmocka_unit_test(no_service_is_unavailable_and_comes_back),
		cmocka_unit_test(readiness_is_the_health_of_the_service),
		cmocka_unit_test(a_unix_socket_carries_calls_and_may_be_trusted),
		cmocka_unit_test(identity_headers_of_others_are_dropped),
		cmocka_unit_test(a_port_in_use_is_refused),
		cmocka_unit_test(many_calls_at_once_are_all_answered),
		cmocka_unit_test(past_the_limit_calls_are_refused_and_before_it_served),
		cmocka_unit_test(past_the_cap_connections_are_closed_until_others_go),
		cmocka_unit_test(connections_that_went_are_not_counted),
		cmocka_unit_test(a_silent_connection_is_closed),
		cmocka_unit_test(a_drain_lets_calls_finish),
		cmocka_unit_test(a_drain_cancels_what_outlasts_its_grace),
		cmocka_unit_test(client_and_service_know_each_other_by_certificate),
		cmocka_unit_test(a_tls_file_that_is_wrong_is_named),
		cmocka_unit_test(a_server_that_never_started_can_be_freed),
	};
	return RUN_TESTS(tests);
}
