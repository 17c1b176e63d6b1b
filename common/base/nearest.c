/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/nearest.h"

#include <stdint.h>

enum {
	WORD_MAX = 64
};

/* "grpcListen", "GRPC_LISTEN" and "grpc-listen" become the last; returns the length. */
static size_t fold(struct str word, char ret[WORD_MAX])
{
	size_t n = 0;
	for (size_t i = 0; i < word.n && n + 1 < WORD_MAX; i++) {
		char c = word.p[i];
		bool upper = c >= 'A' && c <= 'Z';
		if (upper && i && word.p[i - 1] >= 'a' && word.p[i - 1] <= 'z')
			ret[n++] = '-';
		if (upper)
			c = (char)(c | 0x20);
		if (c == '_')
			c = '-';
		ret[n++] = c;
	}
	return n;
}

/* Levenshtein's distance, with a swap of neighbours as one step. */
static size_t distance(const char *a, size_t an, const char *b, size_t bn)
{
	size_t rows[3][WORD_MAX + 1];
	size_t *before = rows[0], *above = rows[1], *row = rows[2];
	for (size_t k = 0; k <= bn; k++)
		above[k] = k;
	for (size_t i = 1; i <= an; i++) {
		row[0] = i;
		for (size_t k = 1; k <= bn; k++) {
			size_t cost = above[k - 1] + (a[i - 1] != b[k - 1]);
			if (above[k] + 1 < cost)
				cost = above[k] + 1;
			if (row[k - 1] + 1 < cost)
				cost = row[k - 1] + 1;
			if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1] &&
				before[k - 2] + 1 < cost)
				cost = before[k - 2] + 1;
			row[k] = cost;
		}
		size_t *oldest = before;
		before = above;
		above = row;
		row = oldest;
	}
	return above[bn];
}

const char *nearest_name(struct str word, const char *const *names, size_t count)
{
	char a[WORD_MAX], b[WORD_MAX];
	size_t an = fold(word, a);
	const char *best = NULL;
	size_t least = SIZE_MAX;
	for (size_t i = 0; i < count && names[i]; i++) {
		size_t bn = fold(str_of(names[i]), b);
		size_t far = distance(a, an, b, bn);
		size_t longer = an > bn ? an : bn;
		/* one slip in three letters, and never a wholly different word */
		if (far * 3 <= longer + 1 && far < longer && far < least) {
			least = far;
			best = names[i];
		}
	}
	return best;
}
