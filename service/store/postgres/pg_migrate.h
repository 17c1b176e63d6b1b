/* SPDX-License-Identifier: Apache-2.0 */
/* Brings the schema up to date, in one transaction under a lock: of programs that start together
 * one does it and the others find it done. Threads: the session's. */
#pragma once

#include "common/base/clock.h"
#include "common/base/status.h"
#include "service/store/postgres/pg_session.h"

#include <stdbool.h>

/* A newer schema is refused at the start; while the program runs (a newer one came beside it) it is
 * accepted, because each step leaves the program before it working.
 *
 * FAILED_PRECONDITION  the schema is newer than this program
 * UNAVAILABLE, CANCELLED  as pg_session.h has them */
struct status pg_migrate(struct pg_session *s, bool accept_newer);
