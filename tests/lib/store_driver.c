/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/store_driver.h"

#include "common/base/buf.h"
#include "common/base/log.h"
#include "common/base/sha256.h"
#include "common/base/xalloc.h"
#include "common/event/loop.h"
#include "service/store/postgres/postgres_store.h"
#include "service/store/sqlite/sqlite_store.h"
#include "tests/lib/postgres.h"

#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- Waiting --- */

struct latch {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int count;
};

struct latch *latch_new(int count)
{
	struct latch *l = xnew(struct latch);
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->changed, NULL);
	l->count = count;
	return l;
}

void latch_free(struct latch *l)
{
	pthread_cond_destroy(&l->changed);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

void latch_down(struct latch *l)
{
	pthread_mutex_lock(&l->lock);
	l->count--;
	pthread_cond_broadcast(&l->changed);
	pthread_mutex_unlock(&l->lock);
}

void latch_wait(struct latch *l)
{
	pthread_mutex_lock(&l->lock);
	while (l->count > 0)
		pthread_cond_wait(&l->changed, &l->lock);
	pthread_mutex_unlock(&l->lock);
}

/* One operation that is waited for, and a copy of what its callback got. */
struct wait {
	struct latch *latch;
	struct status status;
	struct token *token;
	struct store_insert_result insert;
	struct role_set *roles;
	char *text;
	size_t text_bytes;
	size_t n;
	bool any_owner;
};

static struct store_waiter begin(struct store_driver *d, struct wait *w)
{
	w->latch = latch_new(1);
	return (struct store_waiter){d->loop, MONO_TIME_NEVER, w};
}

static void answer(struct wait *w, const struct status *status)
{
	w->status = *status;
	latch_down(w->latch);
}

static struct status end(struct wait *w)
{
	latch_wait(w->latch);
	latch_free(w->latch);
	return w->status;
}

/* --- The store --- */

static void start_loop(struct store_driver *d)
{
	if (d->loop)
		return;
	d->loop = loop_new();
	loop_start(d->loop, "test-loop");
}

static struct status open_sqlite(struct store_driver *d)
{
	if (!d->folder[0]) {
		snprintf(d->folder, sizeof d->folder, "/tmp/store-test.XXXXXX");
		if (!mkdtemp(d->folder))
			abort();
	}
	struct sqlite_store_options options = {
		.data_dir = d->folder,
		.clock = d->clock ? d->clock : &clock_system,
		.vfs = d->vfs,
		.max_waiting = d->max_waiting,
		.n_readers = d->n_readers,
		.migrates_later = d->migrates_later,
		.purge_interval_ms = 5,
	};
	return sqlite_store_open(&options, &d->store);
}

const char *store_driver_database(const struct store_driver *d)
{
	static char path[128];
	snprintf(path, sizeof path, "%s/tokens.db", d->folder);
	return path;
}

static struct pg_server *server;

static struct pg_pooler *pooler;

static void stop_server(void)
{
	pg_pooler_free(pooler);
	pg_server_free(server);
}

struct pg_pooler *store_driver_pooler(void)
{
	if (!pooler)
		pooler = pg_pooler_new(store_driver_server());
	return pooler;
}

struct pg_server *store_driver_server(void)
{
	/* What a killed server loses is not what the tests with this one are about. */
	static const char *const settings[] = {"fsync=off", "full_page_writes=off", NULL};
	if (!server) {
		server = pg_server_new(settings);
		atexit(stop_server);
	}
	return server;
}

static void make_database(struct store_driver *d)
{
	static int n;
	char sql[128];
	snprintf(d->database, sizeof d->database, "test_%d", ++n);
	snprintf(sql, sizeof sql, "CREATE DATABASE %s", d->database);
	(void)pg_server_sql(d->server, "postgres", sql);
}

static struct status open_postgres(struct store_driver *d)
{
	if (!d->url && !d->database[0])
		make_database(d);
	const char *url = d->url      ? d->url
			  : d->pooler ? pg_pooler_url(store_driver_pooler(), d->database)
				      : pg_server_url(d->server, d->database);
	struct postgres_store_options options = {
		.url = url,
		.direct_url = d->direct_url,
		.pooler = d->pooler,
		.home = d->loop,
		.n_connections = d->n_connections > 0 ? (size_t)d->n_connections : 0,
		.connect_timeout_ms = d->connect_timeout_ms,
		.statement_timeout_ms = d->statement_timeout_ms,
		.max_waiting = d->max_waiting,
		.tick_ms = 20,
		.purge_interval_ms = 5,
		.clock = d->clock ? d->clock : &clock_system,
		.pq = d->pq,
	};
	TRY(postgres_store_open(&options, &d->store));
	if (d->listener)
		store_add_listener(d->store, d->listener);
	return status_ok();
}

static void on_begun(void *arg, const struct status *status)
{
	(void)status;
	latch_down(arg);
}

void store_driver_begin(struct store_driver *d, struct latch *latch)
{
	start_loop(d);
	struct status status = open_postgres(d);
	if (!status_is_ok(&status))
		abort();
	store_check(d->store, (struct store_waiter){d->loop, MONO_TIME_NEVER, latch}, on_begun);
}

struct status store_driver_open(struct store_driver *d)
{
	log_setup(LOG_ERROR, LOG_FORMAT_JSON); /* faults are what some tests are about */
	start_loop(d);
	const char *adapter = getenv("TEST_STORE");
	bool through_pooler = adapter && strcmp(adapter, "pgbouncer") == 0;
	if (!d->server && !d->url && adapter && strcmp(adapter, "sqlite") != 0) {
		d->server = store_driver_server();
		d->pooler = d->pooler || through_pooler;
	}
	bool postgres = d->server || d->url;
	struct status status = postgres ? open_postgres(d) : open_sqlite(d);
	if (status_is_ok(&status) && postgres)
		status = driver_check(d);
	if (!status_is_ok(&status))
		store_driver_close(d);
	return status;
}

void store_driver_init(struct store_driver *d)
{
	memset(d, 0, sizeof *d);
	struct status status = store_driver_open(d);
	if (!status_is_ok(&status)) {
		fprintf(stderr, "cannot open the store: %s\n", status.message);
		abort();
	}
}

static void on_stopped(void *arg)
{
	latch_down(arg);
}

void store_driver_close(struct store_driver *d)
{
	if (!d->store)
		return;
	struct latch *latch = latch_new(1);
	store_stop(d->store, d->loop, on_stopped, latch);
	latch_wait(latch);
	latch_free(latch);
	d->store = NULL;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void store_driver_done(struct store_driver *d)
{
	store_driver_close(d);
	if (d->loop) {
		loop_stop(d->loop);
		loop_join(d->loop);
		loop_free(d->loop);
	}
	if (d->folder[0])
		nftw(d->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	memset(d, 0, sizeof *d);
}

/* --- Operations --- */

static void on_done(void *arg, const struct status *status)
{
	answer(arg, status);
}

static void on_insert(
	void *arg, const struct status *status, const struct store_insert_result *result)
{
	struct wait *w = arg;
	if (status_is_ok(status)) {
		w->insert = *result;
		w->insert.token = token_ref(result->token);
	}
	answer(w, status);
}

struct status driver_insert_request(struct store_driver *d, struct token *token,
	const struct store_request_id *request, struct store_insert_result *ret)
{
	struct wait w = {.latch = NULL};
	struct store_waiter waiter = begin(d, &w);
	store_token_insert(d->store, token, request, NULL, waiter, on_insert);
	struct status status = end(&w);
	*ret = w.insert;
	return status;
}

struct status driver_insert_limited(
	struct store_driver *d, struct token *token, const struct store_token_limit *limit)
{
	struct wait w = {.latch = NULL};
	struct store_waiter waiter = begin(d, &w);
	store_token_insert(d->store, token, NULL, limit, waiter, on_insert);
	struct status status = end(&w);
	token_unref(w.insert.token);
	return status;
}

struct status driver_replace_request(struct store_driver *d, struct token *old, struct token *token,
	const struct store_request_id *request, struct store_insert_result *ret)
{
	struct wait w = {.latch = NULL};
	struct store_waiter waiter = begin(d, &w);
	store_token_replace(d->store, old, token, request, NULL, waiter, on_insert);
	struct status status = end(&w);
	*ret = w.insert;
	return status;
}

struct status driver_replace(struct store_driver *d, struct token *old, struct token *token)
{
	struct store_insert_result result;
	struct status status = driver_replace_request(d, old, token, NULL, &result);
	token_unref(result.token);
	return status;
}

struct status driver_replace_limited(struct store_driver *d, struct token *old, struct token *token,
	const struct store_token_limit *limit)
{
	struct wait w = {.latch = NULL};
	struct store_waiter waiter = begin(d, &w);
	store_token_replace(d->store, old, token, NULL, limit, waiter, on_insert);
	struct status status = end(&w);
	token_unref(w.insert.token);
	return status;
}

static void on_deleted_all(
	void *arg, const struct status *status, struct token *const *tokens, size_t n)
{
	struct wait *w = arg;
	w->n = n;
	w->token = n ? token_ref(tokens[n - 1]) : NULL;
	answer(w, status);
}

struct status driver_delete_all(struct store_driver *d, enum token_kind kind, const char *owner,
	size_t limit, size_t *ret_n, struct token **ret_last)
{
	struct wait w = {.latch = NULL};
	struct store_waiter waiter = begin(d, &w);
	store_tokens_delete(d->store, kind, str_of(owner), limit, waiter, on_deleted_all);
	struct status status = end(&w);
	*ret_n = w.n;
	if (ret_last)
		*ret_last = w.token;
	else
		token_unref(w.token);
	return status;
}

static void on_count(void *arg, const struct status *status, size_t n)
{
	struct wait *w = arg;
	w->n = n;
	answer(w, status);
}

struct status driver_purge(struct store_driver *d, int32_t day, size_t limit, size_t *ret_n)
{
	struct wait w = {.latch = NULL};
	struct store_waiter waiter = begin(d, &w);
	store_tokens_purge(d->store, (struct date){day}, limit, waiter, on_count);
	struct status status = end(&w);
	*ret_n = w.n;
	return status;
}

struct status driver_used(
	struct store_driver *d, const struct store_token_use *uses, size_t n, int64_t apart_us)
{
	struct wait w = {.latch = NULL};
	struct store_waiter waiter = begin(d, &w);
	store_tokens_used(d->store, uses, n, apart_us, waiter, on_done);
	return end(&w);
}

struct status driver_insert(struct store_driver *d, struct token *token)
{
	struct store_insert_result result;
	struct status status = driver_insert_request(d, token, NULL, &result);
	token_unref(result.token);
	return status;
}

static void on_token(void *arg, const struct status *status, struct token *token)
{
	struct wait *w = arg;
	w->token = token ? token_ref(token) : NULL;
	answer(w, status);
}

static struct status end_token(struct wait *w, struct token **ret)
{
	struct status status = end(w);
	if (ret)
		*ret = w->token;
	else
		token_unref(w->token);
	return status;
}

struct status driver_delete(struct store_driver *d, enum token_kind kind, const char *owner,
	const char *name, struct token **ret)
{
	struct wait w = {.latch = NULL};
	struct store_waiter waiter = begin(d, &w);
	store_token_delete(d->store, kind, str_of(owner), str_of(name), waiter, on_token);
	return end_token(&w, ret);
}

struct status driver_by_hash(
	struct store_driver *d, const struct token_hash *hash, struct token **ret)
{
	struct wait w = {.latch = NULL};
	struct store_waiter waiter = begin(d, &w);
	store_token_by_hash(d->store, hash, waiter, on_token);
	return end_token(&w, ret);
}

struct status driver_by_name(struct store_driver *d, enum token_kind kind, const char *owner,
	const char *name, struct token **ret)
{
	struct wait w = {.latch = NULL};
	struct store_waiter waiter = begin(d, &w);
	store_token_by_name(d->store, kind, str_of(owner), str_of(name), waiter, on_token);
	return end_token(&w, ret);
}

static void on_page(void *arg, const struct status *status, const struct store_token_page *page)
{
	struct wait *w = arg;
	_cleanup_buf_ struct buf text;
	buf_init(&text, w->text_bytes);
	buf_append_str(&text, STR(""));
	for (size_t i = 0; i < page->n; i++) {
		const struct token_fields *f = &page->tokens[i]->fields;
		buf_append_str(&text, i ? STR(" ") : STR(""));
		if (w->any_owner)
			buf_printf(&text, "%.*s/", STR_ARG(f->owner));
		buf_append_str(&text, f->name);
	}
	if (page->has_rest)
		buf_printf(
			&text, " > %.*s/%.*s", STR_ARG(page->rest_owner), STR_ARG(page->rest_name));
	snprintf(w->text, w->text_bytes, "%.*s", STR_ARG(buf_str(&text)));
	w->n = page->n;
	answer(w, status);
}

struct status driver_list(struct store_driver *d, const struct store_token_query *query, char *ret,
	size_t ret_bytes, size_t *ret_n)
{
	struct wait w = {.text = ret, .text_bytes = ret_bytes, .any_owner = query->any_owner};
	struct store_waiter waiter = begin(d, &w);
	store_token_list(d->store, query, waiter, on_page);
	struct status status = end(&w);
	if (ret_n)
		*ret_n = w.n;
	return status;
}

static void on_profile(void *arg, const struct status *status, const struct store_profile *p)
{
	struct wait *w = arg;
	snprintf(w->text, w->text_bytes, "%d %d %s %s", p->email_notification,
		p->slack_notification, p->bucket.p ? p->bucket.p : "-",
		p->pool.p ? p->pool.p : "-");
	answer(w, status);
}

struct status driver_profile(struct store_driver *d, const char *user, char *ret, size_t ret_bytes)
{
	struct wait w = {.text = ret, .text_bytes = ret_bytes};
	struct store_waiter waiter = begin(d, &w);
	store_profile_get(d->store, str_of(user), waiter, on_profile);
	return end(&w);
}

struct status driver_profile_change(
	struct store_driver *d, const char *user, const struct store_profile_change *change)
{
	struct wait w = {.latch = NULL};
	struct store_waiter waiter = begin(d, &w);
	store_profile_change(d->store, str_of(user), change, waiter, on_done);
	return end(&w);
}

static void on_roles(void *arg, const struct status *status, struct role_set *roles)
{
	struct wait *w = arg;
	w->roles = roles ? role_set_ref(roles) : NULL;
	answer(w, status);
}

struct status driver_roles(struct store_driver *d, struct role_set **ret)
{
	struct wait w = {.latch = NULL};
	struct store_waiter waiter = begin(d, &w);
	store_roles_load(d->store, waiter, on_roles);
	struct status status = end(&w);
	*ret = w.roles;
	return status;
}

struct status driver_role_put(struct store_driver *d, const struct role *role)
{
	struct wait w = {.latch = NULL};
	struct store_waiter waiter = begin(d, &w);
	store_role_put(d->store, role, waiter, on_done);
	return end(&w);
}

struct status driver_role_delete(struct store_driver *d, const char *name)
{
	struct wait w = {.latch = NULL};
	struct store_waiter waiter = begin(d, &w);
	store_role_delete(d->store, str_of(name), waiter, on_done);
	return end(&w);
}

static void on_setting(void *arg, const struct status *status, struct str value)
{
	struct wait *w = arg;
	snprintf(w->text, w->text_bytes, "%.*s", STR_ARG(value));
	answer(w, status);
}

struct status driver_setting_get(
	struct store_driver *d, const char *name, char *ret, size_t ret_bytes)
{
	struct wait w = {.text = ret, .text_bytes = ret_bytes};
	struct store_waiter waiter = begin(d, &w);
	store_setting_get(d->store, str_of(name), waiter, on_setting);
	return end(&w);
}

struct status driver_setting_init(
	struct store_driver *d, const char *name, struct str value, char *ret, size_t ret_bytes)
{
	struct wait w = {.text = ret, .text_bytes = ret_bytes};
	struct store_waiter waiter = begin(d, &w);
	store_setting_init(d->store, str_of(name), value, waiter, on_setting);
	return end(&w);
}

struct status driver_setting_put(struct store_driver *d, const char *name, struct str value)
{
	struct wait w = {.latch = NULL};
	struct store_waiter waiter = begin(d, &w);
	store_setting_put(d->store, str_of(name), value, waiter, on_done);
	return end(&w);
}

struct status driver_setting_replace(
	struct store_driver *d, const char *name, struct str old, struct str value)
{
	struct wait w = {.latch = NULL};
	struct store_waiter waiter = begin(d, &w);
	store_setting_replace(d->store, str_of(name), old, value, waiter, on_done);
	return end(&w);
}

struct status driver_check(struct store_driver *d)
{
	struct wait w = {.latch = NULL};
	struct store_waiter waiter = begin(d, &w);
	store_check(d->store, waiter, on_done);
	return end(&w);
}

struct status driver_wait_until_healthy(struct store_driver *d)
{
	struct mono_time end_of_patience = mono_time_add_ms(clock_mono(&clock_system), 60000);
	for (;;) {
		struct status status = driver_check(d);
		if (status.code != STATUS_UNAVAILABLE ||
			clock_mono(&clock_system).us > end_of_patience.us)
			return status;
		usleep(1000);
	}
}

/* --- Tokens --- */

struct token_hash make_hash(const char *owner, const char *name)
{
	_cleanup_buf_ struct buf text;
	struct token_hash hash;
	buf_init(&text, SIZE_MAX);
	buf_printf(&text, "%s/%s", owner, name);
	sha256(buf_str(&text), hash.bytes);
	return hash;
}

struct token *make_token(
	enum token_kind kind, const char *owner, const char *name, int32_t expires_day)
{
	const struct str roles[] = {STR("osmo-user"), STR("a \"quoted\" r\xC3\xB4le")};
	struct token_fields f = {
		.kind = kind,
		.owner = str_of(owner),
		.name = str_of(name),
		.description = STR("for tests"),
		.roles = roles,
		.n_roles = ARRAY_SIZE(roles),
		.expires = {expires_day},
		.created = {INT64_C(1780000000123456)},
		.hash = make_hash(owner, name),
	};
	return token_new(&f);
}
