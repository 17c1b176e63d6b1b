/* SPDX-License-Identifier: Apache-2.0 */
/* The way of a call through the service: a fixed row of steps, the last of which is the handler.
 *
 * A step passes on, finishes, or answers later, and its return type is the proof: a struct
 * call_step comes from call_next, call_finished, call_failed, call_pending and call_move only, so a
 * step that forgets to answer does not compile.
 *
 * A step runs on whatever thread read the call (call.h). One that needs a loop (a store operation)
 * returns call_move(c) when c->on_loop is false, and is run again, from its start, on the home
 * loop. A step that returned call_pending(c) later calls call_resume (on to the next step) or
 * call_fail / call_finish followed by call_release_pending, from the home loop. While a call is
 * pending its deadline is watched: it is then finished with DEADLINE_EXCEEDED, and what the step
 * does later is ignored. */
#pragma once

#include "common/rpc/call.h"
#include "service/domain/principal.h"

#include <stddef.h>

struct [[nodiscard]] call_step {
	struct call *call;
};
typedef struct call_step(call_step_fn)(void *self, struct call *c);

struct chain_step {
	const char *name;
	call_step_fn *run;
	void *self;
};

struct chain;

/* What the steps know of a call beside struct call; in its arena, at call->context. */
struct call_context {
	struct chain *chain;
	size_t step;
	const struct principal *principal; /* by authn; NULL before */
	bool has_credential;               /* one was sent */
	struct str action_path;            /* by authz: the action that was decided, for audit */
	struct str action_method;
	struct access_log *access_log; /* of its step */
	struct event *deadline_timer;  /* of the chain, on the home loop */
	void *transport_context;       /* what call->context was before the chain took the call */
	struct mono_time deadline; /* the call's own or the service's cap, by the deadline step */
};

static inline struct call_context *call_context(struct call *c)
{
	return c->context;
}

/* @steps must outlive the chain. */
struct chain *chain_new(const struct chain_step *steps, size_t n_steps);
void chain_free(struct chain *c);
/* Who is asked whether calls can be answered (call_handler.check_ready). Before the first call. */
void chain_set_ready_check(struct chain *c,
	void (*check)(void *self, struct loop *home, void (*done)(void *arg, struct status status),
		void *arg),
	void *self);
/* For a transport: start runs the steps. */
struct call_handler *chain_handler(struct chain *c);

struct call_step call_next(struct call *c);
struct call_step call_finished(struct call *c, ProtobufCMessage *reply);
struct call_step call_failed(struct call *c, struct status status);
struct call_step call_pending(struct call *c);
/* Runs this step again on the home loop. */
struct call_step call_move(struct call *c);

/* After call_pending: on to the next step. */
void call_resume(struct call *c);
/* After call_pending: answered (call_finish or call_fail were called), let go. */
void call_release_pending(struct call *c);
