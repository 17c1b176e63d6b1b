/* SPDX-License-Identifier: Apache-2.0 */
#include "service/interceptor/token_use.h"
#include "tests/lib/test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

static struct sockaddr_storage address_of(const char *text)
{
	struct sockaddr_storage a = {.ss_family = AF_UNIX};
	if (inet_pton(AF_INET, text, &((struct sockaddr_in *)&a)->sin_addr) == 1)
		a.ss_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &((struct sockaddr_in6 *)&a)->sin6_addr) == 1)
		a.ss_family = AF_INET6;
	return a;
}

static void the_address_is_that_of_the_last_who_is_no_proxy(void **state)
{
	(void)state;
	static const struct {
		const char *peer, *forwarded, *wanted;
	} cases[] = {
		{"192.0.2.7", "", "192.0.2.7"},
		{"2001:db8::7", "", "2001:db8::7"},
		{"::ffff:192.0.2.7", "", "192.0.2.7"},
		/* Of a stranger it says nothing. */
		{"192.0.2.7", "198.51.100.1", "192.0.2.7"},
		{"10.0.0.1", "198.51.100.1", "198.51.100.1"},
		{"10.0.0.1", "6.6.6.6, 198.51.100.1", "198.51.100.1"},
		{"10.0.0.1", "6.6.6.6, 198.51.100.1 , 10.0.0.2", "198.51.100.1"},
		{"10.0.0.1", "2001:db8::9,10.0.0.2", "2001:db8::9"},
		{"10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"},
		{"10.0.0.1", "198.51.100.1, unknown", "10.0.0.1"},
		{"10.0.0.1", ",", "10.0.0.1"},
		{"unix", "198.51.100.1", "198.51.100.1"},
		{"unix", "", ""},
	};
	_cleanup_cidr_list_ struct cidr_list proxies = {.n = 0};
	assert_ok(cidr_list_parse(STR("10.0.0.0/8 unix"), &proxies));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct call c = {.peer = {.address = address_of(cases[i].peer)}};
		c.metadata[CALL_FORWARDED_FOR].value = str_of(cases[i].forwarded);
		char text[TOKEN_USE_ADDRESS_BYTES];
		token_use_address(&proxies, &c, text);
		assert_string_equal(text, cases[i].wanted);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_address_is_that_of_the_last_who_is_no_proxy),
	};
	return RUN_TESTS(tests);
}
