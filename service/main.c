/* SPDX-License-Identifier: Apache-2.0 */
/* token-service: reads its options, starts the service, waits for signals, stops it. */
#include "common/base/log.h"
#include "common/base/process.h"
#include "common/event/stop_signals.h"
#include "service/options.h"
#include "service/service.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	EXIT_USAGE = 2
};

/* The command line as it can be typed: by its path if it lies beside this program, off $PATH. */
static const char *find_osmo(char path[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - sizeof "/osmo");
	if (n <= 0)
		return "osmo";
	path[n] = '\0';
	char *slash = strrchr(path, '/');
	if (!slash)
		return "osmo";
	*slash = '\0';
	size_t folder_n = strlen(path);
	for (const char *each = getenv("PATH"); each; each = strchr(each, ':')) {
		each += *each == ':';
		if (strncmp(each, path, folder_n) == 0 &&
			(each[folder_n] == ':' || !each[folder_n]))
			return "osmo";
	}
	memcpy(slash, "/osmo", sizeof "/osmo");
	return access(path, X_OK) == 0 ? path : "osmo";
}

static void say_what_next(const struct service_options *v, const struct service *s)
{
	char grpc[ADDRESS_TEXT_BYTES], http[ADDRESS_TEXT_BYTES], path[PATH_MAX];
	if (!isatty(STDOUT_FILENO))
		return;
	service_addresses(s, grpc, http);
	printf("token-service is ready.\n\n  gRPC  %s\n", grpc);
	if (*http && strncmp(http, "unix:", 5) != 0) {
		const char *scheme = v->tls_cert_file ? "https" : "http";
		const char *osmo = find_osmo(path);
		printf("  HTTP  %s://%s (API at /openapi.json)\n\n"
		       "Next, in another terminal:\n\n"
		       "  %s login %s://%s --method token --token-file %s/admin.token\n"
		       "  %s token set my-token\n",
			scheme, http, osmo, scheme, http, v->data_dir, osmo);
	}
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
	say_what_next(v, s);
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
	process_ignore_write_signals();
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
