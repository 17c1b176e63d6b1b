/* SPDX-License-Identifier: Apache-2.0 */
/* A libpq whose calls fail when a test says so. One for the process; any thread. */
#pragma once

#include "service/store/postgres/pq.h"

#include <stdint.h>

extern const struct pq fault_pq;

enum fault_pq_kind {
	FAULT_PQ_REFUSE, /* the call does nothing and fails */
	FAULT_PQ_CUT, /* the call is done, then the connection is cut: the other end may have it */
};

/* From the @n-th call on (1: the next one), @count calls fail. */
void fault_pq_fail(enum fault_pq_kind kind, int64_t n, int64_t count);
/* No more failures. */
void fault_pq_heal(void);
/* Calls that failed since fault_pq_fail. */
int64_t fault_pq_injected(void);
