/* SPDX-License-Identifier: Apache-2.0 */
/* Where a credential's token is looked up: the port between authentication and the cache over the
 * store. An embedded base struct; its owner outlives all who use it. */
#pragma once

#include "service/domain/token.h"
#include "service/store/store.h"

/* Which token: the one of @hash, or, if that is NULL, of kind, owner and name. Borrowed for the
 * call. */
struct token_query {
	const struct token_hash *hash;
	enum token_kind kind;
	struct str owner, name;
};

enum token_memory {
	TOKEN_IN_MEMORY, /* *ret is it, with a reference for the caller */
	TOKEN_ABSENT,    /* it is known that there is none */
	TOKEN_ASK,       /* the store must be asked */
};

struct token_finder {
	/* What memory knows, at once; any thread. */
	enum token_memory (*look)(
		struct token_finder *self, const struct token_query *query, struct token **ret);
	/* Asks the store. @done runs later on the waiter's loop; NOT_FOUND: there is none. Those
	 * who ask for the same token at the same time share one answer. */
	void (*find)(struct token_finder *self, const struct token_query *query,
		struct store_waiter waiter, store_token_fn *done);
};

static inline enum token_memory token_finder_look(
	struct token_finder *f, const struct token_query *query, struct token **ret)
{
	return f->look(f, query, ret);
}

static inline void token_finder_find(struct token_finder *f, const struct token_query *query,
	struct store_waiter waiter, store_token_fn *done)
{
	f->find(f, query, waiter, done);
}
