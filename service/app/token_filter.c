/* SPDX-License-Identifier: Apache-2.0 */
#include "service/app/token_filter.h"

static bool is_word_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-' || c == '*';
}

static void skip_spaces(struct str *s)
{
	while (s->n && s->p[0] == ' ')
		*s = str_sub(*s, 1, s->n);
}

static struct str take_word(struct str *s)
{
	size_t n = 0;
	while (n < s->n && is_word_char(s->p[n]))
		n++;
	struct str word = str_sub(*s, 0, n);
	*s = str_sub(*s, n, s->n);
	return word;
}

static struct status expected(struct str filter, struct str rest, const char *what)
{
	return status_invalid(
		"filter", "filter: expected %s at character %zu", what, filter.n - rest.n + 1);
}

/* A word, or a text in double quotes. */
static bool take_value(struct str *s, struct str *ret)
{
	if (!str_starts_with(*s, STR("\""))) {
		*ret = take_word(s);
		return ret->n > 0;
	}
	struct str inside = str_sub(*s, 1, s->n);
	size_t end = str_index(inside, '"');
	if (end == inside.n)
		return false;
	*ret = str_sub(inside, 0, end);
	*s = str_sub(inside, end + 1, inside.n);
	return true;
}

static struct status set_name(
	struct str value, struct arena *arena, struct store_token_query *query)
{
	if (query->name.n || query->name_prefix.n)
		return status_invalid("filter", "filter: name is given twice");
	bool prefix = str_ends_with(value, STR("*"));
	struct str text = arena_str(arena, str_sub(value, 0, value.n - prefix));
	if (str_index(text, '*') != text.n)
		return status_invalid(
			"filter", "filter: '*' may only be the last character of a name");
	if (prefix)
		query->name_prefix = text;
	else
		query->name = text;
	return status_ok();
}

static struct status set_state(struct str value, struct store_token_query *query)
{
	if (query->state != STORE_TOKEN_ANY)
		return status_invalid("filter", "filter: state is given twice");
	if (str_eq_nocase(value, STR("ACTIVE")))
		query->state = STORE_TOKEN_ACTIVE;
	else if (str_eq_nocase(value, STR("EXPIRED")))
		query->state = STORE_TOKEN_EXPIRED;
	else
		return status_invalid("filter",
			"filter: state must be ACTIVE or EXPIRED, got '%.*s'", STR_ARG(value));
	return status_ok();
}

struct status token_filter_parse(
	struct str filter, struct arena *arena, struct store_token_query *query)
{
	struct str rest = filter;
	skip_spaces(&rest);
	while (rest.n) {
		struct str name = take_word(&rest), value;
		if (!str_eq(name, STR("name")) && !str_eq(name, STR("state")))
			return status_invalid("filter",
				"filter: the fields are name and state, got '%.*s'", STR_ARG(name));
		skip_spaces(&rest);
		if (!str_starts_with(rest, STR("=")))
			return expected(filter, rest, "'='");
		rest = str_sub(rest, 1, rest.n);
		skip_spaces(&rest);
		if (!take_value(&rest, &value) || !value.n)
			return expected(filter, rest, "a value");
		TRY(str_eq(name, STR("name")) ? set_name(value, arena, query)
					      : set_state(value, query));
		skip_spaces(&rest);
		if (!rest.n)
			break;
		if (!str_eq(take_word(&rest), STR("AND")))
			return expected(filter, rest, "AND");
		skip_spaces(&rest);
		if (!rest.n)
			return expected(filter, rest, "a condition behind AND");
	}
	return status_ok();
}
