/* SPDX-License-Identifier: Apache-2.0 */
/* The schema as a list of steps that is only ever appended to; one list for all databases.
 *
 * A step is a file of schema/, embedded at build. Where the databases differ its text has a word in
 * braces, which the adapter's dialect replaces. Pure; any thread. */
#pragma once

#include "common/base/buf.h"
#include "common/base/status.h"

#include <stdbool.h>
#include <stddef.h>

struct migration {
	int version; /* 1, 2, 3, ... */
	const char *name;
	const char *sql;
	const char *only; /* the store_name() of the one that has this step; NULL: all have it */
};

extern const struct migration migrations[];
extern const size_t migrations_count;
bool migration_is_for(const struct migration *m, const char *store);
/* The version of a schema that has all that are for @store. */
int migrations_latest(const char *store);

/* What stands for the words of the files. */
struct migration_dialect {
	const char *text_type;    /* {text}: ordered by bytes */
	const char *bytes_type;   /* {bytes} */
	const char *int_type;     /* {int}: 64 bits */
	const char *table_suffix; /* {strict} */
};

/* Appends the step in @dialect. INTERNAL if it has a word that is none of the above. */
struct status migration_render(
	const struct migration *m, const struct migration_dialect *dialect, struct buf *out);
