/* SPDX-License-Identifier: Apache-2.0 */
#include "service/options.h"
#include "tests/lib/test.h"

#include <stdio.h>
#include <string.h>

static void the_table_is_sound(void **state)
{
	(void)state;
	assert_ok(option_table_check(&service_option_table));
}

static void commands_take_options_that_exist(void **state)
{
	(void)state;
	const struct option_table *t = &service_option_table;
	for (size_t i = 0; i < t->command_count; i++) {
		for (const char *const *name = t->commands[i].options; *name; name++) {
			size_t found = 0;
			for (size_t k = 0; k < t->count; k++)
				found += strcmp(t->specs[k].name, *name) == 0;
			if (found != 1)
				fail_msg("%s: --%s", t->commands[i].name, *name);
		}
	}
}

static void what_belongs_to_commands_is_taken_by_one(void **state)
{
	(void)state;
	const struct option_table *t = &service_option_table;
	for (size_t k = 0; k < t->count; k++) {
		bool taken = !(t->specs[k].flags & OPTION_COMMAND_ONLY);
		for (size_t i = 0; i < t->command_count; i++)
			for (const char *const *name = t->commands[i].options; *name; name++)
				taken = taken || strcmp(*name, t->specs[k].name) == 0;
		if (!taken)
			fail_msg("--%s", t->specs[k].name);
	}
}

static struct status read(const char *argument, struct options **ret)
{
	char name[] = "token-service", own[64];
	snprintf(own, sizeof own, "%s", argument);
	char *argv[] = {name, own, NULL}, *env[] = {NULL};
	return options_read(&service_option_table, 2, argv, env, ret);
}

static void alone_the_defaults_pass_all_checks(void **state)
{
	(void)state;
	_cleanup_(options_freep) struct options *o = NULL;
	assert_ok(read("--check-config", &o));
	assert_ok(service_options_check(o));
}

static void options_that_only_make_sense_together_say_so(void **state)
{
	(void)state;
	static const char *const arguments[] = {"--store=postgres",
		"--postgres-url=postgresql://h/d", "--postgres-direct-url=postgresql://h/d",
		"--external-issuer=x", "--external-jwks-file=x", "--tls-cert-file=x",
		"--tls-key-file=x", "--grpc-listen=0.0.0.0:1", "--http-listen=0.0.0.0:1"};
	for (size_t i = 0; i < ARRAY_SIZE(arguments); i++) {
		_cleanup_(options_freep) struct options *o = NULL;
		assert_ok(read(arguments[i], &o));
		struct status s = service_options_check(o);
		if (s.code != STATUS_INVALID_ARGUMENT ||
			!strstr(s.message, "from the command line"))
			fail_msg("%s: %s", arguments[i], s.message);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table_is_sound),
		cmocka_unit_test(commands_take_options_that_exist),
		cmocka_unit_test(what_belongs_to_commands_is_taken_by_one),
		cmocka_unit_test(alone_the_defaults_pass_all_checks),
		cmocka_unit_test(options_that_only_make_sense_together_say_so),
	};
	return RUN_TESTS(tests);
}
