/* SPDX-License-Identifier: Apache-2.0 */
/* A YAML document as a tree to read: scalars, sequences and mappings, each with its line.
 *
 * The subset that configuration needs: one document, keys that are text and stand once, no anchors,
 * aliases, merge keys or tags; so what is small on paper is small in memory. Bounded: 1 MiB of
 * text, 32 levels, 65,536 nodes.
 * A tree never changes, so any thread may read it; it is counted (yaml_tree_ref), and a node lives
 * as long as its tree. */
#pragma once

#include "common/base/cleanup.h"
#include "common/base/status.h"
#include "common/base/str.h"

#include <stdbool.h>
#include <stddef.h>

struct yaml_tree;

enum yaml_kind {
	YAML_KIND_NULL, /* nothing, `~` or `null`, not quoted */
	YAML_KIND_SCALAR,
	YAML_KIND_SEQUENCE,
	YAML_KIND_MAPPING
};

struct yaml_node {
	const struct yaml_tree *tree;
	enum yaml_kind kind;
	unsigned line;   /* from 1 */
	struct str key;  /* of an entry of a mapping; NUL-terminated */
	struct str text; /* of a scalar; NUL-terminated, and may hold NULs */
	/* The entries of a sequence or a mapping: for (e = n->first; e; e = e->next). */
	const struct yaml_node *first, *next;
	size_t count;
};

enum {
	YAML_TEXT_MAX_BYTES = 1 << 20,
	YAML_DEPTH_MAX = 32,
	YAML_NODES_MAX = 65536
};

/* @name stands in messages ("NAME:3: ...").
 *
 * INVALID_ARGUMENT  the text is malformed, or outside the subset or the bounds; NAME:LINE and why
 */
struct status yaml_tree_parse(const char *name, struct str text, struct yaml_tree **ret);
/* As yaml_tree_parse, of a file; errors of file_read as well. */
struct status yaml_tree_read(const char *path, struct yaml_tree **ret);
struct yaml_tree *yaml_tree_ref(struct yaml_tree *t);
void yaml_tree_unref(struct yaml_tree *t);
DEFINE_CLEANUP(struct yaml_tree *, yaml_tree_unref);
/* YAML_KIND_NULL for an empty document. */
const struct yaml_node *yaml_tree_root(const struct yaml_tree *t);
const char *yaml_tree_name(const struct yaml_tree *t);

/* The entry of @mapping with that key, or NULL; also where @mapping is NULL or no mapping. */
const struct yaml_node *yaml_node_find(const struct yaml_node *mapping, const char *key);
/* Same shape, keys in the same order, same texts; lines do not matter. NULL equals NULL. */
bool yaml_node_eq(const struct yaml_node *a, const struct yaml_node *b);

/* INVALID_ARGUMENT with "NAME:LINE: " before the message. */
struct status yaml_node_error(const struct yaml_node *n, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The text of a scalar, without NULs. The message of this and the next names the key (or the line
 * alone in a sequence), the value and what is expected. */
struct status yaml_node_text(const struct yaml_node *n, struct str *ret);
struct status yaml_node_expect(const struct yaml_node *n, enum yaml_kind kind);
/* Every key of the mapping is one of @keys (which ends with NULL); a misspelt one is told with the
 * nearest that exists. */
struct status yaml_node_check_keys(const struct yaml_node *mapping, const char *const *keys);
