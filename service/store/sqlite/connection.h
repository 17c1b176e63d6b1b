/* SPDX-License-Identifier: Apache-2.0 */
/* One connection to the database file, its prepared statements, and the border at which SQLite's
 * result codes become a struct status.
 *
 * Callers hear UNAVAILABLE and a sentence without path or SQL; the cause goes to the log, once in
 * a while. A connection that met an error it may not get over by itself (a damaged page, a
 * file that went away) says so in @broken: close it, and open it again after a while.
 * Threads: one at a time. */
#pragma once

#include "common/base/buf.h"
#include "common/base/status.h"
#include "common/base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sqlite3;
struct sqlite3_stmt;

enum statement_id {
	STATEMENT_BEGIN,
	STATEMENT_COMMIT,
	STATEMENT_ROLLBACK,
	STATEMENT_SAVEPOINT,
	STATEMENT_RELEASE,
	STATEMENT_UNDO,
	STATEMENT_PROBE,
	STATEMENT_TOUCH,
	STATEMENT_COUNTERS,
	STATEMENT_COUNT_BY,
	STATEMENT_TOKEN_INSERT,
	STATEMENT_TOKEN_REPLACE,
	STATEMENT_TOKEN_DELETE,
	STATEMENT_TOKEN_USED,
	STATEMENT_TOKENS_COUNT,
	STATEMENT_TOKENS_COUNT_LIVE,
	STATEMENT_TOKENS_DELETE,
	STATEMENT_TOKENS_PURGE,
	STATEMENT_TOKEN_BY_HASH,
	STATEMENT_TOKEN_BY_OLD_HASH,
	STATEMENT_TOKEN_BY_NAME,
	STATEMENT_TOKENS_OF_OWNER,
	STATEMENT_TOKENS_OF_ALL,
	STATEMENT_TOKENS_SEARCH,
	STATEMENT_TOKEN_OF_KEY,
	STATEMENT_REQUEST_GET,
	STATEMENT_REQUEST_PUT,
	STATEMENT_REQUEST_PURGE,
	STATEMENT_PROFILE_GET,
	STATEMENT_PROFILE_PUT,
	STATEMENT_ROLES,
	STATEMENT_ROLE_PUT,
	STATEMENT_ROLE_DELETE,
	STATEMENT_SETTING_GET,
	STATEMENT_SETTING_INIT,
	STATEMENT_SETTING_PUT,
	STATEMENT_SETTING_REPLACE,
	STATEMENT_ID_COUNT,
};

/* In the header of the file: "osmo". */
#define CONNECTION_APPLICATION_ID 0x6f736d6f

struct connection_options {
	const char *path;
	const char *vfs;     /* NULL: SQLite's own */
	bool read_only;      /* for readers; the file is still opened for writing, as WAL needs */
	int cache_kib;       /* memory for pages */
	bool sorts_on_disk;  /* what is sorted goes to files, not to memory */
	int busy_timeout_ms; /* how long to wait for another program that has the file locked */
};

struct connection {
	struct sqlite3 *db; /* NULL: closed */
	bool broken;
	bool damaged;     /* it met a page that is none */
	bool full;        /* it met a disk without room; the writer's to forget */
	int wal_pages;    /* how far the log has grown, by the last commit */
	bool has_written; /* set by a commit that changed the file */
	struct sqlite3_stmt *statements[STATEMENT_ID_COUNT];
};

/* The file must exist; an empty one is a new database. After an error @ret is closed, and its
 * .damaged says whether that was why.
 * UNAVAILABLE  it cannot be opened now, or is damaged
 * FAILED_PRECONDITION  it is a database of something else */
struct status connection_open(const struct connection_options *options, struct connection *ret);
/* Closed ones are allowed. */
void connection_close(struct connection *c);
/* How long to wait from now on for another program that has the file locked. */
void connection_set_busy_timeout(struct connection *c, int ms);
/* Runs SQL without parameters or rows, for set-up. */
struct status connection_run(struct connection *c, const char *sql);
/* For the caller of any of SQLite's functions: translates, logs, and sets broken. @code is no
 * success. */
struct status connection_failed(struct connection *c, const char *what, int code);
/* False between BEGIN and its end; true also after an error that rolled back everything. */
bool connection_is_idle(const struct connection *c);
/* Looks at every page; UNAVAILABLE if one is damaged, or cannot be read. */
struct status connection_verify(struct connection *c);
/* Of the database, in bytes. */
struct status connection_size(struct connection *c, int64_t *ret);
/* Copies what the log holds into the file, as far as no reader needs it where it is; *@ret_copied
 * of the *@ret_pages of the log (both may be NULL) are in the file afterwards. */
struct status connection_checkpoint(struct connection *c, int *ret_copied, int *ret_pages);
/* The file was moved or removed under us: what we write would be lost. */
bool connection_file_is_gone(struct connection *c);

/* --- A statement in use ---
 *
 * The first failure sticks and is told by the next statement_step; so parameters are bound without
 * looking. */
struct statement {
	struct connection *c;
	struct sqlite3_stmt *stmt;
	int code;
};

/* Its SQL, for tests of how it is carried out. */
const char *connection_statement_text(enum statement_id id);

struct statement statement_begin(struct connection *c, enum statement_id id);
void statement_done(struct statement *s);
#define _cleanup_statement_ __attribute__((cleanup(statement_done)))

void bind_text(struct statement *s, int at, struct str text); /* p == NULL: NULL */
void bind_blob(struct statement *s, int at, const void *p, size_t n);
void bind_int(struct statement *s, int at, int64_t value);

/* *@ret_row: there is a row; false: it is done. ALREADY_EXISTS for a row that may not be twice. */
struct status statement_step(struct statement *s, bool *ret_row);
/* Runs one that gives no rows. */
struct status statement_run(struct statement *s);
/* After statement_run: it can be bound and run again. */
void statement_again(struct statement *s);
/* Rows that the last insert, update or delete of the connection changed. */
int connection_changes(const struct connection *c);

/* Columns from 0; texts and bytes are valid until the next step. */
int64_t column_int(const struct statement *s, int at);
struct str column_text(const struct statement *s, int at); /* p == NULL: NULL */
