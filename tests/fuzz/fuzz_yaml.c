/* SPDX-License-Identifier: Apache-2.0 */
/* The YAML tree: whatever is taken has the shape that its header promises. */
#include "common/config/yaml_node.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth)
{
	if (!truth)
		abort();
}

/* Counts the nodes below and including @n, at @depth. */
static size_t walk(const struct yaml_node *n, size_t depth)
{
	size_t total = 1, entries = 0;
	require(depth <= YAML_DEPTH_MAX + 1 && n->line >= 1 && n->tree);
	for (const struct yaml_node *e = n->first; e; e = e->next) {
		require(n->kind == YAML_KIND_SEQUENCE || n->kind == YAML_KIND_MAPPING);
		require((n->kind == YAML_KIND_MAPPING) == (e->key.p != NULL));
		if (n->kind == YAML_KIND_MAPPING && n->count < 50)
			require(yaml_node_find(n, e->key.p) == e);
		total += walk(e, depth + 1);
		entries++;
	}
	require(entries == n->count);
	if (n->kind == YAML_KIND_SCALAR)
		require(n->text.p && n->text.p[n->text.n] == '\0' && str_is_utf8(n->text));
	return total;
}

static void read_all(const struct yaml_node *n)
{
	static const char *const keys[] = {"name", "actions", NULL};
	struct str text;
	struct status s[] = {yaml_node_text(n, &text), yaml_node_check_keys(n, keys)};
	for (size_t i = 0; i < sizeof s / sizeof s[0]; i++)
		require(status_is_ok(&s[i]) ||
			(s[i].message[0] && str_is_utf8(str_of(s[i].message))));
	for (const struct yaml_node *e = n->first; e; e = e->next)
		read_all(e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(yaml_tree_unrefp) struct yaml_tree *t = NULL;
	struct status s = yaml_tree_parse("f", (struct str){(const char *)data, size}, &t);
	if (!status_is_ok(&s)) {
		require(s.code == STATUS_INVALID_ARGUMENT && s.message[0] && !t);
		return 0;
	}
	require(walk(yaml_tree_root(t), 1) <= YAML_NODES_MAX + 1);
	require(yaml_node_eq(yaml_tree_root(t), yaml_tree_root(t)));
	read_all(yaml_tree_root(t));
	return 0;
}
