/* SPDX-License-Identifier: Apache-2.0 */
/* One value of an option: text to value and back. Pure, but for secrets' files, which the caller
 * reads. */
#pragma once

#include "common/base/buf.h"
#include "common/base/str.h"
#include "common/config/options.h"

#include <stdbool.h>
#include <stdint.h>

/* "1h30m", "500ms", "0": whole numbers with the unit ms, s, m, h or d, the greater unit first;
 * false when it is none, or past some 292 million years. */
bool duration_parse(struct str text, int64_t *ret_ms);
/* In the greatest unit that leaves a whole number. */
void duration_format(int64_t ms, struct buf *out);
/* "4096", "64KiB" (also "64Ki"), "1MB"; false when it is none or has more than 63 bits. */
bool size_parse(struct str text, int64_t *ret_bytes);
void size_format(int64_t bytes, struct buf *out);
/* true, yes, on, 1; false, no, off, 0. */
bool flag_parse(struct str text, bool *ret);

/* The value at its place in the program's struct. */
void *option_slot(const struct option_spec *s, void *values);
const void *option_slot_const(const struct option_spec *s, const void *values);

/* Stores @text; for a list, adds @text as one entry. Not for secrets and sections.
 * @subject ("--threads") and @origin stand in the message.
 *
 * INVALID_ARGUMENT  one line: subject, value, origin, what is expected */
struct status option_parse(const struct option_spec *s, struct str text, const char *subject,
	const char *origin, void *values);
/* "--threads must be WHAT, got 'VALUE' from ORIGIN" */
struct status option_mismatch(
	const char *subject, const char *what, struct str value, const char *origin);
/* What is expected: "a whole number from 1 to 1024". */
void option_describe(const struct option_spec *s, struct buf *out);
/* As a user would write it; secrets are "***" or nothing, sections nothing. */
void option_format(const struct option_spec *s, const void *values, struct buf *out);
/* Releases what the value owns and makes it empty. */
void option_clear(const struct option_spec *s, void *values);
