/* SPDX-License-Identifier: Apache-2.0 */
/* Inflating takes any bytes and stays inside its limit; what is compressed comes back. */
#include "gateway/http_gzip.h"

#include <stdint.h>
#include <stdlib.h>

enum {
	LIMIT = 65536
};

static void must(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct http_gzip *g; /* one for all inputs: its reset is under test as well */
	if (!g)
		g = http_gzip_new();
	struct str in = {(const char *)data, size};
	struct buf out, packed, again;
	buf_init(&out, LIMIT);
	(void)http_gzip_inflate(g, in, &out);
	must(out.n <= LIMIT);
	buf_done(&out);

	buf_init(&packed, LIMIT);
	buf_init(&again, LIMIT);
	if (size && size <= LIMIT && http_gzip_deflate(g, in, &packed)) {
		must(packed.n <= size);
		must(http_gzip_inflate(g, buf_str(&packed), &again) == HTTP_ERROR_NONE);
		must(str_eq(buf_str(&again), in));
	}
	buf_done(&packed);
	buf_done(&again);
	return 0;
}
