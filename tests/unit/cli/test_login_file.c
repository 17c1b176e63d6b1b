/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/login_file.h"
#include "common/base/xalloc.h"
#include "tests/lib/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static const char old_form[] =
	"dev_login: null\n"
	"name: ''\n"
	"osmo_token: true\n"
	"token_login:\n"
	"  id_token: a.b.c\n"
	"  refresh_token: null\n"
	"  refresh_url: http://h:8080/api/auth/jwt/access_token?access_token=t%6Fken\n"
	"  username: null\n"
	"url: http://h:8080\n";

static void assert_format(const struct login *l, const char *text)
{
	_cleanup_buf_ struct buf out;
	buf_init(&out, 100000);
	login_format(l, &out);
	assert_str(buf_str(&out), text);
}

static void the_old_form_is_read_and_written_back_as_it_was(void **state)
{
	(void)state;
	_cleanup_login_ struct login l = {.url = NULL};
	assert_ok(login_parse(str_of(old_form), &l));
	assert_string_equal(l.url, "http://h:8080");
	assert_true(l.osmo_token && l.has_token && !l.has_dev);
	assert_null(l.refresh_token);
	_cleanup_free_ char *token = login_access_token(&l);
	assert_string_equal(token, "token");
	assert_format(&l, old_form);
}

static void a_developer_has_no_token(void **state)
{
	(void)state;
	static const char text[] =
		"dev_login:\n  username: devuser\nname: devuser\nosmo_token: false\n"
		"token_login: null\nurl: http://h\n";
	_cleanup_login_ struct login l = {.url = NULL};
	assert_ok(login_parse(str_of(text), &l));
	assert_string_equal(l.dev_username, "devuser");
	assert_null(login_access_token(&l));
	assert_format(&l, text);
}

static void slashes_at_the_end_of_the_address_go(void **state)
{
	(void)state;
	_cleanup_login_ struct login l = {.url = NULL};
	assert_ok(login_parse(STR("{url: 'http://h/base//', dev_login: {username: u}}"), &l));
	assert_string_equal(l.url, "http://h/base");
}

static void the_last_of_two_equal_keys_counts(void **state)
{
	(void)state;
	_cleanup_login_ struct login l = {.url = NULL};
	assert_ok(login_parse(STR("url: a\nurl: b\nname: x\nname: null\n"), &l));
	assert_string_equal(l.url, "b");
	assert_null(l.name);
}

static void texts_are_quoted_where_yaml_would_see_something_else(void **state)
{
	(void)state;
	static const char *const quoted[] = {"", "yes", "No", "TRUE", "off", "null", "~", "12",
		"-7", "0x1F", "0b11", "017", "1_000", "1.5", ".5", "6.02e+23", "-.inf", ".NaN",
		"12:30", "2026-05-01", "2026-05-01 10:00:00", "=", "<<", "!", "&", "*"};
	static const char *const plain[] = {"yess", "a", "12a", "1e5", "0o7", "2026-5-1", "1.2.3",
		"nullx", "08", "y", "-", "a=b"};
	for (size_t i = 0; i < ARRAY_SIZE(quoted); i++)
		if (!yaml_needs_quotes(quoted[i]))
			fail_msg("'%s' needs quotes", quoted[i]);
	for (size_t i = 0; i < ARRAY_SIZE(plain); i++)
		if (yaml_needs_quotes(plain[i]))
			fail_msg("'%s' needs none", plain[i]);
}

static void assert_token_in(const char *url, const char *wanted)
{
	_cleanup_free_ char *token = url_access_token(str_of(url));
	if (!wanted)
		assert_null(token);
	else
		assert_string_equal(token ? token : "(none)", wanted);
}

static void the_token_is_taken_out_of_an_address(void **state)
{
	(void)state;
	assert_token_in("http://h/x?access_token=abc", "abc");
	assert_token_in("http://h/x?a=b&access_token=a%2Bb+c%zz%4&d", "a+b c%zz%4");
	assert_token_in("http://h/x?access_token=abc#frag", "abc");
	assert_token_in("http://h/x?access_token=", NULL);
	assert_token_in("http://h/x?my_access_token=abc", NULL);
	assert_token_in("http://h/access_token=abc", NULL);
	assert_token_in("http://h/#?access_token=abc", NULL);
	assert_token_in("", NULL);
}

static void what_is_no_mapping_is_no_login(void **state)
{
	(void)state;
	static const char *const texts[] = {"", "null", "[]", "text", "---\n", "# comment"};
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct login l;
		assert_status(
			login_parse(str_of(texts[i]), &l), STATUS_NOT_FOUND, "nobody is logged in");
	}
}

static void what_is_damaged_is_refused_with_line_and_field(void **state)
{
	(void)state;
	struct login l;
	assert_status(
		login_parse(STR("name: x\n"), &l), STATUS_INVALID_ARGUMENT, "url: must be set");
	assert_status(login_parse(STR("name: x\nurl: [a]\n"), &l), STATUS_INVALID_ARGUMENT,
		"line 2: url: expected a text");
	assert_status(login_parse(STR("url: h\nosmo_token: 2\n"), &l), STATUS_INVALID_ARGUMENT,
		"line 2: osmo_token: expected true or false");
	assert_status(login_parse(STR("url: h\n\ntoken_login: no\n"), &l), STATUS_INVALID_ARGUMENT,
		"line 3: token_login: expected a mapping");
	assert_status(login_parse(STR("url: h\n[a]: b\n"), &l), STATUS_INVALID_ARGUMENT,
		"line 2: key: expected a text");
	assert_int_equal(login_parse(STR("url: \"h"), &l).code, STATUS_INVALID_ARGUMENT);
}

/* ---- the file ---- */

static void what_travels_in_a_header_has_no_line_breaks(void **state)
{
	(void)state;
	assert_true(login_text_fits_header(""));
	assert_true(login_text_fits_header("\t alice\xC3\xA9 ~"));
	assert_false(login_text_fits_header("a\nX: y"));
	assert_false(login_text_fits_header("a\r"));
	assert_false(login_text_fits_header("\x7F"));
	assert_false(login_text_fits_header("\xC3"));
	_cleanup_login_ struct login l = {.url = NULL};
	assert_status(login_parse(STR("url: http://h\ndev_login: {username: \"a\\nb\"}\n"), &l),
		STATUS_INVALID_ARGUMENT,
		"dev_login.username: expected a text without line breaks and control characters");
	assert_status(login_parse(STR("url: http://h\ntoken_login: {id_token: \"a\\rb\"}\n"), &l),
		STATUS_INVALID_ARGUMENT,
		"token_login.id_token: expected a text without line breaks and control characters");
}

static void a_login_is_renewable_if_it_has_an_address_and_a_credential_for_it(void **state)
{
	(void)state;
	char url[] = "http://h/x", query[] = "http://h/x?access_token=t", token[] = "t",
	     none[] = "";
	const struct {
		struct login login;
		bool renewable;
	} cases[] = {
		{{.has_token = true,
			 .osmo_token = true,
			 .refresh_url = url,
			 .refresh_token = token},
			true},
		{{.has_token = true, .osmo_token = true, .refresh_url = query}, true},
		{{.has_token = true, .osmo_token = true, .refresh_url = url}, false},
		{{.has_token = true,
			 .osmo_token = true,
			 .refresh_url = none,
			 .refresh_token = token},
			false},
		{{.has_token = true, .osmo_token = true, .refresh_token = token}, false},
		{{.has_token = true, .refresh_url = url, .refresh_token = token}, true},
		{{.has_token = true, .refresh_url = url, .refresh_token = none}, false},
		{{.has_token = true, .refresh_url = query}, false},
		{{.has_dev = true, .refresh_url = url, .refresh_token = token}, false},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (login_is_renewable(&cases[i].login) != cases[i].renewable)
			fail_msg("case %zu", i);
}

struct folder {
	char path[64];
};

static int make_folder(void **state)
{
	struct folder *f = xnew(struct folder);
	snprintf(f->path, sizeof f->path, "/tmp/test_login_file.XXXXXX");
	*state = f;
	return mkdtemp(f->path) ? 0 : -1;
}

static int remove_folder(void **state)
{
	struct folder *f = *state;
	_cleanup_free_ char *command = xasprintf("rm -rf '%s'", f->path);
	int failed = system(command);
	free(f);
	return failed;
}

static void a_file_is_written_for_its_owner_only_and_read_back(void **state)
{
	const struct folder *f = *state;
	_cleanup_free_ char *path = xasprintf("%s/a/b/login.yaml", f->path);
	_cleanup_login_ struct login l = {.url = NULL};
	_cleanup_login_ struct login again = {.url = NULL};
	assert_ok(login_parse(str_of(old_form), &l));
	assert_ok(login_file_write(path, &l));
	struct stat s;
	assert_int_equal(stat(path, &s), 0);
	assert_int_equal(s.st_mode & 0777, 0600);
	assert_ok(login_file_read(path, &again));
	assert_string_equal(again.refresh_url, l.refresh_url);
}

static void a_file_that_others_could_read_is_closed_to_them(void **state)
{
	const struct folder *f = *state;
	_cleanup_free_ char *path = xasprintf("%s/login.yaml", f->path);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	assert_true(write(fd, old_form, sizeof old_form - 1) > 0);
	close(fd);
	_cleanup_login_ struct login l = {.url = NULL};
	assert_ok(login_file_read(path, &l));
	assert_ok(login_file_write(path, &l));
	struct stat s;
	assert_int_equal(stat(path, &s), 0);
	assert_int_equal(s.st_mode & 0777, 0600);
}

static void a_missing_file_is_nobody_and_may_be_removed(void **state)
{
	const struct folder *f = *state;
	_cleanup_free_ char *path = xasprintf("%s/none/login.yaml", f->path);
	struct login l;
	assert_status(login_file_read(path, &l), STATUS_NOT_FOUND, "nobody is logged in");
	assert_ok(login_file_remove(path));
}

static void a_file_that_cannot_be_read_is_named(void **state)
{
	const struct folder *f = *state;
	struct login l;
	struct status s = login_file_read(f->path, &l); /* a folder */
	assert_int_equal(s.code, STATUS_FAILED_PRECONDITION);
	assert_non_null(strstr(s.message, f->path));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_old_form_is_read_and_written_back_as_it_was),
		cmocka_unit_test(a_developer_has_no_token),
		cmocka_unit_test(slashes_at_the_end_of_the_address_go),
		cmocka_unit_test(the_last_of_two_equal_keys_counts),
		cmocka_unit_test(texts_are_quoted_where_yaml_would_see_something_else),
		cmocka_unit_test(the_token_is_taken_out_of_an_address),
		cmocka_unit_test(what_travels_in_a_header_has_no_line_breaks),
		cmocka_unit_test(a_login_is_renewable_if_it_has_an_address_and_a_credential_for_it),
		cmocka_unit_test(what_is_no_mapping_is_no_login),
		cmocka_unit_test(what_is_damaged_is_refused_with_line_and_field),
		cmocka_unit_test_setup_teardown(a_file_is_written_for_its_owner_only_and_read_back,
			make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(a_file_that_others_could_read_is_closed_to_them,
			make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(
			a_missing_file_is_nobody_and_may_be_removed, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(
			a_file_that_cannot_be_read_is_named, make_folder, remove_folder),
	};
	return RUN_TESTS(tests);
}
