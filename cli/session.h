/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs share: the login, calls to the service, and how results and errors are shown.
 *
 * Results go to standard output, words about failures to standard error; with "-t json" the error
 * object is a result. Functions that fail have told the user already and return the exit code.
 * Threads: one at a time. */
#pragma once

#include "cli/argparse.h"
#include "cli/http_client.h"
#include "cli/login_file.h"
#include "common/base/buf.h"
#include "common/base/status.h"
#include "common/base/str.h"

#include <jansson.h>
#include <stdbool.h>

/* The version that is told to the service: the interface that this program speaks. */
#define CLI_VERSION_MAJOR "6"
#define CLI_VERSION_MINOR "0"
#define CLI_VERSION_REVISION "0"
#define CLI_VERSION CLI_VERSION_MAJOR "." CLI_VERSION_MINOR "." CLI_VERSION_REVISION

enum exit_code {
	EXIT_DONE = 0,
	EXIT_SUBMISSION = 1, /* the service refused what was submitted */
	EXIT_FAILED = 2,
	EXIT_INTERRUPTED = 3,
	EXIT_SERVICE = 10,  /* no answer, or one that says the service is broken */
	EXIT_TRY_LATER = 75 /* rate limit (EX_TEMPFAIL) */
};

enum console_level {
	CONSOLE_DEBUG = 10,
	CONSOLE_INFO = 20,
	CONSOLE_WARNING = 30,
	CONSOLE_ERROR = 40,
	CONSOLE_CRITICAL = 50
};

struct cli {
	const struct args *args;
	const struct command *root;
	int columns;
	bool json; /* errors are JSON on standard output */
	const char *cacert;
	char *login_path;
	struct login login;
	bool login_loaded;
	unsigned timeout_ms; /* of requests */
	bool refreshed;      /* the JWT of this login was exchanged by this process */
	struct http_client *http;
	struct buf *error_sink; /* errors are put there instead of shown, or NULL */
};

/* Also reads the environment. EXIT_DONE, or the exit code if a variable is wrong; cli_done in
 * either case. */
int cli_init(struct cli *c, const struct command *root, const struct args *args, int columns);
void cli_done(struct cli *c);

/* Text for standard output; on a terminal, control characters of others' texts are shown, not
 * obeyed. */
void cli_print(struct str text);
void cli_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Flushes standard output; EXIT_FAILED, and says why, if it could not be written. */
int cli_flush(void);

/* Lines below @least are not shown. "2025-05-13T10:27:00+0000 client [ERROR] client: …" on standard
 * error. */
void console_setup(enum console_level least);
void console_log(enum console_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Shows an error with the number @code (an HTTP status, or 1) and returns @exit_code. An empty
 * message is not shown. */
int cli_fail(struct cli *c, int exit_code, long code, struct str message);
int cli_failf(struct cli *c, int exit_code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* A wrong argument, found by a verb: worded and shown as args_parse does. Returns EXIT_FAILED. */
int cli_usage_error(struct cli *c, const char *prog, const char *message);

/* Reads login.yaml. EXIT_DONE with c->login filled, or the exit code. */
int cli_login_load(struct cli *c);
/* As above; somebody who is not logged in is told to log in. */
int cli_login_require(struct cli *c);
/* Writes c->login. */
struct status cli_login_save(struct cli *c);

struct api_request {
	const char *method;
	const char *path; /* "/api/…", encoded, with query */
	struct str body;  /* JSON, or p == NULL */
	bool repeatable;
	bool secret_body;
	/* Asked instead of a service that does not know the request (404, 405, 422): the form that
	 * existing services understand. */
	const struct api_request *fallback;
};

/* Calls the service as the user who is logged in, after renewing an expired JWT; one that the
 * service refuses (401) is renewed, and the request sent again, once per process. EXIT_DONE: *ret
 * is the answer (json_decref); otherwise the exit code. */
int cli_call(struct cli *c, const struct api_request *request, json_t **ret);

/* The client that all requests go through. */
struct http_client *cli_http(struct cli *c);
/* Shows why there was no answer. Returns the exit code. */
int cli_fail_transport(struct cli *c, const struct status *s);
/* Checks an answer of the service as cli_call does. */
int cli_check(struct cli *c, const struct http_response *r, json_t **ret);
/* Parses a JSON answer; shows an error. */
int cli_parse_json(struct cli *c, struct str text, json_t **ret);

/* Exchanges the access token of @login for a new JWT and puts it into @login.
 * EXIT_DONE, or the exit code: @login is as it was. */
int cli_exchange(struct cli *c, struct login *login);
