/* SPDX-License-Identifier: Apache-2.0 */
#include "common/metrics/metrics.h"
#include "service/store/cache.h"
#include "service/store/store_metrics.h"
#include "service/store/token_lookup.h"
#include "tests/lib/fake_store.h"
#include "tests/lib/store_driver.h"
#include "tests/lib/test.h"

#include <string.h>

static void on_token(void *arg, const struct status *status, struct token *token)
{
	(void)arg;
	(void)status;
	(void)token;
}

static void assert_line(const struct buf *text, const char *line)
{
	if (!strstr(text->p, line))
		fail_msg("no '%s' in:\n%s", line, text->p);
}

static void operations_are_timed_and_errors_are_counted(void **state)
{
	(void)state;
	struct fake_store f;
	struct loop *loop = loop_new();
	struct metrics *m = metrics_new();
	fake_store_init(&f);
	store_metrics_register(&f.store, m);
	struct store_waiter waiter = {loop, MONO_TIME_NEVER, NULL};
	const enum status_code codes[] = {STATUS_NOT_FOUND, STATUS_UNAVAILABLE, STATUS_UNAVAILABLE};
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
		store_token_by_name(&f.store, TOKEN_USER, STR("a"), STR("b"), waiter, on_token);
		store_op_finish(
			fake_store_take(&f, STORE_OP_TOKEN_BY_NAME), status_error(codes[i], "no"));
	}
	run_posted(loop);
	_cleanup_buf_ struct buf text;
	buf_init(&text, 1 << 20);
	assert_true(metrics_write(m, &text));
	assert_line(&text,
		"token_service_store_duration_seconds_count{operation=\"token_by_name\"} 3\n");
	assert_line(&text, "token_service_store_errors_total{code=\"UNAVAILABLE\"} 2\n");
	assert_line(&text, "token_service_store_errors_total{code=\"INTERNAL\"} 0\n");
	metrics_free(m);
	store_done(&f.store);
	loop_free(loop);
}

static void store_and_cache_show_what_they_hold(void **state)
{
	(void)state;
	struct store_driver d;
	struct metrics *m = metrics_new();
	store_driver_init(&d);
	const struct cache_options options = {.max_bytes = 1 << 20,
		.ttl_ms = 30000,
		.unknown_ttl_ms = 5000,
		.random = &random_system};
	struct cache *cache = cache_new(&options);
	struct token_lookup *lookup = token_lookup_new(d.store, cache, &clock_system);
	store_metrics_register(d.store, m);
	store_metrics_register_cache(cache, lookup, m);
	_cleanup_(token_unrefp) struct token *t = make_token(TOKEN_SERVICE, "s", "s", 1);
	struct token *got = NULL;
	assert_ok(driver_insert(&d, t));
	assert_int_equal(token_lookup_try_hash(lookup, &t->fields.hash, &got), CACHE_MISS);

	_cleanup_buf_ struct buf text;
	buf_init(&text, 1 << 20);
	assert_true(metrics_write(m, &text));
	assert_line(&text, "token_service_tokens{kind=\"USER\"} 0\n");
	assert_line(&text, "token_service_tokens{kind=\"SERVICE\"} 1\n");
	assert_line(&text, "token_service_store_writes_total 1\n");
	assert_line(&text, "token_service_store_commits_total 1\n");
	assert_line(&text, "token_service_store_writable 1\n");
	assert_line(&text, "token_service_cache_lookups_total{result=\"miss\"} 1\n");
	assert_line(&text, "token_service_store_duration_seconds_count"
			   "{operation=\"token_insert\"} 1\n");
	store_driver_done(&d);
	metrics_free(m);
	token_lookup_free(lookup);
	cache_free(cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(operations_are_timed_and_errors_are_counted),
		cmocka_unit_test(store_and_cache_show_what_they_hold),
	};
	return RUN_TESTS(tests);
}
