/* SPDX-License-Identifier: Apache-2.0 */
/* token-service: reads its options, starts the service, waits for signals, stops it. */
#include "common/base/log.h"
#include "common/base/process.h"
#include "service/options.h"
#include "service/service.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	EXIT_USAGE = 2
};

static void block_signals(sigset_t *ret)
{
	sigemptyset(ret);
	sigaddset(ret, SIGTERM);
	sigaddset(ret, SIGINT);
	sigaddset(ret, SIGHUP);
	sigprocmask(SIG_BLOCK, ret, NULL);
}

/* True when a second request to stop came before @ms were over. */
static bool wait_for_second(const sigset_t *signals, int64_t ms)
{
	struct timespec timeout = {ms / 1000, ms % 1000 * 1000000};
	int number;
	do
		number = sigtimedwait(signals, NULL, &timeout);
	while (number == SIGHUP);
	return number == SIGTERM || number == SIGINT;
}

/* While the service drains, a second SIGTERM ends the process at once. */
static void *exit_on_second(void *arg)
{
	int number;
	do
		sigwait(arg, &number);
	while (number == SIGHUP);
	log_warning("service.exit_now");
	_exit(EXIT_FAILURE);
}

static void drain(struct service *s, const struct service_options *v, sigset_t *signals)
{
	log_info("service.draining", LOG_I64("delay_ms", v->drain_delay_ms),
		LOG_I64("grace_ms", v->drain_grace_ms));
	process_notify_stopping();
	service_set_draining(s);
	if (v->drain_delay_ms && wait_for_second(signals, v->drain_delay_ms)) {
		log_warning("service.exit_now");
		_exit(EXIT_FAILURE);
	}
	pthread_t watcher;
	if (pthread_create(&watcher, NULL, exit_on_second, signals) == 0)
		pthread_detach(watcher);
	service_stop(s);
	log_info("service.stopped");
}

static void say_what_next(const struct service_options *v)
{
	if (!isatty(STDOUT_FILENO))
		return;
	printf("token-service is ready.\n\n"
	       "  gRPC  %s\n"
	       "  HTTP  http://%s (API at /openapi.json)\n\n"
	       "Next, in another terminal:\n\n"
	       "  osmo login http://%s --method token --token-file %s/admin.token\n"
	       "  osmo token set my-token\n",
		v->grpc_listen, v->http_listen, v->http_listen, v->data_dir);
	fflush(stdout);
}

static int serve(struct options *o, sigset_t *signals)
{
	const struct service_options *v = options_values(o);
	struct service *s;
	struct status status = service_start(o, &s);
	if (status.code != STATUS_OK) {
		log_error("service.start", LOG_STATUS(&status));
		fprintf(stderr, "token-service: %s\n", status.message);
		return status.code == STATUS_INVALID_ARGUMENT ? EXIT_USAGE : EXIT_FAILURE;
	}
	process_notify_ready();
	say_what_next(v);
	for (;;) {
		int number;
		sigwait(signals, &number);
		if (number != SIGHUP)
			break;
		process_notify_reloading();
		service_reload(s);
		process_notify_ready();
	}
	drain(s, v, signals);
	return EXIT_SUCCESS;
}

static int run_admin_token(struct options *o)
{
	struct status status = service_make_admin_token(o);
	if (status.code == STATUS_OK)
		return EXIT_SUCCESS;
	fprintf(stderr, "token-service: %s\n", status.message);
	return EXIT_FAILURE;
}

static int run(struct options *o)
{
	const struct service_options *v = options_values(o);
	struct status status = service_options_check(o);
	if (status.code != STATUS_OK) {
		fprintf(stderr, "token-service: %s\n", status.message);
		return EXIT_USAGE;
	}
	if (options_action(o) == OPTIONS_CHECK) {
		puts("the configuration is valid");
		return EXIT_SUCCESS;
	}
	sigset_t signals;
	block_signals(&signals);
	process_ignore_sigpipe();
	process_raise_open_files();
	log_setup((enum log_level)v->log_level, (enum log_format)v->log_format);
	status = process_forbid_core_dumps();
	if (status.code != STATUS_OK)
		log_warning("process.core_dumps", LOG_STATUS(&status));
	if (options_command(o))
		return run_admin_token(o);
	return serve(o, &signals);
}

int main(int argc, char **argv)
{
	struct options *o = NULL;
	int code;
	if (options_start(&service_option_table, argc, argv, &o, &code)) {
		code = run(o);
		options_free(o);
	}
	return code;
}
