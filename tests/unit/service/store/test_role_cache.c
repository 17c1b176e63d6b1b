/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/role_cache.h"
#include "service/store/row_codec.h"
#include "tests/lib/fake_clock.h"
#include "tests/lib/fake_store.h"
#include "tests/lib/test.h"

#include <event2/event.h>
#include <pthread.h>
#include <string.h>

struct fixture {
	struct fake_store store;
	struct fake_clock clock;
	struct loop *loop;
	struct role_cache *cache;
	int started;
	enum status_code start_code;
};

static struct fixture fix;

static int set_up(void **state)
{
	(void)state;
	memset(&fix, 0, sizeof fix);
	fake_store_init(&fix.store);
	fake_clock_init(&fix.clock);
	fix.loop = loop_new();
	const struct role_cache_options options = {.store = &fix.store.store,
		.home = fix.loop,
		.clock = &fix.clock.clock,
		.ttl_ms = 20,
		.max_age_ms = 60000};
	fix.cache = role_cache_new_with(&options);
	return 0;
}

static void on_stopped(void *arg)
{
	++*(int *)arg;
}

static int tear_down(void **state)
{
	(void)state;
	int stopped = 0;
	role_cache_stop(fix.cache, on_stopped, &stopped);
	run_posted(fix.loop);
	assert_int_equal(stopped, fake_store_waiting(&fix.store) == 0);
	for (struct list *node; (node = list_pop(&fix.store.ops));)
		store_op_finish(container_of(node, struct store_op, link),
			status_error(STATUS_UNAVAILABLE, "the end"));
	run_posted(fix.loop);
	assert_int_equal(stopped, 1);
	role_cache_free(fix.cache);
	loop_free(fix.loop);
	return 0;
}

static void on_started(void *arg, const struct status *status)
{
	(void)arg;
	fix.started++;
	fix.start_code = status->code;
}

static void start(void)
{
	struct store_waiter waiter = {fix.loop, MONO_TIME_NEVER, NULL};
	role_cache_start(fix.cache, NULL, waiter, on_started);
	run_posted(fix.loop);
}

/* Answers the load that waits with @roles, which it takes. */
static void answer_load(struct role_set *roles)
{
	struct store_op *op = fake_store_take(&fix.store, STORE_OP_ROLES_LOAD);
	assert_non_null(op);
	op->out.roles = roles;
	store_op_finish(op, status_ok());
	run_posted(fix.loop);
}

static void store_is_away(enum store_op_type type)
{
	struct store_op *op = fake_store_take(&fix.store, type);
	assert_non_null(op);
	store_op_finish(op, status_error(STATUS_UNAVAILABLE, "away"));
	run_posted(fix.loop);
}

static struct role_set *default_set(void)
{
	struct role_set *set = role_set_new();
	for (size_t i = 0; i < role_defaults_count; i++)
		role_set_add(set, &role_defaults[i]);
	return set;
}

static struct role_set *set_with(const char *name)
{
	struct role_set *set = default_set();
	const struct role role = {.name = str_of(name)};
	role_set_add(set, &role);
	return set;
}

static bool cache_has(const char *name)
{
	_cleanup_(role_set_unrefp) struct role_set *set = role_cache_get(fix.cache);
	return role_set_find(set, str_of(name)) != NULL;
}

/* As the store would have it after the put that waits. */
static void apply_put(struct role_set *set)
{
	struct store_op *op = fake_store_take(&fix.store, STORE_OP_ROLE_PUT);
	assert_non_null(op);
	_cleanup_(arena_freep) struct arena *arena = arena_new();
	struct role role = {.name = op->in.role.name,
		.description = op->in.role.description,
		.immutable = op->in.role.immutable};
	assert_ok(row_policies_parse(op->in.role.policies, arena, &role));
	role_set_add(set, &role);
	store_op_finish(op, status_ok());
	run_posted(fix.loop);
}

static void start_with_defaults(void)
{
	start();
	answer_load(default_set()); /* nothing is missing */
	answer_load(default_set());
	assert_int_equal(fix.started, 1);
	assert_int_equal(fix.start_code, STATUS_OK);
}

static void before_the_first_load_there_is_what_everybody_may_do(void **state)
{
	(void)state;
	_cleanup_(role_set_unrefp) struct role_set *set = role_cache_get(fix.cache);
	assert_int_equal(role_set_count(set), 1);
	assert_non_null(role_set_find(set, ROLE_DEFAULT));
	assert_false(role_cache_is_ready(fix.cache));
}

static void missing_default_roles_are_put(void **state)
{
	(void)state;
	_cleanup_(role_set_unrefp) struct role_set *stored = role_set_new();
	start();
	answer_load(role_set_new());
	for (size_t i = 0; i < role_defaults_count; i++)
		apply_put(stored);
	assert_int_equal(role_set_count(stored), role_defaults_count);
	assert_int_equal(fix.started, 0);
	answer_load(role_set_ref(stored));
	assert_int_equal(fix.started, 1);
	assert_int_equal(fix.start_code, STATUS_OK);
	assert_true(role_cache_is_ready(fix.cache));
	assert_true(cache_has("osmo-admin"));
}

static void missing_actions_are_added_to_the_first_policy_and_others_stay(void **state)
{
	(void)state;
	const struct role_action own = {STR("/mine"), STR("Get")}, other = {STR("/o"), STR("*")};
	const struct role_policy policies[] = {{&own, 1}, {&other, 1}};
	const struct role edited = {.name = ROLE_USER,
		.description = STR("edited"),
		.policies = policies,
		.n_policies = 2};
	_cleanup_(role_set_unrefp) struct role_set *stored = default_set();
	role_set_add(stored, &edited);
	start();
	answer_load(role_set_ref(stored));
	apply_put(stored);
	answer_load(role_set_ref(stored));
	assert_int_equal(fix.started, 1);
	assert_int_equal(fix.start_code, STATUS_OK);

	const struct role *after = role_set_find(stored, ROLE_USER);
	size_t n_defaults = 0;
	for (size_t i = 0; i < role_defaults_count; i++)
		if (str_eq(role_defaults[i].name, ROLE_USER))
			n_defaults = role_defaults[i].policies[0].n_actions;
	assert_str(after->description, "edited");
	assert_int_equal(after->n_policies, 2);
	assert_int_equal(after->policies[0].n_actions, n_defaults + 1);
	assert_int_equal(after->policies[1].n_actions, 1);
	assert_true(role_set_decide(stored, &edited.name, 1, STR("/mine"), STR("get")).allowed);
}

static void changed_immutable_role_is_put_back(void **state)
{
	(void)state;
	const struct role weak = {.name = ROLE_ADMIN, .description = STR("no more")};
	_cleanup_(role_set_unrefp) struct role_set *stored = default_set();
	role_set_add(stored, &weak);
	start();
	answer_load(role_set_ref(stored));
	apply_put(stored);
	answer_load(role_set_ref(stored));
	const struct str admin = ROLE_ADMIN;
	assert_true(role_set_decide(stored, &admin, 1, STR("/api/x"), STR("GET")).allowed);
	assert_true(role_set_find(stored, ROLE_ADMIN)->immutable);
}

/* A set with one role of the configuration, which allows @path. */
static struct role_set *configuration(const char *name, const char *path)
{
	const struct role_action action = {str_of(path), STR("*")};
	const struct role_policy policy = {&action, 1};
	const struct role role = {.name = str_of(name),
		.description = STR(""),
		.policies = &policy,
		.n_policies = 1,
		.immutable = true};
	struct role_set *set = role_set_new();
	role_set_add(set, &role);
	return set;
}

static void configure(struct role_set *_takes_set)
{
	const struct store_waiter waiter = {fix.loop, MONO_TIME_NEVER, NULL};
	role_cache_configure(fix.cache, _takes_set, waiter, on_started);
	run_posted(fix.loop);
}

static void roles_of_the_configuration_are_put_and_given_up_when_it_has_them_no_more(void **state)
{
	(void)state;
	_cleanup_(role_set_unrefp) struct role_set *stored = default_set();
	start_with_defaults();
	configure(configuration("ci", "/a"));
	answer_load(role_set_ref(stored));
	apply_put(stored);
	assert_true(role_set_find(stored, STR("ci"))->immutable);
	assert_int_equal(fix.started, 1);
	answer_load(role_set_ref(stored));
	assert_int_equal(fix.started, 2);
	assert_true(cache_has("ci"));

	configure(role_set_new());
	answer_load(role_set_ref(stored));
	apply_put(stored);
	assert_false(role_set_find(stored, STR("ci"))->immutable);
	answer_load(role_set_ref(stored));
	assert_true(cache_has("ci"));
}

static void a_default_role_that_the_configuration_owns_is_as_it_says(void **state)
{
	(void)state;
	_cleanup_(role_set_unrefp) struct role_set *stored = default_set();
	start_with_defaults();
	configure(configuration("osmo-user", "/only"));
	answer_load(role_set_ref(stored));
	apply_put(stored);
	answer_load(role_set_ref(stored));
	assert_int_equal(role_set_find(stored, ROLE_USER)->policies[0].n_actions, 1);

	/* Given up, it is completed again. */
	configure(role_set_new());
	answer_load(role_set_ref(stored));
	apply_put(stored);
	answer_load(role_set_ref(stored));
	const struct role *user = role_set_find(stored, ROLE_USER);
	assert_false(user->immutable);
	assert_true(user->policies[0].n_actions > 10);
}

static void configuration_that_comes_while_another_is_put_is_not_lost(void **state)
{
	(void)state;
	_cleanup_(role_set_unrefp) struct role_set *stored = default_set();
	start_with_defaults();
	configure(configuration("ci", "/a"));
	answer_load(role_set_ref(stored));
	configure(configuration("ci", "/b"));
	apply_put(stored);
	answer_load(role_set_ref(stored));
	apply_put(stored);
	answer_load(role_set_ref(stored));
	assert_str(role_set_find(stored, STR("ci"))->policies[0].actions[0].path, "/b");
	assert_int_equal(fix.started, 3);
}

static void two_roles_that_lack_actions_are_both_completed(void **state)
{
	(void)state;
	struct role_set *have = default_set();
	const struct str names[] = {ROLE_USER, STR("osmo-backend")};
	for (size_t i = 0; i < 2; i++) {
		const struct role bare = {.name = names[i], .description = STR("of ours")};
		role_set_add(have, &bare);
	}
	_cleanup_(role_set_unrefp) struct role_set *stored = default_set();
	start();
	answer_load(have); /* the store keeps no reference to it */
	apply_put(stored);
	apply_put(stored);
	for (size_t i = 0; i < 2; i++)
		assert_str(role_set_find(stored, names[i])->description, "of ours");
	answer_load(role_set_ref(stored));
	assert_int_equal(fix.start_code, STATUS_OK);
}

static void start_tries_until_the_store_answers(void **state)
{
	(void)state;
	start();
	store_is_away(STORE_OP_ROLES_LOAD);
	assert_int_equal(fix.started, 1);
	assert_int_equal(fix.start_code, STATUS_UNAVAILABLE);
	assert_false(role_cache_is_ready(fix.cache));
	/* The timer begins the next try. */
	while (!fake_store_waiting(&fix.store))
		event_base_loop(loop_base(fix.loop), EVLOOP_ONCE);
	answer_load(default_set());
	answer_load(default_set());
	assert_true(role_cache_is_ready(fix.cache));
	assert_true(cache_has("osmo-admin"));
}

static void change_that_the_store_tells_of_is_loaded(void **state)
{
	(void)state;
	start_with_defaults();
	assert_false(cache_has("dev"));
	store_tell_roles(&fix.store.store);
	store_tell_roles(&fix.store.store);
	run_posted(fix.loop);
	assert_int_equal(fake_store_waiting(&fix.store), 1);
	answer_load(set_with("dev"));
	assert_true(cache_has("dev"));
}

static void snapshot_is_loaded_again_after_its_time_to_live(void **state)
{
	(void)state;
	start_with_defaults();
	while (!fake_store_waiting(&fix.store))
		event_base_loop(loop_base(fix.loop), EVLOOP_ONCE);
	answer_load(set_with("dev"));
	assert_true(cache_has("dev"));
}

static void set_answered(void *arg, const struct status *status)
{
	*(int *)arg = status_is_ok(status) ? 1 : -1;
}

static void refresh_waits_for_a_load_that_began_after_it(void **state)
{
	(void)state;
	start_with_defaults();
	store_tell_roles(&fix.store.store);
	run_posted(fix.loop);
	assert_int_equal(fake_store_waiting(&fix.store), 1); /* began before the change below */
	int answered = 0;
	struct store_waiter waiter = {fix.loop, MONO_TIME_NEVER, &answered};
	role_cache_reload(fix.cache, waiter, set_answered);
	run_posted(fix.loop);
	answer_load(default_set());
	assert_int_equal(answered, 0);
	answer_load(set_with("dev"));
	assert_int_equal(answered, 1);
	assert_true(cache_has("dev"));
}

static void refresh_tells_of_a_store_that_is_away(void **state)
{
	(void)state;
	start_with_defaults();
	int answered = 0;
	struct store_waiter waiter = {fix.loop, MONO_TIME_NEVER, &answered};
	role_cache_reload(fix.cache, waiter, set_answered);
	run_posted(fix.loop);
	store_is_away(STORE_OP_ROLES_LOAD);
	assert_int_equal(answered, -1);
	assert_true(cache_has("osmo-admin")); /* not too old yet */
}

static void roles_that_cannot_be_confirmed_any_more_allow_nothing(void **state)
{
	(void)state;
	start_with_defaults();
	fake_clock_advance_ms(&fix.clock, 60001);
	store_tell_roles(&fix.store.store);
	run_posted(fix.loop);
	store_is_away(STORE_OP_ROLES_LOAD);
	assert_false(role_cache_is_ready(fix.cache));
	assert_false(cache_has("osmo-admin"));
	while (!fake_store_waiting(&fix.store))
		event_base_loop(loop_base(fix.loop), EVLOOP_ONCE);
	answer_load(default_set());
	assert_true(role_cache_is_ready(fix.cache));
	assert_true(cache_has("osmo-admin"));
}

static void *read_a_lot(void *arg)
{
	(void)arg;
	for (int i = 0; i < 20000; i++)
		role_set_unref(role_cache_get(fix.cache));
	return NULL;
}

static void threads_read_while_it_changes(void **state)
{
	(void)state;
	start_with_defaults();
	pthread_t threads[2];
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, read_a_lot, NULL);
	for (int i = 0; i < 200; i++) {
		store_tell_roles(&fix.store.store);
		run_posted(fix.loop);
		answer_load(default_set());
	}
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_true(cache_has("osmo-admin"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(before_the_first_load_there_is_what_everybody_may_do),
		TEST(missing_default_roles_are_put),
		TEST(missing_actions_are_added_to_the_first_policy_and_others_stay),
		TEST(changed_immutable_role_is_put_back),
		TEST(roles_of_the_configuration_are_put_and_given_up_when_it_has_them_no_more),
		TEST(a_default_role_that_the_configuration_owns_is_as_it_says),
		TEST(configuration_that_comes_while_another_is_put_is_not_lost),
		TEST(two_roles_that_lack_actions_are_both_completed),
		TEST(start_tries_until_the_store_answers),
		TEST(change_that_the_store_tells_of_is_loaded),
		TEST(snapshot_is_loaded_again_after_its_time_to_live),
		TEST(refresh_waits_for_a_load_that_began_after_it),
		TEST(refresh_tells_of_a_store_that_is_away),
		TEST(roles_that_cannot_be_confirmed_any_more_allow_nothing),
		TEST(threads_read_while_it_changes),
	};
	return RUN_TESTS(tests);
}
