/* SPDX-License-Identifier: Apache-2.0 */
/* What an adapter implements: operations come as objects, and are finished as objects.
 *
 * The port (store.c) turns each call into one struct store_op, which holds copies of all that it is
 * about, and hands it to the adapter; the adapter fills in what came out and calls
 * store_op_finish, on any thread, which carries the answer to the waiter's loop. So an adapter has
 * no callbacks, copies no arguments and posts no tasks: it has one function for each kind of
 * operation, and a place where they wait. */
#pragma once

#include "common/base/buf.h"
#include "common/base/list.h"
#include "service/store/store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum store_op_type {
	STORE_OP_TOKEN_INSERT,
	STORE_OP_TOKEN_REPLACE,
	STORE_OP_TOKEN_DELETE,
	STORE_OP_TOKENS_DELETE,
	STORE_OP_TOKENS_PURGE,
	STORE_OP_TOKENS_USED,
	STORE_OP_TOKEN_BY_HASH,
	STORE_OP_TOKEN_BY_NAME,
	STORE_OP_TOKEN_LIST,
	STORE_OP_PROFILE_GET,
	STORE_OP_PROFILE_CHANGE,
	STORE_OP_ROLES_LOAD,
	STORE_OP_ROLE_PUT,
	STORE_OP_ROLE_DELETE,
	STORE_OP_SETTING_GET,
	STORE_OP_SETTING_INIT,
	STORE_OP_SETTING_PUT,
	STORE_OP_SETTING_REPLACE,
	STORE_OP_CHECK,
	STORE_OP_COUNT,
};

/* "token_insert": for logs and metrics. */
const char *store_op_name(enum store_op_type type);
/* Changes the database: belongs into a transaction, together with others. */
bool store_op_is_write(enum store_op_type type);

struct store_op {
	struct list link;      /* the adapter's: where it waits */
	struct loop_task task; /* takes the answer home */
	struct store *store;
	struct mono_time begun; /* when it was submitted, if that is measured */
	struct store_waiter waiter;
	enum store_op_type type;
	/* The adapter's: a commit of it failed in a way that may yet have succeeded. */
	bool maybe_done;
	/* The adapter's: how often it was begun, and as what it waits. */
	uint8_t tries;
	bool is_write;
	struct status status;

	/* What it is about; texts point into @texts. */
	union {
		struct {
			struct token *token; /* a reference */
			struct str roles;    /* as row_roles_format has them */
			struct store_request_id request;
			struct store_token_limit limit;
			/* For replace: a reference, and its roles. */
			struct token *old;
			struct str old_roles;
		} insert; /* and replace */
		struct {
			enum token_kind kind;
			struct str owner, name;
		} by_name; /* and delete */
		struct {
			enum token_kind kind;
			struct str owner;
			size_t limit;
		} of_owner; /* tokens_delete */
		struct {
			struct date day;
			size_t limit;
		} purge;
		struct {
			const struct store_token_use *uses;
			size_t n;
			int64_t apart_us;
		} used;
		struct token_hash hash;
		struct store_token_query query;
		struct {
			struct str user;
			struct store_profile_change change; /* profile_change */
		} profile;
		struct {
			struct str name, description, policies; /* as row_policies_format */
			bool immutable;
		} role; /* put; delete has the name only */
		struct {
			struct str name, value;
			struct str old; /* replace */
		} setting;
	} in;

	/* What came out, the operation's own; see store_op_clear. */
	struct {
		struct token *token; /* a reference */
		bool replayed;
		uint8_t salt[32];
		struct token **tokens; /* an array of references */
		size_t n_tokens;
		bool has_rest; /* of token_list; its texts are in @memory */
		struct str rest_name, rest_owner;
		size_t count;                 /* of tokens_purge */
		struct store_profile profile; /* its texts are in @memory, as is @value */
		struct role_set *roles;
		struct str value;
		struct arena *memory;
	} out;

	union {
		store_done_fn *plain;
		store_insert_fn *insert;
		store_token_fn *token;
		store_tokens_fn *tokens;
		store_page_fn *page;
		store_count_fn *count;
		store_profile_fn *profile;
		store_roles_fn *roles;
		store_setting_fn *setting;
	} done;
	_Alignas(max_align_t) char texts[];
};

/* Releases what came out, so that the operation can be done again. */
void store_op_clear(struct store_op *op);
/* Adds to op->out.tokens; takes the reference. */
void store_op_add_token(struct store_op *op, struct token *_takes_token);
/* A copy of @text that lives as long as what came out; no text stays no text. */
struct str store_op_keep(struct store_op *op, struct str text);
/* A list that ended at its reach, at this place; the texts are copied. */
void store_op_set_rest(struct store_op *op, struct str name, struct str owner);
/* Days are asked for, which no index is in the order of: look at as many as are in reach. */
bool store_query_is_search(const struct store_token_query *q);
size_t store_query_reach(const struct store_token_query *q);
bool store_query_takes_day(const struct store_token_query *q, struct date expires);
/* The first and the last name that a query may give; the second may be put into @memory. */
struct str store_query_first_name(const struct store_token_query *q);
struct str store_query_last_name(const struct store_token_query *q, struct buf *memory);
/* The deadline passed, and it must not begin. */
bool store_op_is_late(const struct store_op *op, struct mono_time now);
/* Answers and forgets the operation; any thread. What came out counts only if @status is OK. */
void store_op_finish(struct store_op *op, struct status status);
enum store_refusal {
	STORE_FULL,
	STORE_SHUT_DOWN
};
/* Finishes what did not begin: RESOURCE_EXHAUSTED or UNAVAILABLE. */
void store_op_refuse(struct store_op *op, enum store_refusal why);
/* For a batch of answers: finishes each with its own op->status. */
void store_op_finish_all(struct list *ops);

/* The error of a request that is to be known and is not. */
struct status store_request_not_known(const struct store_request_id *request);
/* The error of an insert beyond its limit. */
struct status store_limit_reached(struct str owner, const struct store_token_limit *limit);
/* That of a setting that is another one by now. */
struct status store_setting_changed(struct str name);
/* Those of a request id that is known: with another content, and for a secret that is no token's
 * any more. */
struct status store_request_reused(const struct store_request_id *request);
struct status store_request_outdated(const struct store_request_id *request);

struct store_ops {
	const char *name; /* "sqlite" */
	/* Takes @op; any thread; never blocks. */
	void (*submit)(struct store *s, struct store_op *op);
	struct store_counts (*counts)(const struct store *s);
	struct store_stats (*stats)(const struct store *s);
	void (*stop)(struct store *s, struct loop *home, void (*stopped)(void *arg), void *arg);
};

/* The first member of every adapter's store. */
struct store {
	const struct store_ops *ops;
	struct store_listener listeners[STORE_MAX_LISTENERS];
	size_t n_listeners;
	/* Told of each operation that ends, if it is set (store_metrics.c). */
	void (*ended)(void *arg, const struct store_op *op);
	void *ended_arg; /* the store's, by xalloc */
};
/* The adapter's store is about to be freed. */
void store_done(struct store *s);

/* Tells the listeners of what a write that is durable did; one that changed nothing they know of
 * tells nothing. */
void store_tell(const struct store *s, const struct store_op *op);
void store_tell_token(const struct store *s, const struct token *token);
/* Of @token only kind, owner, name and hash are read. */
void store_tell_fields(const struct store *s, const struct token_fields *token);
void store_tell_roles(const struct store *s);
void store_tell_all(const struct store *s);
