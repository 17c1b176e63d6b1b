/* SPDX-License-Identifier: Apache-2.0 */
/* What every unit test includes: cmocka, and checks for our own types. */
#pragma once

#include "common/base/status.h"
#include "common/base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* cmocka.h relies on the headers above. */
/* clang-format off */
#include <cmocka.h>
/* clang-format on */

#define assert_ok(expr)                                                                            \
	do {                                                                                       \
		struct status assert_status = (expr);                                              \
		if (assert_status.code != STATUS_OK)                                               \
			fail_msg("%s: %s: %s", #expr, status_code_name(assert_status.code),        \
				assert_status.message);                                            \
	} while (0)

/* @expr fails with @code and exactly the message @text. */
#define assert_status(expr, wanted_code, text)                                                     \
	do {                                                                                       \
		struct status assert_status = (expr);                                              \
		assert_string_equal(                                                               \
			status_code_name(assert_status.code), status_code_name(wanted_code));      \
		assert_string_equal(assert_status.message, (text));                                \
	} while (0)

#define assert_str(s, text)                                                                        \
	do {                                                                                       \
		struct str assert_str_s = (s);                                                     \
		struct str assert_str_wanted = str_of(text);                                       \
		if (!str_eq(assert_str_s, assert_str_wanted))                                      \
			fail_msg("'%.*s' is not '%.*s'", STR_ARG(assert_str_s),                    \
				STR_ARG(assert_str_wanted));                                       \
	} while (0)

#define RUN_TESTS(tests) cmocka_run_group_tests_name(__FILE__, (tests), NULL, NULL)
