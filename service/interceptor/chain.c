/* SPDX-License-Identifier: Apache-2.0 */
#include "service/interceptor/chain.h"

#include "common/base/xalloc.h"

#include <assert.h>
#include <event2/event.h>
#include <event2/event_struct.h>

struct chain {
	struct call_handler handler;
	const struct chain_step *steps;
	size_t n_steps;
	void (*check_ready)(void *self, struct loop *home,
		void (*done)(void *arg, struct status status), void *arg);
	void *check_ready_self;
};

static struct call_step run_step(struct call *c)
{
	const struct call_context *ctx = call_context(c);
	const struct chain_step *step = &ctx->chain->steps[ctx->step];
	return step->run(step->self, c);
}

static void start(struct call_handler *handler, struct call *c)
{
	struct chain *chain = container_of(handler, struct chain, handler);
	struct call_context *ctx = arena_calloc(c->arena, 1, sizeof *ctx);
	ctx->chain = chain;
	ctx->deadline = c->deadline;
	ctx->transport_context = c->context;
	c->context = ctx;
	(void)run_step(c);
}

static void check_ready(struct call_handler *handler, struct loop *home,
	void (*done)(void *arg, struct status status), void *arg)
{
	struct chain *chain = container_of(handler, struct chain, handler);
	chain->check_ready(chain->check_ready_self, home, done, arg);
}

void chain_set_ready_check(struct chain *c,
	void (*check)(void *self, struct loop *home, void (*done)(void *arg, struct status status),
		void *arg),
	void *self)
{
	c->check_ready = check;
	c->check_ready_self = self;
}

struct chain *chain_new(const struct chain_step *steps, size_t n_steps)
{
	struct chain *chain = xnew(struct chain);
	chain->handler.start = start;
	chain->handler.check_ready = check_ready;
	chain->steps = steps;
	chain->n_steps = n_steps;
	return chain;
}

void chain_free(struct chain *c)
{
	free(c);
}

struct call_handler *chain_handler(struct chain *c)
{
	return &c->handler;
}

struct call_step call_next(struct call *c)
{
	struct call_context *ctx = call_context(c);
	ctx->step++;
	assert(ctx->step < ctx->chain->n_steps);
	return run_step(c);
}

struct call_step call_finished(struct call *c, ProtobufCMessage *reply)
{
	call_finish(c, reply);
	return (struct call_step){c};
}

struct call_step call_failed(struct call *c, struct status status)
{
	call_fail(c, status);
	return (struct call_step){c};
}

static void rerun(struct call *c)
{
	if (!call_is_finished(c))
		(void)run_step(c);
}

struct call_step call_move(struct call *c)
{
	assert(!c->on_loop);
	call_to_loop(c, rerun);
	return (struct call_step){c};
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct call *c = arg;
	call_fail(c, status_error(STATUS_DEADLINE_EXCEEDED, "the deadline of the call has passed"));
}

static void watch_deadline(struct call *c)
{
	struct call_context *ctx = call_context(c);
	if (ctx->deadline.us == MONO_TIME_NEVER.us)
		return;
	int64_t left = ctx->deadline.us - clock_mono(&clock_system).us;
	if (left < 0)
		left = 0;
	if (!ctx->deadline_timer) {
		ctx->deadline_timer = arena_alloc(c->arena, sizeof(struct event));
		evtimer_assign(ctx->deadline_timer, loop_base(c->home), on_deadline, c);
	}
	struct timeval after = {left / US_PER_S, (suseconds_t)(left % US_PER_S)};
	evtimer_add(ctx->deadline_timer, &after);
}

static void unwatch_deadline(struct call *c)
{
	struct event *timer = call_context(c)->deadline_timer;
	if (timer)
		evtimer_del(timer);
}

struct call_step call_pending(struct call *c)
{
	assert(c->on_loop);
	call_ref(c);
	watch_deadline(c);
	return (struct call_step){c};
}

void call_release_pending(struct call *c)
{
	unwatch_deadline(c);
	call_unref(c);
}

void call_resume(struct call *c)
{
	unwatch_deadline(c);
	if (!call_is_finished(c))
		(void)call_next(c);
	call_unref(c);
}
