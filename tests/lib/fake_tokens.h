/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens in memory behind the port of authentication: what is cached and what must be asked for is
 * the test's to say. One thread, or no changes while others look. */
#pragma once

#include "common/base/status.h"
#include "service/auth/token_finder.h"

struct fake_tokens;

struct fake_tokens *fake_tokens_new(void);
void fake_tokens_free(struct fake_tokens *f);
struct token_finder *fake_tokens_finder(struct fake_tokens *f);

/* Adds a token that expires on day @expires_day, valid for @secret (copied); the token is the
 * fake's. */
struct token *fake_tokens_add(struct fake_tokens *f, enum token_kind kind, const char *owner,
	const char *name, struct str secret, int32_t expires_day);
void fake_tokens_remove(struct fake_tokens *f, struct token *token);
/* Nothing is in memory from now on (or everything). */
void fake_tokens_set_cached(struct fake_tokens *f, bool cached);
/* The store answers with this from now on; STATUS_OK: normally. */
void fake_tokens_set_failure(struct fake_tokens *f, enum status_code code);
/* How often memory and the store were asked. */
unsigned fake_tokens_looks(const struct fake_tokens *f);
unsigned fake_tokens_finds(const struct fake_tokens *f);
