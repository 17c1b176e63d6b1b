/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/xalloc.h"
#include "service/store/cache.h"
#include "tests/lib/store_driver.h"
#include "tests/lib/test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

static const struct mono_time start = {INT64_C(5) * US_PER_S};

static struct cache *make_cache(size_t max_bytes)
{
	const struct cache_options options = {.max_bytes = max_bytes,
		.ttl_ms = 30000,
		.unknown_ttl_ms = 5000,
		.n_shards = 4,
		.random = &random_system};
	return cache_new(&options);
}

static struct mono_time at_ms(int64_t ms)
{
	return mono_time_add_ms(start, ms);
}

/* Asks for the token @name; fills the answer in if it was a miss and @fill. */
static enum cache_result ask(struct cache *c, const char *name, struct mono_time now, bool fill)
{
	_cleanup_(token_unrefp) struct token *t = make_token(TOKEN_USER, "o", name, 1), *got = NULL;
	struct cache_key key = cache_key_of_hash(&t->fields.hash);
	struct cache_ticket ticket;
	enum cache_result result = cache_get(c, &key, now, &got, &ticket);
	if (result == CACHE_HIT)
		assert_str(got->fields.name, name);
	if (result == CACHE_MISS && fill)
		cache_fill(c, &key, ticket, t, now);
	return result;
}

static enum cache_result ask_unknown(struct cache *c, const char *name, struct mono_time now)
{
	struct token_hash hash = make_hash("unknown", name);
	struct cache_key key = cache_key_of_hash(&hash);
	struct cache_ticket ticket;
	struct token *got;
	enum cache_result result = cache_get(c, &key, now, &got, &ticket);
	if (result == CACHE_MISS)
		cache_fill(c, &key, ticket, NULL, now);
	return result;
}

static void token_that_was_filled_in_is_found(void **state)
{
	(void)state;
	struct cache *c = make_cache(1 << 20);
	assert_int_equal(ask(c, "a", start, true), CACHE_MISS);
	assert_int_equal(ask(c, "a", start, true), CACHE_HIT);
	assert_int_equal(ask(c, "b", start, true), CACHE_MISS);
	struct cache_stats stats = cache_stats(c);
	assert_int_equal(stats.hits, 1);
	assert_int_equal(stats.misses, 2);
	assert_int_equal(stats.entries, 2);
	cache_free(c);
}

static void entry_ends_after_its_time_to_live(void **state)
{
	(void)state;
	struct cache *c = make_cache(1 << 20);
	ask(c, "a", start, true);
	assert_int_equal(ask(c, "a", at_ms(29999), false), CACHE_HIT);
	assert_int_equal(ask(c, "a", at_ms(30000), false), CACHE_MISS);
	assert_int_equal(cache_stats(c).entries, 0);
	assert_int_equal(cache_stats(c).bytes, 0);
	ask_unknown(c, "x", start);
	assert_int_equal(ask_unknown(c, "x", at_ms(4999)), CACHE_UNKNOWN);
	assert_int_equal(ask_unknown(c, "x", at_ms(5000)), CACHE_MISS);
	cache_free(c);
}

static void hits_do_not_lengthen_a_life(void **state)
{
	(void)state;
	struct cache *c = make_cache(1 << 20);
	ask(c, "a", start, true);
	for (int ms = 0; ms < 30000; ms += 1000)
		assert_int_equal(ask(c, "a", at_ms(ms), true), CACHE_HIT);
	assert_int_equal(ask(c, "a", at_ms(30000), false), CACHE_MISS);
	cache_free(c);
}

static void changed_token_is_gone_by_all_keys(void **state)
{
	(void)state;
	struct cache *c = make_cache(1 << 20);
	_cleanup_(token_unrefp) struct token *made = make_token(TOKEN_USER, "o", "a", 1);
	struct token_fields fields = made->fields;
	fields.old_hash = make_hash("o", "before");
	fields.old_until.us = 1;
	_cleanup_(token_unrefp) struct token *t = token_new(&fields);
	struct cache_key keys[] = {cache_key_of_hash(&t->fields.hash),
		cache_key_of_name(TOKEN_USER, STR("o"), STR("a")),
		cache_key_of_hash(&t->fields.old_hash)};
	struct cache_ticket ticket;
	struct token *got;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		assert_int_equal(cache_get(c, &keys[i], start, &got, &ticket), CACHE_MISS);
		cache_fill(c, &keys[i], ticket, t, start);
		assert_int_equal(cache_get(c, &keys[i], start, &got, NULL), CACHE_HIT);
		token_unref(got);
	}
	cache_token_changed(c, &t->fields);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		assert_int_equal(cache_get(c, &keys[i], start, &got, NULL), CACHE_MISS);
	cache_free(c);
}

static void made_token_ends_unknown(void **state)
{
	(void)state;
	struct cache *c = make_cache(1 << 20);
	_cleanup_(token_unrefp) struct token *t = make_token(TOKEN_USER, "unknown", "a", 1);
	ask_unknown(c, "a", start);
	assert_int_equal(ask_unknown(c, "a", start), CACHE_UNKNOWN);
	cache_token_changed(c, &t->fields);
	assert_int_equal(ask_unknown(c, "a", start), CACHE_MISS);
	cache_free(c);
}

static void answer_from_before_a_change_is_not_kept(void **state)
{
	(void)state;
	struct cache *c = make_cache(1 << 20);
	_cleanup_(token_unrefp) struct token *t = make_token(TOKEN_USER, "o", "a", 1);
	struct cache_key key = cache_key_of_hash(&t->fields.hash);
	struct cache_ticket ticket;
	struct token *got;
	cache_get(c, &key, start, &got, &ticket);
	assert_true(cache_ticket_is_current(c, &key, ticket));
	cache_token_changed(c, &t->fields); /* deleted while the store was being read */
	assert_false(cache_ticket_is_current(c, &key, ticket));
	cache_fill(c, &key, ticket, t, start);
	assert_int_equal(cache_get(c, &key, start, &got, &ticket), CACHE_MISS);
	cache_doubt(c);
	cache_fill(c, &key, ticket, t, start);
	assert_int_equal(cache_get(c, &key, start, &got, &ticket), CACHE_MISS);
	cache_free(c);
}

static void cache_stays_within_its_bytes(void **state)
{
	(void)state;
	enum {
		MAX = 100000
	};
	struct cache *c = make_cache(MAX);
	char name[32];
	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof name, "t%d", i);
		ask(c, name, start, true);
		ask_unknown(c, name, start);
		assert_true(cache_stats(c).bytes <= MAX);
	}
	struct cache_stats stats = cache_stats(c);
	assert_true(stats.bytes > MAX / 2);
	assert_true(stats.evictions > 5000);
	cache_free(c);
}

static void entry_in_use_outlives_those_that_are_not(void **state)
{
	(void)state;
	struct cache *c = make_cache(100000);
	char name[32];
	ask(c, "busy", start, true);
	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof name, "t%d", i);
		ask(c, name, start, true);
		assert_int_equal(ask(c, "busy", start, false), CACHE_HIT);
	}
	assert_int_equal(ask(c, "t0", start, false), CACHE_MISS);
	cache_free(c);
}

static void guessing_pushes_out_no_token(void **state)
{
	(void)state;
	struct cache *c = make_cache(100000);
	char name[32];
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof name, "t%d", i);
		ask(c, name, start, true);
	}
	for (int i = 0; i < 20000; i++) {
		snprintf(name, sizeof name, "guess%d", i);
		ask_unknown(c, name, start);
	}
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof name, "t%d", i);
		assert_int_equal(ask(c, name, start, false), CACHE_HIT);
	}
	cache_free(c);
}

static void cache_of_no_bytes_keeps_nothing(void **state)
{
	(void)state;
	struct cache *c = make_cache(0);
	ask(c, "a", start, true);
	assert_int_equal(ask(c, "a", start, true), CACHE_MISS);
	assert_int_equal(cache_stats(c).entries, 0);
	cache_free(c);
}

static void name_keys_differ_wherever_names_do(void **state)
{
	(void)state;
	const struct {
		enum token_kind kind;
		const char *owner, *name;
	} names[] = {{TOKEN_USER, "ab", "c"}, {TOKEN_USER, "a", "bc"}, {TOKEN_SERVICE, "ab", "c"},
		{TOKEN_USER, "", "abc"}, {TOKEN_USER, "abc", ""}};
	struct cache_key keys[5];
	for (size_t i = 0; i < 5; i++) {
		keys[i] = cache_key_of_name(
			names[i].kind, str_of(names[i].owner), str_of(names[i].name));
		for (size_t k = 0; k < i; k++)
			assert_memory_not_equal(&keys[i], &keys[k], sizeof keys[i]);
	}
}

struct crowd {
	struct cache *cache;
	struct token *tokens[64];
	/* In the "store"; only ever counted up: alive, being deleted, deleted and told, alive, ...
	 */
	atomic_int stage[64];
	atomic_bool end;
	atomic_int wrong;
};

/* Reads the "store" (stage[]), then fills: a token must never be served once its deletion was
 * told, however reads and deletions overlap. */
static void *read_and_fill(void *arg)
{
	struct crowd *crowd = arg;
	for (unsigned i = 0; !atomic_load(&crowd->end); i = i * 1664525 + 1013904223) {
		unsigned n = (i >> 16) % 64;
		struct cache_key key = cache_key_of_hash(&crowd->tokens[n]->fields.hash);
		struct cache_ticket ticket;
		struct token *got = NULL;
		int stage = atomic_load(&crowd->stage[n]);
		switch (cache_get(crowd->cache, &key, start, &got, &ticket)) {
		case CACHE_HIT:
			if (stage % 3 == 2 && atomic_load(&crowd->stage[n]) == stage)
				atomic_fetch_add(&crowd->wrong, 1);
			token_unref(got);
			break;
		case CACHE_MISS:
			stage = atomic_load(&crowd->stage[n]);
			cache_fill(crowd->cache, &key, ticket, stage % 3 ? NULL : crowd->tokens[n],
				start);
			break;
		case CACHE_UNKNOWN:
			break;
		}
	}
	return NULL;
}

static void deleted_token_is_never_served_whatever_overlaps(void **state)
{
	(void)state;
	struct crowd *crowd = xnew(struct crowd);
	crowd->cache = make_cache(1 << 16);
	for (int i = 0; i < 64; i++) {
		char name[16];
		snprintf(name, sizeof name, "t%d", i);
		crowd->tokens[i] = make_token(TOKEN_USER, "o", name, 1);
	}
	pthread_t threads[3];
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, read_and_fill, crowd);
	for (int round = 0; round < 3000; round++) {
		int n = round % 64;
		atomic_fetch_add(&crowd->stage[n], 1);
		cache_token_changed(crowd->cache, &crowd->tokens[n]->fields);
		atomic_fetch_add(&crowd->stage[n], 1); /* from here on nobody may get it */
		struct cache_key key = cache_key_of_hash(&crowd->tokens[n]->fields.hash);
		struct token *got;
		assert_int_not_equal(cache_get(crowd->cache, &key, start, &got, NULL), CACHE_HIT);
		if (n == 63) /* all are made anew */
			for (int i = 0; i < 64; i++) {
				atomic_fetch_add(&crowd->stage[i], 1);
				cache_token_changed(crowd->cache, &crowd->tokens[i]->fields);
			}
	}
	atomic_store(&crowd->end, true);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(crowd->wrong, 0);
	cache_free(crowd->cache);
	for (int i = 0; i < 64; i++)
		token_unref(crowd->tokens[i]);
	free(crowd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(token_that_was_filled_in_is_found),
		cmocka_unit_test(entry_ends_after_its_time_to_live),
		cmocka_unit_test(hits_do_not_lengthen_a_life),
		cmocka_unit_test(changed_token_is_gone_by_all_keys),
		cmocka_unit_test(made_token_ends_unknown),
		cmocka_unit_test(answer_from_before_a_change_is_not_kept),
		cmocka_unit_test(cache_stays_within_its_bytes),
		cmocka_unit_test(entry_in_use_outlives_those_that_are_not),
		cmocka_unit_test(guessing_pushes_out_no_token),
		cmocka_unit_test(cache_of_no_bytes_keeps_nothing),
		cmocka_unit_test(name_keys_differ_wherever_names_do),
		cmocka_unit_test(deleted_token_is_never_served_whatever_overlaps),
	};
	return RUN_TESTS(tests);
}
