/* SPDX-License-Identifier: Apache-2.0 */
#include "common/rpc/library.h"

#include "common/base/log.h"

#include <grpc/support/log.h>
#include <pthread.h>

void library_block_signals(sigset_t *before)
{
	sigset_t all;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, before);
}

void library_restore_signals(const sigset_t *before)
{
	pthread_sigmask(SIG_SETMASK, before, NULL);
}

static void on_log(gpr_log_func_args *args)
{
	log_debug("grpc.log", LOG_TEXT("file", args->file), LOG_I64("line", args->line),
		LOG_TEXT("text", args->message));
}

static void set_up_log(void)
{
	gpr_set_log_function(on_log);
	gpr_set_log_verbosity(
		log_enabled(LOG_DEBUG) ? GPR_LOG_SEVERITY_INFO : GPR_LOG_SEVERITY_ERROR);
}

void library_ref(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, set_up_log);
	sigset_t before;
	library_block_signals(&before);
	grpc_init();
	library_restore_signals(&before);
}

void library_unref(void)
{
	grpc_shutdown();
}
