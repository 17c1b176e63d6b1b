/* SPDX-License-Identifier: Apache-2.0 */
/* The signals of a daemon: SIGTERM and SIGINT stop it gently, a second one at once, SIGHUP reloads.
 *
 * They are blocked in all threads and waited for by the main thread. While the program starts, and
 * while it drains, a thread of its own watches for those that should end it. */
#pragma once

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct stop_signals {
	sigset_t set;
	pthread_t watcher;
	bool watches;
	bool reload; /* asked for during the start; the watcher's while there is one */
};

enum stop_signal {
	STOP_SIGNAL_STOP,
	STOP_SIGNAL_RELOAD
};

/* First in main(), before any thread: blocks the signals. From here on one that stops ends the
 * process at once, for the start may take long. */
void stop_signals_init(struct stop_signals *s);
/* The start is over, well or not: signals wait for stop_signals_wait. Before the program says that
 * it is ready, for who waits for that may stop it at once. */
void stop_signals_started(struct stop_signals *s);
/* Waits for the next one; a reload that was asked for during the start is kept until here. */
enum stop_signal stop_signals_wait(struct stop_signals *s);
/* Waits at most @ms; false if none came. */
bool stop_signals_wait_ms(struct stop_signals *s, int64_t ms, enum stop_signal *ret);
/* The drain begins: waits @delay_ms; from now on a second signal to stop ends the process at once.
 */
void stop_signals_draining(struct stop_signals *s, int64_t delay_ms);
