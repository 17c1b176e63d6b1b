/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/base64.h"
#include "common/base/file.h"
#include "common/base/xalloc.h"
#include "service/auth/server_key.h"
#include "service/domain/token.h"
#include "tests/lib/test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_A "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define KEY_B "ff0102030405060708090A0B0C0D0E0F101112131415161718191a1b1c1d1e1f"
/* The bytes of KEY_A in base64. */
#define KEY_A_BASE64 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

static struct server_key *parse(const char *text)
{
	struct server_key *k;
	assert_ok(server_key_parse(str_of(text), &k));
	return k;
}

static char *seal(const char *keys, const char *purpose, const char *plain)
{
	_cleanup_(server_key_freep) struct server_key *k = parse(keys);
	struct buf out;
	buf_init(&out, 65536);
	server_key_seal(k, purpose, str_of(plain), &random_system, &out);
	return buf_steal(&out);
}

static struct status open_with(
	const char *keys, const char *purpose, const char *sealed, char **ret, bool *ret_first)
{
	_cleanup_(server_key_freep) struct server_key *k = parse(keys);
	_cleanup_buf_ struct buf out;
	buf_init(&out, 65536);
	struct status status = server_key_open(k, purpose, str_of(sealed), &out, ret_first);
	if (status_is_ok(&status) && ret)
		*ret = xstrndup(out.n ? out.p : "", out.n);
	else
		assert_int_equal(out.n == 0 || status_is_ok(&status), 1);
	return status;
}

static void what_was_sealed_opens_again(void **state)
{
	(void)state;
	static const char *const plains[] = {"", "x", "{\"keys\":[]}"};
	for (size_t i = 0; i < ARRAY_SIZE(plains); i++) {
		char *sealed = seal(KEY_A, "p", plains[i]), *again = seal(KEY_A, "p", plains[i]);
		assert_string_not_equal(sealed, again);
		char *plain;
		bool first = false;
		assert_ok(open_with(KEY_A_BASE64, "p", sealed, &plain, &first));
		assert_string_equal(plain, plains[i]);
		assert_true(first);
		free(plain), free(sealed), free(again);
	}
}

static void another_key_is_named_and_refused(void **state)
{
	(void)state;
	char *sealed = seal(KEY_A, "p", "secret");
	bool first;
	struct status status = open_with(KEY_B, "p", sealed, NULL, &first);
	assert_int_equal(status.code, STATUS_FAILED_PRECONDITION);
	assert_non_null(strstr(status.message, "another key"));
	free(sealed);

	/* One that is damaged may end anywhere, and nothing of what follows the id is told. */
	const char short_id[] = {'v', '1', '.', 'a', 'b', '.', 'S', 'E'};
	_cleanup_(server_key_freep) struct server_key *k = NULL;
	_cleanup_buf_ struct buf plain;
	buf_init(&plain, 64);
	assert_ok(server_key_parse(STR(KEY_A), &k));
	status = server_key_open(k, "p", (struct str){short_id, sizeof short_id}, &plain, &first);
	assert_int_equal(status.code, STATUS_FAILED_PRECONDITION);
	assert_non_null(strstr(status.message, "(its id is ab; "));
}

static void an_older_key_of_the_file_still_opens(void **state)
{
	(void)state;
	char *sealed = seal(KEY_A, "p", "secret"), *plain;
	bool first = true;
	assert_ok(open_with(KEY_B "\n\n  " KEY_A "\r\n", "p", sealed, &plain, &first));
	assert_string_equal(plain, "secret");
	assert_false(first);
	free(sealed), free(plain);
}

static void a_sealed_text_serves_one_purpose(void **state)
{
	(void)state;
	char *sealed = seal(KEY_A, "p", "secret");
	bool first;
	assert_int_equal(open_with(KEY_A, "q", sealed, NULL, &first).code, STATUS_DATA_LOSS);
	free(sealed);
}

static void a_change_of_any_byte_is_noticed(void **state)
{
	(void)state;
	char *sealed = seal(KEY_A, "p", "secret");
	bool first;
	for (size_t i = 0; sealed[i]; i++) {
		char was = sealed[i];
		sealed[i] = was == 'A' ? 'B' : 'A';
		assert_int_not_equal(open_with(KEY_A, "p", sealed, NULL, &first).code, STATUS_OK);
		sealed[i] = was;
	}
	for (size_t n = strlen(sealed); n-- > 0;) {
		sealed[n] = '\0';
		assert_int_not_equal(open_with(KEY_A, "p", sealed, NULL, &first).code, STATUS_OK);
	}
	free(sealed);
}

static void what_is_no_key_is_named_by_its_line_and_not_quoted(void **state)
{
	(void)state;
	struct server_key *k;
	assert_status(server_key_parse(STR(KEY_A "\nhunter2\n"), &k), STATUS_INVALID_ARGUMENT,
		"line 2 is no key: 64 hexadecimal digits, or base64 of 32 bytes, are expected");
	assert_status(server_key_parse(STR(" \n"), &k), STATUS_INVALID_ARGUMENT, "there is no key");
	assert_int_equal(server_key_parse(STR(KEY_A "00"), &k).code, STATUS_INVALID_ARGUMENT);
	assert_int_equal(server_key_parse(STR("AAEC"), &k).code, STATUS_INVALID_ARGUMENT);
}

static void a_token_secret_is_a_function_of_key_and_salt(void **state)
{
	(void)state;
	_cleanup_(server_key_freep) struct server_key *a = parse(KEY_A), *b = parse(KEY_B);
	uint8_t salt[32] = {1}, other[32] = {2}, x[32], y[32];
	assert_true(server_key_derive_token(a, 0, salt, x));
	assert_true(server_key_derive_token(a, 0, salt, y));
	assert_memory_equal(x, y, 32);
	assert_true(server_key_derive_token(a, 0, other, y));
	assert_memory_not_equal(x, y, 32);
	assert_true(server_key_derive_token(b, 0, salt, y));
	assert_memory_not_equal(x, y, 32);
	/* a key that was replaced is found again */
	_cleanup_(server_key_freep) struct server_key *both = parse(KEY_B "\n" KEY_A);
	assert_true(server_key_derive_token(both, 1, salt, y));
	assert_memory_equal(x, y, 32);
	assert_false(server_key_derive_token(both, 2, salt, y));
	_cleanup_secret_ struct secret secret = token_secret_of_bytes(x);
	assert_true(token_secret_is_well_formed(secret_str(&secret)));
	/* Fixed for ever: a request that is repeated over an upgrade finds its secret again. */
	char hex[65];
	hex_encode(x, sizeof x, hex);
	assert_string_equal(
		hex, "c2d30370e62be63cf0f283173e3ddd8f96fe6745f8c3505dfbd307e5d155fe05");
}

static void a_key_file_is_made_once_and_private(void **state)
{
	(void)state;
	char dir[] = "/tmp/test_server_key.XXXXXX";
	assert_non_null(mkdtemp(dir));
	char *path = xasprintf("%s/key", dir);
	struct server_key *k;
	assert_int_equal(server_key_read_or_make(path, NULL, &k).code, STATUS_NOT_FOUND);
	_cleanup_(server_key_freep) struct server_key *made = NULL, *again = NULL;
	assert_ok(server_key_read_or_make(path, &random_system, &made));
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_ok(server_key_read_or_make(path, &random_system, &again));
	uint8_t salt[32] = {0}, x[32], y[32];
	assert_true(server_key_derive_token(made, 0, salt, x));
	assert_true(server_key_derive_token(again, 0, salt, y));
	assert_memory_equal(x, y, 32);

	assert_int_equal(chmod(path, 0660), 0);
	struct server_key *group;
	assert_ok(server_key_read_or_make(path, NULL, &group));
	server_key_free(group);
	assert_int_equal(chmod(path, 0604), 0);
	struct status status = server_key_read_or_make(path, &random_system, &k);
	assert_int_equal(status.code, STATUS_FAILED_PRECONDITION);
	assert_non_null(strstr(status.message, path));
	assert_int_equal(chmod(path, 0600), 0);
	assert_ok(file_write_atomic(path, STR("nonsense\n"), 0600));
	status = server_key_read_or_make(path, &random_system, &k);
	assert_int_equal(status.code, STATUS_INVALID_ARGUMENT);
	assert_non_null(strstr(status.message, path));
	assert_null(strstr(status.message, "nonsense"));
	unlink(path);
	rmdir(dir);
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_sealed_opens_again),
		cmocka_unit_test(another_key_is_named_and_refused),
		cmocka_unit_test(an_older_key_of_the_file_still_opens),
		cmocka_unit_test(a_sealed_text_serves_one_purpose),
		cmocka_unit_test(a_change_of_any_byte_is_noticed),
		cmocka_unit_test(what_is_no_key_is_named_by_its_line_and_not_quoted),
		cmocka_unit_test(a_token_secret_is_a_function_of_key_and_salt),
		cmocka_unit_test(a_key_file_is_made_once_and_private),
	};
	return RUN_TESTS(tests);
}
