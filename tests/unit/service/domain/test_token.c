/* SPDX-License-Identifier: Apache-2.0 */
#include "service/domain/token.h"
#include "tests/lib/test.h"

#include <stdio.h>

static const char regex_text[] = "must match regex ^[a-zA-Z]([a-zA-Z0-9_-]*[a-zA-Z0-9])?$";

static void names_follow_the_rule_of_existing_clients(void **state)
{
	(void)state;
	static const char *const good[] = {"a", "Z9", "my-token", "a_b-c", "a--b", "a__b", "x1"};
	static const char *const bad[] = {
		"", "1a", "-a", "a-", "a_", "a b", "a.b", "a/b", "\xC3\xA9", "a\n", "_a"};
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		assert_ok(token_name_check(str_of(good[i])));
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		char message[200];
		snprintf(message, sizeof message, "Token name %s %s", bad[i], regex_text);
		assert_status(token_name_check(str_of(bad[i])), STATUS_INVALID_ARGUMENT, message);
	}
	assert_status(token_name_check(STR("a\0b")), STATUS_INVALID_ARGUMENT,
		"Token name a must match regex ^[a-zA-Z]([a-zA-Z0-9_-]*[a-zA-Z0-9])?$");
}

static void a_name_has_at_most_255_bytes(void **state)
{
	(void)state;
	char name[256];
	memset(name, 'a', sizeof name);
	assert_ok(token_name_check((struct str){name, 255}));
	assert_status(token_name_check((struct str){name, 256}), STATUS_INVALID_ARGUMENT,
		"Token name must be at most 255 bytes long, got 256");
}

/* 2026-11-23T12:00:00Z */
static const struct unix_time noon = {INT64_C(1795435200) * 1000000};

static struct status parse(const char *text, struct date *ret)
{
	return token_expiry_parse("expires_at", str_of(text), noon, 365, "365d", ret);
}

static void expiry_lies_after_today_and_within_the_longest_lifetime(void **state)
{
	(void)state;
	struct date d;
	assert_ok(parse("2026-11-24", &d));
	assert_ok(parse("2027-1-2", &d));
	assert_ok(parse("2027-11-23", &d));
	assert_status(parse("2027-11-24", &d), STATUS_INVALID_ARGUMENT,
		"Access token cannot last longer than 365d");
	assert_status(parse("2026-11-23", &d), STATUS_INVALID_ARGUMENT,
		"Expiration date must be past the current date (2026-11-23)");
	assert_status(parse("tomorrow", &d), STATUS_INVALID_ARGUMENT,
		"Invalid date format tomorrow. Date must be in YYYY-MM-DD format (e.g. "
		"2025-12-31)");
	assert_status(parse("2026-02-30", &d), STATUS_INVALID_ARGUMENT,
		"Invalid date format 2026-02-30. Date must be in YYYY-MM-DD format (e.g. "
		"2025-12-31)");
	assert_string_equal(parse("", &d).field, "expires_at");
}

static struct token *make(struct date expires)
{
	const struct str roles[] = {STR("b"), STR("a")};
	return token_new(&(struct token_fields){.kind = TOKEN_SERVICE,
		.owner = STR("ci"),
		.name = STR("ci"),
		.description = STR("d"),
		.roles = roles,
		.n_roles = 2,
		.expires = expires});
}

static void a_token_is_valid_through_the_day_before_its_date(void **state)
{
	(void)state;
	struct date d;
	assert_true(date_parse(STR("2026-11-24"), &d));
	_cleanup_(token_unrefp) struct token *t = make(d);
	struct unix_time midnight = date_start(d);
	assert_false(token_expired(t, (struct unix_time){midnight.us - 1}));
	assert_true(token_expired(t, midnight));
}

static void a_token_keeps_copies_of_its_texts(void **state)
{
	(void)state;
	char owner[] = "alice";
	struct str role = STR("r");
	_cleanup_(token_unrefp) struct token *t = token_new(&(struct token_fields){
		.owner = {owner, 5}, .name = STR("n"), .roles = &role, .n_roles = 1});
	owner[0] = 'X';
	assert_string_equal(t->fields.owner.p, "alice");
	assert_str(t->fields.roles[0], "r");
	token_unref(token_ref(t));
	assert_str(t->fields.name, "n");
}

static void an_old_secret_opens_until_its_moment_and_no_longer(void **state)
{
	(void)state;
	const struct token_hash now = {{1}}, old = {{2}}, other = {{3}};
	_cleanup_(token_unrefp) struct token *t = token_new(
		&(struct token_fields){.hash = now, .old_hash = old, .old_until = {1000}});
	assert_true(token_opens_with(t, &now, (struct unix_time){999}));
	assert_true(token_opens_with(t, &old, (struct unix_time){999}));
	assert_false(token_opens_with(t, &other, (struct unix_time){999}));
	assert_false(token_opens_with(t, &old, (struct unix_time){1000}));
	assert_true(token_opens_with(t, &now, (struct unix_time){1000}));
	/* Without one, not even bytes that are all zero. */
	_cleanup_(token_unrefp) struct token *none = token_new(&(struct token_fields){.hash = now});
	const struct token_hash zero = {{0}};
	assert_false(token_opens_with(none, &zero, (struct unix_time){999}));
	assert_false(token_opens_with(none, &zero, (struct unix_time){0}));
}

static void use_is_noted_once_in_a_while(void **state)
{
	(void)state;
	_cleanup_(token_unrefp) struct token *t =
		token_new(&(struct token_fields){.last_used = {1000}});
	assert_false(token_note_use(t, (struct unix_time){1059}, 60));
	assert_true(token_note_use(t, (struct unix_time){1060}, 60));
	assert_false(token_note_use(t, (struct unix_time){1060}, 60));
	assert_false(token_note_use(t, (struct unix_time){1119}, 60));
	assert_true(token_note_use(t, (struct unix_time){1120}, 60));
	/* A clock that was set back notes nothing until it has caught up. */
	assert_false(token_note_use(t, (struct unix_time){500}, 60));
}

static void fixed_bytes(const struct random *self, void *p, size_t n)
{
	(void)self;
	memset(p, 0xFF, n);
}

static void secrets_have_a_prefix_and_a_checksum(void **state)
{
	(void)state;
	_cleanup_secret_ struct secret s = token_secret_mint(&random_system);
	assert_int_equal(s.n, 54);
	assert_true(str_starts_with(secret_str(&s), STR("osmo_")));
	assert_true(token_secret_is_well_formed(secret_str(&s)));
	for (size_t i = 0; i < s.n; i++) { /* a typo anywhere is found */
		char before = s.p[i];
		s.p[i] = before == 'x' ? 'y' : 'x';
		assert_false(token_secret_is_well_formed(secret_str(&s)));
		s.p[i] = before;
	}
	assert_false(token_secret_is_well_formed(str_sub(secret_str(&s), 0, 53)));

	const struct random highest = {.bytes = fixed_bytes};
	_cleanup_secret_ struct secret high = token_secret_mint(&highest);
	assert_int_equal(high.n, 54);
	assert_true(token_secret_is_well_formed(secret_str(&high)));
}

static void secrets_of_existing_installations_are_accepted(void **state)
{
	(void)state;
	struct str hex = STR("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
	assert_true(token_secret_is_well_formed(hex));
	assert_false(token_secret_is_well_formed(str_sub(hex, 0, 63)));
	assert_false(token_secret_is_well_formed(
		STR("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdeg")));
	assert_false(token_secret_is_well_formed(STR("")));
}

static void what_is_stored_is_the_sha_256_of_the_text(void **state)
{
	(void)state;
	struct token_hash h = token_secret_hash(STR("abc"));
	static const uint8_t wanted[] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41,
		0x40, 0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c,
		0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad}; /* FIPS 180-2, B.1 */
	assert_memory_equal(h.bytes, wanted, sizeof wanted);
}

static void the_same_bits_are_the_same_secret(void **state)
{
	(void)state;
	const uint8_t bytes[TOKEN_SECRET_BYTES] = {0, 0, 1};
	_cleanup_secret_ struct secret a = token_secret_of_bytes(bytes);
	_cleanup_secret_ struct secret b = token_secret_of_bytes(bytes);
	assert_true(secret_eq(secret_str(&a), secret_str(&b)));
	assert_true(token_secret_is_well_formed(secret_str(&a)));
}

static void a_description_is_text_of_bounded_length(void **state)
{
	(void)state;
	char text[1025];
	memset(text, 'd', sizeof text);
	assert_ok(token_description_check((struct str){text, 1024}));
	assert_status(token_description_check((struct str){text, 1025}), STATUS_INVALID_ARGUMENT,
		"Description must be at most 1024 bytes long, got 1025");
	assert_int_equal(token_description_check(STR("\xFF")).code, STATUS_INVALID_ARGUMENT);
	assert_int_equal(token_description_check(STR("a\0b")).code, STATUS_INVALID_ARGUMENT);
	assert_ok(token_description_check(STR("")));
}

static void secrets_are_found_in_texts(void **state)
{
	(void)state;
#define S43 "0123456789012345678901234567890123456789012"
#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	static const struct {
		const char *text;
		size_t at, n;
	} cases[] = {
		{"osmo_" S43 "abcdef", 0, 54},
		{"/user/osmo_" S43 "abcdef/x", 6, 54},
		{"xosmo_0123456789abcdef", 1, 21}, /* cut off, and with something before it */
		{"osmo_0123456789abcde", 20, 0},   /* too short to tell anything */
		{"osmo_osmo_0123456789abcdef", 5, 21},
		{"osmo", 4, 0},
		{"osmo_", 5, 0},
		{"smo_0123456789abcdef", 20, 0},
		{"'" HEX64 "'", 1, 64},
		{HEX64 "0", 65, 0},
		{"", 0, 0},
		{"osmo-user, osmo_admin", 21, 0},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t n = 0;
		struct str text = str_of(cases[i].text);
		assert_int_equal(token_secret_find(text, 0, &n), cases[i].at);
		assert_int_equal(n, cases[i].n);
		if (n)
			assert_int_equal(token_secret_find(text, cases[i].at + n, &n), text.n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(secrets_are_found_in_texts),
		cmocka_unit_test(names_follow_the_rule_of_existing_clients),
		cmocka_unit_test(a_name_has_at_most_255_bytes),
		cmocka_unit_test(expiry_lies_after_today_and_within_the_longest_lifetime),
		cmocka_unit_test(a_token_is_valid_through_the_day_before_its_date),
		cmocka_unit_test(a_token_keeps_copies_of_its_texts),
		cmocka_unit_test(an_old_secret_opens_until_its_moment_and_no_longer),
		cmocka_unit_test(use_is_noted_once_in_a_while),
		cmocka_unit_test(secrets_have_a_prefix_and_a_checksum),
		cmocka_unit_test(secrets_of_existing_installations_are_accepted),
		cmocka_unit_test(what_is_stored_is_the_sha_256_of_the_text),
		cmocka_unit_test(the_same_bits_are_the_same_secret),
		cmocka_unit_test(a_description_is_text_of_bounded_length),
	};
	return RUN_TESTS(tests);
}
