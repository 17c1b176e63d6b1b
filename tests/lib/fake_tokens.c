/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/fake_tokens.h"

#include "common/base/xalloc.h"
#include "service/store/store_ops.h"

enum {
	MAX_TOKENS = 64
};

struct fake_tokens {
	struct store store;
	struct cache *cache;
	struct token_lookup *lookup;
	struct token *tokens[MAX_TOKENS];
	size_t n;
	enum status_code failure;
	atomic_uint reads;
};

static bool is_asked_for(const struct store_op *op, const struct token_fields *t)
{
	if (op->type == STORE_OP_TOKEN_BY_HASH)
		return token_hash_eq(&op->in.hash, &t->hash);
	return t->kind == op->in.by_name.kind && str_eq(t->owner, op->in.by_name.owner) &&
	       str_eq(t->name, op->in.by_name.name);
}

static void submit(struct store *s, struct store_op *op)
{
	struct fake_tokens *f = container_of(s, struct fake_tokens, store);
	atomic_fetch_add(&f->reads, 1);
	struct status status = status_error(STATUS_NOT_FOUND, "no such token");
	for (size_t i = 0; i < f->n; i++) {
		if (is_asked_for(op, &f->tokens[i]->fields)) {
			op->out.token = token_ref(f->tokens[i]);
			status = status_ok();
			break;
		}
	}
	if (f->failure != STATUS_OK)
		status = status_error(f->failure, "the store is away");
	store_op_finish(op, status);
}

struct fake_tokens *fake_tokens_new(const struct clock *clock)
{
	static const struct store_ops ops = {.name = "fake", .submit = submit};
	struct fake_tokens *f = xnew(struct fake_tokens);
	f->store.ops = &ops;
	f->cache = cache_new(&(struct cache_options){.max_bytes = 1 << 20,
		.ttl_ms = 1000000,
		.unknown_ttl_ms = 1000000,
		.random = &random_system});
	f->lookup = token_lookup_new(&f->store, f->cache, clock);
	return f;
}

void fake_tokens_free(struct fake_tokens *f)
{
	token_lookup_free(f->lookup);
	cache_free(f->cache);
	for (size_t i = 0; i < f->n; i++)
		token_unref(f->tokens[i]);
	free(f);
}

struct token_lookup *fake_tokens_lookup(struct fake_tokens *f)
{
	return f->lookup;
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
	store_tell_token(&f->store, token);
	return token;
}

void fake_tokens_remove(struct fake_tokens *f, struct token *token)
{
	for (size_t i = 0; i < f->n; i++) {
		if (f->tokens[i] == token) {
			f->tokens[i] = f->tokens[--f->n];
			store_tell_token(&f->store, token);
			token_unref(token);
			return;
		}
	}
}

void fake_tokens_forget(struct fake_tokens *f)
{
	store_tell_all(&f->store);
}

void fake_tokens_set_failure(struct fake_tokens *f, enum status_code code)
{
	f->failure = code;
}

unsigned fake_tokens_reads(const struct fake_tokens *f)
{
	return f->reads;
}
