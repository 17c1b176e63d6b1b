/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/migration.h"

#include "common/base/cleanup.h"

#include <string.h>

/* The text of schema/@file, NUL-terminated, by the assembler's .incbin. */
#define EMBED(symbol, file)                                                                        \
	extern const char symbol[];                                                                \
	__asm__(".section .rodata, \"a\"\n" #symbol ":\n"                                          \
		".incbin \"" SCHEMA_DIR "/" file "\"\n"                                            \
		".byte 0\n"                                                                        \
		".previous\n")

EMBED(schema_0001_tokens, "0001_tokens.sql");
EMBED(schema_0002_life_of_tokens, "0002_life_of_tokens.sql");
EMBED(schema_0003_tokens_in_order, "0003_tokens_in_order.sql");

const struct migration migrations[] = {
	{1, "tokens", schema_0001_tokens, NULL},
	{2, "life_of_tokens", schema_0002_life_of_tokens, NULL},
	{3, "tokens_in_order", schema_0003_tokens_in_order, "sqlite"},
};
const size_t migrations_count = ARRAY_SIZE(migrations);

bool migration_is_for(const struct migration *m, const char *store)
{
	return !m->only || strcmp(m->only, store) == 0;
}

int migrations_latest(const char *store)
{
	size_t i = migrations_count;
	while (i > 1 && !migration_is_for(&migrations[i - 1], store))
		i--;
	return migrations[i - 1].version;
}

struct status migration_render(
	const struct migration *m, const struct migration_dialect *dialect, struct buf *out)
{
	const struct {
		struct str word;
		const char *text;
	} words[] = {
		{STR("{text}"), dialect->text_type},
		{STR("{bytes}"), dialect->bytes_type},
		{STR("{int}"), dialect->int_type},
		{STR("{strict}"), dialect->table_suffix},
	};
	/* Comments have JSON in them, and no database needs them. */
	for (struct str rest = str_of(m->sql), line; str_split(&rest, '\n', &line);) {
		for (size_t i = 0; i + 1 < line.n; i++)
			if (line.p[i] == '-' && line.p[i + 1] == '-')
				line.n = i;
		while (line.n) {
			size_t brace = str_index(line, '{');
			buf_append_str(out, str_sub(line, 0, brace));
			line = str_sub(line, brace, line.n);
			if (!line.n)
				break;
			size_t w = 0;
			while (w < ARRAY_SIZE(words) && !str_starts_with(line, words[w].word))
				w++;
			if (w == ARRAY_SIZE(words))
				return status_error(STATUS_INTERNAL,
					"migration %d (%s) has an unknown word at '%.*s'",
					m->version, m->name, STR_ARG(line));
			buf_append_str(out, str_of(words[w].text));
			line = str_sub(line, words[w].word.n, line.n);
		}
		buf_append_char(out, '\n');
	}
	if (buf_overflown(out))
		return status_error(
			STATUS_INTERNAL, "migration %d (%s) is too long", m->version, m->name);
	return status_ok();
}
