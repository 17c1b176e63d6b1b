/* SPDX-License-Identifier: Apache-2.0 */
#include "service/admin_token.h"

#include "common/base/base64.h" /* hex_encode */
#include "common/base/buf.h"
#include "common/base/file.h"
#include "common/base/random.h"
#include "common/base/secret.h"
#include "service/domain/role.h"
#include "service/domain/token.h"
#include "service/options.h"
#include "service/store/store.h"
#include "service/sync.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum {
	MARK_BYTES = 2 * TOKEN_HASH_BYTES + 1,
	PATIENCE_MS = 5000, /* for each operation */
	MARK_PATIENCE_MS = 2000,
	MARK_PAUSE_MS = 50,
};

/* The setting that holds the hash of the admin token that was made last, in hexadecimal. */
static const struct str mark_name = {"admin_token", 11};
static const struct str admin_name = {"admin", 5};

struct status admin_token_init(
	struct admin_token *t, const struct options *o, struct store *store, struct loop *home)
{
	const struct service_options *v = options_values(o);
	char text[32];
	*t = (struct admin_token){.store = store, .home = home, .clock = &clock_system};
	int n = snprintf(t->path, sizeof t->path, "%s/admin.token", v->data_dir);
	if (n < 0 || (size_t)n >= sizeof t->path)
		return file_status(ENAMETOOLONG, "write", v->data_dir);
	return service_options_max_lifetime(o, &t->lifetime_days, text);
}

static struct store_waiter waiter(const struct admin_token *t, void *arg)
{
	return (struct store_waiter){
		t->home, mono_time_add_ms(clock_mono(&clock_system), PATIENCE_MS), arg};
}

struct mark {
	struct sync sync;
	char text[MARK_BYTES];
};

static void on_mark(void *arg, const struct status *status, struct str value)
{
	struct mark *mark = arg;
	snprintf(mark->text, sizeof mark->text, "%.*s", STR_ARG(value));
	sync_done(&mark->sync, status);
}

/* Empty if there is none. */
static struct status read_mark(const struct admin_token *t, char ret[MARK_BYTES])
{
	struct mark mark;
	sync_init(&mark.sync);
	store_setting_get(t->store, mark_name, waiter(t, &mark), on_mark);
	struct status status = sync_wait(&mark.sync);
	bool missing = status.code == STATUS_NOT_FOUND;
	snprintf(ret, MARK_BYTES, "%s", missing ? "" : mark.text);
	return missing ? status_ok() : status;
}

static void on_token(void *arg, const struct status *status, struct token *token)
{
	(void)token;
	sync_done(arg, status);
}

static void on_inserted(
	void *arg, const struct status *status, const struct store_insert_result *result)
{
	(void)result;
	sync_done(arg, status);
}

static struct status delete_token(const struct admin_token *t)
{
	struct sync sync;
	sync_init(&sync);
	store_token_delete(
		t->store, TOKEN_USER, admin_name, admin_name, waiter(t, &sync), on_token);
	struct status status = sync_wait(&sync);
	return status.code == STATUS_NOT_FOUND ? status_ok() : status;
}

static struct status insert_token(const struct admin_token *t, const struct token_hash *hash)
{
	const struct str role = ROLE_ADMIN;
	struct unix_time now = clock_now(t->clock);
	_cleanup_(token_unrefp) struct token *token = token_new(&(struct token_fields){
		.kind = TOKEN_USER,
		.owner = admin_name,
		.name = admin_name,
		.description = STR("made by token-service at its first start"),
		.roles = &role,
		.n_roles = 1,
		.expires = date_add_days(date_of(now), t->lifetime_days),
		.created = now,
		.hash = *hash,
	});
	const struct store_request_id not_repeatable = {.id = STR("")};
	struct sync sync;
	sync_init(&sync);
	store_token_insert(t->store, token, &not_repeatable, NULL, waiter(t, &sync), on_inserted);
	return sync_wait(&sync);
}

static struct status write_mark(const struct admin_token *t, const struct token_hash *hash)
{
	char mark[MARK_BYTES];
	hex_encode(hash->bytes, TOKEN_HASH_BYTES, mark);
	struct sync sync;
	sync_init(&sync);
	store_setting_put(t->store, mark_name, str_of(mark), waiter(t, &sync), sync_on_done);
	return sync_wait(&sync);
}

/* A token is there and its mark is not: another replica that starts with us is about to write it,
 * or a start was cut off between the two. ABORTED in the first case. */
static struct status leave_to_another(const struct admin_token *t, const char *mark_before)
{
	const struct timespec pause = {0, MARK_PAUSE_MS * 1000000L};
	for (int waited_ms = 0; waited_ms < MARK_PATIENCE_MS; waited_ms += MARK_PAUSE_MS) {
		char mark[MARK_BYTES];
		TRY(read_mark(t, mark));
		if (!str_eq(str_of(mark), str_of(mark_before)))
			return status_error(STATUS_ABORTED, "another replica made the admin token");
		nanosleep(&pause, NULL);
	}
	return status_ok();
}

/* Puts a token with this secret in the place of the one before; @mark_before: as it was read. */
static struct status replace(
	const struct admin_token *t, struct str secret, const char *mark_before)
{
	const struct token_hash hash = token_secret_hash(secret);
	struct status status = insert_token(t, &hash);
	if (status.code == STATUS_ALREADY_EXISTS) {
		if (!mark_before[0])
			TRY(leave_to_another(t, mark_before));
		TRY(delete_token(t));
		status = insert_token(t, &hash);
		if (status.code == STATUS_ALREADY_EXISTS)
			return status_error(STATUS_ABORTED, "another replica made the admin token");
	}
	TRY(status);
	return write_mark(t, &hash);
}

/* The file first: if the store fails, the mark is missing and the next start makes another one. */
static struct status make(const struct admin_token *t, const char *mark_before)
{
	_cleanup_secret_ struct secret secret = token_secret_mint(&random_system);
	_cleanup_buf_ struct buf text;
	buf_init(&text, 256);
	buf_append_str(&text, secret_str(&secret));
	buf_append_char(&text, '\n');
	TRY(file_write_atomic(t->path, buf_str(&text), 0600));
	struct status status = replace(t, secret_str(&secret), mark_before);
	if (status.code == STATUS_ABORTED)
		(void)unlink(t->path); /* it opens nothing */
	return status;
}

static struct status read_given(const char *path, struct secret *ret)
{
	_cleanup_secret_ struct secret secret = {NULL, 0};
	TRY(file_read_secret(path, false, &secret));
	if (!token_secret_is_well_formed(secret_str(&secret)))
		return status_error(STATUS_INVALID_ARGUMENT,
			"'%s' must hold an access token (osmo_..., or 64 hexadecimal digits)",
			path);
	*ret = secret;
	secret = (struct secret){NULL, 0};
	return status_ok();
}

struct status admin_token_check_file(const char *path)
{
	_cleanup_secret_ struct secret secret = {NULL, 0};
	return read_given(path, &secret);
}

static struct status ensure_given(const struct admin_token *t, const char *mark, bool *ret_made)
{
	_cleanup_secret_ struct secret secret = {NULL, 0};
	TRY(read_given(t->given_file, &secret));
	struct token_hash hash = token_secret_hash(secret_str(&secret));
	char text[MARK_BYTES];
	hex_encode(hash.bytes, sizeof hash.bytes, text);
	*ret_made = !str_eq(str_of(mark), str_of(text));
	return *ret_made ? replace(t, secret_str(&secret), mark) : status_ok();
}

struct status admin_token_ensure(const struct admin_token *t, bool *ret_made)
{
	char mark[MARK_BYTES];
	TRY(read_mark(t, mark));
	if (t->given_file)
		return ensure_given(t, mark, ret_made);
	*ret_made = mark[0] == '\0';
	return *ret_made ? make(t, mark) : status_ok();
}

struct status admin_token_renew(const struct admin_token *t)
{
	char mark[MARK_BYTES];
	TRY(read_mark(t, mark));
	return make(t, mark);
}
