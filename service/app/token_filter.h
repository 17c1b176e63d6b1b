/* SPDX-License-Identifier: Apache-2.0 */
/* The filter of List: conditions joined by " AND " (a small part of AIP-160).
 *
 *     name = "exact"    name = "prefix*"    state = ACTIVE    state = EXPIRED
 *     expire_date >= 2026-05-01    and with <, <=, > and =
 *
 * Quotes may be left out around a word of letters, digits, '_', '-' and a last '*'. Pure. */
#pragma once

#include "common/base/arena.h"
#include "common/base/status.h"
#include "common/base/str.h"
#include "service/store/store.h"

/* Sets the conditions in *@query; texts are in @arena. An empty filter sets none. What has expired
 * by @today is EXPIRED.
 * INVALID_ARGUMENT  on "filter": what is wrong, and where */
struct status token_filter_parse(
	struct str filter, struct date today, struct arena *arena, struct store_token_query *query);
