/* SPDX-License-Identifier: Apache-2.0 */
/* The little of roff (man(7)) that manual pages printed from a table need. Pure. */
#pragma once

#include "common/base/buf.h"

/* Text as roff: backslashes, hyphens that are minus signs, lists that may break, and no request by
 * accident. */
void roff_text(struct buf *out, const char *text);
/* The head of a page, NAME included: roff_title(&out, "osmo-token", "1", "osmo", "User Commands",
 * "set and delete access tokens"). The phrase has no full stop, as whatis(1) wants it. */
void roff_title(struct buf *out, const char *name, const char *section, const char *source,
	const char *manual, const char *phrase);
/* ".SH NAME" and ".SS name" */
void roff_section(struct buf *out, const char *name);
void roff_subsection(struct buf *out, const char *name);
void roff_paragraph(struct buf *out, const char *text);
/* What something is called, and below it, indented, what it is. @help may be NULL. */
void roff_entry(struct buf *out, const char *what, const char *help);
