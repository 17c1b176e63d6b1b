/* SPDX-License-Identifier: Apache-2.0 */
/* The service as a whole: what it is made of, how it starts and how it stops.
 *
 * Threads: the main thread makes, runs and frees it; it blocks in all three. */
#pragma once

#include "common/base/cleanup.h"
#include "common/base/status.h"
#include "common/net/address.h" /* ADDRESS_TEXT_BYTES */

#include <stdbool.h>

struct options;
struct service;

/* Opens, binds and starts everything. From here on the process is alive; calls are UNAVAILABLE
 * until service_prepare has succeeded. @o is borrowed until service_stop.
 *
 * Errors are one line for the operator, and do not mend by themselves. */
struct status service_start(struct options *o, struct service **ret);

/* One try to get from the store what calls need: roles, keys, the first admin token. Once it
 * succeeded, calls are answered. On an error, *@ret_again: the store is away, try again after a
 * while; else it is a line for the operator and the end. */
struct status service_prepare(struct service *s, bool *ret_again);

/* Says so: the log, and the ready file. Whoever waits for that may send a signal at once, so
 * signals must be waited for by now. */
struct status service_announce(struct service *s);

/* The addresses that were really bound; @http is empty when HTTP is off. */
void service_addresses(
	const struct service *s, char grpc[ADDRESS_TEXT_BYTES], char http[ADDRESS_TEXT_BYTES]);

/* Reads options, keys and TLS files again (SIGHUP) and logs what changed and what could not. */
void service_reload(struct service *s);

/* Not ready from now on; still answering. The first half of a drain. */
void service_set_draining(struct service *s);

/* Finishes calls in flight, at most for the configured grace, and releases everything. */
void service_stop(struct service *s);
