/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/postgres/pg_group.h"

#include "common/base/sha256.h"
#include "common/base/xalloc.h"
#include "service/store/postgres/pg_error.h"
#include "service/store/postgres/pg_news.h"
#include "service/store/postgres/pg_read.h"
#include "service/store/postgres/pg_row.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	STEPS_MAX = 3 * PG_GROUP_MAX + 8, /* a replace has three */
	REQUEST_LIFETIME_S = 24 * 3600,
};

struct step {
	enum pg_statement id;
	struct store_op *op; /* NULL: it is for many */
};

/* Members of one kind, in the order of their keys, so that two groups never wait for each other's
 * rows in a circle. */
struct batch {
	struct store_op *ops[PG_GROUP_MAX];
	bool is_done[PG_GROUP_MAX];
	size_t n;
};

struct pg_group {
	struct pg_unit unit;
	struct pg_shared *shared;
	struct pg_connection *connection;
	void (*done)(void *arg, struct pg_group *g, enum pg_group_end end);
	void *arg;
	struct list ops;
	size_t n, n_requests; /* of inserts */
	struct batch inserts, deletes;
	struct step steps[STEPS_MAX];
	int n_steps;
	struct pg_group_effect effect;
	bool committed, failed;
	bool definite; /* the failure says that nothing was done */
	char sqlstate[6];
};

/* --- Members --- */

static bool has_request(const struct store_op *op)
{
	return (op->type == STORE_OP_TOKEN_INSERT || op->type == STORE_OP_TOKEN_REPLACE) &&
	       op->in.insert.request.id.n > 0;
}

static bool same_request(const struct store_op *a, const struct store_op *b)
{
	const struct store_request_id *x = &a->in.insert.request, *y = &b->in.insert.request;
	return str_eq(x->id, y->id) && str_eq(x->principal, y->principal);
}

bool pg_group_add(struct pg_group *g, struct store_op *op)
{
	if (g->n == PG_GROUP_MAX)
		return false;
	if (has_request(op)) {
		list_for_each (node, &g->ops) {
			const struct store_op *other = container_of(node, struct store_op, link);
			if (has_request(other) && same_request(op, other))
				return false;
		}
		g->n_requests += op->type == STORE_OP_TOKEN_INSERT;
	}
	store_op_clear(op);
	op->status = status_ok();
	op->tries++;
	list_add_tail(&g->ops, &op->link);
	g->n++;
	return true;
}

size_t pg_group_count(const struct pg_group *g)
{
	return g->n;
}

static void key_of(
	const struct store_op *op, enum token_kind *kind, struct str *owner, struct str *name)
{
	if (op->type == STORE_OP_TOKEN_INSERT) {
		const struct token_fields *f = &op->in.insert.token->fields;
		*kind = f->kind, *owner = f->owner, *name = f->name;
	} else {
		*kind = op->in.by_name.kind, *owner = op->in.by_name.owner,
		*name = op->in.by_name.name;
	}
}

static int compare(const void *a, const void *b)
{
	enum token_kind kinds[2];
	struct str owners[2], names[2];
	key_of(*(struct store_op *const *)a, &kinds[0], &owners[0], &names[0]);
	key_of(*(struct store_op *const *)b, &kinds[1], &owners[1], &names[1]);
	if (kinds[0] != kinds[1])
		return kinds[0] < kinds[1] ? -1 : 1;
	int order = str_cmp(owners[0], owners[1]);
	return order ? order : str_cmp(names[0], names[1]);
}

static void fill(struct pg_group *g, enum store_op_type type, struct batch *batch)
{
	list_for_each (node, &g->ops) {
		struct store_op *op = container_of(node, struct store_op, link);
		if (op->type == type)
			batch->ops[batch->n++] = op;
	}
	qsort(batch->ops, batch->n, sizeof batch->ops[0], compare);
}

/* --- Inserts and deletes --- */

static void add(
	struct pg_group *g, enum pg_statement id, struct store_op *op, struct pg_params *params)
{
	g->steps[g->n_steps++] = (struct step){id, op};
	pg_connection_add(g->connection, id, params);
}

static void add_sender(struct pg_group *g, struct pg_params *p, const char *stripe)
{
	pg_params_text(p, str_of(g->shared->sender));
	if (stripe)
		pg_params_text(p, str_of(stripe));
}

#define ARRAY_OF(p, batch, type, append)                                                           \
	do {                                                                                       \
		struct buf *array = pg_params_array((p), (type), (batch)->n);                      \
		for (size_t i = 0; i < (batch)->n; i++) {                                          \
			const struct store_op *op = (batch)->ops[i];                               \
			append;                                                                    \
		}                                                                                  \
	} while (0)

#define TOKEN op->in.insert.token->fields
#define REQUEST op->in.insert.request
#define LIMIT op->in.insert.limit

static void add_old_hash(struct buf *array, const struct token_fields *f)
{
	pg_array_bytes(array, f->old_hash.bytes, f->old_until.us ? sizeof f->old_hash.bytes : 0);
}

static void add_inserts(struct pg_group *g, const char *stripe, bool limited)
{
	const struct batch *b = &g->inserts;
	_cleanup_pg_params_ struct pg_params p;
	pg_params_init(&p);
	add_sender(g, &p, stripe);
	ARRAY_OF(&p, b, PG_ARRAY_BYTES,
		pg_array_bytes(array, TOKEN.hash.bytes, sizeof TOKEN.hash.bytes));
	ARRAY_OF(&p, b, PG_ARRAY_INT, pg_array_int(array, TOKEN.kind));
	ARRAY_OF(&p, b, PG_ARRAY_TEXT, pg_array_text(array, TOKEN.owner));
	ARRAY_OF(&p, b, PG_ARRAY_TEXT, pg_array_text(array, TOKEN.name));
	ARRAY_OF(&p, b, PG_ARRAY_TEXT, pg_array_text(array, TOKEN.description));
	ARRAY_OF(&p, b, PG_ARRAY_TEXT, pg_array_text(array, op->in.insert.roles));
	ARRAY_OF(&p, b, PG_ARRAY_INT, pg_array_int(array, TOKEN.expires.days));
	ARRAY_OF(&p, b, PG_ARRAY_INT, pg_array_int(array, TOKEN.created.us));
	ARRAY_OF(&p, b, PG_ARRAY_INT, pg_array_int(array, TOKEN.last_used.us));
	ARRAY_OF(&p, b, PG_ARRAY_TEXT, pg_array_text(array, TOKEN.last_used_from));
	ARRAY_OF(&p, b, PG_ARRAY_BYTES, add_old_hash(array, &TOKEN));
	ARRAY_OF(&p, b, PG_ARRAY_INT, pg_array_int(array, TOKEN.old_until.us));
	ARRAY_OF(&p, b, PG_ARRAY_TEXT, pg_array_text(array, REQUEST.principal));
	ARRAY_OF(&p, b, PG_ARRAY_TEXT, pg_array_text(array, REQUEST.id));
	if (limited) {
		ARRAY_OF(&p, b, PG_ARRAY_INT,
			pg_array_int(array, LIMIT.max > INT32_MAX ? 0 : (int64_t)LIMIT.max));
		ARRAY_OF(&p, b, PG_ARRAY_INT, pg_array_int(array, LIMIT.today.days));
	}
	add(g, limited ? PG_TOKEN_INSERT_LIMITED : PG_TOKEN_INSERT, NULL, &p);
}

/* --- Limits --- */

static int32_t lock_of_owner(const struct token_fields *f)
{
	uint8_t digest[SHA256_BYTES];
	int32_t key;
	_cleanup_buf_ struct buf text;
	buf_init(&text, SIZE_MAX);
	buf_append_char(&text, f->kind == TOKEN_SERVICE ? '1' : '0');
	buf_append_str(&text, f->owner);
	sha256(buf_str(&text), digest);
	memcpy(&key, digest, sizeof key);
	return key;
}

static int compare_keys(const void *a, const void *b)
{
	int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
	return x < y ? -1 : x > y;
}

static void add_locks(struct pg_group *g, const int32_t *keys, size_t n)
{
	_cleanup_pg_params_ struct pg_params p;
	pg_params_init(&p);
	struct buf *array = pg_params_array(&p, PG_ARRAY_INT, n);
	for (size_t i = 0; i < n; i++)
		pg_array_int(array, keys[i]);
	add(g, PG_OWNERS_LOCK, NULL, &p);
}

/* In one order for all, so that nobody waits in a circle. False: there is no limit. */
static bool add_owner_locks(struct pg_group *g)
{
	int32_t keys[PG_GROUP_MAX];
	size_t n = 0, distinct = 0;
	for (size_t i = 0; i < g->inserts.n; i++) {
		const struct store_op *op = g->inserts.ops[i];
		if (LIMIT.max)
			keys[n++] = lock_of_owner(&TOKEN);
	}
	if (!n)
		return false;
	qsort(keys, n, sizeof keys[0], compare_keys);
	for (size_t i = 0; i < n; i++)
		if (!i || keys[i] != keys[distinct - 1])
			keys[distinct++] = keys[i];
	add_locks(g, keys, distinct);
	return true;
}

/* --- Requests --- */

/* A request is reserved before its token is inserted, so that of two tries at a time the second
 * waits for the first and finds it; the reservation goes again if there is no token after all. */
static void add_reserve(struct pg_group *g, const struct batch *b, struct unix_time now)
{
	_cleanup_pg_params_ struct pg_params p;
	pg_params_init(&p);
	ARRAY_OF(&p, b, PG_ARRAY_TEXT, pg_array_text(array, REQUEST.principal));
	ARRAY_OF(&p, b, PG_ARRAY_TEXT, pg_array_text(array, REQUEST.id));
	ARRAY_OF(&p, b, PG_ARRAY_BYTES,
		pg_array_bytes(array, REQUEST.fingerprint, sizeof REQUEST.fingerprint));
	ARRAY_OF(&p, b, PG_ARRAY_BYTES, pg_array_bytes(array, REQUEST.salt, sizeof REQUEST.salt));
	ARRAY_OF(&p, b, PG_ARRAY_BYTES,
		pg_array_bytes(array, TOKEN.hash.bytes, sizeof TOKEN.hash.bytes));
	pg_params_int(&p, now.us + (int64_t)REQUEST_LIFETIME_S * US_PER_S);
	pg_params_int(&p, now.us);
	add(g, PG_REQUEST_RESERVE, NULL, &p);
}

static void add_clean(struct pg_group *g, const struct batch *b)
{
	_cleanup_pg_params_ struct pg_params p;
	pg_params_init(&p);
	ARRAY_OF(&p, b, PG_ARRAY_TEXT, pg_array_text(array, REQUEST.principal));
	ARRAY_OF(&p, b, PG_ARRAY_TEXT, pg_array_text(array, REQUEST.id));
	ARRAY_OF(&p, b, PG_ARRAY_BYTES,
		pg_array_bytes(array, TOKEN.hash.bytes, sizeof TOKEN.hash.bytes));
	add(g, PG_REQUEST_CLEAN, NULL, &p);
}

static void add_deletes(struct pg_group *g, const char *stripe)
{
	const struct batch *b = &g->deletes;
	_cleanup_pg_params_ struct pg_params p;
	pg_params_init(&p);
	add_sender(g, &p, stripe);
	ARRAY_OF(&p, b, PG_ARRAY_INT, pg_array_int(array, op->in.by_name.kind));
	ARRAY_OF(&p, b, PG_ARRAY_TEXT, pg_array_text(array, op->in.by_name.owner));
	ARRAY_OF(&p, b, PG_ARRAY_TEXT, pg_array_text(array, op->in.by_name.name));
	add(g, PG_TOKEN_DELETE, NULL, &p);
}

static void add_all_inserts(struct pg_group *g, const char *stripe)
{
	struct batch *requests = g->n_requests ? xnew(struct batch) : NULL;
	for (size_t i = 0; requests && i < g->inserts.n; i++)
		if (has_request(g->inserts.ops[i]))
			requests->ops[requests->n++] = g->inserts.ops[i];
	if (requests)
		add_reserve(g, requests, clock_now(g->shared->clock));
	if (g->inserts.n)
		add_inserts(g, stripe, add_owner_locks(g));
	if (requests)
		add_clean(g, requests);
	free(requests);
}

/* --- Writes of other kinds --- */

static void add_replace(struct pg_group *g, struct store_op *op, struct pg_params *p)
{
	const struct token_fields *to = &TOKEN, *old = &op->in.insert.old->fields;
	_cleanup_buf_ struct buf before, after;
	buf_init(&before, SIZE_MAX);
	buf_init(&after, SIZE_MAX);
	pg_news_format(str_of(g->shared->sender), old, &before);
	pg_news_format(str_of(g->shared->sender), to, &after);
	if (has_request(op)) {
		struct batch *one = xnew(struct batch);
		one->ops[one->n++] = op;
		add_reserve(g, one, clock_now(g->shared->clock));
		free(one);
	}
	if (LIMIT.max)
		add_locks(g, &(int32_t){lock_of_owner(to)}, 1);
	pg_params_int(p, to->kind);
	pg_params_text(p, to->owner);
	pg_params_text(p, to->name);
	pg_params_bytes(p, to->hash.bytes, sizeof to->hash.bytes);
	pg_params_text(p, to->description);
	pg_params_text(p, op->in.insert.roles);
	pg_params_int(p, to->expires.days);
	pg_params_bytes(p, to->old_hash.bytes, to->old_until.us ? sizeof to->old_hash.bytes : 0);
	pg_params_int(p, to->old_until.us);
	pg_params_bytes(p, old->hash.bytes, sizeof old->hash.bytes);
	pg_params_text(p, old->description);
	pg_params_text(p, op->in.insert.old_roles);
	pg_params_int(p, old->expires.days);
	pg_params_text(p, REQUEST.principal);
	pg_params_text(p, REQUEST.id);
	pg_params_bytes(p, REQUEST.salt, sizeof REQUEST.salt);
	pg_params_text(p, buf_str(&before));
	pg_params_text(p, buf_str(&after));
	pg_params_int(p, LIMIT.max > INT32_MAX ? 0 : (int64_t)LIMIT.max);
	pg_params_int(p, LIMIT.today.days);
	add(g, PG_TOKEN_REPLACE, op, p);
}

static int64_t limit_of(size_t limit)
{
	return limit > INT32_MAX ? INT32_MAX : (int64_t)limit;
}

static void add_tokens_delete(
	struct pg_group *g, struct store_op *op, struct pg_params *p, const char *stripe)
{
	add_sender(g, p, stripe);
	pg_params_int(p, op->in.of_owner.kind);
	pg_params_text(p, op->in.of_owner.owner);
	pg_params_int(p, limit_of(op->in.of_owner.limit));
	add(g, PG_TOKENS_DELETE, op, p);
}

static void add_purge(
	struct pg_group *g, struct store_op *op, struct pg_params *p, const char *stripe)
{
	add_sender(g, p, stripe);
	pg_params_int(p, op->in.purge.day.days);
	pg_params_int(p, limit_of(op->in.purge.limit));
	add(g, PG_TOKENS_PURGE, op, p);
}

static void add_used(struct pg_group *g, struct store_op *op, struct pg_params *p)
{
	size_t n = op->in.used.n;
	const struct store_token_use *uses = op->in.used.uses;
	struct buf *hashes = pg_params_array(p, PG_ARRAY_BYTES, n);
	struct buf *times = pg_params_array(p, PG_ARRAY_INT, n);
	struct buf *places = pg_params_array(p, PG_ARRAY_TEXT, n);
	for (size_t i = 0; i < n; i++) {
		pg_array_bytes(hashes, uses[i].hash.bytes, sizeof uses[i].hash.bytes);
		pg_array_int(times, uses[i].at.us);
		pg_array_text(places, uses[i].from);
	}
	pg_params_int(p, op->in.used.apart_us);
	if (n)
		add(g, PG_TOKENS_USED, op, p);
}

static void add_profile_change(struct pg_group *g, struct store_op *op, struct pg_params *p)
{
	const struct store_profile_change *change = &op->in.profile.change;
	pg_params_text(p, op->in.profile.user);
	pg_params_int(p, change->to.email_notification);
	pg_params_int(p, change->to.slack_notification);
	pg_params_text_or_null(p, change->to.bucket);
	pg_params_text_or_null(p, change->to.pool);
	pg_params_bool(p, change->set_email);
	pg_params_bool(p, change->set_slack);
	pg_params_bool(p, change->set_bucket);
	pg_params_bool(p, change->set_pool);
	add(g, PG_PROFILE_CHANGE, op, p);
}

static void add_role(struct pg_group *g, struct store_op *op, struct pg_params *p)
{
	add_sender(g, p, NULL);
	pg_params_text(p, op->in.role.name);
	if (op->type == STORE_OP_ROLE_PUT) {
		pg_params_text(p, op->in.role.description);
		pg_params_text(p, op->in.role.policies);
		pg_params_int(p, op->in.role.immutable);
	}
	add(g, op->type == STORE_OP_ROLE_PUT ? PG_ROLE_PUT : PG_ROLE_DELETE, op, p);
}

static void add_setting(struct pg_group *g, struct store_op *op, struct pg_params *p)
{
	bool init = op->type == STORE_OP_SETTING_INIT;
	pg_params_text(p, op->in.setting.name);
	pg_params_text(p, op->in.setting.value);
	add(g, init ? PG_SETTING_INIT : PG_SETTING_PUT, op, p);
	if (init) { /* a statement of its own sees what another transaction has just committed */
		p->n = 1;
		add(g, PG_SETTING_GET, op, p);
	}
}

static void add_setting_replace(struct pg_group *g, struct store_op *op, struct pg_params *p)
{
	pg_params_text(p, op->in.setting.name);
	pg_params_text(p, op->in.setting.value);
	pg_params_text(p, op->in.setting.old);
	add(g, PG_SETTING_REPLACE, op, p);
}

static void add_other(struct pg_group *g, struct store_op *op, const char *stripe)
{
	_cleanup_pg_params_ struct pg_params p;
	pg_params_init(&p);
	switch (op->type) {
	case STORE_OP_TOKEN_REPLACE:
		add_replace(g, op, &p);
		break;
	case STORE_OP_TOKENS_DELETE:
		add_tokens_delete(g, op, &p, stripe);
		break;
	case STORE_OP_TOKENS_PURGE:
		add_purge(g, op, &p, stripe);
		break;
	case STORE_OP_TOKENS_USED:
		add_used(g, op, &p);
		break;
	case STORE_OP_PROFILE_CHANGE:
		add_profile_change(g, op, &p);
		break;
	case STORE_OP_ROLE_PUT:
	case STORE_OP_ROLE_DELETE:
		add_role(g, op, &p);
		break;
	case STORE_OP_SETTING_INIT:
	case STORE_OP_SETTING_PUT:
		add_setting(g, op, &p);
		break;
	case STORE_OP_SETTING_REPLACE:
		add_setting_replace(g, op, &p);
		break;
	case STORE_OP_CHECK:
		add(g, PG_TOUCH, op, NULL);
		break;
	case STORE_OP_TOKEN_INSERT:
	case STORE_OP_TOKEN_DELETE:
		break; /* with the others */
	case STORE_OP_TOKEN_BY_HASH:
	case STORE_OP_TOKEN_BY_NAME:
	case STORE_OP_TOKEN_LIST:
	case STORE_OP_PROFILE_GET:
	case STORE_OP_ROLES_LOAD:
	case STORE_OP_SETTING_GET:
	case STORE_OP_COUNT:
		break; /* no writes */
	}
}

void pg_group_send(struct pg_group *g, struct pg_connection *c, unsigned stripe)
{
	char text[16];
	snprintf(text, sizeof text, ":%u", stripe % PG_STRIPES);
	fill(g, STORE_OP_TOKEN_INSERT, &g->inserts);
	fill(g, STORE_OP_TOKEN_DELETE, &g->deletes);
	g->connection = c;
	pg_connection_begin(c, &g->unit);
	add(g, PG_BEGIN, NULL, NULL);
	if (pg_target_is_pooler(g->shared->target)) /* else the session was told: pg_connection.c */
		add(g, PG_DURABLE, NULL, NULL);
	add_all_inserts(g, text);
	if (g->deletes.n)
		add_deletes(g, text);
	list_for_each (node, &g->ops)
		add_other(g, container_of(node, struct store_op, link), text);
	add(g, PG_COMMIT, NULL, NULL);
	atomic_fetch_add(&g->shared->groups_begun, 1);
	pg_connection_end(c);
}

/* --- Results --- */

static void count(struct pg_group *g, enum token_kind kind, int64_t by)
{
	*(kind == TOKEN_SERVICE ? &g->effect.service_tokens : &g->effect.user_tokens) += by;
}

/* Rows come in the order of the batch, or nearly so. */
static struct store_op *find_insert(struct batch *b, struct str hash, size_t from)
{
	for (size_t k = 0; k < b->n; k++) {
		size_t i = (from + k) % b->n;
		const struct token_hash *own = &b->ops[i]->in.insert.token->fields.hash;
		if (!b->is_done[i] && hash.n == sizeof own->bytes &&
			memcmp(hash.p, own->bytes, hash.n) == 0) {
			b->is_done[i] = true;
			return b->ops[i];
		}
	}
	return NULL;
}

static void take_inserted(struct store_op *op)
{
	op->out.token = token_ref(op->in.insert.token);
	memcpy(op->out.salt, REQUEST.salt, sizeof op->out.salt);
}

static void take_inserts(struct pg_group *g, const PGresult *result)
{
	for (int i = 0; i < PQntuples(result); i++) {
		struct store_op *op =
			find_insert(&g->inserts, pg_row_text(pg_row(result, i), 0), (size_t)i);
		if (!op)
			continue;
		take_inserted(op);
		count(g, op->in.insert.token->fields.kind, 1);
	}
}

static struct store_op *find_delete(struct batch *b, const struct token_fields *f, size_t from)
{
	for (size_t k = 0; k < b->n; k++) {
		size_t i = (from + k) % b->n;
		const struct store_op *op = b->ops[i];
		if (!b->is_done[i] && op->in.by_name.kind == f->kind &&
			str_eq(op->in.by_name.owner, f->owner) &&
			str_eq(op->in.by_name.name, f->name)) {
			b->is_done[i] = true;
			return b->ops[i];
		}
	}
	return NULL;
}

static struct status not_found(const struct store_op *op)
{
	return status_error(
		STATUS_NOT_FOUND, "token '%.*s' does not exist", STR_ARG(op->in.by_name.name));
}

static void take_deletes(struct pg_group *g, const PGresult *result)
{
	for (int i = 0; i < PQntuples(result); i++) {
		_cleanup_(token_unrefp) struct token *t = NULL;
		struct status status = pg_row_token(pg_row(result, i), 0, &t);
		if (!status_is_ok(&status))
			continue;
		struct store_op *op = find_delete(&g->deletes, &t->fields, (size_t)i);
		count(g, t->fields.kind, -1);
		if (op)
			op->out.token = TAKE_PTR(t);
	}
	for (size_t i = 0; i < g->deletes.n; i++)
		if (!g->deletes.ops[i]->out.token)
			g->deletes.ops[i]->status = not_found(g->deletes.ops[i]);
}

static void take_tokens(struct pg_group *g, struct store_op *op, const PGresult *result)
{
	for (int i = 0; i < PQntuples(result); i++) {
		struct token *t = NULL;
		struct status status = pg_row_token(pg_row(result, i), 0, &t);
		count(g, op->in.of_owner.kind, -1);
		if (status_is_ok(&status))
			store_op_add_token(op, t);
	}
}

static void take_purged(struct pg_group *g, struct store_op *op, const PGresult *result)
{
	for (int i = 0; i < PQntuples(result); i++) {
		struct pg_row row = pg_row(result, i);
		int64_t n = pg_row_int(row, 1);
		op->out.count += (size_t)n;
		count(g, pg_row_int(row, 0) == TOKEN_SERVICE ? TOKEN_SERVICE : TOKEN_USER, -n);
	}
}

/* An error before the commit, told by the server itself, says that nothing was done. What a pooler
 * says of a server that it has lost (class 08) does not; nor does a session that is ended while it
 * commits. */
static void note_failure(struct pg_group *g, int statement, const PGresult *result)
{
	if (g->failed)
		return;
	g->failed = true;
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
	snprintf(g->sqlstate, sizeof g->sqlstate, "%s", sqlstate ? sqlstate : "");
	bool is_error = severity && strcmp(severity, "ERROR") == 0;
	bool before_commit = statement < g->n_steps - 1;
	g->definite = sqlstate && strncmp(sqlstate, "08", 2) != 0 &&
		      (is_error || (before_commit && !pg_target_is_pooler(g->shared->target)));
	pg_log_failure(pg_statement_name(g->steps[statement].id), result, NULL);
}

/* PQcmdStatus only reads. */
static PGresult *unconst(const PGresult *result)
{
	return (PGresult *)(uintptr_t)result;
}

static void take(struct pg_group *g, const struct step *step, const PGresult *result)
{
	if (step->id == PG_TOKEN_INSERT || step->id == PG_TOKEN_INSERT_LIMITED)
		take_inserts(g, result);
	else if (step->id == PG_TOKEN_REPLACE && PQntuples(result) > 0)
		take_inserted(step->op);
	else if (step->id == PG_TOKENS_DELETE)
		take_tokens(g, step->op, result);
	else if (step->id == PG_TOKENS_PURGE)
		take_purged(g, step->op, result);
	else if (step->id == PG_TOKEN_DELETE)
		take_deletes(g, result);
	else if (step->id == PG_SETTING_GET)
		step->op->status = pg_read_take(step->op, result);
	else if (step->id == PG_SETTING_REPLACE && PQntuples(result) == 0)
		step->op->status = store_setting_changed(step->op->in.setting.name);
	else if (step->id == PG_COMMIT)
		g->committed = strcmp(PQcmdStatus(unconst(result)), "COMMIT") == 0 &&
			       !g->connection->has_warning;
}

static void on_result(struct pg_unit *u, int statement, const PGresult *result)
{
	struct pg_group *g = container_of(u, struct pg_group, unit);
	ExecStatusType type = PQresultStatus(result);
	if (type == PGRES_COMMAND_OK || type == PGRES_TUPLES_OK)
		take(g, &g->steps[statement], result);
	else if (type != PGRES_PIPELINE_ABORTED)
		note_failure(g, statement, result);
}

static void on_end(struct pg_unit *u, enum pg_unit_end end)
{
	(void)end; /* what was heard before decides */
	struct pg_group *g = container_of(u, struct pg_group, unit);
	struct pg_shared *shared = g->shared;
	g->done(g->arg, g,
		g->committed               ? PG_GROUP_COMMITTED
		: g->failed && g->definite ? PG_GROUP_FAILED
					   : PG_GROUP_UNKNOWN);
	atomic_fetch_add(&shared->groups_ended, 1); /* now that its effect is counted */
}

/* --- Life --- */

struct pg_group *pg_group_new(struct pg_shared *shared,
	void (*done)(void *arg, struct pg_group *g, enum pg_group_end end), void *arg)
{
	struct pg_group *g = xnew(struct pg_group);
	g->shared = shared;
	g->done = done;
	g->arg = arg;
	g->unit.on_result = on_result;
	g->unit.on_end = on_end;
	list_init(&g->ops);
	return g;
}

void pg_group_free(struct pg_group *g)
{
	free(g);
}

/* It did nothing, for a reason that is to be found out. */
static bool is_unclear(const struct store_op *op)
{
	return (op->type == STORE_OP_TOKEN_INSERT || op->type == STORE_OP_TOKEN_REPLACE) &&
	       !op->out.token;
}

void pg_group_take(struct pg_group *g, struct list *members, struct list *unclear)
{
	list_for_each (node, &g->ops) {
		list_remove(node);
		bool has_answer =
			!unclear || !is_unclear(container_of(node, struct store_op, link));
		list_add_tail(has_answer ? members : unclear, node);
	}
}

const char *pg_group_sqlstate(const struct pg_group *g)
{
	return g->sqlstate;
}

struct pg_group_effect pg_group_effect(const struct pg_group *g)
{
	return g->effect;
}
