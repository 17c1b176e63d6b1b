/* SPDX-License-Identifier: Apache-2.0 */
#include "common/rpc/health.h"
#include "tests/lib/test.h"

struct seen {
	struct health_watcher watcher;
	enum health_state states[8];
	size_t n;
};

static void changed(struct health_watcher *w, enum health_state state)
{
	struct seen *seen = container_of(w, struct seen, watcher);
	seen->states[seen->n++] = state;
}

static void the_server_starts_as_not_serving(void **state)
{
	(void)state;
	_cleanup_(health_freep) struct health *h = health_new();
	assert_int_equal(health_get(h, STR("")), HEALTH_NOT_SERVING);
	assert_int_equal(health_get(h, STR("x")), HEALTH_SERVICE_UNKNOWN);
}

static void a_service_is_known_from_its_first_state_on(void **state)
{
	(void)state;
	_cleanup_(health_freep) struct health *h = health_new();
	health_set(h, "x", true);
	assert_int_equal(health_get(h, STR("x")), HEALTH_SERVING);
	health_set(h, "x", false);
	assert_int_equal(health_get(h, STR("x")), HEALTH_NOT_SERVING);
	assert_int_equal(health_get(h, STR("xy")), HEALTH_SERVICE_UNKNOWN);
}

static void a_watcher_hears_the_state_and_each_change_once(void **state)
{
	(void)state;
	_cleanup_(health_freep) struct health *h = health_new();
	struct seen seen = {.watcher.changed = changed};
	health_watch(h, &seen.watcher, STR("x"));
	health_set(h, "x", true);
	health_set(h, "x", true);
	health_set(h, "y", true);
	health_set(h, "x", false);
	health_unwatch(h, &seen.watcher);
	health_set(h, "x", true);
	assert_int_equal(seen.n, 3);
	assert_int_equal(seen.states[0], HEALTH_SERVICE_UNKNOWN);
	assert_int_equal(seen.states[1], HEALTH_SERVING);
	assert_int_equal(seen.states[2], HEALTH_NOT_SERVING);
}

static void after_the_shutdown_nothing_serves_again(void **state)
{
	(void)state;
	_cleanup_(health_freep) struct health *h = health_new();
	struct seen seen = {.watcher.changed = changed};
	health_set(h, "", true);
	health_set(h, "x", true);
	health_watch(h, &seen.watcher, STR("x"));
	health_shut_down(h);
	health_set(h, "", true);
	health_set(h, "x", true);
	assert_int_equal(health_get(h, STR("")), HEALTH_NOT_SERVING);
	assert_int_equal(health_get(h, STR("x")), HEALTH_NOT_SERVING);
	assert_int_equal(seen.n, 2);
	health_unwatch(h, &seen.watcher);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_server_starts_as_not_serving),
		cmocka_unit_test(a_service_is_known_from_its_first_state_on),
		cmocka_unit_test(a_watcher_hears_the_state_and_each_change_once),
		cmocka_unit_test(after_the_shutdown_nothing_serves_again),
	};
	return RUN_TESTS(tests);
}
