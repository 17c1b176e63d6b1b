/* SPDX-License-Identifier: Apache-2.0 */
/* token-service: reads its options, starts the service, waits for signals, stops it. */
#include "common/base/backoff.h"
#include "common/base/log.h"
#include "common/base/process.h"
#include "common/base/random.h"
#include "common/event/stop_signals.h"
#include "common/program/program_start.h"
#include "service/commands.h"
#include "service/domain/token.h"
#include "service/files.h"
#include "service/options.h"
#include "service/service.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	EXIT_USAGE = 2,
	/* Between tries to reach the store while the service starts. */
	RETRY_LEAST_MS = 50,
	RETRY_MOST_MS = 3000,
	EXTEND_TIMEOUT_US = 60 * 1000 * 1000
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
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): nobody changes the environment */
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
		if (v->dev_login)
			printf("\nOr as anybody, because of --dev-login:\n\n"
			       "  %s login %s://%s --method dev --username alice\n",
				osmo, scheme, http);
	}
	fflush(stdout);
}

static void reload(struct service *s)
{
	process_notify_reloading();
	service_reload(s);
	process_notify_ready();
}

/* For operators and the supervisor: why the start is not over. Once for each reason. */
static void say_what_it_waits_for(
	const struct service *s, const struct status *status, struct status *said)
{
	char text[sizeof status->message + 64];
	snprintf(text, sizeof text, "STATUS=waiting: %s\nEXTEND_TIMEOUT_USEC=%d", status->message,
		EXTEND_TIMEOUT_US);
	process_notify(text);
	if (said->code == status->code && strcmp(said->message, status->message) == 0)
		return;
	*said = *status;
	char grpc[ADDRESS_TEXT_BYTES], http[ADDRESS_TEXT_BYTES];
	service_addresses(s, grpc, http);
	log_warning("service.waiting", LOG_STATUS(status), LOG_TEXT("grpc", grpc),
		LOG_TEXT("http", *http ? http : "off"));
}

/* Until the store gives what calls need. *@ret_stop: the process is to stop instead. */
static struct status prepare(struct service *s, struct stop_signals *signals, bool *ret_stop)
{
	struct backoff backoff = backoff_new(RETRY_LEAST_MS, RETRY_MOST_MS);
	struct status said = status_ok();
	*ret_stop = false;
	for (;;) {
		bool again;
		struct status status = service_prepare(s, &again);
		if (!again)
			return status;
		say_what_it_waits_for(s, &status, &said);
		enum stop_signal signal;
		if (!stop_signals_wait_ms(signals, backoff_next(&backoff, &random_system), &signal))
			continue;
		if (signal == STOP_SIGNAL_STOP) {
			*ret_stop = true;
			return status_ok();
		}
		service_reload(s);
	}
}

static void drain(struct service *s, const struct service_options *v, struct stop_signals *signals)
{
	log_info("service.draining", LOG_I64("delay_ms", v->drain_delay_ms),
		LOG_I64("grace_ms", v->drain_grace_ms));
	process_notify_stopping();
	service_set_draining(s);
	stop_signals_draining(signals, v->drain_delay_ms);
}

static int fail(struct service *s, const struct status *status)
{
	fprintf(stderr, "token-service: %s\n", status->message);
	if (s)
		service_stop(s);
	return status->code == STATUS_INVALID_ARGUMENT ? EXIT_USAGE : EXIT_FAILURE;
}

static int serve(struct options *o, struct stop_signals *signals)
{
	const struct service_options *v = options_values(o);
	struct service *s = NULL;
	bool stop = false;
	struct status status = service_start(o, &s);
	stop_signals_started(signals);
	if (status.code == STATUS_OK)
		status = prepare(s, signals, &stop);
	if (status.code == STATUS_OK && !stop)
		status = service_announce(s);
	if (status.code != STATUS_OK)
		return fail(s, &status);
	if (!stop) {
		process_notify_ready();
		say_what_next(v, s);
		while (stop_signals_wait(signals) == STOP_SIGNAL_RELOAD)
			reload(s);
	}
	drain(s, v, signals);
	service_stop(s);
	log_info("service.stopped");
	return EXIT_SUCCESS;
}

static int run_command(const struct options *o)
{
	static const struct {
		const char *name;
		struct status (*run)(const struct options *o);
	} commands[] = {{"admin-token", commands_admin_token}, {"backup", commands_backup},
		{"check", commands_check}, {"import-osmo", commands_import_osmo},
		{"migrate", commands_migrate}, {"rotate-keys", commands_rotate_keys}};
	size_t i = 0;
	while (strcmp(commands[i].name, options_command(o)->name) != 0)
		i++; /* the table of options knows no others */
	struct status status = commands[i].run(o);
	if (status.code == STATUS_OK)
		return EXIT_SUCCESS;
	fprintf(stderr, "token-service: %s\n", status.message);
	return EXIT_FAILURE;
}

static struct status check_files(const struct service_options *v)
{
	struct service_files files;
	TRY(service_files_read(v, &files));
	service_files_done(&files);
	return status_ok();
}

static int run(struct options *o)
{
	const struct service_options *v = options_values(o);
	struct status status = service_options_check(o);
	if (status.code == STATUS_OK && options_action(o) == OPTIONS_CHECK)
		status = check_files(v);
	if (status.code != STATUS_OK) {
		fprintf(stderr, "token-service: %s\n", status.message);
		return EXIT_USAGE;
	}
	if (options_action(o) == OPTIONS_CHECK) {
		program_warn_of_env(&service_option_table);
		puts("the configuration is valid");
		return EXIT_SUCCESS;
	}
	struct stop_signals signals;
	log_hide_secrets(token_secret_find);
	program_start(&signals, (enum log_level)v->log_level, (enum log_format)v->log_format);
	program_warn_of_env(&service_option_table);
	if (options_command(o))
		return run_command(o);
	return serve(o, &signals);
}

int main(int argc, char **argv)
{
	process_hold_standard_streams();
	struct options *o = NULL;
	int code;
	if (options_start(&service_option_table, argc, argv, &o, &code)) {
		code = run(o);
		options_free(o);
	}
	return code;
}
