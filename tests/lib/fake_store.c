/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/fake_store.h"

#include <assert.h>
#include <string.h>

static void submit(struct store *s, struct store_op *op)
{
	struct fake_store *f = container_of(s, struct fake_store, store);
	list_add_tail(&f->ops, &op->link);
}

static struct store_counts counts(const struct store *s)
{
	(void)s;
	return (struct store_counts){0, 0};
}

static struct store_stats stats(const struct store *s)
{
	(void)s;
	return (struct store_stats){.commits = 0};
}

static void stop(struct store *s, struct loop *home, void (*stopped)(void *arg), void *arg)
{
	(void)s;
	(void)home;
	stopped(arg);
}

static const struct store_ops fake_ops = {
	.name = "fake",
	.submit = submit,
	.counts = counts,
	.stats = stats,
	.stop = stop,
};

void fake_store_init(struct fake_store *f)
{
	memset(f, 0, sizeof *f);
	f->store.ops = &fake_ops;
	list_init(&f->ops);
}

struct store_op *fake_store_take(struct fake_store *f, enum store_op_type type)
{
	struct list *node = list_pop(&f->ops);
	if (!node)
		return NULL;
	struct store_op *op = container_of(node, struct store_op, link);
	assert(op->type == type);
	return op;
}

size_t fake_store_waiting(const struct fake_store *f)
{
	size_t n = 0;
	for (const struct list *node = f->ops.next; node != &f->ops; node = node->next)
		n++;
	return n;
}

void run_posted(struct loop *l)
{
	/* Twice: what was posted may post. */
	for (int i = 0; i < 3; i++) {
		loop_stop(l);
		loop_run(l);
	}
}
