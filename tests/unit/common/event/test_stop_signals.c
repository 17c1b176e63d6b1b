/* SPDX-License-Identifier: Apache-2.0 */
#include "common/event/stop_signals.h"
#include "tests/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* A daemon in a process of its own: it says when it got somewhere, the test sends it signals. */
struct daemon {
	pid_t pid;
	int says;
};

static int told; /* the daemon's end of the pipe */

static void say(char what)
{
	(void)!write(told, &what, 1);
}

static struct daemon start(void (*run)(struct stop_signals *s))
{
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	struct daemon d = {.pid = fork(), .says = ends[0]};
	assert_true(d.pid >= 0);
	if (d.pid == 0) {
		struct stop_signals s;
		(void)!freopen("/dev/null", "w", stderr);
		told = ends[1];
		stop_signals_init(&s);
		run(&s);
		_exit(0);
	}
	close(ends[1]);
	return d;
}

static void hear(const struct daemon *d, char what)
{
	char c = 0;
	assert_int_equal(read(d->says, &c, 1), 1);
	assert_int_equal(c, what);
}

/* The wait status. */
static int end(const struct daemon *d)
{
	int how;
	assert_int_equal(waitpid(d->pid, &how, 0), d->pid);
	close(d->says);
	return how;
}

static void start_for_long(struct stop_signals *s)
{
	(void)s;
	say('s');
	sleep(60);
}

static void a_stop_during_the_start_ends_the_process_at_once(void **state)
{
	(void)state;
	const int stops[] = {SIGTERM, SIGINT};
	for (size_t i = 0; i < 2; i++) {
		struct daemon d = start(start_for_long);
		hear(&d, 's');
		kill(d.pid, stops[i]);
		int how = end(&d);
		assert_true(WIFEXITED(how));
		assert_int_equal(WEXITSTATUS(how), EXIT_FAILURE);
	}
}

static void ready_then_wait(struct stop_signals *s)
{
	stop_signals_started(s);
	say('r');
	_exit(stop_signals_wait(s) == STOP_SIGNAL_STOP ? 0 : 3);
}

static void a_stop_right_after_ready_is_gentle_and_never_lost(void **state)
{
	(void)state;
	for (int i = 0; i < 200; i++) {
		struct daemon d = start(ready_then_wait);
		hear(&d, 'r');
		kill(d.pid, SIGTERM);
		assert_int_equal(end(&d), 0);
	}
}

static void reload_from_the_start_on(struct stop_signals *s)
{
	say('s');
	stop_signals_started(s);
	if (stop_signals_wait(s) != STOP_SIGNAL_RELOAD)
		_exit(3);
	say('l');
	if (stop_signals_wait(s) != STOP_SIGNAL_STOP)
		_exit(4);
}

static void a_reload_asked_for_during_the_start_is_kept(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++) {
		struct daemon d = start(reload_from_the_start_on);
		hear(&d, 's');
		kill(d.pid, SIGHUP);
		hear(&d, 'l');
		kill(d.pid, SIGTERM);
		assert_int_equal(end(&d), 0);
	}
}

static void drain_for_long(struct stop_signals *s)
{
	stop_signals_started(s);
	say('r');
	stop_signals_wait(s);
	say('d');
	stop_signals_draining(s, 60000);
}

static void a_second_stop_ends_the_drain_at_once(void **state)
{
	(void)state;
	struct daemon d = start(drain_for_long);
	hear(&d, 'r');
	kill(d.pid, SIGTERM);
	hear(&d, 'd');
	kill(d.pid, SIGHUP); /* nothing to reload any more */
	kill(d.pid, SIGTERM);
	int how = end(&d);
	assert_true(WIFEXITED(how));
	assert_int_equal(WEXITSTATUS(how), EXIT_FAILURE);
}

static void drain_shortly(struct stop_signals *s)
{
	stop_signals_started(s);
	say('r');
	stop_signals_wait(s);
	stop_signals_draining(s, 10);
}

static void a_drain_ends_by_itself(void **state)
{
	(void)state;
	struct daemon d = start(drain_shortly);
	hear(&d, 'r');
	kill(d.pid, SIGTERM);
	assert_int_equal(end(&d), 0);
}

static void wait_with_patience(struct stop_signals *s)
{
	enum stop_signal signal;
	stop_signals_started(s);
	if (stop_signals_wait_ms(s, 1, &signal))
		_exit(3);
	say('r');
	if (!stop_signals_wait_ms(s, 60000, &signal) || signal != STOP_SIGNAL_RELOAD)
		_exit(4);
	say('l');
	if (!stop_signals_wait_ms(s, 60000, &signal) || signal != STOP_SIGNAL_STOP)
		_exit(5);
}

static void a_wait_ends_with_its_patience_or_a_signal(void **state)
{
	(void)state;
	struct daemon d = start(wait_with_patience);
	hear(&d, 'r');
	kill(d.pid, SIGHUP);
	hear(&d, 'l');
	kill(d.pid, SIGTERM);
	assert_int_equal(end(&d), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stop_during_the_start_ends_the_process_at_once),
		cmocka_unit_test(a_stop_right_after_ready_is_gentle_and_never_lost),
		cmocka_unit_test(a_reload_asked_for_during_the_start_is_kept),
		cmocka_unit_test(a_second_stop_ends_the_drain_at_once),
		cmocka_unit_test(a_drain_ends_by_itself),
		cmocka_unit_test(a_wait_ends_with_its_patience_or_a_signal),
	};
	return RUN_TESTS(tests);
}
