/* SPDX-License-Identifier: Apache-2.0 */
#include "service/app/token_keeper.h"
#include "tests/lib/store_driver.h"
#include "tests/lib/test.h"

#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

enum {
	TODAY = 20800
};

static _Atomic int64_t now_us;

static struct unix_time fixed_now(const struct clock *self)
{
	(void)self;
	return (struct unix_time){now_us};
}

static struct mono_time real_mono(const struct clock *self)
{
	(void)self;
	return clock_mono(&clock_system);
}

static const struct clock test_clock = {.now = fixed_now, .mono = real_mono};

struct fixture {
	struct store_driver d;
	struct token_keeper *keeper;
};

static void start(struct fixture *f, int64_t grace_ms, int purge_interval_ms)
{
	*f = (struct fixture){.d = {.clock = &test_clock}};
	now_us = date_start((struct date){TODAY}).us;
	assert_ok(store_driver_open(&f->d));
	f->keeper = token_keeper_new(&(struct token_keeper_config){
		.store = f->d.store,
		.home = f->d.loop,
		.clock = &test_clock,
		.grace_ms = grace_ms,
		.purge_interval_ms = purge_interval_ms,
		.flush_interval_ms = 3600 * 1000,
	});
}

static void on_stopped(void *arg)
{
	latch_down(arg);
}

/* Stores what was noted. */
static void stop(struct fixture *f)
{
	struct latch *latch = latch_new(1);
	token_keeper_stop(f->keeper, on_stopped, latch);
	latch_wait(latch);
	latch_free(latch);
}

static void end(struct fixture *f)
{
	store_driver_close(&f->d);
	token_keeper_free(f->keeper);
	store_driver_done(&f->d);
}

static struct token *insert(struct fixture *f, const char *name, int32_t expires_day)
{
	struct token *t = make_token(TOKEN_USER, "alice", name, expires_day);
	assert_ok(driver_insert(&f->d, t));
	return t;
}

static bool use(struct fixture *f, struct token *t, const char *from)
{
	bool due = token_keeper_is_due(f->keeper, t);
	if (due)
		token_keeper_note(f->keeper, t, str_of(from));
	return due;
}

static void a_use_is_stored_with_its_address(void **state)
{
	(void)state;
	struct fixture f;
	start(&f, 0, 3600 * 1000);
	_cleanup_(token_unrefp) struct token *t = insert(&f, "a", TODAY + 9), *found = NULL;
	assert_true(use(&f, t, "2001:db8::1"));
	stop(&f);
	assert_ok(driver_by_hash(&f.d, &t->fields.hash, &found));
	assert_int_equal(found->fields.last_used.us, now_us);
	assert_str(found->fields.last_used_from, "2001:db8::1");
	assert_int_equal(token_keeper_stats(f.keeper).stored, 1);
	end(&f);
}

static void a_token_is_noted_once_a_minute_however_often_it_is_used(void **state)
{
	(void)state;
	struct fixture f;
	start(&f, 0, 3600 * 1000);
	_cleanup_(token_unrefp) struct token *t = insert(&f, "a", TODAY + 9);
	int noted = 0;
	for (int s = 0; s < 600; s++) {
		now_us = date_start((struct date){TODAY}).us + s * US_PER_S;
		for (int i = 0; i < 100; i++)
			noted += use(&f, t, "192.0.2.1");
	}
	assert_int_equal(noted, 10);
	/* And one that was read from the store knows when that was. */
	stop(&f);
	_cleanup_(token_unrefp) struct token *found = NULL;
	assert_ok(driver_by_hash(&f.d, &t->fields.hash, &found));
	assert_false(token_keeper_is_due(f.keeper, found));
	end(&f);
}

static void more_uses_than_can_wait_are_lost_and_counted(void **state)
{
	(void)state;
	struct fixture f;
	start(&f, 0, 3600 * 1000);
	_cleanup_(token_unrefp) struct token *t = insert(&f, "a", TODAY + 9);
	for (int i = 0; i < 10000; i++)
		token_keeper_note(f.keeper, t, STR("192.0.2.1"));
	assert_int_equal(token_keeper_stats(f.keeper).lost, 10000 - 8192);
	stop(&f);
	assert_int_equal(token_keeper_stats(f.keeper).stored, 8192);
	end(&f);
}

static void what_expired_before_the_grace_is_deleted_in_batches(void **state)
{
	(void)state;
	enum {
		OLD = 100,
		GRACE_DAYS = 7
	};
	struct fixture f;
	start(&f, INT64_C(86400000) * GRACE_DAYS, 30);
	for (int i = 0; i < OLD; i++) {
		char name[32];
		snprintf(name, sizeof name, "old%d", i);
		token_unref(insert(&f, name, TODAY - GRACE_DAYS));
	}
	token_unref(insert(&f, "recent", TODAY - GRACE_DAYS + 1));
	token_unref(insert(&f, "alive", TODAY + 1));
	for (int ms = 0; store_token_counts(f.d.store).user_tokens > 2 && ms < 30000; ms++)
		usleep(1000);
	assert_int_equal(store_token_counts(f.d.store).user_tokens, 2);
	assert_ok(driver_by_name(&f.d, TOKEN_USER, "alice", "recent", NULL));
	assert_ok(driver_by_name(&f.d, TOKEN_USER, "alice", "alive", NULL));
	/* A day later the next one goes. */
	now_us += INT64_C(86400) * US_PER_S;
	for (int ms = 0; store_token_counts(f.d.store).user_tokens > 1 && ms < 30000; ms++)
		usleep(1000);
	assert_int_equal(
		driver_by_name(&f.d, TOKEN_USER, "alice", "recent", NULL).code, STATUS_NOT_FOUND);
	stop(&f);
	assert_int_equal(token_keeper_stats(f.keeper).purged, OLD + 1);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_use_is_stored_with_its_address),
		cmocka_unit_test(a_token_is_noted_once_a_minute_however_often_it_is_used),
		cmocka_unit_test(more_uses_than_can_wait_are_lost_and_counted),
		cmocka_unit_test(what_expired_before_the_grace_is_deleted_in_batches),
	};
	return RUN_TESTS(tests);
}
