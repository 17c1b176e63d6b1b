/* SPDX-License-Identifier: Apache-2.0 */
/* What comes by NOTIFY, from anybody who may connect: views into the payload, or "anything". */
#include "service/store/postgres/pg_news.h"
#include "service/store/postgres/pg_shared.h"
#include "tests/fuzz/must.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_within(struct str part, struct str whole)
{
	MUST(!part.n || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n));
}

static void check_token(const struct token_fields *token, struct str sender)
{
	_cleanup_buf_ struct buf out;
	buf_init(&out, 16384);
	pg_news_format(sender, token, &out);
	struct pg_news again = pg_news_parse(buf_str(&out), sender);
	MUST(again.is_own);
	if (again.kind == PG_NEWS_ALL) { /* it is too long */
		MUST(token->owner.n + token->name.n > 4096);
		return;
	}
	MUST(again.kind == PG_NEWS_TOKEN && again.token.kind == token->kind);
	MUST(str_eq(again.token.owner, token->owner) && str_eq(again.token.name, token->name));
	MUST(token_hash_eq(&again.token.hash, &token->hash));
	MUST(again.token.old_until.us == token->old_until.us);
	MUST(!token->old_until.us || token_hash_eq(&again.token.old_hash, &token->old_hash));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str payload = {(const char *)data, size};
	struct str sender = str_sub(payload, 0, PG_SENDER_CHARS);
	struct pg_news news = pg_news_parse(payload, sender);
	if (size <= PG_SENDER_CHARS) {
		MUST(news.kind == PG_NEWS_ALL);
		return 0;
	}
	MUST(news.is_own);
	check_within(news.token.owner, payload);
	check_within(news.token.name, payload);
	if (news.kind == PG_NEWS_TOKEN)
		check_token(&news.token, sender);
	return 0;
}
