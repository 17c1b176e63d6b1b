/* SPDX-License-Identifier: Apache-2.0 */
/* Entropy as a port: the CSPRNG of OpenSSL, or a fixed sequence in tests. Threads: any. */
#pragma once

#include <stddef.h>

struct random {
	void (*bytes)(const struct random *self, void *p, size_t n);
};

/* OpenSSL's RAND_bytes; aborts if it fails, because nothing safe can follow. */
extern const struct random random_system;

static inline void random_bytes(const struct random *r, void *p, size_t n)
{
	r->bytes(r, p, n);
}
