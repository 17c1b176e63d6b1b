/* SPDX-License-Identifier: Apache-2.0 */
/* "filter\npage token", of which the token is the input's own or, if it is `!`, one that a list of
 * this filter gave: that one is taken, and nothing else comes through that says more than where to
 * go on. */
#include "common/base/arena.h"
#include "service/app/token_app.h"
#include "tests/fuzz/must.h"
#include "tests/lib/fake_store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct principal alice = {.kind = PRINCIPAL_USER, .name = {"alice", 5}};

struct outcome {
	unsigned answers;
	char next[256];
};

static void on_listed(void *arg, const struct status *status, struct token *const *tokens, size_t n,
	struct str next)
{
	struct outcome *o = arg;
	(void)tokens;
	MUST(status->code == STATUS_OK && n == 1 && next.n && next.n < sizeof o->next);
	memcpy(o->next, next.p, next.n);
	o->next[next.n] = '\0';
	o->answers++;
}

static struct token *a_token(const char *name)
{
	return token_new(&(struct token_fields){
		.owner = STR("alice"), .name = str_of(name), .description = STR("")});
}

/* One page of one token; false: the request was refused. */
static bool list(struct loop *loop, struct fake_store *f, struct str filter, struct str page_token,
	struct outcome *o)
{
	struct arena *arena = arena_new();
	const struct token_app app = {.store = &f->store, .clock = &clock_system};
	const struct token_list_request r = {
		.by = &alice, .page_size = 1, .filter = filter, .page_token = page_token};
	struct status s = token_app_list(
		&app, &r, arena, (struct store_waiter){loop, MONO_TIME_NEVER, o}, on_listed);
	if (status_is_ok(&s)) {
		struct store_op *op = fake_store_take(f, STORE_OP_TOKEN_LIST);
		const struct store_token_query *q = &op->in.query;
		MUST(str_eq(q->owner, STR("alice")) && !q->any_owner && q->limit == 2);
		MUST(q->has_after == (page_token.n > 0));
		MUST(str_is_utf8(q->after_name) && str_is_utf8(q->after_owner));
		MUST(str_index(q->after_name, '\0') == q->after_name.n);
		store_op_add_token(op, a_token("a"));
		store_op_add_token(op, a_token("b"));
		store_op_finish(op, status_ok());
		run_posted(loop);
	} else {
		MUST(s.code == STATUS_INVALID_ARGUMENT && s.message[0] && s.field[0]);
	}
	arena_free(arena);
	return status_is_ok(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = {(const char *)data, size}, filter = STR("");
	struct loop *loop = loop_new();
	struct fake_store store;
	struct outcome o = {.answers = 0};
	fake_store_init(&store);
	str_split(&rest, '\n', &filter);
	if (!str_eq(rest, STR("!"))) {
		list(loop, &store, filter, rest, &o);
	} else if (list(loop, &store, filter, STR(""), &o)) {
		struct outcome again = {.answers = 0};
		MUST(list(loop, &store, filter, str_of(o.next), &again) && again.answers == 1);
		MUST(!list(loop, &store, STR("name=other*"), str_of(o.next), &again));
	}
	loop_free(loop);
	return 0;
}
