/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/token_lookup.h"
#include "tests/lib/fake_clock.h"
#include "tests/lib/fake_store.h"
#include "tests/lib/store_driver.h"
#include "tests/lib/test.h"

#include <string.h>

struct fixture {
	struct fake_store store;
	struct fake_clock clock;
	struct loop *loop;
	struct cache *cache;
	struct token_lookup *lookup;
	struct token *token;
};

static struct fixture fix;

struct answer {
	int calls;
	enum status_code code;
	struct token *token; /* borrowed: only compared */
};

static void on_answer(void *arg, const struct status *status, struct token *token)
{
	struct answer *a = arg;
	a->calls++;
	a->code = status->code;
	a->token = token;
}

static int set_up(void **state)
{
	(void)state;
	fake_store_init(&fix.store);
	fake_clock_init(&fix.clock);
	fix.loop = loop_new();
	fix.token = make_token(TOKEN_USER, "alice", "ci", 1);
	const struct cache_options options = {.max_bytes = 1 << 20,
		.ttl_ms = 30000,
		.unknown_ttl_ms = 5000,
		.random = &random_system};
	fix.cache = cache_new(&options);
	fix.lookup = token_lookup_new(&fix.store.store, fix.cache, &fix.clock.clock);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	token_lookup_free(fix.lookup);
	cache_free(fix.cache);
	token_unref(fix.token);
	loop_free(fix.loop);
	return 0;
}

static void ask_for(struct answer *a, int64_t timeout_ms)
{
	struct mono_time now = clock_mono(&fix.clock.clock);
	struct store_waiter waiter = {fix.loop, mono_time_add_ms(now, timeout_ms), a};
	token_lookup_by_hash(fix.lookup, &fix.token->fields.hash, waiter, on_answer);
}

static void store_answers(struct store_op *op, struct token *token)
{
	assert_non_null(op);
	op->out.token = token ? token_ref(token) : NULL;
	store_op_finish(op, token ? status_ok() : status_error(STATUS_NOT_FOUND, "no"));
	run_posted(fix.loop);
}

static struct store_op *next_read(void)
{
	return fake_store_take(&fix.store, STORE_OP_TOKEN_BY_HASH);
}

static void miss_reads_the_store_once_and_is_a_hit_from_then_on(void **state)
{
	(void)state;
	struct answer a = {0}, b = {0};
	struct token *got = NULL;
	const struct token_hash *hash = &fix.token->fields.hash;
	assert_int_equal(token_lookup_try_hash(fix.lookup, hash, &got), CACHE_MISS);
	ask_for(&a, 1000);
	run_posted(fix.loop);
	assert_int_equal(a.calls, 0);
	store_answers(next_read(), fix.token);
	assert_int_equal(a.calls, 1);
	assert_ptr_equal(a.token, fix.token);
	assert_int_equal(token_lookup_try_hash(fix.lookup, hash, &got), CACHE_HIT);
	token_unref(got);

	ask_for(&b, 1000);
	assert_int_equal(b.calls, 0); /* never inside the call */
	run_posted(fix.loop);
	assert_ptr_equal(b.token, fix.token);
	assert_int_equal(fake_store_waiting(&fix.store), 0);
}

static void unknown_is_remembered_for_a_short_while(void **state)
{
	(void)state;
	struct answer a = {0}, b = {0}, c = {0};
	ask_for(&a, 1000);
	store_answers(next_read(), NULL);
	assert_int_equal(a.code, STATUS_NOT_FOUND);
	ask_for(&b, 1000);
	run_posted(fix.loop);
	assert_int_equal(b.code, STATUS_NOT_FOUND);
	assert_null(next_read());
	fake_clock_advance_ms(&fix.clock, 5000);
	ask_for(&c, 1000);
	store_answers(next_read(), fix.token);
	assert_int_equal(c.code, STATUS_OK);
}

static void many_who_ask_at_once_share_one_read(void **state)
{
	(void)state;
	struct answer answers[20];
	memset(answers, 0, sizeof answers);
	for (int i = 0; i < 20; i++)
		ask_for(&answers[i], 1000);
	assert_int_equal(fake_store_waiting(&fix.store), 1);
	store_answers(next_read(), fix.token);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(answers[i].calls, 1);
		assert_ptr_equal(answers[i].token, fix.token);
	}
	assert_int_equal(token_lookup_stats(fix.lookup).reads, 1);
	assert_int_equal(token_lookup_stats(fix.lookup).joined, 19);
}

static void store_that_fails_is_not_unknown(void **state)
{
	(void)state;
	struct answer a = {0}, b = {0};
	ask_for(&a, 1000);
	store_op_finish(next_read(), status_error(STATUS_UNAVAILABLE, "away"));
	run_posted(fix.loop);
	assert_int_equal(a.code, STATUS_UNAVAILABLE);
	assert_null(a.token);
	ask_for(&b, 1000); /* and it is not remembered */
	store_answers(next_read(), fix.token);
	assert_int_equal(b.code, STATUS_OK);
}

static void who_asks_after_a_delete_does_not_join_an_older_read(void **state)
{
	(void)state;
	struct answer before = {0}, after = {0};
	ask_for(&before, 1000);
	struct store_op *old = next_read();
	store_tell_token(&fix.store.store, fix.token); /* deleted, and acknowledged */
	ask_for(&after, 1000);
	struct store_op *young = next_read();
	assert_non_null(young);
	store_answers(old, fix.token); /* it read the row before it went */
	assert_int_equal(before.code, STATUS_OK);
	assert_int_equal(after.calls, 0);
	struct token *got = NULL;
	assert_int_equal(
		token_lookup_try_hash(fix.lookup, &fix.token->fields.hash, &got), CACHE_MISS);
	store_answers(young, NULL);
	assert_int_equal(after.code, STATUS_NOT_FOUND);
}

static void patient_one_is_not_failed_by_an_impatient_one(void **state)
{
	(void)state;
	struct answer impatient = {0}, patient = {0};
	ask_for(&impatient, 10);
	ask_for(&patient, 1000);
	fake_clock_advance_ms(&fix.clock, 20);
	struct store_op *op = next_read();
	assert_true(store_op_is_late(op, clock_mono(&fix.clock.clock)));
	store_op_finish(op, status_error(STATUS_DEADLINE_EXCEEDED, "late"));
	run_posted(fix.loop);
	assert_int_equal(impatient.code, STATUS_DEADLINE_EXCEEDED);
	assert_int_equal(patient.calls, 0);
	op = next_read();
	assert_false(store_op_is_late(op, clock_mono(&fix.clock.clock)));
	store_answers(op, fix.token);
	assert_int_equal(patient.code, STATUS_OK);
}

static void lookup_by_name_is_cached_and_forgotten_alike(void **state)
{
	(void)state;
	struct answer a = {0};
	struct token *got = NULL;
	struct store_waiter waiter = {fix.loop, MONO_TIME_NEVER, &a};
	token_lookup_by_name(fix.lookup, TOKEN_USER, STR("alice"), STR("ci"), waiter, on_answer);
	struct store_op *op = fake_store_take(&fix.store, STORE_OP_TOKEN_BY_NAME);
	assert_str(op->in.by_name.owner, "alice");
	assert_str(op->in.by_name.name, "ci");
	store_answers(op, fix.token);
	assert_int_equal(a.code, STATUS_OK);
	assert_int_equal(
		token_lookup_try_name(fix.lookup, TOKEN_USER, STR("alice"), STR("ci"), &got),
		CACHE_HIT);
	token_unref(got);
	store_tell_token(&fix.store.store, fix.token);
	assert_int_equal(
		token_lookup_try_name(fix.lookup, TOKEN_USER, STR("alice"), STR("ci"), &got),
		CACHE_MISS);
}

static void store_fails(struct store_op *op, enum status_code code)
{
	assert_non_null(op);
	store_op_finish(op, status_error(code, "away"));
	run_posted(fix.loop);
}

/* The token is in the cache, and then anything may have changed. */
static void fill_and_doubt(void)
{
	struct answer a = {0};
	struct token *got = NULL;
	ask_for(&a, 1000);
	store_answers(next_read(), fix.token);
	store_tell_all(&fix.store.store);
	assert_int_equal(
		token_lookup_try_hash(fix.lookup, &fix.token->fields.hash, &got), CACHE_MISS);
}

static void store_that_was_away_is_asked_again(void **state)
{
	(void)state;
	struct answer a = {0}, b = {0};
	struct token *got = NULL;
	fill_and_doubt();
	ask_for(&a, 1000);
	store_answers(next_read(), fix.token);
	assert_int_equal(a.code, STATUS_OK);
	assert_int_equal(
		token_lookup_try_hash(fix.lookup, &fix.token->fields.hash, &got), CACHE_HIT);
	token_unref(got);
	store_tell_all(&fix.store.store);
	ask_for(&b, 1000);
	store_answers(next_read(), NULL); /* deleted meanwhile */
	assert_int_equal(b.code, STATUS_NOT_FOUND);
	assert_int_equal(
		token_lookup_try_hash(fix.lookup, &fix.token->fields.hash, &got), CACHE_UNKNOWN);
}

static void token_in_doubt_is_served_while_the_store_is_away(void **state)
{
	(void)state;
	struct answer a = {0}, b = {0}, c = {0};
	fill_and_doubt();
	ask_for(&a, 1000);
	store_fails(next_read(), STATUS_UNAVAILABLE);
	assert_int_equal(a.code, STATUS_OK);
	assert_ptr_equal(a.token, fix.token);
	ask_for(&b, 1000); /* and each time the store is asked first */
	store_fails(next_read(), STATUS_DEADLINE_EXCEEDED);
	assert_int_equal(b.code, STATUS_OK);
	fake_clock_advance_ms(&fix.clock, 30000); /* not beyond its time to live */
	ask_for(&c, 1000);
	store_fails(next_read(), STATUS_UNAVAILABLE);
	assert_int_equal(c.code, STATUS_UNAVAILABLE);
}

static void token_in_doubt_that_is_deleted_is_not_served(void **state)
{
	(void)state;
	struct answer a = {0};
	fill_and_doubt();
	ask_for(&a, 1000);
	store_tell_token(&fix.store.store, fix.token);
	store_fails(next_read(), STATUS_UNAVAILABLE);
	assert_int_equal(a.code, STATUS_UNAVAILABLE);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(miss_reads_the_store_once_and_is_a_hit_from_then_on),
		TEST(unknown_is_remembered_for_a_short_while),
		TEST(many_who_ask_at_once_share_one_read),
		TEST(store_that_fails_is_not_unknown),
		TEST(who_asks_after_a_delete_does_not_join_an_older_read),
		TEST(patient_one_is_not_failed_by_an_impatient_one),
		TEST(lookup_by_name_is_cached_and_forgotten_alike),
		TEST(store_that_was_away_is_asked_again),
		TEST(token_in_doubt_is_served_while_the_store_is_away),
		TEST(token_in_doubt_that_is_deleted_is_not_served),
	};
	return RUN_TESTS(tests);
}
