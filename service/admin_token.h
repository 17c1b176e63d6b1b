/* SPDX-License-Identifier: Apache-2.0 */
/* The first admin token: a personal token named `admin` of the user `admin`, with the role
 * osmo-admin and the longest lifetime that is allowed.
 *
 * Made once: a mark in the store says that it was, so a token that an administrator deleted stays
 * deleted, and later starts change nothing. What failed half-way is done again by the next try.
 * Blocks; for the main thread while the service starts. */
#pragma once

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/event/loop.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

struct options;
struct store;

struct admin_token {
	struct store *store;
	struct loop *home; /* running, not the caller's */
	const struct clock *clock;
	char path[PATH_MAX];    /* DIR/admin.token, written with mode 0600 */
	const char *given_file; /* holds the token instead; nothing is written. Or NULL. */
	int32_t lifetime_days;
};

/* As the options have it, without given_file. */
struct status admin_token_init(
	struct admin_token *t, const struct options *o, struct store *store, struct loop *home);

/* That a file holds an access token.
 *
 * INVALID_ARGUMENT, and what files say */
struct status admin_token_check_file(const char *path);

/* Makes the token unless it was made before; with given_file also when the file holds another one
 * than before. *@ret_made tells.
 *
 * INVALID_ARGUMENT  given_file holds no access token
 * ABORTED           another replica was making it at the same time: look again
 * and what files and the store say */
struct status admin_token_ensure(const struct admin_token *t, bool *ret_made);

/* Makes a new one in any case; the one before opens nothing any more. */
struct status admin_token_renew(const struct admin_token *t);
