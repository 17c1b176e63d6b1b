/* SPDX-License-Identifier: Apache-2.0 */
/* A store for tests: opened in a folder of its own, or on a database of its own, with calls that
 * wait for their answer.
 *
 * TEST_STORE names the adapter: "sqlite" (the default), "postgres", for which a server is started
 * once for all tests of the program, or "pgbouncer", which stands before such a server. The
 * callbacks run on a loop thread of the driver's. */
#pragma once

#include "common/base/clock.h"
#include "common/base/status.h"
#include "service/domain/role.h"
#include "service/domain/token.h"
#include "service/store/store.h"

#include <stdbool.h>
#include <stddef.h>

struct pg_server;
struct pq;

struct store_driver {
	struct store *store;
	struct loop *loop;
	char folder[64]; /* of the database; the driver's */
	const char *vfs; /* of SQLite */
	const struct clock *clock;
	size_t max_waiting;
	int n_readers;
	bool migrates_later;

	/* PostgreSQL: used instead of a folder if it is set, or if TEST_STORE says so. */
	struct pg_server *server; /* borrowed */
	char database[64];        /* empty: a new one is made */
	const char *url;          /* instead of server and database */
	const char *direct_url;
	bool pooler; /* by way of pgbouncer */
	const struct pq *pq;
	const struct store_listener *listener; /* added before the first operation */
	int n_connections, statement_timeout_ms, connect_timeout_ms;
};

/* The server of TEST_STORE=postgres, and what is before it; they end with the program. */
struct pg_server *store_driver_server(void);
struct pg_pooler *store_driver_pooler(void);

/* Opens a store in a new folder under /tmp. */
void store_driver_init(struct store_driver *d);
/* With d->vfs, d->clock and so on as they are set; makes the folder if there is none yet. A
 * PostgreSQL store is waited for: its error is that of the first check. */
struct status store_driver_open(struct store_driver *d);
/* Opens a PostgreSQL store without waiting: @latch is taken down when it has answered. */
struct latch;
void store_driver_begin(struct store_driver *d, struct latch *latch);
/* Stops the store; its data stay. */
void store_driver_close(struct store_driver *d);
/* The file of an SQLite store; in memory of the function's. */
const char *store_driver_database(const struct store_driver *d);
/* Closes, and removes the folder. */
void store_driver_done(struct store_driver *d);

/* Each starts the operation on the calling thread and waits for its callback. Tokens and sets come
 * with a reference for the caller, NULL unless the status is OK. */
struct status driver_insert(struct store_driver *d, struct token *token);
struct status driver_insert_request(struct store_driver *d, struct token *token,
	const struct store_request_id *request, struct store_insert_result *ret);
struct status driver_insert_limited(
	struct store_driver *d, struct token *token, const struct store_token_limit *limit);
struct status driver_replace(struct store_driver *d, struct token *old, struct token *token);
struct status driver_replace_limited(struct store_driver *d, struct token *old, struct token *token,
	const struct store_token_limit *limit);
struct status driver_replace_request(struct store_driver *d, struct token *old, struct token *token,
	const struct store_request_id *request, struct store_insert_result *ret);
/* *@ret_n: how many; *@ret_last (may be NULL): the last one, with a reference. */
struct status driver_delete_all(struct store_driver *d, enum token_kind kind, const char *owner,
	size_t limit, size_t *ret_n, struct token **ret_last);
struct status driver_purge(struct store_driver *d, int32_t day, size_t limit, size_t *ret_n);
struct status driver_used(
	struct store_driver *d, const struct store_token_use *uses, size_t n, int64_t apart_us);
struct status driver_delete(struct store_driver *d, enum token_kind kind, const char *owner,
	const char *name, struct token **ret);
struct status driver_by_hash(
	struct store_driver *d, const struct token_hash *hash, struct token **ret);
struct status driver_by_name(struct store_driver *d, enum token_kind kind, const char *owner,
	const char *name, struct token **ret);
/* The names as "a b c"; of all owners as "owner/name owner/name". */
struct status driver_list(struct store_driver *d, const struct store_token_query *query, char *ret,
	size_t ret_bytes, size_t *ret_n);
/* As text: "email slack bucket pool", "0 0 - -". */
struct status driver_profile(struct store_driver *d, const char *user, char *ret, size_t ret_bytes);
struct status driver_profile_change(
	struct store_driver *d, const char *user, const struct store_profile_change *change);
struct status driver_roles(struct store_driver *d, struct role_set **ret);
struct status driver_role_put(struct store_driver *d, const struct role *role);
struct status driver_role_delete(struct store_driver *d, const char *name);
struct status driver_setting_get(
	struct store_driver *d, const char *name, char *ret, size_t ret_bytes);
struct status driver_setting_init(
	struct store_driver *d, const char *name, struct str value, char *ret, size_t ret_bytes);
struct status driver_setting_put(struct store_driver *d, const char *name, struct str value);
struct status driver_setting_replace(
	struct store_driver *d, const char *name, struct str old, struct str value);
struct status driver_check(struct store_driver *d);
/* Until a check is OK; else what it said last: UNAVAILABLE after a minute, or any other error. */
struct status driver_wait_until_healthy(struct store_driver *d);

/* A token for tests: its hash is a function of owner and name. */
struct token *make_token(
	enum token_kind kind, const char *owner, const char *name, int32_t expires_day);
struct token_hash make_hash(const char *owner, const char *name);

/* What a driver call waits on, for tests that start operations themselves. */
struct latch *latch_new(int count);
void latch_free(struct latch *l);
void latch_down(struct latch *l);
/* Waits until it was taken down @count times. */
void latch_wait(struct latch *l);
