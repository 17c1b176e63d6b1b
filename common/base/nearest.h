/* SPDX-License-Identifier: Apache-2.0 */
/* The name that somebody probably meant: for "did you mean". Pure. */
#pragma once

#include "common/base/str.h"

#include <stddef.h>

/* The one of @names (@count of them; a NULL ends the list early) that is nearest to @word, or NULL
 * when none is near. Letter case, '_' for '-' and camelCase for kebab-case cost nothing. */
const char *nearest_name(struct str word, const char *const *names, size_t count);
