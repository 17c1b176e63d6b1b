/* SPDX-License-Identifier: Apache-2.0 */
#include "service/app/token_filter.h"

#include "common/base/cleanup.h" /* ARRAY_SIZE */

enum comparison {
	EQUAL,
	LESS,
	AT_MOST,
	MORE,
	AT_LEAST
};

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

/* Conditions narrow the range. */
static void expires_from(struct store_token_query *query, int32_t day)
{
	if (!query->has_expires_from || day > query->expires_from.days)
		query->expires_from.days = day;
	query->has_expires_from = true;
}

static void expires_until(struct store_token_query *query, int32_t day)
{
	if (!query->has_expires_until || day < query->expires_until.days)
		query->expires_until.days = day;
	query->has_expires_until = true;
}

static struct status set_state(struct str value, struct date today, struct store_token_query *query)
{
	if (str_eq_nocase(value, STR("ACTIVE")))
		expires_from(query, today.days + 1);
	else if (str_eq_nocase(value, STR("EXPIRED")))
		expires_until(query, today.days);
	else
		return status_invalid("filter",
			"filter: state must be ACTIVE or EXPIRED, got '%.*s'", STR_ARG(value));
	return status_ok();
}

static struct status set_expiry(
	enum comparison how, struct str value, struct store_token_query *query)
{
	struct date date;
	if (!date_parse(value, &date))
		return status_invalid("filter",
			"filter: expire_date must be a date like 2026-05-01, got '%.*s'",
			STR_ARG(value));
	if (how == EQUAL || how == AT_LEAST || how == MORE)
		expires_from(query, date.days + (how == MORE));
	if (how == EQUAL || how == AT_MOST || how == LESS)
		expires_until(query, date.days - (how == LESS));
	return status_ok();
}

static bool take_comparison(struct str *s, enum comparison *ret)
{
	/* The longer ones first. */
	static const struct {
		struct str text;
		enum comparison how;
	} words[] = {{{">=", 2}, AT_LEAST}, {{"<=", 2}, AT_MOST}, {{">", 1}, MORE},
		{{"<", 1}, LESS}, {{"=", 1}, EQUAL}};
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (str_starts_with(*s, words[i].text)) {
			*s = str_sub(*s, words[i].text.n, s->n);
			*ret = words[i].how;
			return true;
		}
	}
	return false;
}

static struct status take_condition(struct str filter, struct str *rest, struct date today,
	struct arena *arena, struct store_token_query *query)
{
	struct str field = take_word(rest), value;
	enum comparison how;
	bool is_date = str_eq(field, STR("expire_date"));
	if (!is_date && !str_eq(field, STR("name")) && !str_eq(field, STR("state")))
		return status_invalid("filter",
			"filter: the fields are name, state and expire_date, got '%.*s'",
			STR_ARG(field));
	skip_spaces(rest);
	struct str at = *rest;
	if (!take_comparison(rest, &how) || (how != EQUAL && !is_date))
		return expected(filter, at, is_date ? "one of = < <= > >=" : "'='");
	skip_spaces(rest);
	at = *rest;
	if (!take_value(rest, &value) || !value.n)
		return expected(filter, at, "a value");
	if (is_date)
		return set_expiry(how, value, query);
	return str_eq(field, STR("name")) ? set_name(value, arena, query)
					  : set_state(value, today, query);
}

struct status token_filter_parse(
	struct str filter, struct date today, struct arena *arena, struct store_token_query *query)
{
	struct str rest = filter;
	skip_spaces(&rest);
	while (rest.n) {
		TRY(take_condition(filter, &rest, today, arena, query));
		skip_spaces(&rest);
		if (!rest.n)
			break;
		const struct str at = rest;
		if (!str_eq(take_word(&rest), STR("AND")))
			return expected(filter, at, "AND");
		skip_spaces(&rest);
		if (!rest.n)
			return expected(filter, rest, "a condition behind AND");
	}
	return status_ok();
}
