/* SPDX-License-Identifier: Apache-2.0 */
#include "common/net/address.h"
#include "tests/lib/test.h"

#include <netinet/in.h>
#include <stdio.h>
#include <sys/un.h>

static void reads_back_as(const char *text, const char *wanted)
{
	struct address a;
	char formatted[ADDRESS_TEXT_BYTES];
	assert_ok(address_parse(str_of(text), &a));
	address_format(&a, formatted);
	assert_string_equal(formatted, wanted);
}

static void every_kind_is_read_and_written_back(void **state)
{
	(void)state;
	reads_back_as("127.0.0.1:8080", "127.0.0.1:8080");
	reads_back_as("0.0.0.0:0", "0.0.0.0:0");
	reads_back_as("[::1]:65535", "[::1]:65535");
	reads_back_as("localhost:80", "localhost:80");
	reads_back_as("token-service.ns.svc:00080", "token-service.ns.svc:80");
	reads_back_as("unix:/run/token.sock", "unix:/run/token.sock");
	reads_back_as("unix:relative.sock", "unix:relative.sock");
	reads_back_as("unix:///run/token.sock", "unix:/run/token.sock");
}

#define EXPECTED "; expected HOST:PORT, [IPV6]:PORT or unix:PATH"

static void a_wrong_address_is_named_with_what_is_expected(void **state)
{
	(void)state;
	static const struct {
		const char *text, *why;
	} wrong[] = {
		{"", "'' is no address: the port is missing"},
		{"8080", "'8080' is no address: the port is missing"},
		{"localhost", "'localhost' is no address: the port is missing"},
		{"localhost:", "'localhost:' is no address: the port is missing"},
		{":80", "':80' is no address: the host is missing (0.0.0.0 or [::] is every "
			"interface)"},
		{"h:65536", "'h:65536' is no address: the port must be 0..65535 (0: the kernel "
			    "chooses)"},
		{"h:-1", "'h:-1' is no address: the port must be 0..65535 (0: the kernel chooses)"},
		{"h:80x",
			"'h:80x' is no address: the port must be 0..65535 (0: the kernel chooses)"},
		{"h:000080", "'h:000080' is no address: the port must be 0..65535 (0: the kernel "
			     "chooses)"},
		{"::1:80", "'::1:80' is no address: an IPv6 address stands in brackets"},
		{"[::1", "'[::1' is no address: the closing bracket is missing"},
		{"[::1]", "'[::1]' is no address: the port is missing"},
		{"[::1]80", "'[::1]80' is no address: a colon and the port follow the bracket"},
		{"[1.2.3.4]:1",
			"'[1.2.3.4]:1' is no address: what stands in brackets is no IPv6 address"},
		{"1.2.3.256:1", "'1.2.3.256:1' is no address: the host is neither an IPv4 address "
				"nor a name"},
		{"1.2.3:1", "'1.2.3:1' is no address: the host is neither an IPv4 address nor a "
			    "name"},
		{"a b:1", "'a b:1' is no address: the host is neither an IPv4 address nor a name"},
		{"-a:1", "'-a:1' is no address: the host is neither an IPv4 address nor a name"},
		{"unix:", "'unix:' is no address: the path is missing"},
		{"unix:/run/", "'unix:/run/' is no address: the path is a directory"},
	};
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		struct address a = {.port = 7};
		char message[400];
		snprintf(message, sizeof message, "%s%s", wrong[i].why, EXPECTED);
		assert_status(
			address_parse(str_of(wrong[i].text), &a), STATUS_INVALID_ARGUMENT, message);
		assert_int_equal(a.port, 7);
	}
	struct address a;
	assert_status(address_parse(STR("a\n:1"), &a), STATUS_INVALID_ARGUMENT,
		"an address has a control byte" EXPECTED);
}

static void a_unix_path_has_107_bytes_at_most(void **state)
{
	(void)state;
	struct address a;
	char text[5 + 108 + 1] = "unix:";
	memset(text + 5, 'p', 108);
	assert_ok(address_parse((struct str){text, 5 + 107}, &a));
	struct status s = address_parse((struct str){text, 5 + 108}, &a);
	assert_int_equal(s.code, STATUS_INVALID_ARGUMENT);
}

static bool is_loopback(const char *text)
{
	struct address a;
	assert_ok(address_parse(str_of(text), &a));
	return address_is_loopback(&a);
}

static void loopback_is_what_only_this_machine_reaches(void **state)
{
	(void)state;
	assert_true(is_loopback("127.0.0.1:0"));
	assert_true(is_loopback("127.255.255.254:1"));
	assert_true(is_loopback("[::1]:1"));
	assert_true(is_loopback("[::ffff:127.0.0.1]:1"));
	assert_true(is_loopback("LocalHost:1"));
	assert_true(is_loopback("unix:/x"));
	assert_false(is_loopback("0.0.0.0:1"));
	assert_false(is_loopback("128.0.0.1:1"));
	assert_false(is_loopback("[::]:1"));
	assert_false(is_loopback("[::ffff:10.0.0.1]:1"));
	assert_false(is_loopback("localhost.example:1"));
}

static void localhost_resolves_without_a_resolver(void **state)
{
	(void)state;
	struct address a;
	struct sockaddr_storage ss;
	socklen_t length;
	assert_ok(address_parse(STR("localhost:80"), &a));
	assert_ok(address_resolve(&a, &ss, &length));
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&ss;
	assert_int_equal(ss.ss_family, AF_INET);
	assert_int_equal(ntohl(v4->sin_addr.s_addr), INADDR_LOOPBACK);
	assert_int_equal(ntohs(v4->sin_port), 80);
	assert_int_equal(length, sizeof *v4);
}

static void all_addresses_of_localhost_are_both(void **state)
{
	(void)state;
	struct address a;
	struct sockaddr_storage all[ADDRESS_RESOLVED_MAX];
	size_t n;
	assert_ok(address_parse(STR("localhost:80"), &a));
	assert_false(address_needs_lookup(&a));
	assert_ok(address_resolve_all(&a, all, &n));
	assert_int_equal(n, 2);
	assert_int_equal(all[0].ss_family, AF_INET);
	assert_int_equal(all[1].ss_family, AF_INET6);
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&all[1];
	assert_true(IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr));
	assert_int_equal(ntohs(v6->sin6_port), 80);
	assert_int_equal(address_sockaddr_length(&all[0]), sizeof(struct sockaddr_in));
	assert_int_equal(address_sockaddr_length(&all[1]), sizeof *v6);
	assert_ok(address_parse(STR("unix:/run/x"), &a));
	assert_ok(address_resolve_all(&a, all, &n));
	assert_int_equal(n, 1);
	assert_int_equal(address_sockaddr_length(&all[0]), sizeof(struct sockaddr_un));
}

static void a_name_that_is_unknown_does_not_resolve(void **state)
{
	(void)state;
	struct address a;
	struct sockaddr_storage all[ADDRESS_RESOLVED_MAX];
	size_t n = 7;
	assert_ok(address_parse(STR("no-such-host.invalid:80"), &a));
	assert_true(address_needs_lookup(&a));
	struct status s = address_resolve_all(&a, all, &n);
	assert_int_equal(s.code, STATUS_UNAVAILABLE);
	assert_non_null(strstr(s.message, "no-such-host.invalid"));
	assert_int_equal(n, 7);
}

static void a_socket_address_becomes_text_again(void **state)
{
	(void)state;
	static const char *const texts[] = {"10.1.2.3:4", "[fd00::1]:5", "unix:/run/x"};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct address a, b;
		struct sockaddr_storage ss;
		socklen_t length;
		char text[ADDRESS_TEXT_BYTES];
		assert_ok(address_parse(str_of(texts[i]), &a));
		assert_ok(address_resolve(&a, &ss, &length));
		assert_true(address_from_sockaddr((const struct sockaddr *)&ss, length, &b));
		address_format(&b, text);
		assert_string_equal(text, texts[i]);
	}
	struct sockaddr_un unnamed = {.sun_family = AF_UNIX};
	struct address a;
	assert_true(address_from_sockaddr(
		(const struct sockaddr *)&unnamed, sizeof unnamed.sun_family, &a));
	assert_string_equal(a.path, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_is_read_and_written_back),
		cmocka_unit_test(a_wrong_address_is_named_with_what_is_expected),
		cmocka_unit_test(a_unix_path_has_107_bytes_at_most),
		cmocka_unit_test(loopback_is_what_only_this_machine_reaches),
		cmocka_unit_test(localhost_resolves_without_a_resolver),
		cmocka_unit_test(all_addresses_of_localhost_are_both),
		cmocka_unit_test(a_name_that_is_unknown_does_not_resolve),
		cmocka_unit_test(a_socket_address_becomes_text_again),
	};
	return RUN_TESTS(tests);
}
