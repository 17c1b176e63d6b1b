/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/fake_tokens.h"

#include "common/base/xalloc.h"

enum {
	MAX_TOKENS = 64
};

struct fake_tokens {
	struct token_finder finder;
	struct token *tokens[MAX_TOKENS];
	size_t n;
	bool cached;
	enum status_code failure;
	atomic_uint looks, finds;
};

struct answer {
	struct loop_task task;
	struct status status;
	struct token *token;
	store_token_fn *done;
	void *arg;
};

static struct token *find_token(const struct fake_tokens *f, const struct token_query *q)
{
	for (size_t i = 0; i < f->n; i++) {
		const struct token_fields *t = &f->tokens[i]->fields;
		if (q->hash ? token_hash_eq(q->hash, &t->hash)
			    : t->kind == q->kind && str_eq(t->owner, q->owner) &&
					str_eq(t->name, q->name))
			return token_ref(f->tokens[i]);
	}
	return NULL;
}

static enum token_memory look(
	struct token_finder *self, const struct token_query *query, struct token **ret)
{
	struct fake_tokens *f = container_of(self, struct fake_tokens, finder);
	atomic_fetch_add(&f->looks, 1);
	if (!f->cached)
		return TOKEN_ASK;
	struct token *token = find_token(f, query);
	if (!token)
		return TOKEN_ABSENT;
	*ret = token;
	return TOKEN_IN_MEMORY;
}

static void run(struct loop_task *task)
{
	struct answer *a = container_of(task, struct answer, task);
	a->done(a->arg, &a->status, a->token);
	token_unref(a->token);
	free(a);
}

static void find(struct token_finder *self, const struct token_query *query,
	struct store_waiter waiter, store_token_fn *done)
{
	struct fake_tokens *f = container_of(self, struct fake_tokens, finder);
	atomic_fetch_add(&f->finds, 1);
	struct answer *a = xnew(struct answer);
	a->task.run = run;
	a->done = done;
	a->arg = waiter.arg;
	a->status = status_ok();
	if (f->failure != STATUS_OK)
		a->status = status_error(f->failure, "the store is away");
	else
		a->token = find_token(f, query);
	if (status_is_ok(&a->status) && !a->token)
		a->status = status_error(STATUS_NOT_FOUND, "no such token");
	loop_post(waiter.home, &a->task);
}

struct fake_tokens *fake_tokens_new(void)
{
	struct fake_tokens *f = xnew(struct fake_tokens);
	f->finder = (struct token_finder){.look = look, .find = find};
	f->cached = true;
	return f;
}

void fake_tokens_free(struct fake_tokens *f)
{
	for (size_t i = 0; i < f->n; i++)
		token_unref(f->tokens[i]);
	free(f);
}

struct token_finder *fake_tokens_finder(struct fake_tokens *f)
{
	return &f->finder;
}

struct token *fake_tokens_add(struct fake_tokens *f, enum token_kind kind, const char *owner,
	const char *name, struct str secret, int32_t expires_day)
{
	static const struct str roles[] = {{"osmo-user", 9}};
	struct token *token = token_new(&(struct token_fields){.kind = kind,
		.owner = str_of(owner),
		.name = str_of(name),
		.roles = roles,
		.n_roles = 1,
		.expires = {expires_day},
		.hash = token_secret_hash(secret)});
	f->tokens[f->n++] = token;
	return token;
}

void fake_tokens_remove(struct fake_tokens *f, struct token *token)
{
	for (size_t i = 0; i < f->n; i++) {
		if (f->tokens[i] == token) {
			f->tokens[i] = f->tokens[--f->n];
			token_unref(token);
			return;
		}
	}
}

void fake_tokens_set_cached(struct fake_tokens *f, bool cached)
{
	f->cached = cached;
}

void fake_tokens_set_failure(struct fake_tokens *f, enum status_code code)
{
	f->failure = code;
}

unsigned fake_tokens_looks(const struct fake_tokens *f)
{
	return f->looks;
}

unsigned fake_tokens_finds(const struct fake_tokens *f)
{
	return f->finds;
}
