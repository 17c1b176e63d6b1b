/* SPDX-License-Identifier: Apache-2.0 */
#include "common/net/web_url.h"

static bool is_host_end(char c)
{
	return c == '/' || c == '?' || c == '#';
}

/* Behind the scheme; empty if it is another one. */
static struct str behind_scheme(struct str s)
{
	static const struct str schemes[] = {{"https://", 8}, {"http://", 7}};
	for (size_t i = 0; i < 2; i++)
		if (str_eq_nocase(str_sub(s, 0, schemes[i].n), schemes[i]))
			return str_sub(s, schemes[i].n, s.n);
	return STR("");
}

static bool is_url(struct str s)
{
	struct str rest = behind_scheme(s);
	for (size_t i = 0; i < rest.n; i++)
		if (rest.p[i] <= ' ' || rest.p[i] >= 0x7F)
			return false;
	return rest.n && !is_host_end(rest.p[0]);
}

static bool is_origin(struct str s)
{
	struct str rest = behind_scheme(s);
	for (size_t i = 0; i < rest.n; i++)
		if (is_host_end(rest.p[i]) || rest.p[i] == ',' || rest.p[i] == '@')
			return false;
	return is_url(s);
}

struct status web_url_check(struct str text)
{
	if (is_url(text))
		return status_ok();
	return status_error(STATUS_INVALID_ARGUMENT,
		"must be a URL like https://id.example.com/login, got '%.*s'", STR_ARG(text));
}

struct status web_origin_check(struct str text)
{
	if (str_eq(text, STR("*")) || is_origin(text))
		return status_ok();
	return status_error(STATUS_INVALID_ARGUMENT,
		"must be an origin like https://app.example.com, or *, got '%.*s'", STR_ARG(text));
}
