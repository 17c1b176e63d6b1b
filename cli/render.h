/* SPDX-License-Identifier: Apache-2.0 */
/* Results as people and scripts know them: tables, and JSON as Python's json module writes it.
 *
 * Pure. */
#pragma once

#include "common/base/buf.h"
#include "common/base/str.h"

#include <jansson.h>
#include <stddef.h>

/* Appends @v as json.dumps(v, indent=@indent) does: ASCII only, keys in their order; @indent < 0 is
 * one line. */
void render_json(const json_t *v, int indent, struct buf *out);

/* Appends @v as Python's str() does: a text as it is, null as None, true as True; NULL is null. */
void render_value(const json_t *v, struct buf *out);

/* The elements of the array @v, as render_value does, joined with ", ". */
void render_joined(const json_t *v, struct buf *out);

/* A table: a header, a rule of '=', cells padded to their column, three spaces between columns.
 * Cells are never cut; a line feed in one makes the row higher. */
struct table;

/* @header: @columns names, which are copied. */
struct table *table_new(const char *const *header, size_t columns);
void table_free(struct table *t);
DEFINE_CLEANUP(struct table *, table_free);
/* @cells: as many as there are columns; copied. */
void table_add(struct table *t, const struct str *cells);
/* Appends the whole table; each line ends with a line feed. */
void table_format(const struct table *t, struct buf *out);
