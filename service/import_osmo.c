/* SPDX-License-Identifier: Apache-2.0 */
#include "service/import_osmo.h"

#include "common/base/arena.h"
#include "common/base/base64.h" /* hex_decode */
#include "common/base/file.h"
#include "common/base/secret.h"
#include "common/base/xalloc.h"
#include "service/domain/principal.h"
#include "service/store/row_codec.h"
#include "service/sync.h"

#include <jansson.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum {
	PAGE_ROWS = 500,
	OPERATION_MS = 30000,
};

struct import {
	struct import_osmo_options options;
	struct import_osmo_result result;
	PGconn *db;
	/* Tokens of a page that are not answered yet, and the first error that ends it all. */
	pthread_mutex_t lock;
	pthread_cond_t answered;
	int waiting;
	struct status failure;
};

static void leave_out(struct import *m, const char *what, struct str name, const char *why)
{
	char text[600];
	snprintf(text, sizeof text, "%s '%.*s' was left out: %s", what, STR_ARG(name), why);
	m->result.left_out++;
	if (m->options.left_out)
		m->options.left_out(m->options.arg, text);
}

static struct store_waiter waiter_for(const struct import *m, void *arg)
{
	return (struct store_waiter){
		m->options.home, mono_time_add_ms(clock_mono(m->options.clock), OPERATION_MS), arg};
}

/* --- The database --- */

static struct status query(struct import *m, const char *sql, PGresult **ret)
{
	PGresult *r = PQexec(m->db, sql);
	ExecStatusType code = PQresultStatus(r);
	if (code == PGRES_TUPLES_OK || code == PGRES_COMMAND_OK) {
		*ret = r;
		return status_ok();
	}
	const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
	/* 42: a table or a column that is not there, or may not be read */
	struct status status =
		state && strncmp(state, "42", 2) == 0
			? status_error(STATUS_FAILED_PRECONDITION,
				  "this is no database of OSMO 6.0 that can be read: %s",
				  PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY))
			: status_error(STATUS_UNAVAILABLE, "the OSMO database: %s",
				  PQerrorMessage(m->db));
	PQclear(r);
	return status;
}

static struct status run(struct import *m, const char *sql)
{
	PGresult *r = NULL;
	TRY(query(m, sql, &r));
	PQclear(r);
	return status_ok();
}

static struct status connect_to(struct import *m)
{
	_cleanup_secret_ struct secret password = {NULL, 0};
	if (m->options.password_file)
		TRY(file_read_secret(m->options.password_file, false, &password));
	const char *const names[] = {
		"dbname", "password", "connect_timeout", "application_name", NULL};
	const char *const values[] = {
		m->options.url, password.p, "10", "token-service import-osmo", NULL};
	m->db = PQconnectdbParams(names, values, 1);
	if (PQstatus(m->db) != CONNECTION_OK)
		return status_error(
			STATUS_UNAVAILABLE, "the OSMO database: %s", PQerrorMessage(m->db));
	return run(m, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
}

static struct str cell(const PGresult *r, int row, int column)
{
	return PQgetisnull(r, row, column) ? (struct str){NULL, 0}
					   : (struct str){PQgetvalue(r, row, column),
						     (size_t)PQgetlength(r, row, column)};
}

/* --- Roles --- */

static bool is_ours(struct str name)
{
	for (size_t i = 0; i < role_defaults_count; i++)
		if (str_eq(role_defaults[i].name, name))
			return role_defaults[i].immutable;
	return false;
}

static struct str text_of(const json_t *value)
{
	return (struct str){json_string_value(value), json_string_length(value)};
}

/* "http:/path:Get", or {"base", "path", "method"}; the text is in @arena. */
static bool parse_action(const json_t *value, struct arena *arena, struct role_action *ret)
{
	struct str text = text_of(value);
	if (json_is_object(value)) {
		const char *base = json_string_value(json_object_get(value, "base"));
		const char *path = json_string_value(json_object_get(value, "path"));
		const char *method = json_string_value(json_object_get(value, "method"));
		text = str_of(arena_printf(arena, "%s:%s:%s", base ? base : "", path ? path : "",
			method ? method : ""));
	}
	return text.p && role_action_parse(arena_str(arena, text), ret).code == STATUS_OK;
}

/* [{"actions": [...]}, ...] */
static bool parse_policies(const json_t *list, struct arena *arena, struct role *role)
{
	size_t n = json_array_size(list);
	struct role_policy *policies = arena_calloc(arena, n, sizeof *policies);
	if (!json_is_array(list) || n > ROLE_MAX_POLICIES)
		return false;
	for (size_t i = 0; i < n; i++) {
		const json_t *actions = json_object_get(json_array_get(list, i), "actions");
		size_t n_actions = json_array_size(actions);
		struct role_action *parsed = arena_calloc(arena, n_actions, sizeof *parsed);
		if (!json_is_array(actions) || n_actions > ROLE_MAX_ACTIONS)
			return false;
		for (size_t k = 0; k < n_actions; k++)
			if (!parse_action(json_array_get(actions, k), arena, &parsed[k]))
				return false;
		policies[i] = (struct role_policy){parsed, n_actions};
	}
	role->policies = policies;
	role->n_policies = n;
	return true;
}

static struct status import_role(struct import *m, const PGresult *r, int row, struct arena *arena)
{
	struct role role = {.name = cell(r, row, 0),
		.description = cell(r, row, 1),
		.immutable = str_eq(cell(r, row, 3), STR("t"))};
	struct str policies = cell(r, row, 2);
	if (is_ours(role.name))
		return status_ok();
	json_t *list = json_loadb(policies.p ? policies.p : "", policies.n, 0, NULL);
	bool understood = parse_policies(list, arena, &role);
	json_decref(list);
	if (!role.name.n || role.name.n > ROLE_NAME_MAX_BYTES || !understood) {
		leave_out(m, "role", role.name, "its policies cannot be understood");
		return status_ok();
	}
	struct sync sync;
	sync_init(&sync);
	store_role_put(m->options.store, &role, waiter_for(m, &sync), sync_on_done);
	TRY(sync_wait(&sync));
	m->result.roles++;
	return status_ok();
}

/* --- Profiles --- */

static struct status import_profile(
	struct import *m, const PGresult *r, int row, struct arena *arena)
{
	(void)arena;
	struct store_profile_change change = {.set_email = true,
		.set_slack = true,
		.set_bucket = !PQgetisnull(r, row, 3),
		.set_pool = !PQgetisnull(r, row, 4),
		.to = {.email_notification = str_eq(cell(r, row, 1), STR("t")),
			.slack_notification = str_eq(cell(r, row, 2), STR("t")),
			.bucket = cell(r, row, 3),
			.pool = cell(r, row, 4)}};
	if (!principal_name_is_valid(cell(r, row, 0))) {
		leave_out(m, "profile of", cell(r, row, 0), "that is no name of a user");
		return status_ok();
	}
	struct sync sync;
	sync_init(&sync);
	store_profile_change(
		m->options.store, cell(r, row, 0), &change, waiter_for(m, &sync), sync_on_done);
	TRY(sync_wait(&sync));
	m->result.profiles++;
	return status_ok();
}

/* --- Tokens: those of a page at once, so that they share syncs --- */

struct token_work {
	struct import *m;
	struct token *token; /* a reference */
};

static void token_done(
	struct token_work *work, const struct status *status, int64_t *counter, const char *why)
{
	struct import *m = work->m;
	pthread_mutex_lock(&m->lock);
	if (why)
		leave_out(m, "token", work->token->fields.name, why);
	else if (counter)
		++*counter;
	else if (m->failure.code == STATUS_OK)
		m->failure = *status;
	m->waiting--;
	pthread_cond_signal(&m->answered);
	pthread_mutex_unlock(&m->lock);
	token_unref(work->token);
	free(work);
}

static void on_there(void *arg, const struct status *status, struct token *there)
{
	struct token_work *work = arg;
	if (status->code != STATUS_OK && status->code != STATUS_NOT_FOUND)
		token_done(work, status, NULL, NULL);
	else if (there && token_hash_eq(&there->fields.hash, &work->token->fields.hash))
		token_done(work, status, &work->m->result.there_already, NULL);
	else
		token_done(work, status, NULL,
			there ? "another one of this name is there" : "its secret is another's");
}

static void on_inserted(
	void *arg, const struct status *status, const struct store_insert_result *result)
{
	(void)result;
	struct token_work *work = arg;
	const struct token_fields *f = &work->token->fields;
	if (status->code == STATUS_ALREADY_EXISTS)
		store_token_by_name(work->m->options.store, f->kind, f->owner, f->name,
			waiter_for(work->m, work), on_there);
	else if (status->code == STATUS_OK)
		token_done(work, status, &work->m->result.tokens, NULL);
	else
		token_done(work, status, NULL, NULL);
}

static const char *read_token(
	const PGresult *r, int row, struct arena *arena, struct token_fields *ret)
{
	struct str type = cell(r, row, 5);
	if (!str_eq_nocase(type, STR("USER")) && !str_eq_nocase(type, STR("SERVICE")))
		return "its type is neither USER nor SERVICE";
	ret->kind = str_eq_nocase(type, STR("SERVICE")) ? TOKEN_SERVICE : TOKEN_USER;
	ret->name = cell(r, row, 1);
	ret->owner = ret->kind == TOKEN_SERVICE ? ret->name : cell(r, row, 0);
	ret->description = cell(r, row, 4);
	if (token_name_check(ret->name).code != STATUS_OK || !principal_name_is_valid(ret->owner) ||
		token_description_check(ret->description).code != STATUS_OK)
		return "its name, owner or description is none that is allowed here";
	if (!hex_decode(cell(r, row, 2), ret->hash.bytes, sizeof ret->hash.bytes))
		return "its hash is no SHA-256";
	if (!date_parse(cell(r, row, 3), &ret->expires))
		return "its expiration date cannot be read";
	if (row_roles_parse(cell(r, row, 6), arena, &ret->roles, &ret->n_roles).code != STATUS_OK ||
		ret->n_roles > TOKEN_MAX_ROLES)
		return "its roles cannot be read, or are too many";
	return NULL;
}

static struct status import_token(struct import *m, const PGresult *r, int row, struct arena *arena)
{
	struct token_fields fields = {.created = clock_now(m->options.clock)};
	const char *why = read_token(r, row, arena, &fields);
	if (why) {
		pthread_mutex_lock(&m->lock);
		leave_out(m, "token", cell(r, row, 1), why);
		pthread_mutex_unlock(&m->lock);
		return status_ok();
	}
	struct token_work *work = xnew(struct token_work);
	*work = (struct token_work){m, token_new(&fields)};
	pthread_mutex_lock(&m->lock);
	m->waiting++;
	pthread_mutex_unlock(&m->lock);
	store_token_insert(
		m->options.store, work->token, NULL, NULL, waiter_for(m, work), on_inserted);
	return status_ok();
}

static struct status wait_for_tokens(struct import *m)
{
	pthread_mutex_lock(&m->lock);
	while (m->waiting)
		pthread_cond_wait(&m->answered, &m->lock);
	struct status failure = m->failure;
	pthread_mutex_unlock(&m->lock);
	return failure;
}

/* --- All of it --- */

struct table {
	const char *cursor;
	struct status (*import)(struct import *m, const PGresult *r, int row, struct arena *arena);
};

static const struct table tables[] = {
	{"DECLARE rows CURSOR FOR SELECT name, coalesce(description, ''), "
	 "coalesce(array_to_json(policies), '[]'), coalesce(immutable, false) "
	 "FROM roles ORDER BY name",
		import_role},
	{"DECLARE rows CURSOR FOR SELECT user_name, coalesce(email_notification, false), "
	 "coalesce(slack_notification, false), bucket, pool FROM profile ORDER BY user_name",
		import_profile},
	/* A time of day is more than a date can say: it ends at the beginning of that day. */
	{"DECLARE rows CURSOR FOR SELECT user_name, token_name, encode(access_token, 'hex'), "
	 "to_char(expires_at, 'YYYY-MM-DD'), coalesce(description, ''), access_type, "
	 "coalesce(array_to_json(roles), '[]') FROM access_token "
	 "ORDER BY user_name, token_name, access_type",
		import_token},
};

static struct status import_page(struct import *m, const struct table *table, int *ret_rows)
{
	char sql[64];
	PGresult *r = NULL;
	snprintf(sql, sizeof sql, "FETCH %d FROM rows", PAGE_ROWS);
	TRY(query(m, sql, &r));
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	struct status status = status_ok();
	*ret_rows = PQntuples(r);
	for (int row = 0; row < *ret_rows && status_is_ok(&status); row++)
		status = table->import(m, r, row, arena);
	struct status tokens = wait_for_tokens(m);
	PQclear(r);
	return status_is_ok(&status) ? tokens : status;
}

static struct status import_table(struct import *m, const struct table *table)
{
	TRY(run(m, table->cursor));
	for (int rows = PAGE_ROWS; rows == PAGE_ROWS;)
		TRY(import_page(m, table, &rows));
	return run(m, "CLOSE rows");
}

static struct status import_all(struct import *m)
{
	TRY(connect_to(m));
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		TRY(import_table(m, &tables[i]));
	return status_ok();
}

struct status import_osmo(const struct import_osmo_options *options, struct import_osmo_result *ret)
{
	struct import m = {.options = *options, .failure = status_ok()};
	pthread_mutex_init(&m.lock, NULL);
	pthread_cond_init(&m.answered, NULL);
	struct status status = import_all(&m);
	PQfinish(m.db);
	pthread_cond_destroy(&m.answered);
	pthread_mutex_destroy(&m.lock);
	*ret = m.result;
	return status;
}
