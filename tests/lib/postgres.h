/* SPDX-License-Identifier: Apache-2.0 */
/* A PostgreSQL server for tests: made in a folder under /tmp, with its sockets there, as an
 * unprivileged user (initdb refuses root), and gone when the test ends, however it ends.
 *
 * PG_BIN names the folder of another version's programs. Failures end the test. */
#pragma once

#include <libpq-fe.h>

struct pg_server;

/* @settings: "fsync=off", NULL at the end; may be NULL. Starts it. */
struct pg_server *pg_server_new(const char *const *settings);
/* Stops it and removes its folder. NULL is allowed. */
void pg_server_free(struct pg_server *s);

/* Starts it again after it ended, and waits until it answers. */
void pg_server_start(struct pg_server *s);
/* Sends @signal to the postmaster and all its children (SIGSTOP, SIGCONT), or waits for the end
 * after one that ends it (SIGINT: fast shutdown; SIGQUIT: immediate; SIGKILL). */
void pg_server_freeze(struct pg_server *s);
void pg_server_thaw(struct pg_server *s);
void pg_server_stop(struct pg_server *s, int signal);

/* "host=/tmp/... port=... user=postgres dbname=@database"; valid until the next call. */
const char *pg_server_url(const struct pg_server *s, const char *database);
const char *pg_server_folder(const struct pg_server *s);
/* Runs SQL; the first column of the first row of the last result, or "". Valid until the next call.
 */
const char *pg_server_sql(const struct pg_server *s, const char *database, const char *sql);

/* pgbouncer in front of a server, sharing connections by transaction; gone as the server is. */
struct pg_pooler;
struct pg_pooler *pg_pooler_new(const struct pg_server *s);
void pg_pooler_free(struct pg_pooler *p);
/* As pg_server_url. */
const char *pg_pooler_url(const struct pg_pooler *p, const char *database);
