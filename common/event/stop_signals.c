/* SPDX-License-Identifier: Apache-2.0 */
#include "common/event/stop_signals.h"

#include "common/base/log.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* Sent to the watcher alone, to end it. Not a cancellation: one that comes while sigwait takes a
 * signal would make it as if that had never come, and it leaves ThreadSanitizer in disorder. */
enum {
	END_WATCH = SIGUSR2
};

static void *exit_on_signal(void *arg)
{
	struct stop_signals *s = arg;
	sigset_t set = s->set;
	sigaddset(&set, END_WATCH);
	int number;
	while (sigwait(&set, &number) == 0 && number == SIGHUP)
		s->reload = true;
	if (number == END_WATCH)
		return NULL;
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
	sigset_t blocked = s->set;
	sigaddset(&blocked, END_WATCH);
	pthread_sigmask(SIG_BLOCK, &blocked, NULL);
	s->reload = false;
	start_watcher(s);
}

void stop_signals_started(struct stop_signals *s)
{
	if (!s->watches)
		return;
	pthread_kill(s->watcher, END_WATCH);
	pthread_join(s->watcher, NULL);
	s->watches = false;
}

enum stop_signal stop_signals_wait(struct stop_signals *s)
{
	int number;
	if (s->reload) {
		s->reload = false;
		return STOP_SIGNAL_RELOAD;
	}
	sigwait(&s->set, &number);
	return number == SIGHUP ? STOP_SIGNAL_RELOAD : STOP_SIGNAL_STOP;
}

bool stop_signals_wait_ms(struct stop_signals *s, int64_t ms, enum stop_signal *ret)
{
	const struct timespec patience = {ms / 1000, ms % 1000 * 1000000};
	if (s->reload) {
		s->reload = false;
		*ret = STOP_SIGNAL_RELOAD;
		return true;
	}
	int number = sigtimedwait(&s->set, NULL, &patience);
	if (number < 0) /* or something else interrupted it: the caller comes again anyway */
		return false;
	*ret = number == SIGHUP ? STOP_SIGNAL_RELOAD : STOP_SIGNAL_STOP;
	return true;
}

void stop_signals_draining(struct stop_signals *s, int64_t delay_ms)
{
	start_watcher(s);
	struct timespec left = {delay_ms / 1000, delay_ms % 1000 * 1000000};
	while (nanosleep(&left, &left) != 0)
		;
}
