/* SPDX-License-Identifier: Apache-2.0 */
#include "common/net/address.h"
#include "common/net/cidr.h"
#include "tests/lib/test.h"

#include <sys/un.h>

static bool has(const char *list, const char *peer)
{
	_cleanup_cidr_list_ struct cidr_list l = {0};
	struct address a;
	struct sockaddr_storage ss;
	socklen_t length;
	assert_ok(cidr_list_parse(str_of(list), &l));
	assert_ok(address_parse(str_of(peer), &a));
	assert_ok(address_resolve(&a, &ss, &length));
	return cidr_list_has(&l, (const struct sockaddr *)&ss);
}

static void a_network_holds_what_shares_its_prefix(void **state)
{
	(void)state;
	assert_true(has("10.0.0.0/8", "10.255.1.2:1"));
	assert_false(has("10.0.0.0/8", "11.0.0.0:1"));
	assert_true(has("192.168.4.0/22", "192.168.7.255:1"));
	assert_false(has("192.168.4.0/22", "192.168.8.0:1"));
	assert_true(has("10.1.2.3", "10.1.2.3:1"));
	assert_false(has("10.1.2.3", "10.1.2.2:1"));
	assert_true(has("0.0.0.0/0", "8.8.8.8:1"));
	assert_true(has("fd00::/8", "[fdff::1]:1"));
	assert_false(has("fd00::/8", "[fe80::1]:1"));
	assert_true(has("2001:db8::/33", "[2001:db8:7fff::1]:1"));
	assert_false(has("2001:db8::/33", "[2001:db8:8000::1]:1"));
	assert_true(has("::1", "[::1]:1"));
}

static void the_families_are_told_apart(void **state)
{
	(void)state;
	assert_true(has("10.0.0.0/8", "[::ffff:10.0.0.1]:1"));
	assert_true(has("::ffff:10.0.0.0/104", "10.0.0.1:1"));
	assert_false(has("::/0", "10.0.0.1:1"));
	assert_false(has("::/0", "[::ffff:10.0.0.1]:1"));
	assert_false(has("0.0.0.0/0", "[::1]:1"));
	assert_false(has("0.0.0.0/0 ::/0", "unix:/x"));
	assert_true(has("10.0.0.0/8,unix", "unix:/x"));
	assert_false(has("unix", "127.0.0.1:1"));
}

static void an_empty_list_matches_nobody(void **state)
{
	(void)state;
	assert_false(has("", "127.0.0.1:1"));
	assert_false(has(" ,\n", "unix:/x"));
}

static void a_wrong_network_is_named_and_changes_nothing(void **state)
{
	(void)state;
#define WANTED "; expected a CIDR such as 10.0.0.0/8 or fd00::/8, or unix"
	static const struct {
		const char *text, *message;
	} wrong[] = {
		{"10.0.0.0/33",
			"'10.0.0.0/33' is no network: the prefix length of IPv4 is 0..32" WANTED},
		{"::/129", "'::/129' is no network: the prefix length of IPv6 is 0..128" WANTED},
		{"10.0.0.0/", "'10.0.0.0/' is no network: the prefix length of IPv4 is "
			      "0..32" WANTED},
		{"10.0.0.0/-1", "'10.0.0.0/-1' is no network: the prefix length of IPv4 is "
				"0..32" WANTED},
		{"10.0.0.0/8/8", "'10.0.0.0/8/8' is no network: the prefix length of IPv4 is "
				 "0..32" WANTED},
		{"10.0.0.1/8", "'10.0.0.1/8' is no network: it has bits set behind the "
			       "prefix" WANTED},
		{"fd00::1/8",
			"'fd00::1/8' is no network: it has bits set behind the prefix" WANTED},
		{"10.0.0/8",
			"'10.0.0/8' is no network: it does not begin with an IP address" WANTED},
		{"localhost",
			"'localhost' is no network: it does not begin with an IP address" WANTED},
		{"Unix", "'Unix' is no network: it does not begin with an IP address" WANTED},
		{"/8", "'/8' is no network: it does not begin with an IP address" WANTED},
	};
	struct cidr_list l = {.has_unix = true};
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		assert_status(cidr_list_parse(str_of(wrong[i].text), &l), STATUS_INVALID_ARGUMENT,
			wrong[i].message);
		assert_true(l.has_unix && l.n == 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_network_holds_what_shares_its_prefix),
		cmocka_unit_test(the_families_are_told_apart),
		cmocka_unit_test(an_empty_list_matches_nobody),
		cmocka_unit_test(a_wrong_network_is_named_and_changes_nothing),
	};
	return RUN_TESTS(tests);
}
