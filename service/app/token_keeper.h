/* SPDX-License-Identifier: Apache-2.0 */
/* What is done about tokens beside the calls: it is stored when and from where they were used, and
 * those that expired long ago are deleted.
 *
 * Uses are gathered, at most one a token and minute, and stored a few at a time every two seconds;
 * those that cannot be stored are forgotten: the next one comes soon. Deletes go in small batches
 * with pauses, so that no writer waits long however many tokens expired on one day.
 * Threads: token_keeper_note is for any; the rest happens on the home loop. */
#pragma once

#include "common/base/clock.h"
#include "common/base/str.h"
#include "common/event/loop.h"
#include "service/domain/token.h"
#include "service/store/store.h"

#include <stdint.h>

struct token_keeper;

/* Everything is borrowed. */
struct token_keeper_config {
	struct store *store;
	struct loop *home;
	const struct clock *clock;
	int64_t grace_ms;      /* how long expired tokens stay */
	int purge_interval_ms; /* 0: 10 min; the first is 1 s after the start */
	int flush_interval_ms; /* 0: 2 s */
};

/* Its timers run from the start of the home loop on. */
struct token_keeper *token_keeper_new(const struct token_keeper_config *config);
/* Stores the uses at hand, then calls @stopped on the home loop; no operation of the store is under
 * way then. Nothing is noted any more. */
void token_keeper_stop(struct token_keeper *k, void (*stopped)(void *arg), void *arg);
/* It was stopped, or its home loop never ran. NULL is allowed. */
void token_keeper_free(struct token_keeper *k);

/* @token is used now: true if that is worth a note, which the caller owes then. */
bool token_keeper_is_due(struct token_keeper *k, struct token *token);
/* @from: an address, or empty if it is not known; at most 45 bytes of it are kept. */
void token_keeper_note(struct token_keeper *k, const struct token *token, struct str from);

struct token_keeper_stats {
	uint64_t stored, lost; /* uses */
	uint64_t purged;       /* tokens */
};
struct token_keeper_stats token_keeper_stats(const struct token_keeper *k);
