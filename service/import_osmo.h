/* SPDX-License-Identifier: Apache-2.0 */
/* Copies access tokens, roles and profiles of an existing OSMO database (PostgreSQL) into the
 * store.
 *
 * Read in one transaction that changes nothing. It can be run again: tokens that are there already
 * are left alone, roles and profiles of the same name are written over. Secrets keep working,
 * because both keep the SHA-256 of a token. Blocking, off the loops. */
#pragma once

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/event/loop.h"
#include "service/store/store.h"

#include <stdint.h>

struct import_osmo_options {
	const char *url;           /* postgresql://USER@HOST/NAME, without the password */
	const char *password_file; /* or NULL */
	struct store *store;
	struct loop *home; /* runs */
	const struct clock *clock;
	/* Told of each row that cannot be taken, and why. */
	void (*left_out)(void *arg, const char *text);
	void *arg;
};

struct import_osmo_result {
	int64_t roles, profiles, tokens;
	int64_t there_already; /* tokens of the same name and secret */
	int64_t left_out;
};

/* UNAVAILABLE          the database or the store is away; what was copied by then stays
 * FAILED_PRECONDITION  the database is none of OSMO 6.0
 * and what file.h says of the password file */
struct status import_osmo(
	const struct import_osmo_options *options, struct import_osmo_result *ret);
