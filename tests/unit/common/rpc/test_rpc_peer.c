/* SPDX-License-Identifier: Apache-2.0 */
#include "common/rpc/rpc_peer.h"
#include "tests/lib/test.h"

#include <arpa/inet.h>

static void an_ipv4_peer_has_address_and_port(void **state)
{
	(void)state;
	struct call_peer peer;
	char buffer[RPC_PEER_BYTES];
	rpc_peer_parse(STR("ipv4:10.1.2.3:5000"), buffer, &peer);
	assert_str(peer.text, "10.1.2.3:5000");
	const struct sockaddr_in *sin = (void *)&peer.address;
	assert_int_equal(sin->sin_family, AF_INET);
	assert_int_equal(ntohl(sin->sin_addr.s_addr), 0x0a010203);
	assert_int_equal(ntohs(sin->sin_port), 5000);
}

static void an_ipv6_peer_is_read_escaped_or_not(void **state)
{
	(void)state;
	static const char *const forms[] = {
		"ipv6:[fe80::1]:80", "ipv6:%5Bfe80::1%5D:80", "ipv6:%5bfe80::1%5d:80"};
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		struct call_peer peer;
		char buffer[RPC_PEER_BYTES];
		rpc_peer_parse(str_of(forms[i]), buffer, &peer);
		assert_str(peer.text, "[fe80::1]:80");
		const struct sockaddr_in6 *sin6 = (void *)&peer.address;
		assert_int_equal(sin6->sin6_family, AF_INET6);
		assert_int_equal(sin6->sin6_addr.s6_addr[15], 1);
		assert_int_equal(ntohs(sin6->sin6_port), 80);
	}
}

static void the_scope_of_an_ipv6_peer_stays_in_its_text(void **state)
{
	(void)state;
	struct call_peer peer;
	char buffer[RPC_PEER_BYTES];
	rpc_peer_parse(STR("ipv6:%5Bfe80::1%25eth0%5D:80"), buffer, &peer);
	assert_str(peer.text, "[fe80::1%eth0]:80");
	assert_int_equal(peer.address.ss_family, AF_INET6);
}

static void a_unix_peer_has_no_address(void **state)
{
	(void)state;
	struct call_peer peer;
	char buffer[RPC_PEER_BYTES];
	rpc_peer_parse(STR("unix:/run/x.sock"), buffer, &peer);
	assert_str(peer.text, "unix");
	assert_int_equal(peer.address.ss_family, AF_UNIX);
}

static void what_cannot_be_read_is_nobody(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "ipv4:", "ipv4:1.2.3.4", "ipv4:1.2.3:4", "ipv4:x:1",
		"ipv4:1.2.3.4:70000", "ipv4:1.2.3.4:", "ipv6:", "ipv6:[::1]", "ipv6:::1:80",
		"ipv6:[::1:80", "ipv6:[zz]:80", "fd:7", "vsock:1:2", "tcp:1.2.3.4:5",
		"ipv4:1.2.3.4444444444444444444444444444444444444444444444444444444444444444:5"};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct call_peer peer;
		char buffer[RPC_PEER_BYTES];
		rpc_peer_parse(str_of(bad[i]), buffer, &peer);
		assert_str(peer.text, "unknown");
		assert_int_equal(peer.address.ss_family, AF_UNSPEC);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_ipv4_peer_has_address_and_port),
		cmocka_unit_test(an_ipv6_peer_is_read_escaped_or_not),
		cmocka_unit_test(the_scope_of_an_ipv6_peer_stays_in_its_text),
		cmocka_unit_test(a_unix_peer_has_no_address),
		cmocka_unit_test(what_cannot_be_read_is_nobody),
	};
	return RUN_TESTS(tests);
}
