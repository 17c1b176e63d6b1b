/* SPDX-License-Identifier: Apache-2.0 */
#include "common/config/option_value.h"

#include "common/base/escape.h"
#include "common/base/xalloc.h"

#include <stdlib.h>
#include <string.h>

/* The greatest first: an amount is shown in the first that leaves a whole number. */
struct unit {
	struct str name;
	int64_t factor;
	bool shown; /* the others are read only */
};

#define UNIT(text, factor_, shown_)                                                                \
	{                                                                                          \
		{text, sizeof(text) - 1}, factor_, shown_                                          \
	}
static const struct unit durations[] = {UNIT("d", 86400000, true), UNIT("h", 3600000, true),
	UNIT("m", 60000, true), UNIT("s", 1000, true), UNIT("ms", 1, true)};
static const struct unit sizes[] = {UNIT("TiB", 1LL << 40, true), UNIT("GiB", 1LL << 30, true),
	UNIT("MiB", 1LL << 20, true), UNIT("KiB", 1LL << 10, true), UNIT("", 1, true),
	UNIT("B", 1, false), UNIT("Ti", 1LL << 40, false), UNIT("Gi", 1LL << 30, false),
	UNIT("Mi", 1LL << 20, false), UNIT("Ki", 1LL << 10, false),
	UNIT("TB", 1000000000000, false), UNIT("GB", 1000000000, false), UNIT("MB", 1000000, false),
	UNIT("kB", 1000, false)};

/* Cuts "30s" off the front of *@rest: a number and the letters behind it. */
static bool cut_amount(struct str *rest, uint64_t *ret_number, struct str *ret_unit)
{
	size_t digits = 0;
	while (digits < rest->n && rest->p[digits] >= '0' && rest->p[digits] <= '9')
		digits++;
	size_t end = digits;
	while (end < rest->n && !(rest->p[end] >= '0' && rest->p[end] <= '9'))
		end++;
	if (!str_to_u64(str_sub(*rest, 0, digits), ret_number))
		return false;
	*ret_unit = str_sub(*rest, digits, end - digits);
	*rest = str_sub(*rest, end, rest->n);
	return true;
}

static const struct unit *find_unit(const struct unit *units, size_t count, struct str name)
{
	for (size_t i = 0; i < count; i++)
		if (str_eq(units[i].name, name))
			return &units[i];
	return NULL;
}

static bool add_amount(int64_t *total, uint64_t number, const struct unit *u)
{
	int64_t part;
	return !__builtin_mul_overflow(number, u->factor, &part) &&
	       !__builtin_add_overflow(*total, part, total);
}

bool duration_parse(struct str text, int64_t *ret_ms)
{
	int64_t total = 0;
	const struct unit *last = NULL;
	if (str_eq(text, STR("0"))) {
		*ret_ms = 0;
		return true;
	}
	do {
		uint64_t number;
		struct str name;
		if (!cut_amount(&text, &number, &name))
			return false;
		const struct unit *u = find_unit(durations, ARRAY_SIZE(durations), name);
		if (!u || (last && u <= last) || !add_amount(&total, number, u))
			return false;
		last = u;
	} while (text.n);
	*ret_ms = total;
	return true;
}

bool size_parse(struct str text, int64_t *ret_bytes)
{
	uint64_t number;
	struct str name;
	int64_t total = 0;
	if (!cut_amount(&text, &number, &name) || text.n)
		return false;
	const struct unit *u = find_unit(sizes, ARRAY_SIZE(sizes), name);
	if (!u || !add_amount(&total, number, u))
		return false;
	*ret_bytes = total;
	return true;
}

static void format_amount(int64_t value, const struct unit *units, struct buf *out)
{
	const struct unit *u = units;
	while (u->factor > 1 && value % u->factor != 0)
		u++;
	buf_printf(out, "%lld%.*s", (long long)(value / u->factor), STR_ARG(u->name));
}

void duration_format(int64_t ms, struct buf *out)
{
	if (ms == 0)
		buf_append_str(out, STR("0"));
	else
		format_amount(ms, durations, out);
}

void size_format(int64_t bytes, struct buf *out)
{
	if (bytes == 0)
		buf_append_str(out, STR("0"));
	else
		format_amount(bytes, sizes, out);
}

bool flag_parse(struct str text, bool *ret)
{
	static const char *const yes[] = {"true", "yes", "on", "1"};
	static const char *const no[] = {"false", "no", "off", "0"};
	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		bool is_yes = str_eq_nocase(text, str_of(yes[i]));
		if (is_yes || str_eq_nocase(text, str_of(no[i]))) {
			*ret = is_yes;
			return true;
		}
	}
	return false;
}

void *option_slot(const struct option_spec *s, void *values)
{
	return (char *)values + s->offset;
}

const void *option_slot_const(const struct option_spec *s, const void *values)
{
	return (const char *)values + s->offset;
}

static void describe_range(const struct option_spec *s, const char *what,
	void (*format)(int64_t, struct buf *), struct buf *out)
{
	buf_append_str(out, str_of(what));
	if (s->min || s->max || s->type == OPTION_INT) {
		buf_append_str(out, STR(" from "));
		format(s->min, out);
	}
	if (s->max) {
		buf_append_str(out, STR(" to "));
		format(s->max, out);
	}
}

static void format_int(int64_t value, struct buf *out)
{
	buf_printf(out, "%lld", (long long)value);
}

static void describe_choices(const struct option_spec *s, struct buf *out)
{
	for (const struct option_choice *c = s->choices; c->name; c++) {
		if (c != s->choices)
			buf_append_str(out, c[1].name ? STR(", ") : STR(" or "));
		buf_append_str(out, str_of(c->name));
	}
}

void option_describe(const struct option_spec *s, struct buf *out)
{
	switch (s->type) {
	case OPTION_FLAG:
		buf_append_str(out, STR("true or false"));
		break;
	case OPTION_INT:
		describe_range(s, "a whole number", format_int, out);
		break;
	case OPTION_DURATION:
		describe_range(s, "a duration", duration_format, out);
		buf_append_str(out, STR(" (500ms, 30s, 2m, 1h)"));
		break;
	case OPTION_SIZE:
		describe_range(s, "a size", size_format, out);
		buf_append_str(out, STR(" (4096, 64KiB, 1MiB)"));
		break;
	case OPTION_ENUM:
		describe_choices(s, out);
		break;
	case OPTION_STRING:
		buf_append_str(out, STR("text"));
		break;
	case OPTION_LIST:
		buf_append_str(out, STR("a list of texts"));
		break;
	case OPTION_SECRET:
		buf_append_str(out, STR("a file that holds the secret"));
		break;
	case OPTION_SECTION:
		buf_append_str(out, STR("a section"));
		break;
	}
}

struct status option_mismatch(
	const char *subject, const char *what, struct str value, const char *origin)
{
	return status_invalid(subject, "%s must be %s, got '%s' from %s", subject, what,
		shown(value).text, origin);
}

static bool in_range(const struct option_spec *s, int64_t value)
{
	return value >= s->min && (!s->max || value <= s->max);
}

static bool parse_number(const struct option_spec *s, struct str text, int64_t *ret)
{
	int64_t value;
	bool ok = s->type == OPTION_DURATION ? duration_parse(text, &value)
		  : s->type == OPTION_SIZE   ? size_parse(text, &value)
					     : str_to_i64(text, &value);
	if (!ok || !in_range(s, value))
		return false;
	*ret = value;
	return true;
}

static bool parse_choice(const struct option_spec *s, struct str text, int *ret)
{
	for (const struct option_choice *c = s->choices; c->name; c++) {
		if (str_eq_nocase(text, str_of(c->name))) {
			*ret = c->value;
			return true;
		}
	}
	return false;
}

static struct status check_text(
	const struct option_spec *s, struct str text, const char *subject, const char *origin)
{
	if (text.n && memchr(text.p, '\0', text.n))
		return option_mismatch(subject, "text without NUL", text, origin);
	if (!str_is_utf8(text))
		return option_mismatch(subject, "UTF-8", text, origin);
	struct status st = s->check ? s->check(text) : status_ok();
	if (status_is_ok(&st))
		return st;
	return status_invalid(subject, "%s from %s: %s", subject, origin, st.message);
}

/* No text is no value, where there may be none. */
static struct status parse_text(const struct option_spec *s, struct str text, const char *subject,
	const char *origin, char **slot)
{
	bool needed = s->initial || (s->flags & OPTION_REQUIRED);
	if (!text.n && needed)
		return option_mismatch(subject, "a text that is not empty", text, origin);
	if (text.n)
		TRY(check_text(s, text, subject, origin));
	free(*slot);
	*slot = text.n ? str_dup(text) : NULL;
	return status_ok();
}

static void list_add(struct option_list *l, struct str text)
{
	l->items = xreallocarray(l->items, l->count + 1, sizeof l->items[0]);
	l->items[l->count++] = str_dup(text);
}

struct status option_parse(const struct option_spec *s, struct str text, const char *subject,
	const char *origin, void *values)
{
	void *slot = option_slot(s, values);
	bool ok = true;
	switch (s->type) {
	case OPTION_FLAG:
		ok = flag_parse(text, slot);
		break;
	case OPTION_INT:
	case OPTION_DURATION:
	case OPTION_SIZE:
		ok = parse_number(s, text, slot);
		break;
	case OPTION_ENUM:
		ok = parse_choice(s, text, slot);
		break;
	case OPTION_STRING:
		return parse_text(s, text, subject, origin, slot);
	case OPTION_LIST:
		if (!text.n)
			return option_mismatch(
				subject, "a list without empty entries", text, origin);
		TRY(check_text(s, text, subject, origin));
		list_add(slot, text);
		break;
	case OPTION_SECRET:
	case OPTION_SECTION:
		abort(); /* the caller reads these */
	}
	if (ok)
		return status_ok();
	_cleanup_buf_ struct buf what;
	buf_init(&what, 400);
	option_describe(s, &what);
	return option_mismatch(subject, buf_str(&what).p, text, origin);
}

static void format_list(const struct option_list *l, struct buf *out)
{
	for (size_t i = 0; i < l->count; i++)
		buf_printf(out, "%s%s", i ? "," : "", l->items[i]);
}

static void format_choice(const struct option_spec *s, int value, struct buf *out)
{
	for (const struct option_choice *c = s->choices; c->name; c++) {
		if (c->value == value) {
			buf_append_str(out, str_of(c->name));
			return;
		}
	}
}

void option_format(const struct option_spec *s, const void *values, struct buf *out)
{
	const void *slot = option_slot_const(s, values);
	switch (s->type) {
	case OPTION_FLAG:
		buf_append_str(out, *(const bool *)slot ? STR("true") : STR("false"));
		break;
	case OPTION_INT:
		format_int(*(const int64_t *)slot, out);
		break;
	case OPTION_DURATION:
		duration_format(*(const int64_t *)slot, out);
		break;
	case OPTION_SIZE:
		size_format(*(const int64_t *)slot, out);
		break;
	case OPTION_ENUM:
		format_choice(s, *(const int *)slot, out);
		break;
	case OPTION_STRING:
		buf_append_str(out, str_of(*(char *const *)slot));
		break;
	case OPTION_LIST:
		format_list(slot, out);
		break;
	case OPTION_SECRET:
		if (((const struct secret *)slot)->p)
			buf_append_str(out, STR("***"));
		break;
	case OPTION_SECTION:
		break;
	}
}

void option_clear(const struct option_spec *s, void *values)
{
	void *slot = option_slot(s, values);
	if (s->type == OPTION_STRING) {
		free(*(char **)slot);
		*(char **)slot = NULL;
	} else if (s->type == OPTION_LIST) {
		struct option_list *l = slot;
		for (size_t i = 0; i < l->count; i++)
			free(l->items[i]);
		free(l->items);
		*l = (struct option_list){NULL, 0};
	} else if (s->type == OPTION_SECRET) {
		secret_done(slot);
	}
}
