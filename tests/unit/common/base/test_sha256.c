/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/base64.h"
#include "common/base/sha256.h"
#include "tests/lib/test.h"

static void check(struct str text, const char *wanted)
{
	uint8_t hash[SHA256_BYTES];
	char hex[2 * SHA256_BYTES + 1];
	sha256(text, hash);
	hex_encode(hash, sizeof hash, hex);
	assert_string_equal(hex, wanted);
}

static void hashes_the_examples_of_fips_180(void **state)
{
	(void)state;
	check(STR(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	check(STR("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	check(STR("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
		"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hashes_the_examples_of_fips_180),
	};
	return RUN_TESTS(tests);
}
