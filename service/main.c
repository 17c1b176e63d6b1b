/* SPDX-License-Identifier: Apache-2.0 */
/* token-service: reads its options, starts the service, waits for signals, stops it. */
#include "common/base/log.h"
#include "common/base/process.h"
#include "common/event/stop_signals.h"
#include "service/options.h"
#include "service/service.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	EXIT_USAGE = 2
};

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

static int serve(struct options *o, struct stop_signals *signals)
{
	const struct service_options *v = options_values(o);
	struct service *s = NULL;
	struct status status = service_start(o, &s);
	stop_signals_started(signals);
	if (status.code == STATUS_OK)
		status = service_announce(s);
	if (status.code != STATUS_OK) {
		fprintf(stderr, "token-service: %s\n", status.message);
		if (s)
			service_stop(s);
		return status.code == STATUS_INVALID_ARGUMENT ? EXIT_USAGE : EXIT_FAILURE;
	}
	process_notify_ready();
	say_what_next(v);
	while (stop_signals_wait(signals) == STOP_SIGNAL_RELOAD) {
		process_notify_reloading();
		service_reload(s);
		process_notify_ready();
	}
	log_info("service.draining", LOG_I64("delay_ms", v->drain_delay_ms),
		LOG_I64("grace_ms", v->drain_grace_ms));
	process_notify_stopping();
	service_set_draining(s);
	stop_signals_draining(signals, v->drain_delay_ms);
	service_stop(s);
	log_info("service.stopped");
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
	struct stop_signals signals;
	stop_signals_init(&signals);
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
