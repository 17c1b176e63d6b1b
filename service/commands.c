/* SPDX-License-Identifier: Apache-2.0 */
#include "service/commands.h"

#include "common/base/cleanup.h"
#include "common/base/log.h"
#include "common/base/xalloc.h"
#include "common/program/program_loops.h"
#include "service/admin_token.h"
#include "service/auth/keyring.h"
#include "service/auth/server_key.h"
#include "service/import_osmo.h"
#include "service/open_store.h"
#include "service/options.h"
#include "service/store/migration.h"
#include "service/store/sqlite/maintenance.h"
#include "service/store/store.h"
#include "service/sync.h"

#include <stdio.h>

enum {
	OPEN_MS = 5000,
	ROTATE_MS = 60000 /* an RSA key takes its time */
};

/* --- The embedded database as a file --- */

struct status commands_backup(const struct options *o)
{
	const struct service_options *v = options_values(o);
	const char *to = options_operand(o);
	struct sqlite_backup_result result;
	TRY(sqlite_backup(v->data_dir, to, &result));
	printf("%s: %lld tokens, %lld bytes\n", to, (long long)result.tokens,
		(long long)result.bytes);
	return status_ok();
}

static struct status damaged(const char *data_dir, int problems)
{
	return status_error(STATUS_DATA_LOSS,
		"the database in '%s' has %d problem%s: restore a backup", data_dir, problems,
		problems == 1 ? "" : "s");
}

static void print_problem(void *arg, const char *text)
{
	(void)arg;
	puts(text);
}

struct status commands_check(const struct options *o)
{
	const struct service_options *v = options_values(o);
	struct sqlite_check_result result;
	TRY(sqlite_check(v->data_dir, print_problem, NULL, &result));
	if (result.problems)
		return damaged(v->data_dir, result.problems);
	printf("the database is sound: schema version %d, %lld personal and %lld service tokens, "
	       "%lld bytes\n",
		result.schema_version, (long long)result.user_tokens,
		(long long)result.service_tokens, (long long)result.bytes);
	return status_ok();
}

static void log_problem(void *arg, const char *text)
{
	(void)arg;
	log_error("store.problem", LOG_TEXT("problem", text));
}

struct status commands_check_before_start(const struct service_options *v)
{
	struct sqlite_check_result result;
	struct status status = sqlite_check(v->data_dir, log_problem, NULL, &result);
	if (status.code == STATUS_NOT_FOUND)
		return status_ok();
	TRY(status);
	if (result.problems)
		return damaged(v->data_dir, result.problems);
	log_info("store.checked", LOG_I64("bytes", result.bytes));
	return status_ok();
}

/* --- The store of the options --- */

/* A store, and the loop that its answers come on. */
struct opened {
	struct program_loops loops;
	struct store *store;
};

static struct mono_time in_ms(int64_t ms)
{
	return mono_time_add_ms(clock_mono(&clock_system), ms);
}

static struct status open_it(
	const struct service_options *v, bool beside_service, struct opened *ret)
{
	program_loops_init(&ret->loops, v->threads);
	TRY(open_store(
		&(struct open_store_options){
			.values = v, .loops = &ret->loops, .beside_service = beside_service},
		&ret->store));
	program_loops_run_control(&ret->loops);
	return status_ok();
}

static void opened_done(struct opened *o)
{
	struct sync sync;
	if (o->store) {
		sync_init(&sync);
		store_stop(o->store, o->loops.control, sync_on_stopped, &sync);
		(void)!sync_wait(&sync).code;
		loop_stop(o->loops.control);
		loop_join(o->loops.control);
	}
	program_loops_done(&o->loops);
}
#define _cleanup_opened_ _cleanup_(opened_done)

struct status commands_admin_token(const struct options *o)
{
	_cleanup_opened_ struct opened it = {.store = NULL};
	struct admin_token t;
	TRY(open_it(options_values(o), false, &it));
	TRY(admin_token_init(&t, o, it.store, it.loops.control));
	TRY(admin_token_renew(&t));
	printf("a new admin token is in %s\n", t.path);
	return status_ok();
}

/* Opening it does that. */
static struct status migrate(const struct opened *it)
{
	struct sync sync;
	sync_init(&sync);
	store_check(it->store, (struct store_waiter){it->loops.control, in_ms(OPEN_MS), &sync},
		sync_on_done);
	TRY(sync_wait(&sync));
	printf("the schema has version %d\n", migrations_latest(store_name(it->store)));
	return status_ok();
}

struct status commands_migrate(const struct options *o)
{
	_cleanup_opened_ struct opened it = {.store = NULL};
	TRY(open_it(options_values(o), false, &it));
	return migrate(&it);
}

static void print_left_out(void *arg, const char *text)
{
	(void)arg;
	fprintf(stderr, "%s\n", text);
}

struct status commands_import_osmo(const struct options *o)
{
	const struct service_options *v = options_values(o);
	_cleanup_opened_ struct opened it = {.store = NULL};
	struct import_osmo_result r = {.tokens = 0};
	TRY(open_it(v, false, &it));
	TRY(migrate(&it));
	struct status status = import_osmo(&(struct import_osmo_options){.url = v->osmo_url,
						   .password_file = v->osmo_password_file,
						   .store = it.store,
						   .home = it.loops.control,
						   .clock = &clock_system,
						   .left_out = print_left_out},
		&r);
	printf("imported: %lld roles, %lld profiles, %lld tokens (%lld more were there already)\n",
		(long long)r.roles, (long long)r.profiles, (long long)r.tokens,
		(long long)r.there_already);
	if (status_is_ok(&status) && r.left_out)
		return status_error(STATUS_FAILED_PRECONDITION, "%lld rows were left out",
			(long long)r.left_out);
	return status;
}

/* The key that is there: a command makes none. */
static struct status read_server_key(const struct service_options *v, struct server_key **ret)
{
	if (v->encryption_key_file)
		return server_key_read(v->encryption_key_file, ret);
	_cleanup_free_ char *path = xasprintf("%s/key", v->data_dir);
	return server_key_read_or_make(path, NULL, ret);
}

static struct status rotate(struct keyring *ring)
{
	struct sync sync;
	sync_init(&sync);
	TRY(keyring_rotate(ring, in_ms(ROTATE_MS), sync_on_done, &sync));
	struct status status = sync_wait(&sync);
	sync_init(&sync);
	keyring_stop(ring, sync_on_stopped, &sync);
	(void)!sync_wait(&sync).code;
	return status;
}

struct status commands_rotate_keys(const struct options *o)
{
	const struct service_options *v = options_values(o);
	if (v->jwt_key_file)
		return status_error(STATUS_FAILED_PRECONDITION,
			"the service signs with the keys of --jwt-key-file '%s': put a new one in "
			"front of them, which is read when the file changes",
			v->jwt_key_file);
	_cleanup_(server_key_freep) struct server_key *key = NULL;
	_cleanup_opened_ struct opened it = {.store = NULL};
	TRY(read_server_key(v, &key));
	TRY(open_it(v, true, &it));
	_cleanup_(keyring_freep) struct keyring *ring =
		keyring_new(&(struct keyring_config){.existing_only = true,
			.server_key = key,
			.store = it.store,
			.home = it.loops.control,
			.clock = &clock_system});
	TRY(rotate(ring));
	_cleanup_(keyring_state_unrefp) struct keyring_state *keys = keyring_get(ring);
	printf("JWTs are signed with the key %.*s from now on, by a service that runs within a "
	       "minute\n",
		STR_ARG(jwt_key_id(keys->current)));
	return status_ok();
}
