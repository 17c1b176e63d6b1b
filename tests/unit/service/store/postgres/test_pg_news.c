/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/postgres/pg_news.h"
#include "tests/lib/test.h"

#include <string.h>

static const struct str own = {"0123456789abcdef", 16};

#define HASH "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

static struct token_fields a_token(void)
{
	struct token_fields f = {
		.kind = TOKEN_SERVICE, .owner = STR("a b 7"), .name = STR("n\xC3\xA4me")};
	for (size_t i = 0; i < sizeof f.hash.bytes; i++) {
		f.hash.bytes[i] = (uint8_t)i;
		f.old_hash.bytes[i] = (uint8_t)(255 - i);
	}
	return f;
}

static void assert_round_trip(const struct token_fields *f)
{
	_cleanup_buf_ struct buf text;
	buf_init(&text, SIZE_MAX);
	pg_news_format(own, f, &text);
	struct pg_news news = pg_news_parse(buf_str(&text), own);
	assert_int_equal(news.kind, PG_NEWS_TOKEN);
	assert_true(news.is_own);
	assert_int_equal(news.token.kind, f->kind);
	assert_true(str_eq(news.token.owner, f->owner));
	assert_true(str_eq(news.token.name, f->name));
	assert_memory_equal(news.token.hash.bytes, f->hash.bytes, sizeof f->hash.bytes);
	assert_int_equal(news.token.old_until.us, f->old_until.us);
	if (f->old_until.us)
		assert_memory_equal(
			news.token.old_hash.bytes, f->old_hash.bytes, sizeof f->old_hash.bytes);
}

static void token_is_read_as_it_was_written(void **state)
{
	(void)state;
	struct token_fields f = a_token();
	assert_round_trip(&f);
	f.old_until.us = 1780000000123456;
	assert_round_trip(&f);
	f.owner = STR("");
	f.name = STR("");
	assert_round_trip(&f);
}

static void news_too_long_for_a_payload_are_about_everything(void **state)
{
	(void)state;
	char name[7100];
	memset(name, 'x', sizeof name);
	struct token_fields f = a_token();
	f.name = (struct str){name, sizeof name};
	_cleanup_buf_ struct buf text;
	buf_init(&text, SIZE_MAX);
	pg_news_format(own, &f, &text);
	assert_true(text.n < 100);
	assert_int_equal(pg_news_parse(buf_str(&text), own).kind, PG_NEWS_ALL);
}

static void sender_tells_own_news_from_others(void **state)
{
	(void)state;
	assert_true(pg_news_parse(STR("0123456789abcdefr"), own).is_own);
	assert_false(pg_news_parse(STR("0123456789abcdeer"), own).is_own);
	assert_int_equal(pg_news_parse(STR("0123456789abcdefr"), own).kind, PG_NEWS_ROLES);
	struct pg_news probe = pg_news_parse(STR("0123456789abcdefp42"), own);
	assert_int_equal(probe.kind, PG_NEWS_PROBE);
	assert_int_equal(probe.number, 42);
}

static void what_cannot_be_read_may_be_about_anything(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"",
		"short",
		"0123456789abcdef",
		"0123456789abcdefx",
		"0123456789abcdefp",
		"0123456789abcdefpx",
		"0123456789abcdeft",
		"0123456789abcdeft2" HASH "0 1 a",
		"0123456789abcdeft0" HASH,
		"0123456789abcdeft0" HASH "0",
		"0123456789abcdeft0" HASH "0 ",
		"0123456789abcdeft0" HASH "0 2 a",
		"0123456789abcdeft0" HASH "0 -1 a",
		"0123456789abcdeft0" HASH "5 1 ab",
		"0123456789abcdeft0G" HASH "0 1 ab",
		"0123456789abcdeft0" HASH "0 18446744073709551615 a",
	};
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(pg_news_parse(str_of(texts[i]), own).kind, PG_NEWS_ALL);
	assert_int_equal(
		pg_news_parse(STR("0123456789abcdeft0" HASH "0 1 ab"), own).kind, PG_NEWS_TOKEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(token_is_read_as_it_was_written),
		cmocka_unit_test(news_too_long_for_a_payload_are_about_everything),
		cmocka_unit_test(sender_tells_own_news_from_others),
		cmocka_unit_test(what_cannot_be_read_may_be_about_anything),
	};
	return RUN_TESTS(tests);
}
