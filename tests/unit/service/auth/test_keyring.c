/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/log.h"
#include "common/base/xalloc.h"
#include "service/auth/key_record.h"
#include "service/auth/keyring.h"
#include "tests/lib/fake_settings.h"
#include "tests/lib/forge.h"
#include "tests/lib/test.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#define DAY 86400
#define KEY_A "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define KEY_B "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

struct fixture {
	struct clock clock;
	int64_t now_s;
	struct loop *loop;
	struct store *store;
	struct server_key *server_key;
};

static struct unix_time fixture_now(const struct clock *c)
{
	const struct fixture *f = (const void *)((const char *)c - offsetof(struct fixture, clock));
	return unix_time_from_s(f->now_s);
}

static struct mono_time fixture_mono(const struct clock *c)
{
	(void)c;
	return clock_mono(&clock_system);
}

static int setup(void **state)
{
	struct fixture *f = xnew(struct fixture);
	f->clock = (struct clock){.now = fixture_now, .mono = fixture_mono};
	f->now_s = 1800000000;
	f->loop = loop_new();
	f->store = fake_settings_new();
	assert_ok(server_key_parse(STR(KEY_A), &f->server_key));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	loop_free(f->loop);
	fake_settings_free(f->store);
	server_key_free(f->server_key);
	free(f);
	return 0;
}

/* --- Waiting --- */

struct wait {
	bool over;
	struct status status;
};

static void on_done(void *arg, const struct status *status)
{
	struct wait *w = arg;
	assert_false(w->over);
	w->over = true;
	w->status = *status;
}

static void on_stopped(void *arg)
{
	*(bool *)arg = true;
}

static void turn(struct fixture *f, const bool *until)
{
	while (!*until)
		event_base_loop(loop_base(f->loop), EVLOOP_ONCE);
}

static struct keyring *new_ring(struct fixture *f, enum jwt_algorithm algorithm)
{
	return keyring_new(&(struct keyring_config){.algorithm = algorithm,
		.key_lifetime_s = 90 * DAY,
		.server_key = f->server_key,
		.store = f->store,
		.home = f->loop,
		.clock = &f->clock});
}

static struct status start(struct fixture *f, struct keyring *k)
{
	struct wait w = {.over = false};
	keyring_start(k, MONO_TIME_NEVER, on_done, &w);
	assert_false(w.over);
	turn(f, &w.over);
	return w.status;
}

static struct status rotate(struct fixture *f, struct keyring *k)
{
	struct wait w = {.over = false};
	TRY(keyring_rotate(k, MONO_TIME_NEVER, on_done, &w));
	assert_false(w.over);
	turn(f, &w.over);
	return w.status;
}

static void stop(struct fixture *f, struct keyring *k)
{
	bool stopped = false;
	keyring_stop(k, on_stopped, &stopped);
	assert_false(stopped);
	turn(f, &stopped);
	keyring_free(k);
}

/* Starts a ring, as a process that is started again would. */
static struct keyring *started(struct fixture *f)
{
	struct keyring *k = new_ring(f, JWT_ES256);
	assert_ok(start(f, k));
	return k;
}

/* The ids "current next retired retired ..."; the caller frees. */
static char *ids(struct keyring *k)
{
	_cleanup_(keyring_state_unrefp) struct keyring_state *s = keyring_get(k);
	struct buf out;
	buf_init(&out, 65536);
	assert_true(s->current == s->trusted.keys[0]);
	for (size_t i = 0; i < s->trusted.n; i++)
		buf_printf(&out, "%s%.*s", i ? " " : "", STR_ARG(jwt_key_id(s->trusted.keys[i])));
	return buf_steal(&out);
}

static size_t count(struct keyring *k)
{
	_cleanup_(keyring_state_unrefp) struct keyring_state *s = keyring_get(k);
	return s->trusted.n;
}

static char *id_at(struct keyring *k, size_t i)
{
	_cleanup_(keyring_state_unrefp) struct keyring_state *s = keyring_get(k);
	return str_dup(jwt_key_id(s->trusted.keys[i]));
}

static enum jwt_algorithm current_algorithm(struct keyring *k)
{
	_cleanup_(keyring_state_unrefp) struct keyring_state *s = keyring_get(k);
	return jwt_key_algorithm(s->current);
}

/* Both free their arguments. */
static void assert_same(char *a, char *b)
{
	assert_string_equal(a, b);
	free(a), free(b);
}
static void assert_differ(char *a, char *b)
{
	assert_string_not_equal(a, b);
	free(a), free(b);
}

/* --- Tests --- */

static void a_first_start_makes_a_current_and_a_next_key(void **state)
{
	struct fixture *f = *state;
	struct keyring *k = new_ring(f, JWT_ES256);
	assert_null(keyring_get(k));
	assert_int_equal(keyring_generation(k), 0);
	assert_ok(start(f, k));
	assert_int_equal(count(k), 2);
	assert_int_equal(keyring_generation(k), 1);
	assert_null(strstr(fake_settings_value(f->store), "\"jwk\""));
	stop(f, k);
}

static void a_second_start_finds_the_same_keys(void **state)
{
	struct fixture *f = *state;
	struct keyring *a = started(f);
	char *before = ids(a);
	stop(f, a);
	struct keyring *b = started(f);
	assert_same(ids(b), before);
	stop(f, b);
}

static void replicas_that_start_together_agree(void **state)
{
	struct fixture *f = *state;
	struct keyring *a = new_ring(f, JWT_ES256), *b = new_ring(f, JWT_ES256);
	struct wait wa = {.over = false}, wb = {.over = false};
	keyring_start(a, MONO_TIME_NEVER, on_done, &wa);
	keyring_start(b, MONO_TIME_NEVER, on_done, &wb);
	turn(f, &wa.over);
	turn(f, &wb.over);
	assert_ok(wa.status);
	assert_ok(wb.status);
	assert_same(ids(a), ids(b));
	stop(f, a);
	stop(f, b);
}

static void rotation_makes_the_next_key_current_and_keeps_the_old_one(void **state)
{
	struct fixture *f = *state;
	struct keyring *k = started(f);
	char *current = id_at(k, 0), *next = id_at(k, 1);
	_cleanup_(keyring_state_unrefp) struct keyring_state *before = keyring_get(k);
	assert_ok(rotate(f, k));
	assert_int_equal(count(k), 3);
	assert_int_equal(keyring_generation(k), 2);
	assert_same(id_at(k, 0), next);
	assert_same(id_at(k, 2), current);
	/* A state that somebody still holds stays as it was. */
	assert_int_equal(before->trusted.n, 2);
	stop(f, k);
}

static void a_retired_key_is_dropped_when_its_last_jwt_is_dead(void **state)
{
	struct fixture *f = *state;
	struct keyring *k = started(f);
	assert_ok(rotate(f, k));
	stop(f, k);
	f->now_s += KEY_RETIRED_LIFETIME_S;
	k = started(f);
	assert_int_equal(count(k), 3);
	stop(f, k);
	f->now_s += 1;
	k = started(f);
	assert_int_equal(count(k), 2);
	stop(f, k);
}

static void a_key_is_replaced_when_it_is_old(void **state)
{
	struct fixture *f = *state;
	struct keyring *k = started(f);
	char *current = id_at(k, 0), *next = id_at(k, 1);
	stop(f, k);
	f->now_s += 90 * DAY - 1;
	k = started(f);
	assert_same(id_at(k, 0), current);
	stop(f, k);
	f->now_s += 1;
	k = started(f);
	assert_same(id_at(k, 0), next);
	stop(f, k);
}

static void replicas_that_rotate_together_promote_the_same_key(void **state)
{
	struct fixture *f = *state;
	struct keyring *a = started(f), *b = started(f);
	char *next = id_at(a, 1);
	struct wait wa = {.over = false}, wb = {.over = false};
	assert_ok(keyring_rotate(a, MONO_TIME_NEVER, on_done, &wa));
	assert_ok(keyring_rotate(b, MONO_TIME_NEVER, on_done, &wb));
	turn(f, &wa.over);
	turn(f, &wb.over);
	assert_ok(wa.status);
	assert_ok(wb.status);
	char *current_b = id_at(b, 0);
	/* Whoever read before the other wrote promotes the same; else it was one after the other.
	 */
	if (strcmp(current_b, next) == 0)
		assert_same(id_at(a, 0), next);
	else
		free(next);
	free(current_b);
	stop(f, a);
	stop(f, b);
	struct keyring *c = started(f);
	stop(f, c);
}

static void a_replica_learns_of_a_rotation(void **state)
{
	struct fixture *f = *state;
	struct keyring *a = started(f), *b = started(f);
	assert_ok(rotate(f, a));
	assert_differ(id_at(a, 0), id_at(b, 0));
	/* Its own next look at the store is one of its operations. */
	fake_settings_fail(f->store, 1, STATUS_UNAVAILABLE); /* but it shall write nothing */
	struct status status = rotate(f, b);
	assert_int_equal(status.code, STATUS_UNAVAILABLE);
	assert_same(ids(b), ids(a));
	stop(f, a);
	stop(f, b);
}

static void another_algorithm_is_published_before_it_signs(void **state)
{
	struct fixture *f = *state;
	struct keyring *k = started(f);
	stop(f, k);
	k = new_ring(f, JWT_RS256);
	assert_ok(start(f, k));
	assert_int_equal(current_algorithm(k), JWT_ES256);
	char *next = id_at(k, 1);
	stop(f, k);
	f->now_s += 119;
	k = new_ring(f, JWT_RS256);
	assert_ok(start(f, k));
	assert_int_equal(current_algorithm(k), JWT_ES256);
	stop(f, k);
	f->now_s += 1;
	k = new_ring(f, JWT_RS256);
	assert_ok(start(f, k));
	assert_int_equal(current_algorithm(k), JWT_RS256);
	assert_same(id_at(k, 0), next);
	assert_int_equal(count(k), 3);
	stop(f, k);
}

static void a_store_with_other_keys_stops_the_start(void **state)
{
	struct fixture *f = *state;
	struct keyring *k = started(f);
	char *before = xstrdup(fake_settings_value(f->store));
	stop(f, k);
	server_key_free(f->server_key);
	assert_ok(server_key_parse(STR(KEY_B), &f->server_key));
	k = new_ring(f, JWT_ES256);
	struct status status = start(f, k);
	assert_int_equal(status.code, STATUS_FAILED_PRECONDITION);
	assert_non_null(strstr(status.message, "encrypted under"));
	assert_null(keyring_get(k));
	stop(f, k);
	assert_same(xstrdup(fake_settings_value(f->store)), before);
}

static void a_replaced_server_key_takes_the_old_keys_along(void **state)
{
	struct fixture *f = *state;
	struct keyring *k = started(f);
	char *before = ids(k);
	stop(f, k);
	static const char *const keys[] = {KEY_B "\n" KEY_A, KEY_B};
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		server_key_free(f->server_key);
		assert_ok(server_key_parse(str_of(keys[i]), &f->server_key));
		k = started(f);
		assert_same(ids(k), xstrdup(before));
		stop(f, k);
	}
	free(before);
}

static void damaged_keys_stop_the_start(void **state)
{
	struct fixture *f = *state;
	struct keyring *k = started(f);
	stop(f, k);
	char *text = xstrdup(fake_settings_value(f->store));
	text[strlen(text) / 2] ^= 1;
	fake_settings_set(f->store, text);
	free(text);
	k = new_ring(f, JWT_ES256);
	assert_int_equal(start(f, k).code, STATUS_DATA_LOSS);
	stop(f, k);
	assert_non_null(fake_settings_value(f->store));
}

static void a_store_that_fails_fails_the_start_and_nothing_else(void **state)
{
	struct fixture *f = *state;
	for (unsigned skip = 0; skip < 2; skip++) {
		struct keyring *k = new_ring(f, JWT_ES256);
		fake_settings_fail(f->store, skip, STATUS_UNAVAILABLE);
		assert_int_equal(start(f, k).code, STATUS_UNAVAILABLE);
		assert_null(keyring_get(k));
		assert_null(fake_settings_value(f->store));
		stop(f, k);
	}
	struct keyring *k = started(f);
	char *before = ids(k);
	for (unsigned skip = 0; skip < 2; skip++) {
		fake_settings_fail(f->store, skip, STATUS_UNAVAILABLE);
		assert_int_equal(rotate(f, k).code, STATUS_UNAVAILABLE);
		assert_same(ids(k), xstrdup(before));
	}
	free(before);
	stop(f, k);
}

static void a_database_put_back_gets_the_keys_in_use(void **state)
{
	struct fixture *f = *state;
	struct keyring *k = started(f);
	char *next = id_at(k, 1);
	fake_settings_set(f->store, NULL);
	assert_ok(rotate(f, k));
	assert_same(id_at(k, 0), next);
	stop(f, k);
}

static void too_many_rotations_lose_no_key(void **state)
{
	struct fixture *f = *state;
	struct keyring *k = started(f);
	for (int i = 0; i < KEY_RECORD_MAX_RETIRED; i++)
		assert_ok(rotate(f, k));
	assert_int_equal(rotate(f, k).code, STATUS_RESOURCE_EXHAUSTED);
	assert_int_equal(count(k), 2 + KEY_RECORD_MAX_RETIRED);
	stop(f, k);
}

static void a_stop_waits_for_what_is_under_way(void **state)
{
	struct fixture *f = *state;
	struct keyring *k = new_ring(f, JWT_ES256);
	struct wait w = {.over = false}, late = {.over = false};
	keyring_start(k, MONO_TIME_NEVER, on_done, &w);
	assert_ok(keyring_rotate(k, MONO_TIME_NEVER, on_done, &late));
	stop(f, k);
	assert_true(w.over);
	assert_ok(w.status);
	assert_true(late.over);
	assert_int_equal(late.status.code, STATUS_UNAVAILABLE);
}

static const char *current_of(struct keyring *k, char ret[64])
{
	_cleanup_(keyring_state_unrefp) struct keyring_state *s = keyring_get(k);
	snprintf(ret, 64, "%.*s", STR_ARG(jwt_key_id(s->current)));
	return ret;
}

static void what_another_replica_wrote_meanwhile_is_not_written_over(void **state)
{
	struct fixture *f = *state;
	struct keyring *here = new_ring(f, JWT_ES256), *there = new_ring(f, JWT_RS256);
	assert_ok(start(f, here));
	/* There another algorithm is asked for, whose key takes its time. */
	struct wait slow = {.over = false};
	keyring_start(there, MONO_TIME_NEVER, on_done, &slow);
	assert_ok(rotate(f, here));
	assert_false(slow.over);
	char promoted[64], current[64];
	current_of(here, promoted);
	turn(f, &slow.over);
	assert_ok(slow.status);
	assert_string_equal(current_of(there, current), promoted);
	stop(f, there);
	stop(f, here);
}

static void two_that_rotate_at_the_same_moment_do_it_once(void **state)
{
	struct fixture *f = *state;
	struct keyring *one = new_ring(f, JWT_ES256), *two = new_ring(f, JWT_ES256);
	assert_ok(start(f, one));
	assert_ok(start(f, two));
	_cleanup_(keyring_state_unrefp) struct keyring_state *before = keyring_get(one);
	struct wait w[2] = {{.over = false}, {.over = false}};
	assert_ok(keyring_rotate(one, MONO_TIME_NEVER, on_done, &w[0]));
	assert_ok(keyring_rotate(two, MONO_TIME_NEVER, on_done, &w[1]));
	turn(f, &w[0].over);
	turn(f, &w[1].over);
	assert_ok(w[0].status);
	assert_ok(w[1].status);
	char a[64], b[64];
	assert_string_equal(current_of(one, a), current_of(two, b));
	assert_str(jwt_key_id(before->trusted.keys[1]), a); /* the next one, known to all */
	keyring_follow(one);
	assert_ok(start(f, one)); /* behind that */
	_cleanup_(keyring_state_unrefp) struct keyring_state *s1 = keyring_get(one);
	_cleanup_(keyring_state_unrefp) struct keyring_state *s2 = keyring_get(two);
	assert_int_equal(s1->trusted.n, 3);
	for (size_t i = 0; i < 3;
		i++) /* who wrote it has the private part of the retired one, too */
		assert_true(
			str_eq(jwt_key_id(s1->trusted.keys[i]), jwt_key_id(s2->trusted.keys[i])));
	stop(f, two);
	stop(f, one);
}

static void keys_of_a_file_are_used_as_they_are(void **state)
{
	struct fixture *f = *state;
	struct forge_key *one = forge_key_new(JWT_ES256), *two = forge_key_new(JWT_RS256);
	char *a = forge_key_pem(one, true), *b = forge_key_pem(two, false),
	     *both = xasprintf("%s%s", a, b);
	_cleanup_jwt_keys_ struct jwt_keys keys = {.n = 0}, public = {.n = 0};
	assert_ok(jwt_keys_parse(str_of(both), &keys));
	assert_ok(jwt_keys_parse(str_of(b), &public));
	struct keyring *k;
	assert_int_equal(keyring_new_fixed(&public, f->loop, &k).code, STATUS_INVALID_ARGUMENT);
	assert_ok(keyring_new_fixed(&keys, f->loop, &k));
	assert_int_equal(count(k), 2);
	assert_int_equal(rotate(f, k).code, STATUS_FAILED_PRECONDITION);
	assert_int_equal(keyring_set_fixed(k, &public).code, STATUS_INVALID_ARGUMENT);
	assert_int_equal(count(k), 2);
	stop(f, k);
	free(a), free(b), free(both);
	forge_key_free(one), forge_key_free(two);
}

/* A JWK with an id of its author's choice, and the public part of the same. */
static void generate(const char *kid, struct jwt_keys *private, struct jwt_keys *public)
{
	_cleanup_(jwt_key_unrefp) struct jwt_key *key = jwt_key_generate(JWT_ES256);
	struct jwt_keys *const both[] = {public, private};
	for (size_t i = 0; i < ARRAY_SIZE(both); i++) {
		_cleanup_secret_ struct secret jwk = jwt_key_export(key, i == 1);
		_cleanup_free_ char *named =
			xasprintf("{\"kid\":\"%s\",%s", kid, strchr(jwk.p, '{') + 1);
		assert_ok(jwt_keys_parse(str_of(named), both[i]));
	}
}

static void key_of_a_file_is_replaced_by_another_of_its_id(void **state)
{
	struct fixture *f = *state;
	_cleanup_jwt_keys_ struct jwt_keys old = {.n = 0}, new = {.n = 0}, public = {.n = 0};
	struct keyring *k;
	generate("main", &old, &public);
	jwt_keys_done(&public);
	generate("main", &new, &public);
	assert_str(jwt_key_id(new.keys[0]), "main");
	assert_ok(keyring_new_fixed(&old, f->loop, &k));
	uint64_t generation = keyring_generation(k);
	assert_ok(keyring_set_fixed(k, &old));
	assert_int_equal(keyring_generation(k), generation);
	assert_ok(keyring_set_fixed(k, &new));
	_cleanup_(keyring_state_unrefp) struct keyring_state *state_now = keyring_get(k);
	assert_true(jwt_key_eq(state_now->current, new.keys[0]));
	assert_false(jwt_key_eq(state_now->current, public.keys[0]));
	assert_int_equal(keyring_generation(k), generation + 1);
	stop(f, k);
}

int main(void)
{
#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(a_first_start_makes_a_current_and_a_next_key),
		WITH_FIXTURE(a_second_start_finds_the_same_keys),
		WITH_FIXTURE(replicas_that_start_together_agree),
		WITH_FIXTURE(rotation_makes_the_next_key_current_and_keeps_the_old_one),
		WITH_FIXTURE(a_retired_key_is_dropped_when_its_last_jwt_is_dead),
		WITH_FIXTURE(a_key_is_replaced_when_it_is_old),
		WITH_FIXTURE(replicas_that_rotate_together_promote_the_same_key),
		WITH_FIXTURE(a_replica_learns_of_a_rotation),
		WITH_FIXTURE(another_algorithm_is_published_before_it_signs),
		WITH_FIXTURE(a_store_with_other_keys_stops_the_start),
		WITH_FIXTURE(a_replaced_server_key_takes_the_old_keys_along),
		WITH_FIXTURE(damaged_keys_stop_the_start),
		WITH_FIXTURE(a_store_that_fails_fails_the_start_and_nothing_else),
		WITH_FIXTURE(a_database_put_back_gets_the_keys_in_use),
		WITH_FIXTURE(too_many_rotations_lose_no_key),
		WITH_FIXTURE(a_stop_waits_for_what_is_under_way),
		WITH_FIXTURE(what_another_replica_wrote_meanwhile_is_not_written_over),
		WITH_FIXTURE(two_that_rotate_at_the_same_moment_do_it_once),
		WITH_FIXTURE(keys_of_a_file_are_used_as_they_are),
		WITH_FIXTURE(key_of_a_file_is_replaced_by_another_of_its_id),
	};
	log_setup(LOG_ERROR, LOG_FORMAT_LOGFMT);
	return RUN_TESTS(tests);
}
