/* SPDX-License-Identifier: Apache-2.0 */
/* The store port: what we ask of persistence, in domain types.
 *
 * Asynchronous: every operation takes the loop on which its callback runs, later, never inside the
 * call, and once. Operations are started on any thread.
 * Errors: NOT_FOUND and ALREADY_EXISTS where stated and only then; UNAVAILABLE for a store that is
 * away, full, or whose answer about a write is unknown; DEADLINE_EXCEEDED when @deadline passed
 * before the operation began; RESOURCE_EXHAUSTED when too many operations wait; INTERNAL for our
 * bugs. Texts carry no path, host or SQL: causes go to the log. An acknowledged write survives kill
 * -9 and loss of power. */
#pragma once

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/base/str.h"
#include "common/event/loop.h"
#include "service/domain/role.h"
#include "service/domain/token.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

/* Told of every change, by this process or another, after it is durable and before the one who
 * asked for it is; on a thread of the store's own: quick, and without calls of the store. This is
 * how caches learn that what they keep has gone. */
struct store_listener {
	/* A token was made, replaced (told of what was, and of what is) or deleted; of @token only
	 * kind, owner, name, hash, old_until and, if that is not 0, old_hash are set. */
	void (*token_changed)(void *arg, const struct token_fields *token);
	void (*roles_changed)(void *arg);
	/* Anything may have changed: the store was away for a while. */
	void (*all_changed)(void *arg);
	void *arg;
};
enum {
	STORE_MAX_LISTENERS = 4
};
/* Before the first operation; for as long as the store lives. */
void store_add_listener(struct store *s, const struct store_listener *listener);

/* Who waits for an operation, and until when. */
struct store_waiter {
	struct loop *home;
	struct mono_time deadline;
	void *arg; /* of the callback */
};

typedef void(store_done_fn)(void *arg, const struct status *status);
/* @token is NULL unless the status is OK; borrowed: take a reference to keep it. */
typedef void(store_token_fn)(void *arg, const struct status *status, struct token *token);

/* --- Tokens --- */

/* A Set that may be sent again: within 24 hours the same principal and id find the first result. */
struct store_request_id {
	struct str principal;    /* "user:alice" */
	struct str id;           /* empty: not repeatable */
	uint8_t fingerprint[32]; /* of the request's content */
	uint8_t salt[32];        /* from which the secret is derived */
	bool only_again;         /* it is too late for a first time: see FAILED_PRECONDITION */
};

/* What a token_insert came to when its status is OK. */
struct store_insert_result {
	bool replayed;       /* @request_id was known: the token is the one made then ... */
	uint8_t salt[32];    /* ... and its secret derives from this salt */
	struct token *token; /* borrowed */
};
typedef void(store_insert_fn)(
	void *arg, const struct status *status, const struct store_insert_result *result);

/* How many tokens of one kind an owner may have that are not expired; concurrent inserts do not
 * get past it. */
struct store_token_limit {
	size_t max; /* 0: any number */
	struct date today;
};

/* @request_id and @limit may be NULL.
 *
 * ALREADY_EXISTS  a token of this owner, kind and name is there (expired ones count)
 * RESOURCE_EXHAUSTED  the owner has @limit of them
 * INVALID_ARGUMENT  on "request_id": the id is known with another fingerprint
 * FAILED_PRECONDITION  only_again, and the id is not known
 * NOT_FOUND  the id is known, its token was deleted since, or has another secret now */
void store_token_insert(struct store *s, struct token *token,
	const struct store_request_id *request_id, const struct store_token_limit *limit,
	struct store_waiter waiter, store_insert_fn *done);

/* Puts @token, of the same kind, owner and name, in the place of @old, as it was read: description,
 * roles, expiry date, hash, old_hash and old_until; the rest stays as it is stored. @request_id and
 * @limit may be NULL; the latter is for one that had expired and lives again.
 *
 * NOT_FOUND  there is none of this name; or what token_insert says of "request_id"
 * RESOURCE_EXHAUSTED  the owner has @limit of them beside it
 * ABORTED    it is not as @old any more (token_is_unchanged): read it again
 * INVALID_ARGUMENT, FAILED_PRECONDITION  as token_insert */
void store_token_replace(struct store *s, struct token *old, struct token *token,
	const struct store_request_id *request_id, const struct store_token_limit *limit,
	struct store_waiter waiter, store_insert_fn *done);

/* The callback gets the token that was deleted. NOT_FOUND if there is none. */
void store_token_delete(struct store *s, enum token_kind kind, struct str owner, struct str name,
	struct store_waiter waiter, store_token_fn *done);

/* Deletes at most @limit tokens of an owner, whatever they are called; the callback gets them,
 * fewer than @limit if none is left. After a commit that failed and was done all the same it may
 * get some more: those of both tries. */
typedef void(store_tokens_fn)(
	void *arg, const struct status *status, struct token *const *tokens, size_t n);
void store_tokens_delete(struct store *s, enum token_kind kind, struct str owner, size_t limit,
	struct store_waiter waiter, store_tokens_fn *done);

/* Deletes at most @limit tokens that expired on @day or before; @n is how many. Listeners are not
 * told, as these opened nothing any more. */
typedef void(store_count_fn)(void *arg, const struct status *status, size_t n);
void store_tokens_purge(struct store *s, struct date day, size_t limit, struct store_waiter waiter,
	store_count_fn *done);

/* That a token was used; a token with another secret by now, or none, is passed over, and so is one
 * whose stored use is less than @apart_us older. Listeners are not told. */
struct store_token_use {
	struct token_hash hash; /* the token's own, whichever secret was used */
	struct unix_time at;
	struct str from; /* as token_fields.last_used_from */
};
/* @uses are copied. */
void store_tokens_used(struct store *s, const struct store_token_use *uses, size_t n,
	int64_t apart_us, struct store_waiter waiter, store_done_fn *done);

/* NOT_FOUND if no token has this hash, now or as its old one (whether that is still good is the
 * caller's to check). Expired ones are found. */
void store_token_by_hash(struct store *s, const struct token_hash *hash, struct store_waiter waiter,
	store_token_fn *done);
void store_token_by_name(struct store *s, enum token_kind kind, struct str owner, struct str name,
	struct store_waiter waiter, store_token_fn *done);

/* Which tokens, in the order of (name, owner); texts are copied. */
struct store_token_query {
	enum token_kind kind;
	bool any_owner; /* else @owner's */
	struct str owner;
	struct str name_prefix;                   /* empty: any */
	struct str name;                          /* empty: any */
	bool has_expires_from, has_expires_until; /* both days included */
	struct date expires_from, expires_until;
	bool has_after; /* strictly behind this place */
	struct str after_name, after_owner;
	size_t limit; /* at most this many */
	size_t reach; /* at most this many are looked at, if days are asked for; 0: STORE_REACH */
};
enum {
	STORE_REACH = 10000
};
/* Borrowed for the callback. */
struct store_token_page {
	struct token *const *tokens;
	size_t n;
	/* The search ended at its reach, perhaps with fewer than were asked for, and goes on behind
	 * this place: who asks for what is rare holds nobody up. */
	bool has_rest;
	struct str rest_name, rest_owner;
};
typedef void(store_page_fn)(
	void *arg, const struct status *status, const struct store_token_page *page);
void store_token_list(struct store *s, const struct store_token_query *query,
	struct store_waiter waiter, store_page_fn *done);

/* How many there are of each kind, from counters kept by the writes; any thread, no I/O. Where
 * replicas write, too, or one without a pause, it may be off by what is under way for some seconds.
 */
struct store_counts {
	int64_t user_tokens, service_tokens;
};
struct store_counts store_token_counts(const struct store *s);

/* What the store did, and what waits; any thread, no I/O. */
struct store_stats {
	uint64_t commits; /* transactions that changed something */
	uint64_t writes;  /* operations in them that succeeded */
	size_t waiting_reads, waiting_writes;
	bool can_write; /* the last write did not fail for a reason of the store's */
};
struct store_stats store_stats(const struct store *s);

/* --- Profiles --- */

struct store_profile {
	struct str user;
	bool email_notification, slack_notification;
	struct str bucket, pool; /* p == NULL: not chosen */
};
struct store_profile_change {
	bool set_email, set_slack, set_bucket, set_pool; /* the others stay */
	struct store_profile to;
};
typedef void(store_profile_fn)(
	void *arg, const struct status *status, const struct store_profile *profile);
/* One that was never written reads as all false and not chosen. */
void store_profile_get(
	struct store *s, struct str user, struct store_waiter waiter, store_profile_fn *done);
void store_profile_change(struct store *s, struct str user,
	const struct store_profile_change *change, struct store_waiter waiter, store_done_fn *done);

/* --- Roles --- */

/* The callback borrows the set (role_set_ref to keep). */
typedef void(store_roles_fn)(void *arg, const struct status *status, struct role_set *roles);
void store_roles_load(struct store *s, struct store_waiter waiter, store_roles_fn *done);
/* Inserts or replaces. */
void store_role_put(
	struct store *s, const struct role *role, struct store_waiter waiter, store_done_fn *done);
void store_role_delete(
	struct store *s, struct str name, struct store_waiter waiter, store_done_fn *done);

/* --- Small things of the service itself: keys, marks --- */

typedef void(store_setting_fn)(void *arg, const struct status *status, struct str value);
/* NOT_FOUND if it was never written. */
void store_setting_get(
	struct store *s, struct str name, struct store_waiter waiter, store_setting_fn *done);
/* Writes @value if there is none yet; the callback gets what is stored afterwards, ours or the
 * first one's: replicas that start together agree. */
void store_setting_init(struct store *s, struct str name, struct str value,
	struct store_waiter waiter, store_setting_fn *done);
void store_setting_put(struct store *s, struct str name, struct str value,
	struct store_waiter waiter, store_done_fn *done);
/* Writes @value in the place of @old, as it was read.
 *
 * ABORTED  it is not @old any more, or not there: read it again */
void store_setting_replace(struct store *s, struct str name, struct str old, struct str value,
	struct store_waiter waiter, store_done_fn *done);

/* --- Health --- */

/* "sqlite" */
const char *store_name(const struct store *s);

/* While the service starts, any operation may end in FAILED_PRECONDITION for what does not mend by
 * itself (a schema newer than the program): the process says so and ends. Whatever may pass is
 * UNAVAILABLE.
 *
 * A probe read and, for a store that can refuse writes while reads work (a full disk), its last
 * known ability to write. */
void store_check(struct store *s, struct store_waiter waiter, store_done_fn *done);

/* Finishes what was begun, then calls @stopped on @home and releases the store. */
void store_stop(struct store *s, struct loop *home, void (*stopped)(void *arg), void *arg);
