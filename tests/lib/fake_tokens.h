/* SPDX-License-Identifier: Apache-2.0 */
/* The real lookup of tokens over a store that is a list in memory and can be made to fail. Changes
 * belong to one thread, while nobody looks. */
#pragma once

#include "common/base/status.h"
#include "service/store/token_lookup.h"

struct fake_tokens;

/* The loop of whoever asks must run dry before fake_tokens_free. */
struct fake_tokens *fake_tokens_new(const struct clock *clock);
void fake_tokens_free(struct fake_tokens *f);
struct token_lookup *fake_tokens_lookup(struct fake_tokens *f);

/* Adds a token that expires on day @expires_day, valid for @secret (copied); the token is the
 * fake's. */
struct token *fake_tokens_add(struct fake_tokens *f, enum token_kind kind, const char *owner,
	const char *name, struct str secret, int32_t expires_day);
void fake_tokens_remove(struct fake_tokens *f, struct token *token);
/* Nothing is in memory any more. */
void fake_tokens_forget(struct fake_tokens *f);
/* The store answers with this from now on; STATUS_OK: normally. */
void fake_tokens_set_failure(struct fake_tokens *f, enum status_code code);
/* How often the store was asked. */
unsigned fake_tokens_reads(const struct fake_tokens *f);
