/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/postgres.h"

#include "common/base/xalloc.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	SETTINGS_MAX = 32,
	PATIENCE_MS = 60000,
};

struct pg_server {
	char folder[64], data[80], bin[256], log[80];
	const char *settings[SETTINGS_MAX];
	size_t n_settings;
	pid_t pid; /* 0: it does not run */
	uid_t uid;
	gid_t gid;
};

static void die(const char *what)
{
	fprintf(stderr, "postgres for tests: %s\n", what);
	abort();
}

static void find_programs(struct pg_server *s)
{
	const char *given = getenv("PG_BIN");
	glob_t found;
	if (given) {
		snprintf(s->bin, sizeof s->bin, "%s", given);
		return;
	}
	if (glob("/usr/lib/postgresql/*/bin", 0, NULL, &found) != 0)
		die("there is no /usr/lib/postgresql: install the package postgresql");
	snprintf(s->bin, sizeof s->bin, "%s", found.gl_pathv[found.gl_pathc - 1]);
	globfree(&found);
}

static void find_user(struct pg_server *s)
{
	s->uid = geteuid();
	s->gid = getegid();
	if (s->uid != 0)
		return;
	const struct passwd *user = getpwnam("postgres");
	if (!user)
		user = getpwnam("nobody");
	if (!user)
		die("there is no user to run it as");
	s->uid = user->pw_uid;
	s->gid = user->pw_gid;
}

/* In the child: the program, as the user, with its words in the log. It dies with the test. */
static void run_program(const struct pg_server *s, const char *folder, const char **argv)
{
	char path[512];
	int log = open(s->log, O_WRONLY | O_CREAT | O_APPEND, 0666);
	dup2(log, STDOUT_FILENO);
	dup2(log, STDERR_FILENO);
	if (geteuid() == 0 && (setgid(s->gid) != 0 || setuid(s->uid) != 0))
		_exit(126);
	prctl(PR_SET_PDEATHSIG, SIGQUIT);
	snprintf(path, sizeof path, "%s/%s", folder, argv[0]);
	argv[0] = path; /* by which it finds those that lie beside it */
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int fd = 3; fd < 256; fd++)
		close(fd);
	if (chdir("/") != 0)
		_exit(125);
	execv(path, (char *const *)(uintptr_t)argv);
	perror(path);
	_exit(127);
}

static void show_log(const struct pg_server *s)
{
	char line[512];
	FILE *f = fopen(s->log, "r");
	while (f && fgets(line, sizeof line, f))
		fputs(line, stderr);
	if (f)
		fclose(f);
}

static void make_cluster(struct pg_server *s)
{
	const char *argv[] = {"initdb", "-D", s->data, "-U", "postgres", "-A", "trust", "-E",
		"UTF8", "--locale=C", "--no-sync", NULL};
	int result;
	pid_t pid = fork();
	if (pid == 0)
		run_program(s, s->bin, argv);
	if (waitpid(pid, &result, 0) != pid || result != 0) {
		show_log(s);
		die("initdb failed");
	}
}

const char *pg_server_url(const struct pg_server *s, const char *database)
{
	static char url[160];
	snprintf(url, sizeof url, "host=%s port=5432 user=postgres dbname=%s", s->folder, database);
	return url;
}

const char *pg_server_folder(const struct pg_server *s)
{
	return s->folder;
}

static PGconn *try_connect(const struct pg_server *s, const char *database)
{
	PGconn *conn = PQconnectdb(pg_server_url(s, database));
	if (PQstatus(conn) == CONNECTION_OK)
		return conn;
	PQfinish(conn);
	return NULL;
}

void pg_server_start(struct pg_server *s)
{
	const char *argv[SETTINGS_MAX * 2 + 16] = {
		"postgres", "-D", s->data, "-k", s->folder, "-c", "listen_addresses="};
	int n = 7, result;
	for (size_t i = 0; i < s->n_settings; i++) {
		argv[n++] = "-c";
		argv[n++] = s->settings[i];
	}
	argv[n] = NULL;
	for (int waited = 0; waited < PATIENCE_MS; waited += 10) {
		if (!s->pid && (s->pid = fork()) == 0)
			run_program(s, s->bin, argv);
		PGconn *conn = try_connect(s, "postgres");
		if (conn) {
			PQfinish(conn);
			return;
		}
		/* After a kill -9 children may still hold the shared memory: again. */
		if (waitpid(s->pid, &result, WNOHANG) == s->pid)
			s->pid = 0;
		usleep(10000);
	}
	show_log(s);
	die("the server does not start");
}

struct pg_server *pg_server_new(const char *const *settings)
{
	struct pg_server *s = xnew(struct pg_server);
	find_programs(s);
	find_user(s);
	snprintf(s->folder, sizeof s->folder, "/tmp/pg-test.XXXXXX");
	if (!mkdtemp(s->folder) || chown(s->folder, s->uid, s->gid) != 0 ||
		chmod(s->folder, 0755) != 0)
		die("cannot make a folder in /tmp");
	snprintf(s->data, sizeof s->data, "%s/data", s->folder);
	snprintf(s->log, sizeof s->log, "%s/log", s->folder);
	s->settings[s->n_settings++] = "shared_buffers=32MB";
	s->settings[s->n_settings++] = "unix_socket_permissions=0777";
	for (; settings && *settings && s->n_settings < SETTINGS_MAX; settings++)
		s->settings[s->n_settings++] = *settings;
	make_cluster(s);
	pg_server_start(s);
	return s;
}

/* --- Signals --- */

static void signal_children(pid_t parent, int signal)
{
	char path[64], text[4096];
	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)parent, (int)parent);
	FILE *f = fopen(path, "r");
	if (!f || !fgets(text, sizeof text, f))
		text[0] = '\0';
	if (f)
		fclose(f);
	for (char *at = text, *end; *at; at = end) {
		long pid = strtol(at, &end, 10);
		if (end == at)
			break;
		if (pid > 1)
			kill((pid_t)pid, signal);
	}
}

void pg_server_freeze(struct pg_server *s)
{
	kill(s->pid, SIGSTOP);
	signal_children(s->pid, SIGSTOP);
}

void pg_server_thaw(struct pg_server *s)
{
	signal_children(s->pid, SIGCONT);
	kill(s->pid, SIGCONT);
}

void pg_server_stop(struct pg_server *s, int signal)
{
	int result;
	if (!s->pid)
		return;
	if (signal == SIGKILL)
		signal_children(s->pid, SIGKILL);
	kill(s->pid, signal);
	waitpid(s->pid, &result, 0);
	s->pid = 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void pg_server_free(struct pg_server *s)
{
	if (!s)
		return;
	pg_server_stop(s, SIGQUIT);
	nftw(s->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(s);
}

/* --- SQL --- */

const char *pg_server_sql(const struct pg_server *s, const char *database, const char *sql)
{
	static char text[4096];
	/* Who went just now may still hold the last place for a while. */
	PGconn *conn = NULL;
	for (int i = 0; !conn && i < 1000; i++) {
		conn = try_connect(s, database);
		if (!conn)
			usleep(10000);
	}
	if (!conn)
		die("cannot connect");
	PGresult *result = PQexec(conn, sql);
	ExecStatusType type = PQresultStatus(result);
	if (type != PGRES_COMMAND_OK && type != PGRES_TUPLES_OK)
		die(PQerrorMessage(conn));
	bool has_row = PQntuples(result) > 0 && PQnfields(result) > 0;
	snprintf(text, sizeof text, "%s", has_row ? PQgetvalue(result, 0, 0) : "");
	PQclear(result);
	PQfinish(conn);
	return text;
}

/* --- pgbouncer --- */

struct pg_pooler {
	char folder[64];
	pid_t pid;
};

const char *pg_pooler_url(const struct pg_pooler *p, const char *database)
{
	static char url[160];
	snprintf(url, sizeof url, "host=%s port=6432 user=postgres dbname=%s", p->folder, database);
	return url;
}

struct pg_pooler *pg_pooler_new(const struct pg_server *s)
{
	struct pg_pooler *p = xnew(struct pg_pooler);
	char config[96];
	snprintf(p->folder, sizeof p->folder, "%s", s->folder);
	snprintf(config, sizeof config, "%s/pgbouncer.ini", s->folder);
	FILE *f = fopen(config, "w");
	if (!f)
		die("cannot write pgbouncer.ini");
	fprintf(f,
		"[databases]\n* = host=%s port=5432 user=postgres\n[pgbouncer]\n"
		"listen_addr =\nlisten_port = 6432\nunix_socket_dir = %s\nauth_type = any\n"
		"pool_mode = transaction\ndefault_pool_size = 4\nmax_client_conn = 200\n"
		"server_lifetime = 5\nlogfile = %s/pgbouncer.log\n",
		s->folder, s->folder, s->folder);
	fclose(f);
	const char *argv[] = {"pgbouncer", "-q", config, NULL};
	p->pid = fork();
	if (p->pid == 0)
		run_program(s, "/usr/sbin", argv);
	for (int waited = 0; waited < PATIENCE_MS; waited += 10) {
		PGconn *conn = PQconnectdb(pg_pooler_url(p, "postgres"));
		bool good = PQstatus(conn) == CONNECTION_OK;
		PQfinish(conn);
		if (good)
			return p;
		usleep(10000);
	}
	show_log(s);
	die("pgbouncer does not start: is the package pgbouncer installed?");
	return NULL;
}

void pg_pooler_free(struct pg_pooler *p)
{
	int result;
	if (!p)
		return;
	kill(p->pid, SIGKILL);
	waitpid(p->pid, &result, 0);
	free(p);
}
