/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/xalloc.h"
#include "service/app/role_app.h"
#include "tests/lib/fake_store.h"
#include "tests/lib/test.h"

#include <string.h>

static struct role_set *defaults(void *arg)
{
	(void)arg;
	struct role_set *set = role_set_new();
	for (size_t i = 0; i < role_defaults_count; i++)
		role_set_add(set, &role_defaults[i]);
	return set;
}

static const struct access_policy policy = {.roles = defaults};

struct fixture {
	struct loop *loop;
	struct fake_store store;
	struct role_app app;
	struct arena *arena;
	unsigned answers, reloads;
	struct status status;
};

static void reload(void *arg, struct store_waiter waiter, store_done_fn *done)
{
	struct fixture *f = arg;
	struct status ok = status_ok();
	f->reloads++;
	done(waiter.arg, &ok);
}

static int setup(void **state)
{
	struct fixture *f = xnew(struct fixture);
	memset(f, 0, sizeof *f);
	f->loop = loop_new();
	f->arena = arena_new();
	fake_store_init(&f->store);
	f->app = (struct role_app){&f->store.store, &policy, reload, f};
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(fake_store_waiting(&f->store), 0);
	arena_free(f->arena);
	loop_free(f->loop);
	free(f);
	return 0;
}

/* As the end of a call does: its memory goes, and the next call writes there. */
static void on_done(void *arg, const struct status *status)
{
	struct fixture *f = arg;
	f->status = *status;
	f->answers++;
	arena_reset(f->arena);
	memset(arena_alloc(f->arena, 3900), 0xA5, 3900);
}

static struct store_waiter waiter(struct fixture *f)
{
	return (struct store_waiter){f->loop, MONO_TIME_NEVER, f};
}

static void a_role_that_is_wrong_is_refused_before_it_is_written(void **state)
{
	struct fixture *f = *state;
	char long_text[TOKEN_DESCRIPTION_MAX_BYTES + 1];
	memset(long_text, 'd', sizeof long_text);
	const struct role wrong[] = {{.name = STR("")}, {.name = STR("a b")}, {.name = STR("a/b")},
		{.name = STR("r"), .n_policies = ROLE_MAX_POLICIES + 1},
		{.name = STR("r"), .description = {long_text, sizeof long_text}},
		{.name = STR("osmo-admin")}};
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct status checked = role_app_check(&f->app, &wrong[i]);
		assert_false(status_is_ok(&checked));
		assert_status(role_app_put(&f->app, &wrong[i], f->arena, waiter(f), on_done),
			checked.code, checked.message);
		assert_int_equal(fake_store_waiting(&f->store), 0);
	}
	assert_ok(role_app_check(&f->app, &(struct role){.name = STR("r")}));
}

static void a_role_is_in_force_when_it_is_told(void **state)
{
	struct fixture *f = *state;
	const struct role role = {.name = STR("r")};
	assert_ok(role_app_put(&f->app, &role, f->arena, waiter(f), on_done));
	store_op_finish(fake_store_take(&f->store, STORE_OP_ROLE_PUT), status_ok());
	run_posted(f->loop);
	assert_int_equal(f->answers, 1);
	assert_int_equal(f->reloads, 1);
	assert_ok(f->status);
}

static void a_write_that_fails_changes_nothing_in_force(void **state)
{
	struct fixture *f = *state;
	assert_ok(role_app_delete(&f->app, STR("osmo-user"), f->arena, waiter(f), on_done));
	store_op_finish(fake_store_take(&f->store, STORE_OP_ROLE_DELETE),
		status_error(STATUS_NOT_FOUND, "it is not there"));
	run_posted(f->loop);
	assert_status(f->status, STATUS_NOT_FOUND, "Role osmo-user does not exist.");
	assert_int_equal(f->reloads, 0);
	assert_status(role_app_delete(&f->app, STR("nobody"), f->arena, waiter(f), on_done),
		STATUS_NOT_FOUND, "Role nobody does not exist.");
	assert_status(role_app_delete(&f->app, STR("osmo-admin"), f->arena, waiter(f), on_done),
		STATUS_FAILED_PRECONDITION, "Role osmo-admin is immutable.");
}

int main(void)
{
#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(a_role_that_is_wrong_is_refused_before_it_is_written),
		WITH_FIXTURE(a_role_is_in_force_when_it_is_told),
		WITH_FIXTURE(a_write_that_fails_changes_nothing_in_force),
	};
	return RUN_TESTS(tests);
}
