/* SPDX-License-Identifier: Apache-2.0 */
/* kill -9 at random moments under writes: every acknowledged write is there afterwards, and no
 * deleted token is found.
 *
 * The test starts itself again as the victim ("--victim FOLDER FD FIRST"), which reports on a pipe
 * what it is about to do and what was acknowledged; the pipe outlives it. ROUNDS says how often. */
#include "common/base/xalloc.h"
#include "common/event/loop.h"
#include "service/store/store.h"
#include "tests/lib/store_driver.h"
#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	N_CLIENTS = 8,
	MAX_TOKENS = 1 << 18
};

static void name_of(int n, char ret[16])
{
	snprintf(ret, 16, "t%d", n);
}

/* --- The victim --- */

/* What it says: about to insert or delete, and inserted or deleted. */
enum word {
	INSERTS = 'i',
	INSERTED = 'I',
	DELETES = 'd',
	DELETED = 'D'
};
struct __attribute__((packed)) message {
	char word;
	int32_t n;
};

struct client {
	struct store_driver *d;
	int fd;
	int n;
};

/* A message is shorter than PIPE_BUF: it is written whole or not. */
static void say(const struct client *c, enum word word)
{
	const struct message m = {(char)word, c->n};
	if (write(c->fd, &m, sizeof m) != sizeof m)
		_exit(3);
}

static void insert_next(struct client *c);

static void on_deleted(void *arg, const struct status *status, struct token *token)
{
	(void)token;
	struct client *c = arg;
	if (!status_is_ok(status))
		_exit(4);
	say(c, DELETED);
	c->n += N_CLIENTS;
	insert_next(c);
}

static void on_inserted(
	void *arg, const struct status *status, const struct store_insert_result *result)
{
	(void)result;
	struct client *c = arg;
	if (!status_is_ok(status))
		_exit(5);
	say(c, INSERTED);
	if (c->n / N_CLIENTS % 3 == 0) {
		char name[16];
		name_of(c->n, name);
		say(c, DELETES);
		struct store_waiter waiter = {c->d->loop, MONO_TIME_NEVER, c};
		store_token_delete(
			c->d->store, TOKEN_USER, STR("alice"), str_of(name), waiter, on_deleted);
		return;
	}
	c->n += N_CLIENTS;
	insert_next(c);
}

static void insert_next(struct client *c)
{
	char name[16];
	name_of(c->n, name);
	_cleanup_(token_unrefp) struct token *t = make_token(TOKEN_USER, "alice", name, 20800);
	struct store_waiter waiter = {c->d->loop, MONO_TIME_NEVER, c};
	say(c, INSERTS);
	store_token_insert(c->d->store, t, NULL, NULL, waiter, on_inserted);
}

static int victim(const char *folder, int fd, int first)
{
	struct store_driver d = {.store = NULL};
	struct client clients[N_CLIENTS];
	snprintf(d.folder, sizeof d.folder, "%s", folder);
	struct status status = store_driver_open(&d);
	if (!status_is_ok(&status)) {
		fprintf(stderr, "victim: %s\n", status.message);
		return 6;
	}
	for (int i = 0; i < N_CLIENTS; i++) {
		clients[i] = (struct client){&d, fd, first + i};
		insert_next(&clients[i]);
	}
	for (;;)
		pause();
}

/* --- The judge --- */

enum fact {
	ABSENT,
	PRESENT,
	UNSURE
};

struct judge {
	struct store_driver d;
	uint8_t facts[MAX_TOKENS]; /* enum fact */
	int first;                 /* that nobody used yet */
	int acknowledged;
};

static void hear(struct judge *j, const struct message *m)
{
	assert_in_range(m->n, 0, MAX_TOKENS - 1);
	uint8_t *fact = &j->facts[m->n];
	switch ((enum word)m->word) {
	case INSERTS:
		assert_int_equal(*fact, ABSENT);
		*fact = UNSURE;
		break;
	case DELETES:
		assert_int_equal(*fact, PRESENT);
		*fact = UNSURE;
		break;
	case INSERTED:
	case DELETED:
		*fact = m->word == INSERTED ? PRESENT : ABSENT;
		j->acknowledged++;
		break;
	}
	if (m->n >= j->first)
		j->first = m->n / N_CLIENTS * N_CLIENTS + N_CLIENTS;
}

static void hear_all(struct judge *j, int fd)
{
	struct message m;
	size_t have = 0;
	for (;;) {
		ssize_t n = read(fd, (char *)&m + have, sizeof m - have);
		if (n == 0)
			break;
		assert_true(n > 0 || errno == EINTR);
		have += n > 0 ? (size_t)n : 0;
		if (have == sizeof m) {
			hear(j, &m);
			have = 0;
		}
	}
	assert_int_equal(have, 0);
}

/* Kills it when @bytes of news or so came in: at a moment that has to do with its work, and a
 * little later. */
static void let_run_and_kill(struct judge *j, unsigned seed)
{
	int fds[2];
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		char fd[16], first[16];
		snprintf(fd, sizeof fd, "%d", dup(fds[1])); /* without O_CLOEXEC */
		snprintf(first, sizeof first, "%d", j->first);
		execl("/proc/self/exe", "test_kill", "--victim", j->d.folder, fd, first, NULL);
		_exit(7);
	}
	close(fds[1]);
	struct pollfd news = {.fd = fds[0], .events = POLLIN};
	assert_int_equal(poll(&news, 1, 20000), 1); /* it is at work */
	usleep(seed * 7919 % 40000);
	kill(pid, SIGKILL);
	hear_all(j, fds[0]);
	close(fds[0]);
	int result;
	assert_int_equal(waitpid(pid, &result, 0), pid);
	if (!WIFSIGNALED(result))
		fail_msg("the victim ended with %d by itself", WEXITSTATUS(result));
}

static int first_column(void *arg, int n, char **values, char **names)
{
	(void)n;
	(void)names;
	snprintf(arg, 64, "%s", values[0]);
	return 0;
}

static void check_integrity(const struct judge *j)
{
	char result[64] = "";
	sqlite3 *db;
	assert_int_equal(sqlite3_open(store_driver_database(&j->d), &db), SQLITE_OK);
	sqlite3_exec(db, "PRAGMA integrity_check", first_column, result, NULL);
	sqlite3_close(db);
	assert_string_equal(result, "ok");
}

static void look(struct judge *j, int n)
{
	char name[16];
	name_of(n, name);
	struct token_hash hash = make_hash("alice", name);
	_cleanup_(token_unrefp) struct token *t = NULL;
	struct status status = driver_by_hash(&j->d, &hash, &t);
	if (status.code != STATUS_NOT_FOUND)
		assert_ok(status);
	bool there = status_is_ok(&status);
	if (j->facts[n] == PRESENT && !there)
		fail_msg("%s was acknowledged and is not there", name);
	if (j->facts[n] == ABSENT && there)
		fail_msg("%s was deleted and is there", name);
	j->facts[n] = there ? PRESENT : ABSENT;
	/* A row is whole: all of its indexes know it, or none. */
	assert_int_equal(driver_by_name(&j->d, TOKEN_USER, "alice", name, NULL).code, status.code);
}

static void audit(struct judge *j, int from)
{
	check_integrity(j);
	assert_ok(store_driver_open(&j->d));
	for (int n = from; n < j->first; n++)
		look(j, n);
	int64_t present = 0;
	for (int n = 0; n < j->first; n++)
		present += j->facts[n] == PRESENT;
	assert_int_equal(store_token_counts(j->d.store).user_tokens, present);
	store_driver_close(&j->d);
}

static void acknowledged_writes_outlive_kill_9(void **state)
{
	(void)state;
	const char *rounds = getenv("ROUNDS");
	int n = rounds ? (int)strtol(rounds, NULL, 10) : 8;
	struct judge *j = xnew(struct judge);
	assert_ok(store_driver_open(&j->d));
	store_driver_close(&j->d);
	for (int i = 0; i < n; i++) {
		int from = j->first;
		let_run_and_kill(j, (unsigned)i + 1);
		audit(j, from);
	}
	audit(j, 0); /* and nothing of the earlier rounds went */
	assert_true(j->acknowledged >= n);
	store_driver_done(&j->d);
	free(j);
}

int main(int argc, char **argv)
{
	if (argc == 5 && strcmp(argv[1], "--victim") == 0)
		return victim(
			argv[2], (int)strtol(argv[3], NULL, 10), (int)strtol(argv[4], NULL, 10));
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(acknowledged_writes_outlive_kill_9),
	};
	return RUN_TESTS(tests);
}
