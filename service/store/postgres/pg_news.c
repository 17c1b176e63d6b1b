/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/postgres/pg_news.h"

#include "common/base/base64.h"
#include "service/store/postgres/pg_shared.h"

enum {
	HEX = 2 * TOKEN_HASH_BYTES,
	LENGTH_MAX = 7000, /* of owner and name; a payload has 8,000 bytes at most */
};

static bool parse_token(struct str text, struct token_fields *ret)
{
	uint64_t owner_bytes;
	if (text.n < 1 || (text.p[0] != '0' && text.p[0] != '1'))
		return false;
	ret->kind = text.p[0] == '1' ? TOKEN_SERVICE : TOKEN_USER;
	if (!hex_decode(str_sub(text, 1, HEX), ret->hash.bytes, sizeof ret->hash.bytes))
		return false;
	struct str rest = str_sub(text, 1 + HEX, text.n);
	size_t space = str_index(rest, ' ');
	if (!str_to_i64(str_sub(rest, 0, space), &ret->old_until.us))
		return false;
	rest = str_sub(rest, space + 1, rest.n);
	if (ret->old_until.us) {
		if (!hex_decode(
			    str_sub(rest, 0, HEX), ret->old_hash.bytes, sizeof ret->old_hash.bytes))
			return false;
		rest = str_sub(rest, HEX, rest.n);
	}
	space = str_index(rest, ' ');
	if (!str_to_u64(str_sub(rest, 0, space), &owner_bytes))
		return false;
	rest = str_sub(rest, space + 1, rest.n);
	if (owner_bytes > rest.n)
		return false;
	ret->owner = str_sub(rest, 0, (size_t)owner_bytes);
	ret->name = str_sub(rest, (size_t)owner_bytes, rest.n);
	return true;
}

struct pg_news pg_news_parse(struct str payload, struct str own_sender)
{
	struct pg_news news = {.kind = PG_NEWS_ALL};
	if (payload.n <= PG_SENDER_CHARS)
		return news;
	news.is_own = str_eq(str_sub(payload, 0, PG_SENDER_CHARS), own_sender);
	struct str rest = str_sub(payload, PG_SENDER_CHARS + 1, payload.n);
	switch (payload.p[PG_SENDER_CHARS]) {
	case 't':
		if (parse_token(rest, &news.token))
			news.kind = PG_NEWS_TOKEN;
		break;
	case 'r':
		news.kind = PG_NEWS_ROLES;
		break;
	case 'p':
		if (str_to_u64(rest, &news.number))
			news.kind = PG_NEWS_PROBE;
		break;
	default:
		break;
	}
	return news;
}

static void add_hash(const struct token_hash *hash, struct buf *out)
{
	for (size_t i = 0; i < sizeof hash->bytes; i++)
		buf_printf(out, "%02x", hash->bytes[i]);
}

void pg_news_format(struct str sender, const struct token_fields *token, struct buf *out)
{
	buf_append_str(out, sender);
	if (token->owner.n + token->name.n > LENGTH_MAX) {
		buf_append_char(out, 'a');
		return;
	}
	buf_printf(out, "t%d", token->kind == TOKEN_SERVICE);
	add_hash(&token->hash, out);
	buf_printf(out, "%lld ", (long long)token->old_until.us);
	if (token->old_until.us)
		add_hash(&token->old_hash, out);
	buf_printf(out, "%zu ", token->owner.n);
	buf_append_str(out, token->owner);
	buf_append_str(out, token->name);
}
