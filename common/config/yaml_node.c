/* SPDX-License-Identifier: Apache-2.0 */
#include "common/config/yaml_node.h"

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/escape.h"
#include "common/base/file.h"
#include "common/base/nearest.h"
#include "common/base/xalloc.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct yaml_tree {
	_Atomic unsigned refs;
	struct arena *arena;
	const char *name;
	struct yaml_node *root;
	size_t nodes;
};

/* A collection that is being read. */
struct open_node {
	struct yaml_node *node, *last;
	struct str key; /* of a mapping: read, its value still to come */
	unsigned key_line;
	bool has_key;
};

struct parser {
	yaml_parser_t yaml;
	struct yaml_tree *tree;
	struct open_node open[YAML_DEPTH_MAX];
	size_t depth;
	bool done;
};

static unsigned line_of(const yaml_mark_t *mark)
{
	return (unsigned)mark->line + 1;
}

static struct status error_at(const char *name, unsigned line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static struct status error_at(const char *name, unsigned line, const char *format, ...)
{
	char text[sizeof((struct status *)NULL)->message];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	return status_error(STATUS_INVALID_ARGUMENT, "%s:%u: %s", name, line, text);
}

static bool is_null(const yaml_event_t *e)
{
	const char *text = (const char *)e->data.scalar.value;
	return e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (text[0] == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0);
}

static struct status no_anchor_no_tag(const struct parser *p, const yaml_event_t *e,
	const yaml_char_t *anchor, const yaml_char_t *tag)
{
	const char *name = p->tree->name;
	if (anchor)
		return error_at(name, line_of(&e->start_mark), "anchors are not supported");
	if (tag)
		return error_at(name, line_of(&e->start_mark), "tags are not supported");
	return status_ok();
}

static struct str scalar_text(const struct parser *p, const yaml_event_t *e)
{
	return arena_str(p->tree->arena,
		(struct str){(const char *)e->data.scalar.value, e->data.scalar.length});
}

static struct status take_key(struct parser *p, struct open_node *in, const yaml_event_t *e)
{
	const char *name = p->tree->name;
	unsigned line = line_of(&e->start_mark);
	if (e->type != YAML_SCALAR_EVENT)
		return error_at(name, line, "a key must be text");
	struct str key = scalar_text(p, e);
	if (memchr(key.p, '\0', key.n))
		return error_at(name, line, "a key must not contain NUL");
	if (str_eq(key, STR("<<")) && e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
		return error_at(name, line, "merge keys are not supported");
	in->key = key;
	in->key_line = line;
	in->has_key = true;
	return status_ok();
}

/* Adds the node of @e to the collection that is open, or makes it the root. */
static struct status add_node(struct parser *p, const yaml_event_t *e, struct yaml_node **ret)
{
	unsigned line = line_of(&e->start_mark);
	if (++p->tree->nodes > YAML_NODES_MAX)
		return error_at(p->tree->name, line, "more than %d values", (int)YAML_NODES_MAX);
	struct yaml_node *n = arena_calloc(p->tree->arena, 1, sizeof *n);
	n->tree = p->tree;
	n->line = line;
	if (!p->depth) {
		p->tree->root = n;
	} else {
		struct open_node *in = &p->open[p->depth - 1];
		if (in->has_key) {
			n->key = in->key;
			n->line = in->key_line; /* an empty value has no place of its own */
			in->has_key = false;
		}
		if (in->last)
			in->last->next = n;
		else
			in->node->first = n;
		in->last = n;
		in->node->count++;
	}
	*ret = n;
	return status_ok();
}

static struct status take_scalar(struct parser *p, const yaml_event_t *e)
{
	struct yaml_node *n;
	TRY(add_node(p, e, &n));
	n->kind = is_null(e) ? YAML_KIND_NULL : YAML_KIND_SCALAR;
	n->text = scalar_text(p, e);
	return status_ok();
}

static struct status open_collection(struct parser *p, const yaml_event_t *e, enum yaml_kind kind)
{
	if (p->depth == YAML_DEPTH_MAX)
		return error_at(p->tree->name, line_of(&e->start_mark),
			"nested deeper than %d levels", (int)YAML_DEPTH_MAX);
	struct yaml_node *n;
	TRY(add_node(p, e, &n));
	n->kind = kind;
	p->open[p->depth++] = (struct open_node){.node = n};
	return status_ok();
}

static int by_key_and_line(const void *a, const void *b)
{
	const struct yaml_node *x = *(const struct yaml_node *const *)a;
	const struct yaml_node *y = *(const struct yaml_node *const *)b;
	int order = str_cmp(x->key, y->key);
	if (order)
		return order;
	return x->line < y->line ? -1 : x->line > y->line;
}

/* Sorted, because comparing each with each would let a small file cost a lot. */
static struct status keys_stand_once(const struct parser *p, const struct yaml_node *mapping)
{
	if (mapping->count < 2)
		return status_ok();
	_cleanup_free_ const struct yaml_node **sorted =
		xreallocarray(NULL, mapping->count, sizeof(struct yaml_node *));
	size_t n = 0;
	for (const struct yaml_node *e = mapping->first; e; e = e->next)
		sorted[n++] = e;
	qsort(sorted, n, sizeof(struct yaml_node *), by_key_and_line);
	for (size_t i = 1; i < n; i++)
		if (str_eq(sorted[i]->key, sorted[i - 1]->key))
			return error_at(p->tree->name, sorted[i]->line,
				"'%s' is there already, on line %u", shown(sorted[i]->key).text,
				sorted[i - 1]->line);
	return status_ok();
}

static struct status take_event(struct parser *p, const yaml_event_t *e)
{
	struct open_node *in = p->depth ? &p->open[p->depth - 1] : NULL;
	bool wants_key = in && in->node->kind == YAML_KIND_MAPPING && !in->has_key;

	switch (e->type) {
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_DOCUMENT_END_EVENT:
		return status_ok();
	case YAML_STREAM_END_EVENT:
		p->done = true;
		return status_ok();
	case YAML_DOCUMENT_START_EVENT:
		if (p->tree->root)
			return error_at(p->tree->name, line_of(&e->start_mark),
				"a second document is not allowed");
		return status_ok();
	case YAML_ALIAS_EVENT:
		return error_at(
			p->tree->name, line_of(&e->start_mark), "aliases are not supported");
	case YAML_SCALAR_EVENT:
		TRY(no_anchor_no_tag(p, e, e->data.scalar.anchor, e->data.scalar.tag));
		return wants_key ? take_key(p, in, e) : take_scalar(p, e);
	case YAML_SEQUENCE_START_EVENT:
		TRY(no_anchor_no_tag(
			p, e, e->data.sequence_start.anchor, e->data.sequence_start.tag));
		return wants_key ? take_key(p, in, e) : open_collection(p, e, YAML_KIND_SEQUENCE);
	case YAML_MAPPING_START_EVENT:
		TRY(no_anchor_no_tag(
			p, e, e->data.mapping_start.anchor, e->data.mapping_start.tag));
		return wants_key ? take_key(p, in, e) : open_collection(p, e, YAML_KIND_MAPPING);
	case YAML_MAPPING_END_EVENT:
		TRY(keys_stand_once(p, p->open[p->depth - 1].node));
		p->depth--;
		return status_ok();
	case YAML_SEQUENCE_END_EVENT:
		p->depth--;
		return status_ok();
	}
	return status_ok();
}

static struct status parser_status(const struct parser *p)
{
	const yaml_parser_t *y = &p->yaml;
	bool has_context = y->context && y->context[0];
	/* an encoding error has no mark */
	unsigned line =
		y->error == YAML_READER_ERROR ? line_of(&y->mark) : line_of(&y->problem_mark);
	return error_at(p->tree->name, line, "%s%s%s", y->problem ? y->problem : "malformed",
		has_context ? " " : "", has_context ? y->context : "");
}

static struct status parse_events(struct parser *p)
{
	while (!p->done) {
		yaml_event_t e;
		if (!yaml_parser_parse(&p->yaml, &e))
			return parser_status(p);
		struct status s = take_event(p, &e);
		yaml_event_delete(&e);
		TRY(s);
	}
	return status_ok();
}

struct status yaml_tree_parse(const char *name, struct str text, struct yaml_tree **ret)
{
	if (text.n > YAML_TEXT_MAX_BYTES)
		return status_error(STATUS_INVALID_ARGUMENT,
			"'%s' is longer than the %d bytes allowed", name, (int)YAML_TEXT_MAX_BYTES);
	_cleanup_(yaml_tree_unrefp) struct yaml_tree *t = xnew(struct yaml_tree);
	t->refs = 1;
	t->arena = arena_new();
	t->name = arena_strdup(t->arena, name);

	struct parser p = {.tree = t};
	if (!yaml_parser_initialize(&p.yaml))
		abort(); /* it fails for want of memory only */
	yaml_parser_set_input_string(
		&p.yaml, (const unsigned char *)(text.n ? text.p : ""), text.n);
	struct status s = parse_events(&p);
	yaml_parser_delete(&p.yaml);
	TRY(s);
	if (!t->root) {
		t->root = arena_calloc(t->arena, 1, sizeof *t->root);
		t->root->tree = t;
		t->root->line = 1;
	}
	*ret = TAKE_PTR(t);
	return status_ok();
}

struct status yaml_tree_read(const char *path, struct yaml_tree **ret)
{
	_cleanup_buf_ struct buf text;
	buf_init(&text, YAML_TEXT_MAX_BYTES);
	TRY(file_read(path, YAML_TEXT_MAX_BYTES, &text));
	return yaml_tree_parse(path, buf_str(&text), ret);
}

struct yaml_tree *yaml_tree_ref(struct yaml_tree *t)
{
	atomic_fetch_add(&t->refs, 1);
	return t;
}

void yaml_tree_unref(struct yaml_tree *t)
{
	if (!t || atomic_fetch_sub(&t->refs, 1) != 1)
		return;
	arena_free(t->arena);
	free(t);
}

const struct yaml_node *yaml_tree_root(const struct yaml_tree *t)
{
	return t->root;
}

const char *yaml_tree_name(const struct yaml_tree *t)
{
	return t->name;
}

const struct yaml_node *yaml_node_find(const struct yaml_node *mapping, const char *key)
{
	if (!mapping || mapping->kind != YAML_KIND_MAPPING)
		return NULL;
	for (const struct yaml_node *e = mapping->first; e; e = e->next)
		if (str_eq(e->key, str_of(key)))
			return e;
	return NULL;
}

/* Recursion is bounded by YAML_DEPTH_MAX. */
bool yaml_node_eq(const struct yaml_node *a, const struct yaml_node *b)
{
	if (!a || !b)
		return a == b;
	if (a->kind != b->kind || a->count != b->count || !str_eq(a->key, b->key))
		return false;
	if (a->kind == YAML_KIND_SCALAR)
		return str_eq(a->text, b->text);
	const struct yaml_node *x = a->first, *y = b->first;
	for (; x && y; x = x->next, y = y->next)
		if (!yaml_node_eq(x, y))
			return false;
	return !x && !y;
}

struct status yaml_node_error(const struct yaml_node *n, const char *format, ...)
{
	char text[sizeof((struct status *)NULL)->message];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	return error_at(n->tree->name, n->line, "%s", text);
}

static const char *kind_name(enum yaml_kind kind)
{
	switch (kind) {
	case YAML_KIND_NULL:
		return "nothing";
	case YAML_KIND_SCALAR:
		return "text";
	case YAML_KIND_SEQUENCE:
		return "a list";
	case YAML_KIND_MAPPING:
		return "a mapping";
	}
	return "something else";
}

/* "KEY must be WHAT, got VALUE" */
static struct status mismatch(const struct yaml_node *n, const char *what)
{
	struct str subject = n->key.p ? n->key : STR("the entry");
	if (n->kind != YAML_KIND_SCALAR)
		return yaml_node_error(
			n, "%s must be %s, got %s", shown(subject).text, what, kind_name(n->kind));
	return yaml_node_error(
		n, "%s must be %s, got '%s'", shown(subject).text, what, shown(n->text).text);
}

struct status yaml_node_expect(const struct yaml_node *n, enum yaml_kind kind)
{
	return n->kind == kind ? status_ok() : mismatch(n, kind_name(kind));
}

struct status yaml_node_text(const struct yaml_node *n, struct str *ret)
{
	TRY(yaml_node_expect(n, YAML_KIND_SCALAR));
	if (memchr(n->text.p, '\0', n->text.n))
		return mismatch(n, "text without NUL");
	*ret = n->text;
	return status_ok();
}

struct status yaml_node_check_keys(const struct yaml_node *mapping, const char *const *keys)
{
	TRY(yaml_node_expect(mapping, YAML_KIND_MAPPING));
	for (const struct yaml_node *e = mapping->first; e; e = e->next) {
		size_t i = 0;
		while (keys[i] && !str_eq(e->key, str_of(keys[i])))
			i++;
		if (keys[i])
			continue;
		const char *nearest = nearest_name(e->key, keys, i);
		return yaml_node_error(e, "unknown key '%s'%s%s%s", shown(e->key).text,
			nearest ? "; did you mean '" : "", nearest ? nearest : "",
			nearest ? "'?" : "");
	}
	return status_ok();
}
