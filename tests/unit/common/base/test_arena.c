/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/arena.h"
#include "tests/lib/test.h"

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void memory_is_aligned_and_does_not_overlap(void **state)
{
	(void)state;
	_cleanup_(arena_freep) struct arena *a = arena_new();
	unsigned char *p[200];
	for (size_t i = 0; i < 200; i++) {
		p[i] = arena_alloc(a, i);
		assert_int_equal((uintptr_t)p[i] % _Alignof(max_align_t), 0);
		memset(p[i], (int)i, i);
	}
	for (size_t i = 0; i < 200; i++)
		for (size_t k = 0; k < i; k++)
			assert_int_equal(p[i][k], i);
}

static void large_pieces_get_room_of_their_own(void **state)
{
	(void)state;
	_cleanup_(arena_freep) struct arena *a = arena_new();
	char *small = arena_strdup(a, "small");
	char *large = arena_alloc(a, 1 << 20);
	memset(large, 'x', 1 << 20);
	char *more = arena_calloc(a, 100, 100);
	for (size_t i = 0; i < 10000; i++)
		assert_int_equal(more[i], 0);
	assert_string_equal(small, "small");
}

static void a_reset_arena_is_used_again(void **state)
{
	(void)state;
	_cleanup_(arena_freep) struct arena *a = arena_new();
	void *first = arena_alloc(a, 16);
	for (int i = 0; i < 100; i++)
		arena_alloc(a, 1000);
	arena_reset(a);
	assert_ptr_equal(arena_alloc(a, 16), first);
}

static void what_is_released_is_wiped(void **state)
{
	(void)state;
	_cleanup_(arena_freep) struct arena *a = arena_new();
	const struct str secret = STR("osmo_a-secret-that-a-call-carried");
	const char *first = arena_str(a, secret).p;
	arena_alloc(a, 100000);
	arena_reset(a);
	const char *again = arena_alloc(a, secret.n);
	assert_ptr_equal(again, first);
	for (size_t i = 0; i < secret.n; i++)
		assert_int_equal(again[i], 0);
}

static void texts_are_copied_and_terminated(void **state)
{
	(void)state;
	_cleanup_(arena_freep) struct arena *a = arena_new();
	assert_string_equal(arena_strndup(a, "abcdef", 3), "abc");
	struct str s = arena_str(a, STR("a\0b"));
	assert_int_equal(s.n, 3);
	assert_int_equal(s.p[3], '\0');
	assert_string_equal(arena_str(a, (struct str){NULL, 0}).p, "");
	assert_string_equal(arena_printf(a, "%s-%05d", "x", 42), "x-00042");
}

/* The child must end by abort, not go on with less memory than it asked for. */
static void assert_aborts(void (*ask)(struct arena *))
{
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		signal(SIGABRT, SIG_DFL);
		(void)!freopen("/dev/null", "w", stderr);
		ask(arena_new());
		_exit(0);
	}
	int how;
	assert_int_equal(waitpid(child, &how, 0), child);
	/* a sanitizer's allocator reports and exits instead */
	assert_true(WIFSIGNALED(how) ? WTERMSIG(how) == SIGABRT : WEXITSTATUS(how) != 0);
}

static volatile size_t huge = SIZE_MAX - 3;

static void ask_too_much(struct arena *a)
{
	arena_alloc(a, huge);
}

static void ask_for_a_product_that_wraps(struct arena *a)
{
	arena_calloc(a, huge / 2, 3);
}

static void sizes_that_wrap_around_are_not_granted(void **state)
{
	(void)state;
	assert_aborts(ask_too_much);
	assert_aborts(ask_for_a_product_that_wraps);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_aligned_and_does_not_overlap),
		cmocka_unit_test(large_pieces_get_room_of_their_own),
		cmocka_unit_test(a_reset_arena_is_used_again),
		cmocka_unit_test(what_is_released_is_wiped),
		cmocka_unit_test(texts_are_copied_and_terminated),
		cmocka_unit_test(sizes_that_wrap_around_are_not_granted),
	};
	return RUN_TESTS(tests);
}
