/* SPDX-License-Identifier: Apache-2.0 */
/* What the program does for an operator instead of serving. Results go to standard output, errors
 * are one line for the operator. Blocking; on the main thread. */
#pragma once

#include "common/base/status.h"

struct options;
struct service_options;

/* `token-service backup FILE` */
struct status commands_backup(const struct options *o);
/* `token-service check`: DATA_LOSS if the database is damaged; each problem was printed. */
struct status commands_check(const struct options *o);
/* `token-service admin-token`: a new admin token in the data directory. */
struct status commands_admin_token(const struct options *o);
/* `token-service migrate`: the schema as this program knows it. */
struct status commands_migrate(const struct options *o);
/* `token-service import-osmo`: FAILED_PRECONDITION if rows were left out; each was printed. */
struct status commands_import_osmo(const struct options *o);
/* `token-service rotate-keys`: the next signing key becomes the current one; also while the service
 * runs. */
struct status commands_rotate_keys(const struct options *o);
/* --check-store: what commands_check does, before a start, to the log. OK if there is no database
 * yet. */
struct status commands_check_before_start(const struct service_options *v);
