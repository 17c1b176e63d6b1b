/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/options.h"
#include "tests/lib/test.h"

#include <stdio.h>
#include <string.h>

static void the_table_is_sound(void **state)
{
	(void)state;
	assert_ok(option_table_check(&gateway_option_table));
}

static struct status read(const char *argument, struct options **ret)
{
	char name[] = "token-gateway", service[] = "--service=127.0.0.1:1", own[64];
	snprintf(own, sizeof own, "%s", argument);
	char *argv[] = {name, service, own, NULL}, *env[] = {NULL};
	return options_read(&gateway_option_table, 3, argv, env, ret);
}

static void with_a_service_the_defaults_pass_all_checks(void **state)
{
	(void)state;
	_cleanup_(options_freep) struct options *o = NULL;
	assert_ok(read("--check-config", &o));
	assert_ok(gateway_options_check(o));
}

static void options_that_only_make_sense_together_say_so(void **state)
{
	(void)state;
	static const char *const arguments[] = {"--service=10.0.0.1:1", "--service-ca-file=x",
		"--service-cert-file=x", "--service-key-file=x", "--service-name=x",
		"--tls-cert-file=x", "--tls-key-file=x", "--http-listen=0.0.0.0:1"};
	for (size_t i = 0; i < ARRAY_SIZE(arguments); i++) {
		_cleanup_(options_freep) struct options *o = NULL;
		assert_ok(read(arguments[i], &o));
		struct status s = gateway_options_check(o);
		if (s.code != STATUS_INVALID_ARGUMENT ||
			!strstr(s.message, "from the command line"))
			fail_msg("%s: %s", arguments[i], s.message);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table_is_sound),
		cmocka_unit_test(with_a_service_the_defaults_pass_all_checks),
		cmocka_unit_test(options_that_only_make_sense_together_say_so),
	};
	return RUN_TESTS(tests);
}
