/* SPDX-License-Identifier: Apache-2.0 */
/* The contract of service/store/store.h, on any adapter. */
#include "common/base/buf.h"
#include "common/base/xalloc.h"
#include "common/event/loop.h"
#include "service/store/store.h"
#include "tests/lib/store_driver.h"
#include "tests/lib/test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	TODAY = 20800
};

static int set_up(void **state)
{
	struct store_driver *d = xnew(struct store_driver);
	store_driver_init(d);
	*state = d;
	return 0;
}

static int tear_down(void **state)
{
	store_driver_done(*state);
	free(*state);
	return 0;
}

static void insert(struct store_driver *d, enum token_kind kind, const char *owner,
	const char *name, int32_t expires_day)
{
	_cleanup_(token_unrefp) struct token *t = make_token(kind, owner, name, expires_day);
	assert_ok(driver_insert(d, t));
}

/* After writes for some seconds without a pause a count may be off until the store looks again. */
static void wait_for_count(const struct store_driver *d, int64_t user_tokens)
{
	for (int i = 0; i < 1000; i++) {
		if (store_token_counts(d->store).user_tokens == user_tokens)
			return;
		usleep(10000);
	}
	assert_int_equal(store_token_counts(d->store).user_tokens, user_tokens);
}

static void assert_same_token(const struct token *a, const struct token *b)
{
	const struct token_fields *x = &a->fields, *y = &b->fields;
	assert_int_equal(x->kind, y->kind);
	assert_str(x->owner, y->owner.p);
	assert_str(x->name, y->name.p);
	assert_str(x->description, y->description.p);
	assert_int_equal(x->n_roles, y->n_roles);
	for (size_t i = 0; i < x->n_roles; i++)
		assert_str(x->roles[i], y->roles[i].p);
	assert_int_equal(x->expires.days, y->expires.days);
	assert_int_equal(x->created.us, y->created.us);
	assert_int_equal(x->last_used.us, y->last_used.us);
	assert_str(x->last_used_from, y->last_used_from.p);
	assert_int_equal(x->old_until.us, y->old_until.us);
	if (x->old_until.us)
		assert_true(token_hash_eq(&x->old_hash, &y->old_hash));
	assert_true(token_hash_eq(&x->hash, &y->hash));
}

/* --- Tokens --- */

static void inserted_token_is_found_by_hash_and_by_name_as_it_was(void **state)
{
	struct store_driver *d = *state;
	_cleanup_(token_unrefp) struct token *t = make_token(TOKEN_USER, "alice", "ci", TODAY);
	_cleanup_(token_unrefp) struct token *by_hash = NULL, *by_name = NULL;
	assert_ok(driver_insert(d, t));
	assert_ok(driver_by_hash(d, &t->fields.hash, &by_hash));
	assert_same_token(by_hash, t);
	assert_ok(driver_by_name(d, TOKEN_USER, "alice", "ci", &by_name));
	assert_same_token(by_name, t);
}

static void token_without_roles_and_description_is_kept(void **state)
{
	struct store_driver *d = *state;
	struct token_fields f = {.kind = TOKEN_SERVICE,
		.owner = STR("bot"),
		.name = STR("bot"),
		.expires = {TODAY},
		.hash = make_hash("bot", "bot")};
	_cleanup_(token_unrefp) struct token *t = token_new(&f), *found = NULL;
	assert_ok(driver_insert(d, t));
	assert_ok(driver_by_name(d, TOKEN_SERVICE, "bot", "bot", &found));
	assert_same_token(found, t);
}

static void unknown_token_is_not_found(void **state)
{
	struct store_driver *d = *state;
	struct token_hash hash = make_hash("no", "body");
	struct token *t = NULL;
	assert_status(driver_by_hash(d, &hash, &t), STATUS_NOT_FOUND, "the token is not known");
	assert_null(t);
	assert_status(driver_by_name(d, TOKEN_USER, "no", "body", &t), STATUS_NOT_FOUND,
		"token 'body' does not exist");
	assert_null(t);
}

static void name_is_taken_once_for_each_owner_and_kind(void **state)
{
	struct store_driver *d = *state;
	insert(d, TOKEN_USER, "alice", "ci", TODAY + 1);
	_cleanup_(token_unrefp) struct token *again = make_token(TOKEN_USER, "alice", "ci", TODAY);
	assert_status(driver_insert(d, again), STATUS_ALREADY_EXISTS, "token 'ci' already exists");
	insert(d, TOKEN_USER, "bob", "ci", TODAY + 1);
	insert(d, TOKEN_SERVICE, "ci", "ci", TODAY + 1);

	_cleanup_(token_unrefp) struct token *found = NULL;
	assert_ok(driver_by_name(d, TOKEN_USER, "alice", "ci", &found));
	assert_int_equal(found->fields.expires.days, TODAY + 1);
}

static void expired_token_keeps_its_name(void **state)
{
	struct store_driver *d = *state;
	insert(d, TOKEN_USER, "alice", "old", 1);
	_cleanup_(token_unrefp) struct token *again = make_token(TOKEN_USER, "alice", "old", TODAY);
	assert_status(driver_insert(d, again), STATUS_ALREADY_EXISTS, "token 'old' already exists");
}

static void secret_is_taken_once(void **state)
{
	struct store_driver *d = *state;
	insert(d, TOKEN_USER, "alice", "one", TODAY);
	struct token_fields f = {.kind = TOKEN_USER,
		.owner = STR("alice"),
		.name = STR("two"),
		.hash = make_hash("alice", "one")};
	_cleanup_(token_unrefp) struct token *t = token_new(&f);
	assert_status(driver_insert(d, t), STATUS_ALREADY_EXISTS,
		"another token has the same secret already");
	assert_int_equal(
		driver_by_name(d, TOKEN_USER, "alice", "two", NULL).code, STATUS_NOT_FOUND);
}

static void names_differ_by_case_and_by_owner_boundary(void **state)
{
	struct store_driver *d = *state;
	insert(d, TOKEN_USER, "ab", "c", TODAY);
	insert(d, TOKEN_USER, "a", "bc", TODAY);
	insert(d, TOKEN_USER, "a", "BC", TODAY);
	assert_int_equal(store_token_counts(d->store).user_tokens, 3);
}

static void deleted_token_is_gone_and_is_told(void **state)
{
	struct store_driver *d = *state;
	_cleanup_(token_unrefp) struct token *t = make_token(TOKEN_USER, "alice", "ci", TODAY);
	_cleanup_(token_unrefp) struct token *deleted = NULL;
	assert_ok(driver_insert(d, t));
	assert_ok(driver_delete(d, TOKEN_USER, "alice", "ci", &deleted));
	assert_same_token(deleted, t);
	assert_int_equal(driver_by_hash(d, &t->fields.hash, NULL).code, STATUS_NOT_FOUND);
	assert_status(driver_delete(d, TOKEN_USER, "alice", "ci", NULL), STATUS_NOT_FOUND,
		"token 'ci' does not exist");
	assert_ok(driver_insert(d, t));
}

static void delete_touches_one_owner_and_one_kind(void **state)
{
	struct store_driver *d = *state;
	insert(d, TOKEN_USER, "alice", "ci", TODAY);
	insert(d, TOKEN_USER, "bob", "ci", TODAY);
	insert(d, TOKEN_SERVICE, "ci", "ci", TODAY);
	assert_ok(driver_delete(d, TOKEN_USER, "alice", "ci", NULL));
	assert_ok(driver_by_name(d, TOKEN_USER, "bob", "ci", NULL));
	assert_ok(driver_by_name(d, TOKEN_SERVICE, "ci", "ci", NULL));
}

static void counts_follow_inserts_and_deletes_and_survive_a_restart(void **state)
{
	struct store_driver *d = *state;
	insert(d, TOKEN_USER, "alice", "a", TODAY);
	insert(d, TOKEN_USER, "alice", "b", TODAY);
	insert(d, TOKEN_SERVICE, "s", "s", TODAY);
	_cleanup_(token_unrefp) struct token *again = make_token(TOKEN_USER, "alice", "a", TODAY);
	assert_int_equal(driver_insert(d, again).code, STATUS_ALREADY_EXISTS);
	assert_ok(driver_delete(d, TOKEN_USER, "alice", "b", NULL));
	store_driver_close(d);
	assert_ok(store_driver_open(d));
	struct store_counts counts = store_token_counts(d->store);
	assert_int_equal(counts.user_tokens, 1);
	assert_int_equal(counts.service_tokens, 1);
}

static void everything_survives_a_restart(void **state)
{
	struct store_driver *d = *state;
	_cleanup_(token_unrefp) struct token *t = make_token(TOKEN_USER, "alice", "ci", TODAY);
	_cleanup_(token_unrefp) struct token *found = NULL;
	const struct store_profile_change change = {
		.set_pool = true, .to = {.pool = STR("default")}};
	char text[64];
	assert_ok(driver_insert(d, t));
	assert_ok(driver_profile_change(d, "alice", &change));
	assert_ok(driver_setting_put(d, "key", STR("value")));
	store_driver_close(d);
	assert_ok(store_driver_open(d));
	assert_ok(driver_by_hash(d, &t->fields.hash, &found));
	assert_same_token(found, t);
	assert_ok(driver_profile(d, "alice", text, sizeof text));
	assert_string_equal(text, "0 0 - default");
	assert_ok(driver_setting_get(d, "key", text, sizeof text));
	assert_string_equal(text, "value");
}

/* --- Requests that are sent again --- */

static struct store_request_id request_of(const char *principal, const char *id, int content)
{
	struct store_request_id r = {.principal = str_of(principal), .id = str_of(id)};
	memset(r.fingerprint, content, sizeof r.fingerprint);
	memset(r.salt, content + 100, sizeof r.salt);
	return r;
}

static struct token *token_with_hash(const char *name, const char *hash_of)
{
	struct token_fields f = {.owner = STR("alice"),
		.name = str_of(name),
		.expires = {TODAY},
		.hash = make_hash("hash", hash_of)};
	return token_new(&f);
}

static void request_sent_again_gets_the_first_result(void **state)
{
	struct store_driver *d = *state;
	struct store_request_id first = request_of("user:alice", "r1", 1), second = first;
	memset(second.salt, 9, sizeof second.salt); /* a new one is drawn each time */
	_cleanup_(token_unrefp) struct token *t1 = token_with_hash("ci", "1"),
					     *t2 = token_with_hash("ci", "2");
	struct store_insert_result result;
	assert_ok(driver_insert_request(d, t1, &first, &result));
	assert_false(result.replayed);
	assert_memory_equal(result.salt, first.salt, sizeof result.salt);
	token_unref(result.token);

	assert_ok(driver_insert_request(d, t2, &second, &result));
	assert_true(result.replayed);
	assert_memory_equal(result.salt, first.salt, sizeof result.salt);
	assert_same_token(result.token, t1);
	token_unref(result.token);
	assert_int_equal(store_token_counts(d->store).user_tokens, 1);
}

static void request_id_with_other_content_is_refused(void **state)
{
	struct store_driver *d = *state;
	struct store_request_id first = request_of("user:alice", "r1", 1);
	struct store_request_id other = request_of("user:alice", "r1", 2);
	_cleanup_(token_unrefp) struct token *t1 = token_with_hash("ci", "1"),
					     *t2 = token_with_hash("cd", "2");
	struct store_insert_result result;
	assert_ok(driver_insert_request(d, t1, &first, &result));
	token_unref(result.token);
	struct status status = driver_insert_request(d, t2, &other, &result);
	assert_string_equal(status.field, "request_id");
	assert_status(status, STATUS_INVALID_ARGUMENT,
		"request_id 'r1' was used for a request with other content");
	assert_int_equal(store_token_counts(d->store).user_tokens, 1);
}

static void request_ids_are_per_principal(void **state)
{
	struct store_driver *d = *state;
	struct store_request_id alice = request_of("user:alice", "r1", 1);
	struct store_request_id bob = request_of("user:bob", "r1", 2);
	_cleanup_(token_unrefp) struct token *t1 = token_with_hash("ci", "1"),
					     *t2 = token_with_hash("cd", "2");
	struct store_insert_result result;
	assert_ok(driver_insert_request(d, t1, &alice, &result));
	token_unref(result.token);
	assert_ok(driver_insert_request(d, t2, &bob, &result));
	assert_false(result.replayed);
	token_unref(result.token);
}

static void request_that_is_late_finds_what_it_did_and_does_nothing_new(void **state)
{
	struct store_driver *d = *state;
	struct store_request_id set = request_of("user:alice", "r1", 1),
				rotation = request_of("user:alice", "r2", 2);
	_cleanup_(token_unrefp) struct token *t1 = token_with_hash("ci", "1"),
					     *t2 = token_with_hash("ci", "2");
	struct store_insert_result result;
	set.only_again = rotation.only_again = true;
	assert_status(driver_insert_request(d, t1, &set, &result), STATUS_FAILED_PRECONDITION,
		"request_id 'r1' is not known");
	assert_int_equal(driver_by_hash(d, &t1->fields.hash, NULL).code, STATUS_NOT_FOUND);

	set.only_again = false;
	assert_ok(driver_insert_request(d, t1, &set, &result));
	token_unref(result.token);
	set.only_again = true;
	assert_ok(driver_insert_request(d, t2, &set, &result));
	assert_true(result.replayed);
	token_unref(result.token);

	assert_status(driver_replace_request(d, t1, t2, &rotation, &result),
		STATUS_FAILED_PRECONDITION, "request_id 'r2' is not known");
	assert_ok(driver_by_hash(d, &t1->fields.hash, NULL));
	rotation.only_again = false;
	assert_ok(driver_replace_request(d, t1, t2, &rotation, &result));
	token_unref(result.token);
	rotation.only_again = true;
	assert_ok(driver_replace_request(d, t2, t1, &rotation, &result));
	assert_true(result.replayed);
	assert_int_equal(result.token->fields.hash.bytes[0], t2->fields.hash.bytes[0]);
	token_unref(result.token);
}

static void request_whose_token_was_deleted_is_not_found(void **state)
{
	struct store_driver *d = *state;
	struct store_request_id request = request_of("user:alice", "r1", 1);
	_cleanup_(token_unrefp) struct token *t1 = token_with_hash("ci", "1"),
					     *t2 = token_with_hash("ci", "2");
	struct store_insert_result result;
	assert_ok(driver_insert_request(d, t1, &request, &result));
	token_unref(result.token);
	assert_ok(driver_delete(d, TOKEN_USER, "alice", "ci", NULL));
	/* A token made since under the same name is another one. */
	assert_ok(driver_insert(d, t2));
	assert_status(driver_insert_request(d, t2, &request, &result), STATUS_NOT_FOUND,
		"the token that request_id 'r1' made was deleted or rotated since");
}

static void request_that_failed_leaves_no_trace(void **state)
{
	struct store_driver *d = *state;
	struct store_request_id request = request_of("user:alice", "r1", 1);
	_cleanup_(token_unrefp) struct token *t1 = token_with_hash("ci", "1"),
					     *t2 = token_with_hash("ci", "2");
	struct store_insert_result result;
	assert_ok(driver_insert(d, t1));
	assert_int_equal(
		driver_insert_request(d, t2, &request, &result).code, STATUS_ALREADY_EXISTS);
	assert_ok(driver_delete(d, TOKEN_USER, "alice", "ci", NULL));
	assert_ok(driver_insert_request(d, t2, &request, &result));
	assert_false(result.replayed);
	token_unref(result.token);
}

/* --- The life of a token --- */

/* As @t, with the secret of @hash_of, and its own good until @old_until_us. */
static struct token *rotated(const struct token *t, const char *hash_of, int64_t old_until_us)
{
	struct token_fields f = t->fields;
	f.hash = make_hash("hash", hash_of);
	f.old_until.us = old_until_us;
	f.old_hash = t->fields.hash;
	return token_new(&f);
}

static void replaced_token_is_read_as_it_is_now(void **state)
{
	struct store_driver *d = *state;
	static const struct str roles[] = {{"osmo-backend", 12}, {"a \"b\"", 5}};
	_cleanup_(token_unrefp) struct token *t = make_token(TOKEN_USER, "alice", "ci", TODAY);
	assert_ok(driver_insert(d, t));
	struct token_fields f = t->fields;
	f.description = STR("for the nightly build");
	f.roles = roles;
	f.n_roles = 2;
	f.expires.days = TODAY + 7;
	f.created.us += 5; /* these two are not replaced */
	f.last_used.us = 999;
	_cleanup_(token_unrefp) struct token *to = token_new(&f), *found = NULL;
	assert_ok(driver_replace(d, t, to));
	f.created = t->fields.created;
	f.last_used = t->fields.last_used;
	_cleanup_(token_unrefp) struct token *wanted = token_new(&f);
	assert_ok(driver_by_hash(d, &t->fields.hash, &found));
	assert_same_token(found, wanted);
	assert_int_equal(store_token_counts(d->store).user_tokens, 1);
}

static void old_secret_is_found_while_its_row_has_it(void **state)
{
	struct store_driver *d = *state;
	_cleanup_(token_unrefp) struct token *t = make_token(TOKEN_USER, "alice", "ci", TODAY);
	_cleanup_(token_unrefp) struct token *second = rotated(t, "2", INT64_C(77000000)),
					     *third = rotated(second, "3", 0);
	_cleanup_(token_unrefp) struct token *found = NULL, *by_old = NULL;
	assert_ok(driver_insert(d, t));
	assert_ok(driver_replace(d, t, second));
	assert_ok(driver_by_hash(d, &second->fields.hash, &found));
	assert_same_token(found, second);
	assert_ok(driver_by_hash(d, &t->fields.hash, &by_old));
	assert_same_token(by_old, second);

	assert_ok(driver_replace(d, second, third));
	assert_int_equal(driver_by_hash(d, &t->fields.hash, NULL).code, STATUS_NOT_FOUND);
	assert_int_equal(driver_by_hash(d, &second->fields.hash, NULL).code, STATUS_NOT_FOUND);
	assert_ok(driver_by_hash(d, &third->fields.hash, NULL));
}

static void replace_of_what_was_changed_meanwhile_is_aborted(void **state)
{
	struct store_driver *d = *state;
	_cleanup_(token_unrefp) struct token *t = make_token(TOKEN_USER, "alice", "ci", TODAY);
	_cleanup_(token_unrefp) struct token *mine = rotated(t, "mine", 0),
					     *theirs = rotated(t, "theirs", 0);
	assert_status(driver_replace(d, t, mine), STATUS_NOT_FOUND, "token 'ci' does not exist");
	assert_ok(driver_insert(d, t));
	assert_ok(driver_replace(d, t, theirs));
	assert_status(driver_replace(d, t, mine), STATUS_ABORTED,
		"token 'ci' was changed at the same time");
	assert_ok(driver_by_hash(d, &theirs->fields.hash, NULL));
	assert_ok(driver_replace(d, theirs, mine));

	struct token_fields f = mine->fields;
	f.roles = (const struct str[]){STR("other")};
	f.n_roles = 1;
	_cleanup_(token_unrefp) struct token *other_roles = token_new(&f);
	assert_int_equal(driver_replace(d, other_roles, theirs).code, STATUS_ABORTED);
}

static void replace_takes_no_secret_that_another_token_has(void **state)
{
	struct store_driver *d = *state;
	_cleanup_(token_unrefp) struct token *t = make_token(TOKEN_USER, "alice", "ci", TODAY);
	_cleanup_(token_unrefp) struct token *other = token_with_hash("cd", "taken");
	_cleanup_(token_unrefp) struct token *to = rotated(t, "taken", 0);
	assert_ok(driver_insert(d, t));
	assert_ok(driver_insert(d, other));
	assert_status(driver_replace(d, t, to), STATUS_ALREADY_EXISTS,
		"another token has the same secret already");
	assert_ok(driver_by_hash(d, &t->fields.hash, NULL));
}

static void replace_sent_again_gets_the_first_result(void **state)
{
	struct store_driver *d = *state;
	struct store_request_id first = request_of("user:alice", "r1", 1), second = first;
	memset(second.salt, 9, sizeof second.salt);
	_cleanup_(token_unrefp) struct token *t = make_token(TOKEN_USER, "alice", "ci", TODAY);
	_cleanup_(token_unrefp) struct token *to = rotated(t, "2", INT64_C(5000000)),
					     *again = rotated(to, "3", INT64_C(5000000));
	struct store_insert_result result;
	assert_ok(driver_insert(d, t));
	assert_ok(driver_replace_request(d, t, to, &first, &result));
	assert_false(result.replayed);
	token_unref(result.token);
	/* Who sends it again has read the token anew. */
	assert_ok(driver_replace_request(d, to, again, &second, &result));
	assert_true(result.replayed);
	assert_memory_equal(result.salt, first.salt, sizeof result.salt);
	assert_same_token(result.token, to);
	token_unref(result.token);
	assert_ok(driver_by_hash(d, &t->fields.hash, NULL));
}

static void all_tokens_of_an_owner_are_deleted_and_no_others(void **state)
{
	struct store_driver *d = *state;
	size_t n;
	_cleanup_(token_unrefp) struct token *last = NULL;
	insert(d, TOKEN_USER, "alice", "a", TODAY);
	insert(d, TOKEN_USER, "alice", "b", 1);
	insert(d, TOKEN_USER, "alice", "c", TODAY);
	insert(d, TOKEN_USER, "alicea", "a", TODAY);
	insert(d, TOKEN_USER, "bob", "a", TODAY);
	insert(d, TOKEN_SERVICE, "alice", "alice", TODAY);
	assert_ok(driver_delete_all(d, TOKEN_USER, "alice", 2, &n, NULL));
	assert_int_equal(n, 2);
	assert_ok(driver_delete_all(d, TOKEN_USER, "alice", 2, &n, &last));
	assert_int_equal(n, 1);
	assert_str(last->fields.owner, "alice");
	assert_ok(driver_delete_all(d, TOKEN_USER, "alice", 2, &n, NULL));
	assert_int_equal(n, 0);
	struct store_counts counts = store_token_counts(d->store);
	assert_int_equal(counts.user_tokens, 2);
	assert_int_equal(counts.service_tokens, 1);
	assert_ok(driver_by_name(d, TOKEN_USER, "bob", "a", NULL));
}

static void purge_takes_the_longest_expired_first_and_no_other(void **state)
{
	struct store_driver *d = *state;
	size_t n;
	insert(d, TOKEN_USER, "alice", "yesterday", TODAY - 1);
	insert(d, TOKEN_USER, "alice", "today", TODAY);
	insert(d, TOKEN_SERVICE, "old", "old", TODAY - 9);
	insert(d, TOKEN_USER, "bob", "tomorrow", TODAY + 1);
	assert_ok(driver_purge(d, TODAY, 1, &n));
	assert_int_equal(n, 1);
	assert_int_equal(
		driver_by_name(d, TOKEN_SERVICE, "old", "old", NULL).code, STATUS_NOT_FOUND);
	assert_int_equal(store_token_counts(d->store).service_tokens, 0);
	assert_ok(driver_purge(d, TODAY - 1, 100, &n));
	assert_int_equal(n, 1);
	assert_ok(driver_by_name(d, TOKEN_USER, "alice", "today", NULL));
	assert_ok(driver_purge(d, TODAY, 100, &n));
	assert_int_equal(n, 1);
	assert_ok(driver_purge(d, TODAY, 100, &n));
	assert_int_equal(n, 0);
	assert_ok(driver_by_name(d, TOKEN_USER, "bob", "tomorrow", NULL));
	assert_int_equal(store_token_counts(d->store).user_tokens, 1);
}

static void use_is_kept_unless_a_recent_one_is(void **state)
{
	struct store_driver *d = *state;
	const int64_t minute = 60 * US_PER_S, start = 1000 * minute;
	_cleanup_(token_unrefp) struct token *a = make_token(TOKEN_USER, "alice", "a", TODAY);
	_cleanup_(token_unrefp) struct token *b = make_token(TOKEN_USER, "alice", "b", TODAY);
	assert_ok(driver_insert(d, a));
	assert_ok(driver_insert(d, b));
	const struct store_token_use uses[] = {
		{a->fields.hash, {start}, STR("192.0.2.1")},
		{make_hash("no", "body"), {start}, STR("192.0.2.2")},
		{b->fields.hash, {start + 5}, STR("2001:db8::1")},
	};
	assert_ok(driver_used(d, uses, 3, minute));
	const struct store_token_use soon = {a->fields.hash, {start + minute - 1}, STR("x")};
	assert_ok(driver_used(d, &soon, 1, minute));
	_cleanup_(token_unrefp) struct token *found_a = NULL, *found_b = NULL, *later = NULL;
	assert_ok(driver_by_name(d, TOKEN_USER, "alice", "a", &found_a));
	assert_int_equal(found_a->fields.last_used.us, start);
	assert_str(found_a->fields.last_used_from, "192.0.2.1");
	assert_ok(driver_by_name(d, TOKEN_USER, "alice", "b", &found_b));
	assert_int_equal(found_b->fields.last_used.us, start + 5);
	assert_str(found_b->fields.last_used_from, "2001:db8::1");
	const struct store_token_use next = {a->fields.hash, {start + minute}, STR("y")};
	assert_ok(driver_used(d, &next, 1, minute));
	assert_ok(driver_by_name(d, TOKEN_USER, "alice", "a", &later));
	assert_int_equal(later->fields.last_used.us, start + minute);
	assert_str(later->fields.last_used_from, "y");
	/* A replacement keeps it. */
	_cleanup_(token_unrefp) struct token *to = rotated(a, "2", 0), *after = NULL;
	assert_ok(driver_replace(d, a, to));
	assert_ok(driver_by_hash(d, &to->fields.hash, &after));
	assert_int_equal(after->fields.last_used.us, start + minute);
}

static void limit_counts_the_living_tokens_of_one_owner_and_kind(void **state)
{
	struct store_driver *d = *state;
	const struct store_token_limit limit = {2, {TODAY}};
	_cleanup_(token_unrefp) struct token *b = make_token(TOKEN_USER, "alice", "b", TODAY + 1),
					     *c = make_token(TOKEN_USER, "alice", "c", TODAY + 1),
					     *again = make_token(TOKEN_USER, "alice", "b", TODAY);
	insert(d, TOKEN_USER, "alice", "expired", TODAY);
	insert(d, TOKEN_USER, "alice", "a", TODAY + 1);
	insert(d, TOKEN_USER, "bob", "a", TODAY + 1);
	insert(d, TOKEN_SERVICE, "alice", "alice", TODAY + 1);
	assert_ok(driver_insert_limited(d, b, &limit));
	assert_status(driver_insert_limited(d, c, &limit), STATUS_RESOURCE_EXHAUSTED,
		"alice has 2 access tokens, which is the most a user may have: delete one first");
	assert_int_equal(driver_insert_limited(d, again, &limit).code, STATUS_ALREADY_EXISTS);
	assert_int_equal(store_token_counts(d->store).user_tokens, 4);
	assert_ok(driver_delete(d, TOKEN_USER, "alice", "a", NULL));
	assert_ok(driver_insert_limited(d, c, &limit));
}

static void limit_holds_for_a_token_that_lives_again(void **state)
{
	struct store_driver *d = *state;
	const struct store_token_limit limit = {2, {TODAY}}, none = {0, {TODAY}};
	_cleanup_(token_unrefp) struct token *expired = make_token(TOKEN_USER, "alice", "x", TODAY),
					     *again = make_token(
						     TOKEN_USER, "alice", "x", TODAY + 9),
					     *other = token_with_hash("x", "2");
	assert_ok(driver_insert(d, expired));
	insert(d, TOKEN_USER, "alice", "a", TODAY + 1);
	insert(d, TOKEN_USER, "alice", "b", TODAY + 1);
	insert(d, TOKEN_USER, "bob", "b", TODAY + 1);
	assert_status(driver_replace_limited(d, expired, again, &limit), STATUS_RESOURCE_EXHAUSTED,
		"alice has 2 access tokens, which is the most a user may have: delete one first");
	assert_ok(driver_replace_limited(d, expired, other, &none));
	assert_int_equal(driver_replace_limited(d, expired, again, &limit).code, STATUS_ABORTED);
	assert_ok(driver_replace(d, other, expired));
	assert_ok(driver_delete(d, TOKEN_USER, "alice", "a", NULL));
	assert_ok(driver_replace_limited(d, expired, again, &limit));
}

static _Atomic int64_t test_now_us;

static struct unix_time test_now(const struct clock *self)
{
	(void)self;
	return (struct unix_time){test_now_us};
}

static struct mono_time test_mono(const struct clock *self)
{
	(void)self;
	return clock_mono(&clock_system);
}

static void request_is_forgotten_after_a_day(void **state)
{
	(void)state;
	static const struct clock clock = {.now = test_now, .mono = test_mono};
	const int64_t start = INT64_C(1800000000) * US_PER_S, day = INT64_C(86400) * US_PER_S;
	struct store_driver d = {.clock = &clock};
	test_now_us = start;
	assert_ok(store_driver_open(&d));
	struct store_request_id request = request_of("user:alice", "r1", 1);
	_cleanup_(token_unrefp) struct token *t1 = token_with_hash("ci", "1"),
					     *t2 = token_with_hash("cd", "2");
	struct store_insert_result result;
	assert_ok(driver_insert_request(&d, t1, &request, &result));
	token_unref(result.token);

	test_now_us = start + day - 1;
	assert_ok(driver_insert_request(&d, t2, &request, &result));
	assert_true(result.replayed);
	token_unref(result.token);

	test_now_us = start + day;
	assert_ok(driver_insert_request(&d, t2, &request, &result));
	assert_false(result.replayed);
	token_unref(result.token);
	store_driver_done(&d);
}

/* As one that was deleted: the secret that would be told again opens nothing. */
static void request_whose_secret_outlived_its_overlap_is_not_found(void **state)
{
	(void)state;
	static const struct clock clock = {.now = test_now, .mono = test_mono};
	const int64_t start = INT64_C(1800000000) * US_PER_S;
	struct store_driver d = {.clock = &clock};
	test_now_us = start;
	assert_ok(store_driver_open(&d));
	struct store_request_id request = request_of("user:alice", "r1", 1);
	_cleanup_(token_unrefp) struct token *t = token_with_hash("ci", "1");
	_cleanup_(token_unrefp) struct token *to = rotated(t, "2", start + 5 * US_PER_S),
					     *again = token_with_hash("ci", "3");
	struct store_insert_result result;
	assert_ok(driver_insert_request(&d, t, &request, &result));
	token_unref(result.token);
	assert_ok(driver_replace(&d, t, to));

	test_now_us = start + 5 * US_PER_S - 1;
	assert_ok(driver_insert_request(&d, again, &request, &result));
	assert_true(result.replayed);
	token_unref(result.token);

	test_now_us = start + 5 * US_PER_S;
	assert_status(driver_insert_request(&d, again, &request, &result), STATUS_NOT_FOUND,
		"the token that request_id 'r1' made was deleted or rotated since");
	store_driver_done(&d);
}

/* --- Lists --- */

static void assert_list(
	struct store_driver *d, const struct store_token_query *query, const char *wanted)
{
	char text[4096];
	assert_ok(driver_list(d, query, text, sizeof text, NULL));
	assert_string_equal(text, wanted);
}

static struct store_token_query query_of(const char *owner, size_t limit)
{
	return (struct store_token_query){
		.kind = TOKEN_USER, .any_owner = !owner, .owner = str_of(owner), .limit = limit};
}

static void fill(struct store_driver *d)
{
	insert(d, TOKEN_USER, "bob", "alpha", TODAY);
	insert(d, TOKEN_USER, "alice", "beta", TODAY + 1);
	insert(d, TOKEN_USER, "alice", "alpha", TODAY + 1);
	insert(d, TOKEN_USER, "alice", "Zeta", TODAY);
	insert(d, TOKEN_USER, "alice", "alphabet", TODAY);
	insert(d, TOKEN_USER, "carol", "alpha", TODAY + 1);
	insert(d, TOKEN_SERVICE, "beta", "beta", TODAY + 1);
}

static void list_of_an_owner_is_in_order_of_bytes(void **state)
{
	struct store_driver *d = *state;
	fill(d);
	struct store_token_query q = query_of("alice", 100);
	assert_list(d, &q, "Zeta alpha alphabet beta");
	q.owner = STR("nobody");
	assert_list(d, &q, "");
}

static void list_of_all_is_in_order_of_name_and_owner(void **state)
{
	struct store_driver *d = *state;
	fill(d);
	struct store_token_query q = query_of(NULL, 100);
	assert_list(
		d, &q, "alice/Zeta alice/alpha bob/alpha carol/alpha alice/alphabet alice/beta");
	q.kind = TOKEN_SERVICE;
	assert_list(d, &q, "beta/beta");
}

static void list_goes_on_strictly_behind_a_place(void **state)
{
	struct store_driver *d = *state;
	fill(d);
	struct store_token_query q = query_of("alice", 2);
	assert_list(d, &q, "Zeta alpha");
	q.has_after = true;
	q.after_name = STR("alpha");
	q.after_owner = STR("alice");
	assert_list(d, &q, "alphabet beta");
	q.after_name = STR("beta");
	assert_list(d, &q, "");

	q = query_of(NULL, 2);
	q.has_after = true;
	q.after_name = STR("alpha");
	q.after_owner = STR("alice");
	assert_list(d, &q, "bob/alpha carol/alpha");
}

static void list_page_token_survives_deletion_and_insertion(void **state)
{
	struct store_driver *d = *state;
	fill(d);
	struct store_token_query q = query_of("alice", 2);
	assert_list(d, &q, "Zeta alpha");
	assert_ok(driver_delete(d, TOKEN_USER, "alice", "alpha", NULL));
	insert(d, TOKEN_USER, "alice", "aaa", TODAY);    /* before the place: not seen */
	insert(d, TOKEN_USER, "alice", "alphaa", TODAY); /* behind it: seen */
	q.has_after = true;
	q.after_name = STR("alpha");
	q.after_owner = STR("alice");
	q.limit = 100;
	assert_list(d, &q, "alphaa alphabet beta");
}

static void list_is_filtered_by_prefix_name_and_expiry(void **state)
{
	struct store_driver *d = *state;
	fill(d);
	struct store_token_query q = query_of("alice", 100);
	q.name_prefix = STR("alpha");
	assert_list(d, &q, "alpha alphabet");
	q.has_expires_from = true;
	q.expires_from.days = TODAY + 1;
	assert_list(d, &q, "alpha");
	q.has_expires_from = false;
	q.has_expires_until = true;
	q.expires_until.days = TODAY;
	assert_list(d, &q, "alphabet");
	q.has_expires_from = true;
	assert_list(d, &q, "");
	q.expires_from.days = TODAY;
	assert_list(d, &q, "alphabet");
	q = query_of("alice", 100);
	q.name = STR("alpha");
	assert_list(d, &q, "alpha");
	q.name = STR("alph");
	assert_list(d, &q, "");
	q = query_of(NULL, 100);
	q.name = STR("alpha");
	assert_list(d, &q, "alice/alpha bob/alpha carol/alpha");
	q.has_expires_until = true;
	q.expires_until.days = TODAY;
	assert_list(d, &q, "bob/alpha");
	q = query_of(NULL, 100);
	q.name_prefix = STR("alpha");
	q.has_after = true;
	q.after_name = STR("alpha");
	q.after_owner = STR("bob");
	assert_list(d, &q, "carol/alpha alice/alphabet");
	/* A place before the prefix, or behind it. */
	q.after_name = STR("aaa");
	assert_list(d, &q, "alice/alpha bob/alpha carol/alpha alice/alphabet");
	q.after_name = STR("beta");
	assert_list(d, &q, "");
}

static void list_pages_add_up_to_the_whole(void **state)
{
	struct store_driver *d = *state;
	enum {
		N = 57
	};
	char name[32], last[32] = "", page[4096], seen[8192] = "";
	for (int i = 0; i < N; i++) {
		snprintf(name, sizeof name, "t%02d", (i * 23) % N);
		insert(d, TOKEN_USER, "alice", name, TODAY + i % 2);
	}
	size_t total = 0, n;
	do {
		struct store_token_query q = query_of("alice", 10);
		q.has_after = total > 0;
		q.after_name = str_of(last);
		q.after_owner = STR("alice");
		assert_ok(driver_list(d, &q, page, sizeof page, &n));
		snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "%s ", page);
		if (n)
			snprintf(last, sizeof last, "%s", strrchr(page, 't'));
		total += n;
	} while (n == 10);
	assert_int_equal(total, N);
	char wanted[8192] = "";
	for (int i = 0; i < N; i++) {
		snprintf(wanted + strlen(wanted), sizeof wanted - strlen(wanted), "t%02d ", i);
	}
	assert_string_equal(seen, wanted);
}

/* Who asks for what is rare gets a page that ends early, and goes on from there. */
static void list_by_days_ends_at_its_reach(void **state)
{
	struct store_driver *d = *state;
	fill(d);
	struct store_token_query q = query_of("alice", 100);
	q.has_expires_from = true;
	q.expires_from.days = TODAY + 1;
	q.reach = 3; /* Zeta alpha alphabet */
	assert_list(d, &q, "alpha > alice/alphabet");
	q.has_after = true;
	q.after_name = STR("alphabet");
	q.after_owner = STR("alice");
	assert_list(d, &q, "beta");
	q.has_after = false;
	q.reach = 2; /* the last one in reach is wanted */
	assert_list(d, &q, "alpha > alice/alpha");
	q.reach = 4; /* all there are, which it does not know */
	assert_list(d, &q, "alpha beta > alice/beta");
	q.reach = 5;
	assert_list(d, &q, "alpha beta");
	q.limit = 1; /* enough before its reach */
	q.reach = 4;
	assert_list(d, &q, "alpha");

	q = query_of(NULL, 100);
	q.has_expires_until = true;
	q.expires_until.days = TODAY - 1; /* none */
	q.reach = 4;
	assert_list(d, &q, " > carol/alpha");
	q.has_after = true;
	q.after_name = STR("alpha");
	q.after_owner = STR("carol");
	assert_list(d, &q, "");
	q = query_of(NULL, 100);
	q.has_expires_from = true;
	q.expires_from.days = TODAY + 1;
	q.reach = 4; /* Zeta, alpha of alice, bob and carol */
	assert_list(d, &q, "alice/alpha carol/alpha > carol/alpha");
	q.name_prefix = STR("alpha");
	q.reach = 2;
	assert_list(d, &q, "alice/alpha > bob/alpha");
	/* Without days there is nothing to search for. */
	q = query_of("alice", 100);
	q.reach = 1;
	assert_list(d, &q, "Zeta alpha alphabet beta");
}

/* --- Profiles --- */

static void profile_never_written_reads_as_nothing_chosen(void **state)
{
	char text[64];
	assert_ok(driver_profile(*state, "alice", text, sizeof text));
	assert_string_equal(text, "0 0 - -");
}

static void profile_change_leaves_the_rest(void **state)
{
	struct store_driver *d = *state;
	char text[64];
	struct store_profile_change change = {.set_email = true,
		.set_pool = true,
		.to = {.email_notification = true, .pool = STR("p1"), .bucket = STR("not set")}};
	assert_ok(driver_profile_change(d, "alice", &change));
	assert_ok(driver_profile(d, "alice", text, sizeof text));
	assert_string_equal(text, "1 0 - p1");
	change = (struct store_profile_change){.set_bucket = true,
		.set_slack = true,
		.to = {.slack_notification = true, .bucket = STR("b1")}};
	assert_ok(driver_profile_change(d, "alice", &change));
	assert_ok(driver_profile(d, "alice", text, sizeof text));
	assert_string_equal(text, "1 1 b1 p1");
	change = (struct store_profile_change){.set_pool = true, .set_email = true};
	assert_ok(driver_profile_change(d, "alice", &change));
	assert_ok(driver_profile(d, "alice", text, sizeof text));
	assert_string_equal(text, "0 1 b1 -");
	assert_ok(driver_profile(d, "bob", text, sizeof text));
	assert_string_equal(text, "0 0 - -");
}

/* --- Roles --- */

static void roles_come_back_as_they_were_put(void **state)
{
	struct store_driver *d = *state;
	for (size_t i = 0; i < role_defaults_count; i++)
		assert_ok(driver_role_put(d, &role_defaults[i]));
	/* A set sorts the actions. */
	_cleanup_(role_set_unrefp) struct role_set *roles = NULL, *defaults = role_set_new();
	for (size_t i = 0; i < role_defaults_count; i++)
		role_set_add(defaults, &role_defaults[i]);
	assert_ok(driver_roles(d, &roles));
	assert_int_equal(role_set_count(roles), role_defaults_count);
	for (size_t i = 0; i < role_defaults_count; i++) {
		const struct role *a = role_set_at(defaults, i), *b = role_set_at(roles, i);
		assert_str(b->name, a->name.p);
		assert_str(b->description, a->description.p);
		assert_int_equal(b->immutable, a->immutable);
		assert_int_equal(b->n_policies, a->n_policies);
		assert_int_equal(b->policies[0].n_actions, a->policies[0].n_actions);
		for (size_t k = 0; k < a->policies[0].n_actions; k++) {
			assert_str(
				b->policies[0].actions[k].path, a->policies[0].actions[k].path.p);
			assert_str(b->policies[0].actions[k].method,
				a->policies[0].actions[k].method.p);
		}
	}
	const struct str admin = ROLE_ADMIN;
	assert_true(role_set_decide(roles, &admin, 1, STR("/api/x"), STR("GET")).allowed);
}

static void role_is_replaced_and_deleted(void **state)
{
	struct store_driver *d = *state;
	struct role role = {.name = STR("dev"), .description = STR("one")};
	assert_ok(driver_role_put(d, &role));
	role.description = STR("two");
	assert_ok(driver_role_put(d, &role));
	_cleanup_(role_set_unrefp) struct role_set *roles = NULL, *after = NULL;
	assert_ok(driver_roles(d, &roles));
	assert_int_equal(role_set_count(roles), 1);
	assert_str(role_set_at(roles, 0)->description, "two");
	assert_ok(driver_role_delete(d, "dev"));
	assert_ok(driver_role_delete(d, "dev"));
	assert_ok(driver_roles(d, &after));
	assert_int_equal(role_set_count(after), 0);
}

/* --- Settings --- */

static void setting_is_read_as_written(void **state)
{
	struct store_driver *d = *state;
	char text[64];
	assert_status(driver_setting_get(d, "k", text, sizeof text), STATUS_NOT_FOUND,
		"setting 'k' is not set");
	assert_ok(driver_setting_put(d, "k", STR("one")));
	assert_ok(driver_setting_put(d, "k", STR("two")));
	assert_ok(driver_setting_get(d, "k", text, sizeof text));
	assert_string_equal(text, "two");
	assert_ok(driver_setting_put(d, "empty", STR("")));
	assert_ok(driver_setting_get(d, "empty", text, sizeof text));
	assert_string_equal(text, "");
}

static void setting_is_replaced_if_it_is_as_it_was_read(void **state)
{
	struct store_driver *d = *state;
	static const char changed[] = "setting 'k' was changed at the same time";
	char text[64];
	assert_status(
		driver_setting_replace(d, "k", STR("one"), STR("two")), STATUS_ABORTED, changed);
	assert_ok(driver_setting_put(d, "k", STR("one")));
	assert_ok(driver_setting_replace(d, "k", STR("one"), STR("two")));
	assert_status(
		driver_setting_replace(d, "k", STR("one"), STR("three")), STATUS_ABORTED, changed);
	assert_ok(driver_setting_get(d, "k", text, sizeof text));
	assert_string_equal(text, "two");
}

static void first_one_to_set_a_setting_wins(void **state)
{
	struct store_driver *d = *state;
	char text[64];
	assert_ok(driver_setting_init(d, "k", STR("first"), text, sizeof text));
	assert_string_equal(text, "first");
	assert_ok(driver_setting_init(d, "k", STR("second"), text, sizeof text));
	assert_string_equal(text, "first");
}

/* --- Many at once, deadlines, bounds --- */

struct crowd {
	struct store_driver *d;
	struct latch *latch;
	atomic_int ok, exists, exhausted, other;
};

static void on_crowd_insert(
	void *arg, const struct status *status, const struct store_insert_result *result)
{
	(void)result;
	struct crowd *c = arg;
	atomic_fetch_add(status->code == STATUS_OK                   ? &c->ok
			 : status->code == STATUS_ALREADY_EXISTS     ? &c->exists
			 : status->code == STATUS_RESOURCE_EXHAUSTED ? &c->exhausted
								     : &c->other,
		1);
	latch_down(c->latch);
}

static void of_many_that_want_a_name_one_gets_it(void **state)
{
	struct store_driver *d = *state;
	enum {
		NAMES = 40,
		TRIES = 8
	};
	struct crowd crowd = {.d = d, .latch = latch_new(NAMES * TRIES)};
	for (int i = 0; i < NAMES * TRIES; i++) {
		char name[32], hash_of[32];
		snprintf(name, sizeof name, "n%d", i % NAMES);
		snprintf(hash_of, sizeof hash_of, "%d", i);
		_cleanup_(token_unrefp) struct token *t = token_with_hash(name, hash_of);
		struct store_waiter waiter = {d->loop, MONO_TIME_NEVER, &crowd};
		store_token_insert(d->store, t, NULL, NULL, waiter, on_crowd_insert);
	}
	latch_wait(crowd.latch);
	latch_free(crowd.latch);
	assert_int_equal(crowd.ok, NAMES);
	assert_int_equal(crowd.exists, NAMES * (TRIES - 1));
	wait_for_count(d, NAMES);
}

static void many_at_once_do_not_get_past_a_limit(void **state)
{
	struct store_driver *d = *state;
	enum {
		N = 200,
		LIMIT = 7
	};
	const struct store_token_limit limit = {LIMIT, {TODAY - 1}};
	struct crowd crowd = {.d = d, .latch = latch_new(N)};
	for (int i = 0; i < N; i++) {
		char name[32];
		snprintf(name, sizeof name, "n%d", i);
		_cleanup_(token_unrefp) struct token *t = token_with_hash(name, name);
		struct store_waiter waiter = {d->loop, MONO_TIME_NEVER, &crowd};
		store_token_insert(d->store, t, NULL, &limit, waiter, on_crowd_insert);
	}
	latch_wait(crowd.latch);
	latch_free(crowd.latch);
	assert_int_equal(crowd.ok, LIMIT);
	assert_int_equal(crowd.exhausted, N - LIMIT);
	wait_for_count(d, LIMIT);
}

static void operation_past_its_deadline_does_not_begin(void **state)
{
	struct store_driver *d = *state;
	struct crowd crowd = {.d = d, .latch = latch_new(1)};
	_cleanup_(token_unrefp) struct token *t = make_token(TOKEN_USER, "alice", "late", TODAY);
	struct store_waiter waiter = {d->loop, clock_mono(&clock_system), &crowd};
	store_token_insert(d->store, t, NULL, NULL, waiter, on_crowd_insert);
	latch_wait(crowd.latch);
	latch_free(crowd.latch);
	assert_int_equal(crowd.other, 1);
	assert_int_equal(
		driver_by_name(d, TOKEN_USER, "alice", "late", NULL).code, STATUS_NOT_FOUND);
}

static void too_many_that_wait_are_refused_at_once_and_none_is_lost(void **state)
{
	(void)state;
	enum {
		N = 5000
	};
	struct store_driver d = {.max_waiting = 16};
	assert_ok(store_driver_open(&d));
	struct crowd crowd = {.d = &d, .latch = latch_new(N)};
	struct token **tokens = xcalloc(N, sizeof *tokens);
	for (int i = 0; i < N; i++) {
		char name[32];
		snprintf(name, sizeof name, "n%d", i);
		tokens[i] = token_with_hash(name, name);
	}
	for (int i = 0; i < N; i++) {
		struct store_waiter waiter = {d.loop, MONO_TIME_NEVER, &crowd};
		store_token_insert(d.store, tokens[i], NULL, NULL, waiter, on_crowd_insert);
	}
	latch_wait(crowd.latch);
	latch_free(crowd.latch);
	for (int i = 0; i < N; i++)
		token_unref(tokens[i]);
	free(tokens);
	assert_true(crowd.exhausted > 0);
	assert_int_equal(crowd.ok + crowd.exhausted, N);
	wait_for_count(&d, crowd.ok);
	store_driver_done(&d);
}

static void stop_finishes_what_was_begun(void **state)
{
	struct store_driver *d = *state;
	enum {
		N = 200
	};
	struct crowd crowd = {.d = d, .latch = latch_new(N)};
	for (int i = 0; i < N; i++) {
		char name[32];
		snprintf(name, sizeof name, "n%d", i);
		_cleanup_(token_unrefp) struct token *t = token_with_hash(name, name);
		struct store_waiter waiter = {d->loop, MONO_TIME_NEVER, &crowd};
		store_token_insert(d->store, t, NULL, NULL, waiter, on_crowd_insert);
	}
	store_driver_close(d);
	latch_wait(crowd.latch);
	latch_free(crowd.latch);
	assert_int_equal(crowd.ok, N);
	assert_ok(store_driver_open(d));
	wait_for_count(d, N);
}

/* --- The listener --- */

struct heard {
	atomic_int tokens, roles;
	char last[64];
	struct token_hash hashes[2]; /* of the last two, the last first */
};

static void hear_token(void *arg, const struct token_fields *token)
{
	struct heard *h = arg;
	snprintf(h->last, sizeof h->last, "%.*s/%.*s", STR_ARG(token->owner), STR_ARG(token->name));
	h->hashes[1] = h->hashes[0];
	h->hashes[0] = token->hash;
	atomic_fetch_add(&h->tokens, 1);
}

static void hear_roles(void *arg)
{
	atomic_fetch_add(&((struct heard *)arg)->roles, 1);
}

static void listener_hears_of_a_change_before_the_one_who_made_it(void **state)
{
	struct store_driver *d = *state;
	struct heard heard = {.tokens = 0};
	const struct store_listener listener = {
		.token_changed = hear_token, .roles_changed = hear_roles, .arg = &heard};
	store_add_listener(d->store, &listener);
	insert(d, TOKEN_USER, "alice", "ci", TODAY);
	assert_int_equal(heard.tokens, 1);
	assert_string_equal(heard.last, "alice/ci");
	assert_ok(driver_delete(d, TOKEN_USER, "alice", "ci", NULL));
	assert_int_equal(heard.tokens, 2);
	assert_int_equal(driver_delete(d, TOKEN_USER, "alice", "ci", NULL).code, STATUS_NOT_FOUND);
	assert_int_equal(heard.tokens, 2);
	/* Of a replacement: what was, and what is. */
	_cleanup_(token_unrefp) struct token *t = make_token(TOKEN_USER, "alice", "ci", TODAY);
	_cleanup_(token_unrefp) struct token *to = rotated(t, "2", INT64_C(5000000));
	assert_ok(driver_insert(d, t));
	assert_int_equal(heard.tokens, 3);
	assert_ok(driver_replace(d, t, to));
	assert_int_equal(heard.tokens, 5);
	assert_true(token_hash_eq(&heard.hashes[1], &t->fields.hash));
	assert_true(token_hash_eq(&heard.hashes[0], &to->fields.hash));
	size_t n;
	assert_ok(driver_delete_all(d, TOKEN_USER, "alice", 10, &n, NULL));
	assert_int_equal(heard.tokens, 6);
	assert_true(token_hash_eq(&heard.hashes[0], &to->fields.hash));
	assert_int_equal(heard.tokens, 6);
	const struct role role = {.name = STR("dev")};
	assert_ok(driver_role_put(d, &role));
	assert_int_equal(heard.roles, 1);
	assert_ok(driver_role_delete(d, "dev"));
	assert_int_equal(heard.roles, 2);
}

static void healthy_store_passes_its_check(void **state)
{
	struct store_driver *d = *state;
	const char *adapter = getenv("TEST_STORE");
	bool is_sqlite = !adapter || strcmp(adapter, "sqlite") == 0;
	assert_ok(driver_check(d));
	assert_string_equal(store_name(d->store), is_sqlite ? "sqlite" : "postgres");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(inserted_token_is_found_by_hash_and_by_name_as_it_was),
		TEST(token_without_roles_and_description_is_kept),
		TEST(unknown_token_is_not_found),
		TEST(name_is_taken_once_for_each_owner_and_kind),
		TEST(expired_token_keeps_its_name),
		TEST(secret_is_taken_once),
		TEST(names_differ_by_case_and_by_owner_boundary),
		TEST(deleted_token_is_gone_and_is_told),
		TEST(delete_touches_one_owner_and_one_kind),
		TEST(counts_follow_inserts_and_deletes_and_survive_a_restart),
		TEST(everything_survives_a_restart),
		TEST(request_sent_again_gets_the_first_result),
		TEST(request_id_with_other_content_is_refused),
		TEST(request_ids_are_per_principal),
		TEST(request_that_is_late_finds_what_it_did_and_does_nothing_new),
		TEST(request_whose_token_was_deleted_is_not_found),
		TEST(request_that_failed_leaves_no_trace),
		cmocka_unit_test(request_is_forgotten_after_a_day),
		cmocka_unit_test(request_whose_secret_outlived_its_overlap_is_not_found),
		TEST(replaced_token_is_read_as_it_is_now),
		TEST(old_secret_is_found_while_its_row_has_it),
		TEST(replace_of_what_was_changed_meanwhile_is_aborted),
		TEST(replace_takes_no_secret_that_another_token_has),
		TEST(replace_sent_again_gets_the_first_result),
		TEST(all_tokens_of_an_owner_are_deleted_and_no_others),
		TEST(purge_takes_the_longest_expired_first_and_no_other),
		TEST(use_is_kept_unless_a_recent_one_is),
		TEST(limit_counts_the_living_tokens_of_one_owner_and_kind),
		TEST(limit_holds_for_a_token_that_lives_again),
		TEST(list_of_an_owner_is_in_order_of_bytes),
		TEST(list_of_all_is_in_order_of_name_and_owner),
		TEST(list_goes_on_strictly_behind_a_place),
		TEST(list_page_token_survives_deletion_and_insertion),
		TEST(list_is_filtered_by_prefix_name_and_expiry),
		TEST(list_pages_add_up_to_the_whole),
		TEST(list_by_days_ends_at_its_reach),
		TEST(profile_never_written_reads_as_nothing_chosen),
		TEST(profile_change_leaves_the_rest),
		TEST(roles_come_back_as_they_were_put),
		TEST(role_is_replaced_and_deleted),
		TEST(setting_is_read_as_written),
		TEST(setting_is_replaced_if_it_is_as_it_was_read),
		TEST(first_one_to_set_a_setting_wins),
		TEST(of_many_that_want_a_name_one_gets_it),
		TEST(many_at_once_do_not_get_past_a_limit),
		TEST(operation_past_its_deadline_does_not_begin),
		cmocka_unit_test(too_many_that_wait_are_refused_at_once_and_none_is_lost),
		TEST(stop_finishes_what_was_begun),
		TEST(listener_hears_of_a_change_before_the_one_who_made_it),
		TEST(healthy_store_passes_its_check),
	};
	return RUN_TESTS(tests);
}
