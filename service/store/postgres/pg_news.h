/* SPDX-License-Identifier: Apache-2.0 */
/* What replicas tell each other by NOTIFY: the payload.
 *
 *     SENDER t KIND HASH OLD-UNTIL ' ' [OLD-HASH] OWNER-BYTES ' ' OWNER NAME
 *                          a token was made, deleted or changed; OLD-HASH if OLD-UNTIL is not 0
 *     SENDER r             roles
 *     SENDER a             something too long to be told
 *     SENDER p NUMBER      a probe of the sender's own
 *
 * without spaces but for those that are quoted; SENDER has PG_SENDER_CHARS, hashes are hexadecimal.
 * Statements make most of them (pg_statement.c). Pure; any thread. */
#pragma once

#include "common/base/buf.h"
#include "common/base/str.h"
#include "service/store/store.h"

#include <stdbool.h>
#include <stdint.h>

enum pg_news_kind {
	PG_NEWS_TOKEN,
	PG_NEWS_ROLES,
	PG_NEWS_ALL,
	PG_NEWS_PROBE
};
struct pg_news {
	enum pg_news_kind kind;
	bool is_own;
	struct token_fields token; /* what listeners are told; texts point into the payload */
	uint64_t number;
};

/* Appends the payload about a token. */
void pg_news_format(struct str sender, const struct token_fields *token, struct buf *out);
/* What cannot be read is PG_NEWS_ALL: it may have been about anything. */
struct pg_news pg_news_parse(struct str payload, struct str own_sender);
