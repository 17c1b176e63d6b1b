/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/status.h"
#include "tests/lib/test.h"

#include <stdio.h>
#include <string.h>

static void every_code_has_its_name_and_number(void **state)
{
	(void)state;
	static const char *const wire[] = {"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT",
		"DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
		"RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE",
		"UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"};
	for (int i = 0; i < STATUS_CODE_COUNT; i++)
		assert_string_equal(status_code_name((enum status_code)i), wire[i]);
	assert_string_equal(status_code_name((enum status_code)17), "UNKNOWN");
	assert_string_equal(status_code_name((enum status_code) - 1), "UNKNOWN");
}

static void a_field_stands_beside_the_message(void **state)
{
	(void)state;
	struct status s = status_invalid("roles[1]", "role '%s' does not exist", "x");
	assert_int_equal(s.code, STATUS_INVALID_ARGUMENT);
	assert_string_equal(s.field, "roles[1]");
	assert_string_equal(s.message, "role 'x' does not exist");
	s = status_error(STATUS_NOT_FOUND, "gone");
	assert_string_equal(s.field, "");
	assert_true(status_is_ok(&(struct status){0}));
}

/* Every length around the border, with characters of one to four bytes at it. */
static void a_cut_text_ends_with_a_whole_character(void **state)
{
	(void)state;
	static const char *const characters[] = {
		"a", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"};
	struct status s;
	for (size_t k = 0; k < 4; k++) {
		for (size_t lead = sizeof s.message - 8; lead < sizeof s.message + 4; lead++) {
			char text[sizeof s.message + 64];
			memset(text, 'x', lead);
			const char *c = characters[k];
			snprintf(text + lead, sizeof text - lead, "%s%s%s%s%s", c, c, c, c, c);
			s = status_error(STATUS_INTERNAL, "%s", text);
			assert_true(str_is_utf8(str_of(s.message)));
			assert_true(strncmp(s.message, text, strlen(s.message)) == 0);
			if (strlen(text) >= sizeof s.message)
				assert_true(strlen(s.message) >= sizeof s.message - 4);
			else
				assert_string_equal(s.message, text);
			s = status_invalid(text, "x");
			assert_true(str_is_utf8(str_of(s.field)));
		}
	}
}

static struct status fails_with(enum status_code code)
{
	return code == STATUS_OK ? status_ok() : status_error(code, "because");
}

static struct status tries(enum status_code code, bool *went_on)
{
	TRY(fails_with(code));
	*went_on = true;
	return status_ok();
}

static void try_passes_an_error_on(void **state)
{
	(void)state;
	bool went_on = false;
	assert_status(tries(STATUS_ABORTED, &went_on), STATUS_ABORTED, "because");
	assert_false(went_on);
	assert_ok(tries(STATUS_OK, &went_on));
	assert_true(went_on);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_code_has_its_name_and_number),
		cmocka_unit_test(a_field_stands_beside_the_message),
		cmocka_unit_test(a_cut_text_ends_with_a_whole_character),
		cmocka_unit_test(try_passes_an_error_on),
	};
	return RUN_TESTS(tests);
}
