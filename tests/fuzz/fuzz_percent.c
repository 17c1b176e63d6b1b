/* SPDX-License-Identifier: Apache-2.0 */
/* Percent-decoding, once: what comes out has as many bytes as went in less two for each escape, and
 * what is encoded comes back as it was. */
#include "gateway/percent.h"
#include "tests/fuzz/must.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t count(struct str s, const char *piece)
{
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++)
		n += str_eq_nocase(str_sub(s, i, strlen(piece)), str_of(piece));
	return n;
}

static struct str encode(struct str s, struct arena *arena)
{
	static const char hex[] = "0123456789abcdef";
	char *to = arena_alloc(arena, 3 * s.n + 1);
	for (size_t i = 0; i < s.n; i++) {
		to[3 * i] = '%';
		to[3 * i + 1] = hex[(uint8_t)s.p[i] >> 4];
		to[3 * i + 2] = hex[s.p[i] & 15];
	}
	return (struct str){to, 3 * s.n};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new();
	struct str text = {(const char *)data, size}, all = STR(""), kept = STR(""),
		   query = STR("");
	const bool ok = percent_decode(text, PERCENT_ALL, arena, &all);
	MUST(ok == percent_decode(text, PERCENT_KEEP_SLASH, arena, &kept));
	MUST(ok == percent_decode(text, PERCENT_QUERY, arena, &query));
	if (ok) {
		const size_t escapes = count(text, "%"), slashes = count(text, "%2f");
		MUST(all.n == size - 2 * escapes);
		MUST(query.n == all.n && count(query, "+") == count(text, "%2b"));
		MUST(kept.n == all.n + 2 * slashes);
		MUST(count(kept, "/") == count(text, "/"));
	}
	struct str encoded = encode(text, arena), again = STR("");
	MUST(percent_decode(encoded, PERCENT_ALL, arena, &again) && str_eq(again, text));
	MUST(percent_decode(encoded, PERCENT_QUERY, arena, &again) && str_eq(again, text));
	arena_free(arena);
	return 0;
}
