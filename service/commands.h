/* SPDX-License-Identifier: Apache-2.0 */
/* What the program does for an operator with the embedded database, instead of serving. Results go
 * to standard output, errors are one line for the operator. */
#pragma once

#include "common/base/status.h"

struct options;
struct service_options;

/* `token-service backup FILE` */
struct status commands_backup(const struct options *o);
/* `token-service check`: DATA_LOSS if the database is damaged; each problem was printed. */
struct status commands_check(const struct options *o);
/* --check-store: the same before a start, to the log. OK if there is no database yet. */
struct status commands_check_before_start(const struct service_options *v);
