/* SPDX-License-Identifier: Apache-2.0 */
/* Notes that a call used a token, and from which address. Threads: any. */
#pragma once

#include "common/net/cidr.h"
#include "common/rpc/call.h"
#include "service/domain/token.h"

struct token_keeper;

struct token_use {
	struct token_keeper *keeper;     /* NULL: nobody wants to know */
	const struct cidr_list *proxies; /* whose word about who is behind them is taken */
};

/* By the one who called. @token may be NULL. */
void token_use_note(const struct token_use *u, const struct call *c, struct token *token);
/* By somebody whose call this one is about: from where is not known. */
void token_use_note_elsewhere(const struct token_use *u, struct token *token);

enum {
	TOKEN_USE_ADDRESS_BYTES = 46
};
/* The address that a call came from: the peer's, or if that is one of @proxies the last in
 * x-forwarded-for that is not. Empty for a unix socket with nothing behind it. */
void token_use_address(
	const struct cidr_list *proxies, const struct call *c, char ret[TOKEN_USE_ADDRESS_BYTES]);
