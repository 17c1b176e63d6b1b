/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/roff.h"

#include <ctype.h>
#include <stdbool.h>

void roff_text(struct buf *out, const char *text)
{
	for (bool start = true; *text; text++) {
		if (start && (*text == '.' || *text == '\''))
			buf_append_str(out, STR("\\&"));
		if (*text == '\\')
			buf_append_str(out, STR("\\e"));
		else if (*text == '-')
			buf_append_str(out, STR("\\-"));
		else
			buf_append_char(out, *text);
		if (*text == ',' && text[1] && text[1] != ' ' && text[1] != '\n')
			buf_append_str(out, STR("\\:")); /* a long list may break here */
		start = *text == '\n';
	}
}

void roff_title(struct buf *out, const char *name, const char *section, const char *source,
	const char *manual, const char *phrase)
{
	buf_append_str(out, STR(".TH "));
	for (const char *p = name; *p; p++)
		buf_append_char(out, (char)toupper((unsigned char)*p));
	buf_printf(out, " %s \"\" \"%s\" \"%s\"\n.SH NAME\n", section, source, manual);
	roff_text(out, name);
	buf_append_str(out, STR(" \\- "));
	roff_text(out, phrase);
	/* Names of options and variables are neither spread nor hyphenated. AD is what groff 1.23
	 * goes back to at each heading. */
	buf_append_str(out, STR("\n.ds AD l\n.ad l\n.nh\n"));
}

void roff_section(struct buf *out, const char *name)
{
	buf_append_str(out, STR(".SH "));
	roff_text(out, name);
	buf_append_char(out, '\n');
}

void roff_subsection(struct buf *out, const char *name)
{
	buf_append_str(out, STR(".SS "));
	roff_text(out, name);
	buf_append_char(out, '\n');
}

void roff_paragraph(struct buf *out, const char *text)
{
	buf_append_str(out, STR(".PP\n"));
	roff_text(out, text);
	buf_append_char(out, '\n');
}

void roff_entry(struct buf *out, const char *what, const char *help)
{
	buf_append_str(out, STR(".TP\n.B "));
	roff_text(out, what);
	buf_append_char(out, '\n');
	roff_text(out, help ? help : "");
	buf_append_char(out, '\n');
}
