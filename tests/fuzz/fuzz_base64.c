/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of one value are alike but for the alphabet and the padding; bytes come back as they were.
 */
#include "common/base/base64.h"
#include "tests/fuzz/must.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(struct str text)
{
	_cleanup_buf_ struct buf bytes, again;
	buf_init(&bytes, text.n);
	buf_init(&again, text.n + 4);
	if (!base64_decode(&bytes, text))
		return;
	base64_encode(&again, BASE64_URL, bytes.p, bytes.n);
	MUST(again.n <= text.n && text.n - again.n <= 2);
	for (size_t i = 0; i < text.n; i++) {
		const char c = text.p[i] == '+' ? '-' : text.p[i] == '/' ? '_' : text.p[i];
		MUST(c == (i < again.n ? again.p[i] : '='));
	}
}

static void check_bytes(struct str bytes)
{
	for (int alphabet = BASE64_STANDARD; alphabet <= BASE64_URL; alphabet++) {
		_cleanup_buf_ struct buf text, again;
		buf_init(&text, 2 * bytes.n + 4);
		buf_init(&again, bytes.n);
		MUST(base64_encode(&text, (enum base64_alphabet)alphabet, bytes.p, bytes.n));
		MUST(base64_decode(&again, buf_str(&text)) && str_eq(buf_str(&again), bytes));
	}
	char *hex = malloc(2 * bytes.n + 1), *again = malloc(bytes.n + 1);
	hex_encode(bytes.p, bytes.n, hex);
	MUST(hex_decode(str_of(hex), again, bytes.n));
	MUST(str_eq((struct str){again, bytes.n}, bytes));
	free(hex);
	free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_text((struct str){(const char *)data, size});
	check_bytes((struct str){(const char *)data, size});
	return 0;
}
