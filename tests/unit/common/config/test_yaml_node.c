/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/buf.h"
#include "common/config/yaml_node.h"
#include "tests/lib/test.h"

#include <stdio.h>
#include <string.h>

static struct yaml_tree *parse(const char *text)
{
	struct yaml_tree *t = NULL;
	assert_ok(yaml_tree_parse("f", str_of(text), &t));
	return t;
}

static void assert_refused(const char *text, const char *message)
{
	struct yaml_tree *t = NULL;
	assert_status(yaml_tree_parse("f", str_of(text), &t), STATUS_INVALID_ARGUMENT, message);
	assert_null(t);
}

static void a_document_becomes_a_tree_with_lines(void **state)
{
	(void)state;
	_cleanup_(yaml_tree_unrefp) struct yaml_tree *t = parse("roles:\n"
								"- name: admin # me\n"
								"  actions: [a, 'b c']\n"
								"- name: |\n"
								"    x\n"
								"    y\n"
								"empty:\n"
								"\"quoted\": 'null'\n");
	const struct yaml_node *root = yaml_tree_root(t);
	assert_int_equal(root->kind, YAML_KIND_MAPPING);
	assert_int_equal(root->count, 3);
	const struct yaml_node *roles = yaml_node_find(root, "roles");
	assert_int_equal(roles->kind, YAML_KIND_SEQUENCE);
	assert_int_equal(roles->count, 2);
	const struct yaml_node *actions = yaml_node_find(roles->first, "actions");
	assert_int_equal(actions->line, 3);
	assert_str(actions->first->text, "a");
	assert_str(actions->first->next->text, "b c");
	assert_null(actions->first->next->next);
	assert_str(yaml_node_find(roles->first->next, "name")->text, "x\ny\n");
	assert_int_equal(yaml_node_find(root, "empty")->kind, YAML_KIND_NULL);
	assert_int_equal(yaml_node_find(root, "empty")->line, 7);
	assert_int_equal(yaml_node_find(root, "quoted")->kind, YAML_KIND_SCALAR);
	assert_null(yaml_node_find(root, "nothing"));
	assert_null(yaml_node_find(roles, "name"));
}

static void nothing_is_a_null_document(void **state)
{
	(void)state;
	static const char *const texts[] = {"", "# only a comment\n", "---\n", "~\n"};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		_cleanup_(yaml_tree_unrefp) struct yaml_tree *t = parse(texts[i]);
		assert_int_equal(yaml_tree_root(t)->kind, YAML_KIND_NULL);
	}
}

static void what_lies_outside_the_subset_is_refused_with_its_line(void **state)
{
	(void)state;
	assert_refused("a: &x 1\n", "f:1: anchors are not supported");
	assert_refused("a: 1\nb: *x\n", "f:2: aliases are not supported");
	assert_refused("<<: {a: 1}\n", "f:1: merge keys are not supported");
	assert_refused("a: !!int 1\n", "f:1: tags are not supported");
	assert_refused("a: 1\n---\nb: 1\n", "f:2: a second document is not allowed");
	assert_refused("? [a]\n: b\n", "f:1: a key must be text");
	assert_refused("\"a\\0\": b\n", "f:1: a key must not contain NUL");
	assert_refused("a: 1\nb: 2\na: 3\n", "f:3: 'a' is there already, on line 1");
	assert_refused("x: {a: 1, b: 2, a: 3}\n", "f:1: 'a' is there already, on line 1");
}

static void malformed_text_is_refused_with_its_line(void **state)
{
	(void)state;
	assert_refused("a: 1\n b: 2\n", "f:2: mapping values are not allowed in this context");
	assert_refused("a: [1\n", "f:2: did not find expected ',' or ']' while parsing a flow "
				  "sequence");
	assert_refused("a: \"\xFF\"\n", "f:1: invalid leading UTF-8 octet");
	assert_refused("a:\n\t- b\n", "f:2: found character that cannot start any token while "
				      "scanning for the next token");
}

static void depth_and_size_are_bounded(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf text;
	buf_init(&text, 4 << 20);
	for (int i = 0; i < YAML_DEPTH_MAX; i++)
		buf_append_char(&text, '[');
	for (int i = 0; i < YAML_DEPTH_MAX; i++)
		buf_append_char(&text, ']');
	yaml_tree_unref(parse(text.p));
	buf_reset(&text);
	for (int i = 0; i < 100000; i++)
		buf_append_char(&text, '[');
	assert_refused(text.p, "f:1: nested deeper than 32 levels");
	buf_reset(&text);
	for (int i = 0; i < YAML_NODES_MAX; i++)
		buf_append_str(&text, STR("- a\n"));
	assert_refused(text.p, "f:65536: more than 65536 values");
	buf_reset(&text);
	while (text.n <= YAML_TEXT_MAX_BYTES)
		buf_append_str(&text, STR("# comment\n"));
	assert_refused(text.p, "'f' is longer than the 1048576 bytes allowed");
}

static void readers_name_key_value_and_expectation(void **state)
{
	(void)state;
	_cleanup_(yaml_tree_unrefp) struct yaml_tree *t =
		parse("n: 12\nb: true\ns: text\nl: [a]\nz: \"a\\0\"\n");
	const struct yaml_node *root = yaml_tree_root(t);
	struct str s;
	assert_ok(yaml_node_text(yaml_node_find(root, "s"), &s));
	assert_str(s, "text");
	const enum status_code invalid = STATUS_INVALID_ARGUMENT;
	assert_status(yaml_node_text(yaml_node_find(root, "l"), &s), invalid,
		"f:4: l must be text, got a list");
	assert_status(yaml_node_text(yaml_node_find(root, "z"), &s), invalid,
		"f:5: z must be text without NUL, got 'a\\x00'");
	assert_status(yaml_node_expect(yaml_node_find(root, "l")->first, YAML_KIND_MAPPING),
		invalid, "f:4: the entry must be a mapping, got 'a'");
}

static void a_misspelt_key_is_told_with_the_nearest(void **state)
{
	(void)state;
	_cleanup_(yaml_tree_unrefp) struct yaml_tree *t = parse("name: x\nActoins: []\n");
	static const char *const keys[] = {"name", "description", "actions", NULL};
	assert_status(yaml_node_check_keys(yaml_tree_root(t), keys), STATUS_INVALID_ARGUMENT,
		"f:2: unknown key 'Actoins'; did you mean 'actions'?");
}

static void equality_is_by_content(void **state)
{
	(void)state;
	_cleanup_(yaml_tree_unrefp) struct yaml_tree *a = parse("a: [1, {b: 2}]\n");
	_cleanup_(yaml_tree_unrefp) struct yaml_tree *b = parse("# moved\na:\n- 1\n- b: 2\n");
	_cleanup_(yaml_tree_unrefp) struct yaml_tree *c = parse("a: [1, {b: 3}]\n");
	_cleanup_(yaml_tree_unrefp) struct yaml_tree *d = parse("a: [1, {b: 2}, 3]\n");
	assert_true(yaml_node_eq(yaml_tree_root(a), yaml_tree_root(b)));
	assert_false(yaml_node_eq(yaml_tree_root(a), yaml_tree_root(c)));
	assert_false(yaml_node_eq(yaml_tree_root(a), yaml_tree_root(d)));
	assert_false(yaml_node_eq(yaml_tree_root(a), NULL));
	assert_true(yaml_node_eq(NULL, NULL));
}

static void a_tree_lives_as_long_as_somebody_holds_it(void **state)
{
	(void)state;
	struct yaml_tree *t = parse("a: b\n");
	const struct yaml_node *a = yaml_node_find(yaml_tree_root(t), "a");
	struct yaml_tree *held = yaml_tree_ref(t);
	yaml_tree_unref(t);
	assert_str(a->text, "b");
	yaml_tree_unref(held);
	yaml_tree_unref(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_document_becomes_a_tree_with_lines),
		cmocka_unit_test(nothing_is_a_null_document),
		cmocka_unit_test(what_lies_outside_the_subset_is_refused_with_its_line),
		cmocka_unit_test(malformed_text_is_refused_with_its_line),
		cmocka_unit_test(depth_and_size_are_bounded),
		cmocka_unit_test(readers_name_key_value_and_expectation),
		cmocka_unit_test(a_misspelt_key_is_told_with_the_nearest),
		cmocka_unit_test(equality_is_by_content),
		cmocka_unit_test(a_tree_lives_as_long_as_somebody_holds_it),
	};
	return RUN_TESTS(tests);
}
