/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/random.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

static void system_bytes(const struct random *self, void *p, size_t n)
{
	(void)self;
	if (RAND_bytes(p, (int)n) != 1) {
		fputs("fatal: the random generator failed\n", stderr);
		abort();
	}
}

const struct random random_system = {.bytes = system_bytes};
