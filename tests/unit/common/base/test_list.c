/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/list.h"
#include "tests/lib/test.h"

struct item {
	int number;
	struct list node;
};

static int number_of(struct list *node)
{
	return container_of(node, struct item, node)->number;
}

/* The numbers on the list, as decimal digits. */
static int digits(struct list *head)
{
	int all = 0;
	list_for_each (node, head)
		all = all * 10 + number_of(node);
	return all;
}

static void nodes_stand_in_the_order_they_were_added(void **state)
{
	(void)state;
	struct list head;
	struct item a = {.number = 1}, b = {.number = 2}, c = {.number = 3};
	list_init(&head);
	assert_true(list_empty(&head));
	assert_null(list_pop(&head));
	list_add_tail(&head, &b.node);
	list_add_tail(&head, &c.node);
	list_add_head(&head, &a.node);
	assert_int_equal(digits(&head), 123);
	assert_int_equal(number_of(list_pop(&head)), 1);
	assert_int_equal(digits(&head), 23);
}

static void a_node_may_be_removed_twice_and_inside_a_walk(void **state)
{
	(void)state;
	struct list head;
	struct item items[5];
	list_init(&head);
	for (int i = 0; i < 5; i++) {
		items[i].number = i + 1;
		list_add_tail(&head, &items[i].node);
	}
	list_for_each (node, &head)
		if (number_of(node) % 2 == 0)
			list_remove(node);
	assert_int_equal(digits(&head), 135);
	list_remove(&items[1].node);
	assert_int_equal(digits(&head), 135);
}

static void moving_all_keeps_both_orders(void **state)
{
	(void)state;
	struct list to, from;
	struct item a = {.number = 1}, b = {.number = 2}, c = {.number = 3};
	list_init(&to);
	list_init(&from);
	list_move_all(&to, &from);
	assert_true(list_empty(&to));
	list_add_tail(&to, &a.node);
	list_add_tail(&from, &b.node);
	list_add_tail(&from, &c.node);
	list_move_all(&to, &from);
	assert_int_equal(digits(&to), 123);
	assert_true(list_empty(&from));
	list_remove(&c.node);
	list_remove(&a.node);
	assert_int_equal(digits(&to), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nodes_stand_in_the_order_they_were_added),
		cmocka_unit_test(a_node_may_be_removed_twice_and_inside_a_walk),
		cmocka_unit_test(moving_all_keeps_both_orders),
	};
	return RUN_TESTS(tests);
}
