/* SPDX-License-Identifier: Apache-2.0 */
/* The cost of HTTP alone: a server that answers every request with the same 200, to be loaded
 * beside `nginx return 200` (http_hello.py).
 *
 *     http_hello ADDRESS [LOOPS]     prints the bound address; SIGTERM drains */
#include "common/event/loop.h"
#include "common/net/address.h"
#include "common/net/listener.h"
#include "gateway/http_server.h"

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	MAX_LOOPS = 64,
	GRACE_MS = 5000
};

struct worker {
	struct loop *loop;
	struct http_server *server;
	struct loop_task stop;
};

static void handle(void *self, struct http_exchange *x)
{
	(void)self;
	http_exchange_reply(x, &(const struct http_reply){.status = 200,
				       .content_type = STR("application/json"),
				       .body = STR("{\"user\":\"alice\",\"principalKind\":\"USER\","
						   "\"roles\":[\"osmo-user\"]}")});
}

static void on_stopped(void *arg)
{
	struct worker *w = arg;
	loop_stop(w->loop);
}

static void stop(struct loop_task *task)
{
	struct worker *w = container_of(task, struct worker, stop);
	http_server_stop(w->server, GRACE_MS, on_stopped, w);
}

int main(int argc, char **argv)
{
	struct address a;
	size_t n = argc > 2 ? (size_t)strtoul(argv[2], NULL, 10) : 1;
	if (argc < 2 || n < 1 || n > MAX_LOOPS) {
		fputs("usage: http_hello ADDRESS [LOOPS]\n", stderr);
		return 2;
	}
	_cleanup_(listener_closep) struct listener *listener = NULL;
	struct status s = address_parse(str_of(argv[1]), &a);
	if (status_is_ok(&s))
		s = listener_open(&a, n, NULL, &listener);
	if (!status_is_ok(&s)) {
		fprintf(stderr, "http_hello: %s\n", s.message);
		return 2;
	}
	sigset_t signals;
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGPIPE);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	sigdelset(&signals, SIGPIPE);

	struct worker workers[MAX_LOOPS];
	const struct http_handler handler = {.handle = handle};
	const struct http_server_options options = HTTP_SERVER_OPTIONS_DEFAULT;
	for (size_t i = 0; i < n; i++) {
		struct worker *w = &workers[i];
		w->loop = loop_new();
		w->stop.run = stop;
		w->server = http_server_new(w->loop, &options, &handler);
		http_server_listen(w->server, listener_take_socket(listener, i), NULL);
		loop_start(w->loop, "http");
	}
	char text[ADDRESS_TEXT_BYTES];
	address_format(listener_address(listener), text);
	puts(text);
	fflush(stdout);
	int signal;
	sigwait(&signals, &signal);
	for (size_t i = 0; i < n; i++)
		loop_post(workers[i].loop, &workers[i].stop);
	for (size_t i = 0; i < n; i++) {
		loop_join(workers[i].loop);
		http_server_free(workers[i].server);
		loop_free(workers[i].loop);
	}
	return 0;
}
