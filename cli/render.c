/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/render.h"

#include "cli/argparse.h" /* python_repr */
#include "common/base/xalloc.h"

#include <math.h>
#include <stdio.h>
#include <utf8proc.h>

enum {
	COLUMN_GAP = 3,
	TAB_WIDTH = 8,
	JSON_MAX_DEPTH = 512
};

/* ---- values ---- */

/* repr(float): the fewest digits that read back as the same number. */
static void format_real(double v, struct buf *out)
{
	char digits[64];
	int precision = 0;
	do
		snprintf(digits, sizeof digits, "%.*e", precision, v);
	while (strtod(digits, NULL) != v && ++precision < 17);
	const char *exponent_text = strchr(digits, 'e');
	int exponent = exponent_text ? (int)strtol(exponent_text + 1, NULL, 10) : 0;
	if (exponent_text && exponent >= -4 && exponent < 16) {
		int decimals = precision - exponent;
		buf_printf(out, "%.*f", decimals > 0 ? decimals : 1, v);
		return;
	}
	buf_append_str(out, str_of(digits));
}

static void json_string_format(struct str s, struct buf *out)
{
	buf_append_char(out, '"');
	while (s.n) {
		utf8proc_int32_t c;
		utf8proc_ssize_t used =
			utf8proc_iterate((const utf8proc_uint8_t *)s.p, (utf8proc_ssize_t)s.n, &c);
		if (used <= 0) {
			c = 0xFFFD;
			used = 1;
		}
		if (c == '"' || c == '\\')
			buf_printf(out, "\\%c", (char)c);
		else if (c == '\n')
			buf_append_str(out, STR("\\n"));
		else if (c == '\r')
			buf_append_str(out, STR("\\r"));
		else if (c == '\t')
			buf_append_str(out, STR("\\t"));
		else if (c == '\b')
			buf_append_str(out, STR("\\b"));
		else if (c == '\f')
			buf_append_str(out, STR("\\f"));
		else if (c >= 0x20 && c < 0x7F)
			buf_append_char(out, (char)c);
		else if (c < 0x10000)
			buf_printf(out, "\\u%04x", (unsigned)c);
		else
			buf_printf(out, "\\u%04x\\u%04x", 0xD800 + (((unsigned)c - 0x10000) >> 10),
				0xDC00 + (((unsigned)c - 0x10000) & 0x3FF));
		s = str_sub(s, (size_t)used, s.n);
	}
	buf_append_char(out, '"');
}

static struct str string_of(const json_t *v)
{
	return (struct str){json_string_value(v), json_string_length(v)};
}

static void line_break(int indent, int depth, struct buf *out)
{
	if (indent < 0)
		return;
	buf_append_char(out, '\n');
	for (int i = 0; i < indent * depth; i++)
		buf_append_char(out, ' ');
}

static void json_format(const json_t *v, int indent, int depth, struct buf *out);

static void json_array_format(const json_t *v, int indent, int depth, struct buf *out)
{
	size_t n = json_array_size(v);
	buf_append_char(out, '[');
	for (size_t i = 0; i < n; i++) {
		buf_append_str(out, !i ? STR("") : indent < 0 ? STR(", ") : STR(","));
		line_break(indent, depth + 1, out);
		json_format(json_array_get(v, i), indent, depth + 1, out);
	}
	if (n)
		line_break(indent, depth, out);
	buf_append_char(out, ']');
}

static void json_object_format(const json_t *v, int indent, int depth, struct buf *out)
{
	json_t *object = (json_t *)(uintptr_t)v; /* jansson's iterators take no const */
	const char *key;
	json_t *value;
	bool first = true;
	buf_append_char(out, '{');
	json_object_foreach(object, key, value)
	{
		buf_append_str(out, first ? STR("") : indent < 0 ? STR(", ") : STR(","));
		first = false;
		line_break(indent, depth + 1, out);
		json_string_format(str_of(key), out);
		buf_append_str(out, STR(": "));
		json_format(value, indent, depth + 1, out);
	}
	if (!first)
		line_break(indent, depth, out);
	buf_append_char(out, '}');
}

static void json_format(const json_t *v, int indent, int depth, struct buf *out)
{
	if (depth > JSON_MAX_DEPTH) {
		buf_append_str(out, STR("null"));
		return;
	}
	switch (v ? json_typeof(v) : JSON_NULL) {
	case JSON_OBJECT:
		json_object_format(v, indent, depth, out);
		break;
	case JSON_ARRAY:
		json_array_format(v, indent, depth, out);
		break;
	case JSON_STRING:
		json_string_format(string_of(v), out);
		break;
	case JSON_INTEGER:
		buf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
		break;
	case JSON_REAL:
		format_real(json_real_value(v), out);
		break;
	case JSON_TRUE:
		buf_append_str(out, STR("true"));
		break;
	case JSON_FALSE:
		buf_append_str(out, STR("false"));
		break;
	case JSON_NULL:
		buf_append_str(out, STR("null"));
		break;
	}
}

void render_json(const json_t *v, int indent, struct buf *out)
{
	json_format(v, indent, 0, out);
}

static void repr_format(const json_t *v, int depth, struct buf *out);

static void repr_container(const json_t *v, int depth, struct buf *out)
{
	bool is_array = json_is_array(v);
	json_t *container = (json_t *)(uintptr_t)v;
	buf_append_char(out, is_array ? '[' : '{');
	size_t i;
	json_t *element;
	const char *key;
	bool first = true;
	if (is_array) {
		json_array_foreach(container, i, element)
		{
			buf_append_str(out, i ? STR(", ") : STR(""));
			repr_format(element, depth + 1, out);
		}
	} else {
		json_object_foreach(container, key, element)
		{
			buf_append_str(out, first ? STR("") : STR(", "));
			first = false;
			python_repr(str_of(key), out);
			buf_append_str(out, STR(": "));
			repr_format(element, depth + 1, out);
		}
	}
	buf_append_char(out, is_array ? ']' : '}');
}

static void repr_format(const json_t *v, int depth, struct buf *out)
{
	if (depth > JSON_MAX_DEPTH)
		buf_append_str(out, STR("..."));
	else if (!v || json_is_null(v))
		buf_append_str(out, STR("None"));
	else if (json_is_boolean(v))
		buf_append_str(out, json_is_true(v) ? STR("True") : STR("False"));
	else if (json_is_string(v))
		python_repr(string_of(v), out);
	else if (json_is_array(v) || json_is_object(v))
		repr_container(v, depth, out);
	else
		json_format(v, -1, depth, out);
}

void render_value(const json_t *v, struct buf *out)
{
	if (json_is_string(v))
		buf_append_str(out, string_of(v));
	else
		repr_format(v, 0, out);
}

void render_joined(const json_t *v, struct buf *out)
{
	if (!json_is_array(v)) {
		render_value(v, out);
		return;
	}
	for (size_t i = 0; i < json_array_size(v); i++) {
		buf_append_str(out, i ? STR(", ") : STR(""));
		render_value(json_array_get(v, i), out);
	}
}

/* ---- tables ---- */

struct table {
	size_t columns;
	size_t rows;  /* the header is the first */
	char **cells; /* rows * columns */
};

/* Columns that a character takes on a terminal. */
static int char_width(utf8proc_int32_t c)
{
	if (c < 0x20 || (c >= 0x7F && c < 0xA0))
		return 1;
	return utf8proc_charwidth(c);
}

static int text_width(struct str s)
{
	int width = 0;
	while (s.n) {
		utf8proc_int32_t c;
		utf8proc_ssize_t used =
			utf8proc_iterate((const utf8proc_uint8_t *)s.p, (utf8proc_ssize_t)s.n, &c);
		if (used <= 0) {
			c = '?';
			used = 1;
		}
		width += char_width(c);
		s = str_sub(s, (size_t)used, s.n);
	}
	return width;
}

/* A copy with tabs as spaces, and breaks that are no line feed as one space. */
static char *cell_of(struct str s)
{
	struct buf out;
	buf_init(&out, SIZE_MAX / 2);
	struct str rest = s.p ? s : STR("");
	for (struct str line; str_split(&rest, '\n', &line);) {
		if (out.n || line.p != (s.p ? s.p : line.p))
			buf_append_char(&out, '\n');
		size_t start = out.n;
		for (size_t i = 0; i < line.n; i++) {
			char c = line.p[i];
			if (c == '\t') {
				struct str before = {out.p + start, out.n - start};
				int used = out.n > start ? text_width(before) : 0;
				for (int k = used % TAB_WIDTH; k < TAB_WIDTH; k++)
					buf_append_char(&out, ' ');
			} else {
				buf_append_char(
					&out, c == '\v' || c == '\f' || c == '\r' ? ' ' : c);
			}
		}
	}
	return buf_steal(&out);
}

struct table *table_new(const char *const *header, size_t columns)
{
	struct table *t = xnew(struct table);
	t->columns = columns;
	_cleanup_free_ struct str *cells = xcalloc(columns, sizeof *cells);
	for (size_t i = 0; i < columns; i++)
		cells[i] = str_of(header[i]);
	table_add(t, cells);
	return t;
}

void table_free(struct table *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->rows * t->columns; i++)
		free(t->cells[i]);
	free(t->cells);
	free(t);
}

void table_add(struct table *t, const struct str *cells)
{
	t->cells = xreallocarray(t->cells, (t->rows + 1) * t->columns, sizeof *t->cells);
	for (size_t i = 0; i < t->columns; i++)
		t->cells[t->rows * t->columns + i] = cell_of(cells[i]);
	t->rows++;
}

/* The @n-th line of a cell; an empty one behind the last. */
static struct str cell_line(const char *cell, size_t n)
{
	struct str rest = str_of(cell);
	struct str line = {NULL, 0};
	for (size_t i = 0; i <= n; i++)
		if (!str_split(&rest, '\n', &line))
			return STR("");
	return line;
}

static size_t cell_height(const char *cell)
{
	size_t n = 1;
	while ((cell = strchr(cell, '\n'))) {
		cell++;
		n++;
	}
	return n;
}

static void format_row(const struct table *t, size_t row, const int *widths, struct buf *out)
{
	char *const *cells = t->cells + row * t->columns;
	size_t height = 1;
	for (size_t i = 0; i < t->columns; i++)
		if (cell_height(cells[i]) > height)
			height = cell_height(cells[i]);
	for (size_t line = 0; line < height; line++) {
		for (size_t i = 0; i < t->columns; i++) {
			struct str text = cell_line(cells[i], line);
			buf_append_str(out, text);
			int fill = widths[i] - text_width(text) +
				   (i + 1 < t->columns ? COLUMN_GAP : 0);
			buf_printf(out, "%*s", fill, "");
		}
		buf_append_char(out, '\n');
	}
}

void table_format(const struct table *t, struct buf *out)
{
	_cleanup_free_ int *widths = xcalloc(t->columns, sizeof *widths);
	int total = 0;
	for (size_t i = 0; i < t->columns; i++) {
		for (size_t row = 0; row < t->rows; row++) {
			const char *cell = t->cells[row * t->columns + i];
			for (size_t k = 0; k < cell_height(cell); k++) {
				int width = text_width(cell_line(cell, k));
				widths[i] = width > widths[i] ? width : widths[i];
			}
		}
		total += widths[i] + (i ? COLUMN_GAP : 0);
	}
	format_row(t, 0, widths, out);
	for (int i = 0; i < total; i++)
		buf_append_char(out, '=');
	buf_append_char(out, '\n');
	for (size_t row = 1; row < t->rows; row++)
		format_row(t, row, widths, out);
}
