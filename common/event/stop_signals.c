/* SPDX-License-Identifier: Apache-2.0 */
#include "common/event/stop_signals.h"

#include "common/base/log.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void *exit_on_signal(void *arg)
{
	struct stop_signals *s = arg;
	int number;
	do
		sigwait(&s->set, &number); /* a cancellation point */
	while (number == SIGHUP);
	/* the signal is taken now: a cancellation must not make it as if it had never come */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	log_warning("process.exit_now", LOG_I64("signal", number));
	_exit(EXIT_FAILURE);
}

static void start_watcher(struct stop_signals *s)
{
	s->watches = pthread_create(&s->watcher, NULL, exit_on_signal, s) == 0;
}

void stop_signals_init(struct stop_signals *s)
{
	sigemptyset(&s->set);
	sigaddset(&s->set, SIGTERM);
	sigaddset(&s->set, SIGINT);
	sigaddset(&s->set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &s->set, NULL);
	start_watcher(s);
}

void stop_signals_started(struct stop_signals *s)
{
	if (!s->watches)
		return;
	pthread_cancel(s->watcher);
	pthread_join(s->watcher, NULL);
	s->watches = false;
}

enum stop_signal stop_signals_wait(struct stop_signals *s)
{
	int number;
	sigwait(&s->set, &number);
	return number == SIGHUP ? STOP_SIGNAL_RELOAD : STOP_SIGNAL_STOP;
}

void stop_signals_draining(struct stop_signals *s, int64_t delay_ms)
{
	start_watcher(s);
	struct timespec left = {delay_ms / 1000, delay_ms % 1000 * 1000000};
	while (nanosleep(&left, &left) != 0)
		;
}
