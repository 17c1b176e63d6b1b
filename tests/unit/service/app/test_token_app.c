/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/xalloc.h"
#include "service/app/access.h"
#include "service/app/token_app.h"
#include "service/app/token_change.h"
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
static const struct str user_role = {"osmo-user", 9};
static const struct principal alice = {
	.kind = PRINCIPAL_USER, .name = {"alice", 5}, .roles = &user_role, .n_roles = 1};

/* @arg: a text, each byte of which is a key; the first is the one in use. */
static bool derive(void *arg, size_t which, const uint8_t salt[32], uint8_t ret[32])
{
	const char *keys = arg;
	if (which >= strlen(keys))
		return false;
	for (int i = 0; i < 32; i++)
		ret[i] = (uint8_t)(salt[i] ^ (uint8_t)keys[which]);
	return true;
}

struct fixture {
	struct loop *loop;
	struct fake_store store;
	struct token_app app;
	struct arena *arena;
	unsigned answers;
	struct status status;
	char secret[128];
	char name[256];
};

static int setup(void **state)
{
	struct fixture *f = xnew(struct fixture);
	memset(f, 0, sizeof *f);
	f->loop = loop_new();
	f->arena = arena_new();
	fake_store_init(&f->store);
	f->app = (struct token_app){.store = &f->store.store,
		.clock = &clock_system,
		.random = &random_system,
		.access = &policy,
		.default_roles = &user_role,
		.n_default_roles = 1,
		.max_lifetime_days = 365,
		.max_lifetime_text = "365d",
		.derive = derive,
		.derive_arg = (char *)(uintptr_t) "A"};
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
static void end_call(struct fixture *f)
{
	arena_reset(f->arena);
	memset(arena_alloc(f->arena, 3900), 0xA5, 3900);
	f->answers++;
}

static void on_set(void *arg, const struct status *status, struct token *token, struct str secret)
{
	struct fixture *f = arg;
	f->status = *status;
	f->secret[0] = f->name[0] = '\0';
	if (token) {
		memcpy(f->secret, secret.p, secret.n);
		f->secret[secret.n] = '\0';
		memcpy(f->name, token->fields.name.p, token->fields.name.n + 1);
	}
	end_call(f);
}

static void on_done(void *arg, const struct status *status)
{
	struct fixture *f = arg;
	f->status = *status;
	end_call(f);
}

static struct store_waiter waiter(struct fixture *f)
{
	return (struct store_waiter){f->loop, MONO_TIME_NEVER, f};
}

static void begin_set(struct fixture *f, const char *name, const char *request_id)
{
	const struct token_set_request request = {.by = &alice,
		.kind = TOKEN_USER,
		.name = str_of(name),
		.expire_date_field = "expire_date",
		.needs_roles = true,
		.request_id = str_of(request_id)};
	assert_ok(token_app_set(&f->app, &request, f->arena, waiter(f), on_set));
	assert_int_equal(f->answers, 0);
}

static void finish(struct fixture *f, struct store_op *op, struct status status)
{
	store_op_finish(op, status);
	run_posted(f->loop);
	assert_int_equal(f->answers, 1);
}

static void a_secret_is_told_and_its_hash_is_kept(void **state)
{
	struct fixture *f = *state;
	begin_set(f, "t", "");
	struct store_op *op = fake_store_take(&f->store, STORE_OP_TOKEN_INSERT);
	struct token_hash kept = op->in.insert.token->fields.hash;
	op->out.token = token_ref(op->in.insert.token);
	finish(f, op, status_ok());
	assert_ok(f->status);
	assert_string_equal(f->name, "t");
	struct token_hash told = token_secret_hash(str_of(f->secret));
	assert_true(token_hash_eq(&told, &kept));
}

/* The memory of a call is gone once it is answered (end_call): nothing is read from it after. */
static void no_answer_of_set_is_followed_by_a_look_at_the_call(void **state)
{
	struct fixture *f = *state;
	const struct status answers[] = {status_ok(), status_error(STATUS_ALREADY_EXISTS, "it is"),
		status_error(STATUS_UNAVAILABLE, "away")};
	static const char *const texts[] = {"", "Token name t already exists.", "away"};
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		f->answers = 0;
		begin_set(f, "t", i ? "again" : "");
		struct store_op *op = fake_store_take(&f->store, STORE_OP_TOKEN_INSERT);
		op->out.token = token_ref(op->in.insert.token);
		finish(f, op, answers[i]);
		assert_status(f->status, answers[i].code, texts[i]);
	}
}

static void a_set_that_is_sent_again_tells_the_first_secret_and_no_other(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *keys; /* when it is sent again */
		bool told;
	} cases[] = {{"A", true}, {"BCA", true}, {"B", false}, {"BC", false}};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		f->answers = 0;
		f->app.derive_arg = (char *)(uintptr_t) "A";
		begin_set(f, "t", "id-1");
		struct store_op *op = fake_store_take(&f->store, STORE_OP_TOKEN_INSERT);
		uint8_t salt[32];
		memcpy(salt, op->in.insert.request.salt, sizeof salt);
		_cleanup_(token_unrefp) struct token *made = token_ref(op->in.insert.token);
		op->out.token = token_ref(made);
		finish(f, op, status_ok());
		char first[sizeof f->secret];
		memcpy(first, f->secret, sizeof first);

		f->answers = 0;
		f->app.derive_arg = (char *)(uintptr_t)cases[i].keys;
		begin_set(f, "t", "id-1");
		op = fake_store_take(&f->store, STORE_OP_TOKEN_INSERT);
		op->out.token = token_ref(made);
		op->out.replayed = true;
		memcpy(op->out.salt, salt, sizeof salt);
		finish(f, op, status_ok());
		assert_int_equal(
			f->status.code, cases[i].told ? STATUS_OK : STATUS_FAILED_PRECONDITION);
		assert_string_equal(f->secret, cases[i].told ? first : "");
	}
}

static void no_answer_of_delete_is_followed_by_a_look_at_the_call(void **state)
{
	struct fixture *f = *state;
	const struct status answers[] = {
		status_ok(), status_error(STATUS_NOT_FOUND, "it is not there")};
	static const char *const texts[] = {"", "User access token t does not exist."};
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		f->answers = 0;
		assert_ok(token_app_delete(
			&f->app, &alice, TOKEN_USER, STR("t"), f->arena, waiter(f), on_done));
		finish(f, fake_store_take(&f->store, STORE_OP_TOKEN_DELETE), answers[i]);
		assert_status(f->status, answers[i].code, texts[i]);
	}
}

static void on_updated(void *arg, const struct status *status, struct token *token)
{
	struct fixture *f = arg;
	f->status = *status;
	f->secret[0] = '\0';
	if (token)
		memcpy(f->name, token->fields.name.p, token->fields.name.n + 1);
	end_call(f);
}

/* The token that is about to be changed. */
static void give_token(struct fixture *f)
{
	struct store_op *op = fake_store_take(&f->store, STORE_OP_TOKEN_BY_NAME);
	const struct clock *clock = &clock_system;
	op->out.token = token_new(&(struct token_fields){.kind = TOKEN_USER,
		.owner = alice.name,
		.name = STR("t"),
		.roles = &user_role,
		.n_roles = 1,
		.expires = date_add_days(date_of(clock_now(clock)), 9)});
	store_op_finish(op, status_ok());
	run_posted(f->loop);
}

static void no_answer_of_rotate_is_followed_by_a_look_at_the_call(void **state)
{
	struct fixture *f = *state;
	const struct token_rotate_request request = {
		.by = &alice, .kind = TOKEN_USER, .name = STR("t")};
	const struct status answers[] = {status_ok(), status_error(STATUS_UNAVAILABLE, "away")};
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		f->answers = 0;
		assert_ok(token_change_rotate(&f->app, &request, f->arena, waiter(f), on_set));
		give_token(f);
		struct store_op *op = fake_store_take(&f->store, STORE_OP_TOKEN_REPLACE);
		op->out.token = token_ref(op->in.insert.token);
		struct token_hash kept = op->in.insert.token->fields.hash;
		finish(f, op, answers[i]);
		assert_int_equal(f->status.code, answers[i].code);
		struct token_hash told = token_secret_hash(str_of(f->secret));
		assert_int_equal(token_hash_eq(&told, &kept), i == 0);
	}
	f->answers = 0;
	assert_ok(token_change_rotate(&f->app, &request, f->arena, waiter(f), on_set));
	finish(f, fake_store_take(&f->store, STORE_OP_TOKEN_BY_NAME),
		status_error(STATUS_NOT_FOUND, "it is not there"));
	assert_status(f->status, STATUS_NOT_FOUND, "User access token t does not exist.");
}

static void no_answer_of_update_is_followed_by_a_look_at_the_call(void **state)
{
	struct fixture *f = *state;
	const struct token_update_request request = {.by = &alice,
		.kind = TOKEN_USER,
		.name = STR("t"),
		.set_description = true,
		.description = STR("d")};
	assert_ok(token_change_update(&f->app, &request, f->arena, waiter(f), on_updated));
	give_token(f);
	struct store_op *op = fake_store_take(&f->store, STORE_OP_TOKEN_REPLACE);
	op->out.token = token_ref(op->in.insert.token);
	finish(f, op, status_ok());
	assert_ok(f->status);
	assert_string_equal(f->name, "t");
}

int main(void)
{
#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(a_secret_is_told_and_its_hash_is_kept),
		WITH_FIXTURE(no_answer_of_set_is_followed_by_a_look_at_the_call),
		WITH_FIXTURE(a_set_that_is_sent_again_tells_the_first_secret_and_no_other),
		WITH_FIXTURE(no_answer_of_rotate_is_followed_by_a_look_at_the_call),
		WITH_FIXTURE(no_answer_of_update_is_followed_by_a_look_at_the_call),
		WITH_FIXTURE(no_answer_of_delete_is_followed_by_a_look_at_the_call),
	};
	return RUN_TESTS(tests);
}
