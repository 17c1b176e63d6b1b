/* SPDX-License-Identifier: Apache-2.0 */
/* The schema as a list of steps that is only ever appended to; one list for all databases.
 *
 * A step is a file of schema/, embedded at build. Where the databases differ its text has a word in
 * braces, which the adapter's dialect replaces. Pure; any thread. */
#pragma once

#include "common/base/buf.h"
#include "common/base/status.h"

#include <stddef.h>

struct migration {
	int version; /* 1, 2, 3, ... */
	const char *name;
	const char *sql;
};

extern const struct migration migrations[];
extern const size_t migrations_count;
/* The version of a schema that has them all. */
int migrations_latest(void);

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
