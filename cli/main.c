/* SPDX-License-Identifier: Apache-2.0 */
/* osmo: the command line of the service. */
#include "cli/argparse.h"
#include "cli/session.h"
#include "cli/usage.h"
#include "cli/verbs.h"
#include "common/base/process.h"

#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
	TEXT_MAX = 16 * 1024 * 1024
};

/* Credentials pass through this process: no core file, no debugger of the same user. */
static void protect_memory(void)
{
	const struct rlimit none = {0, 0};
	setrlimit(RLIMIT_CORE, &none);
#ifndef __SANITIZE_ADDRESS__ /* its search for leaks attaches to the process as a debugger does */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

static void on_interrupt(int signal_number)
{
	(void)signal_number;
	_exit(EXIT_INTERRUPTED);
}

static void catch_interrupt(void)
{
	struct sigaction action = {.sa_handler = on_interrupt};
	sigemptyset(&action.sa_mask);
	struct sigaction before;
	/* one who starts us in the background with SIGINT ignored means it */
	if (sigaction(SIGINT, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
		sigaction(SIGINT, &action, NULL);
}

static int run(const struct args *args, int columns)
{
	int level;
	const char *name = args_value(args, "log_level");
	if (name && verbs_log_level(str_of(name), &level))
		console_setup((enum console_level)level);
	struct cli c;
	int code = cli_init(&c, &verbs_root, args, columns);
	if (code) {
		; /* the user was told */
	} else if (args->command->run) {
		code = args->command->run(&c);
	} else {
		_cleanup_buf_ struct buf help;
		buf_init(&help, TEXT_MAX);
		help_format(args->command, args->command->name, columns, &help);
		cli_print(buf_str(&help));
	}
	cli_done(&c);
	return code;
}

int main(int argc, char **argv)
{
	process_hold_standard_streams();
	setlocale(LC_CTYPE, ""); /* libcurl reads host names in it (IDNA) */
	protect_memory();
	catch_interrupt();
	int columns = terminal_columns();
	struct args args;
	struct buf text;
	buf_init(&text, TEXT_MAX);
	int code = EXIT_FAILED;
	switch (args_parse(&verbs_root, argc, argv, columns, &args, &text)) {
	case ARGS_RUN:
		code = run(&args, columns);
		break;
	case ARGS_HELP:
		cli_print(buf_str(&text));
		code = EXIT_DONE;
		break;
	case ARGS_ERROR:
		fwrite(text.p, 1, text.n, stderr);
		break;
	}
	args_done(&args);
	buf_done(&text);
	int unwritten = cli_flush();
	return code ? code : unwritten;
}
