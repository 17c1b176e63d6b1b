/* SPDX-License-Identifier: Apache-2.0 */
/* The store that the options name: the one place where an adapter is chosen.
 *
 * Blocks; at the start, on the thread that starts. */
#pragma once

#include "common/base/status.h"

#include <stdbool.h>

struct metrics;
struct program_loops;
struct service_options;
struct store;

struct open_store_options {
	const struct service_options *values;
	const struct program_loops *loops; /* the store lives on them; none runs yet */
	bool beside_service;               /* for a command that the service may run beside */
	bool migrates_later;               /* if that takes long; see sqlite_store.h */
	struct metrics *metrics;           /* told of what is particular to it; or NULL */
};

/* What the adapters say when they are opened, and of a data directory what file.h says. Stopped by
 * store_stop. */
struct status open_store(const struct open_store_options *o, struct store **ret);
