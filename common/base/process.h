/* SPDX-License-Identifier: Apache-2.0 */
/* What every long-lived process of ours does first, and what it tells its supervisor.
 *
 * Called by main() before threads start, but for process_notify (any thread). */
#pragma once

#include "common/base/status.h"

#include <stdint.h>

/* Descriptors 0, 1 and 2 that we were started without become ones that can be neither read nor
 * written: else the next file or connection gets such a number, and what is printed or logged goes
 * into it. The first thing that main() does. */
void process_hold_standard_streams(void);

/* No core dumps, and no other process of the same user may read our memory: secrets live there.
 * (A debugger then needs CAP_SYS_PTRACE.) UNAVAILABLE if the kernel refuses. */
struct status process_forbid_core_dumps(void);

/* Opens /dev/null as those of the descriptors 0 to 2 that are closed: else the next file or socket
 * would get the number, and with it the lines of the log. (What a library opened before main keeps
 * its number: gRPC an eventfd.) */
void process_fill_standard_files(void);

/* Raises the soft limit of open files to the hard one (at most 1,048,576: some container runtimes
 * say a billion, and libraries size tables by it); the limit in force afterwards. */
uint64_t process_raise_open_files(void);

/* A write to a closed connection, or beyond a limit of the size of files (RLIMIT_FSIZE: a full disk
 * to us), is an error code, not the end. */
void process_ignore_write_signals(void);

/* Tells systemd, over the datagram socket that $NOTIFY_SOCKET names (sd_notify(3)); silent and
 * harmless where there is none, and where the supervisor is gone. */
void process_notify_ready(void);
void process_notify_reloading(void);
void process_notify_stopping(void);
/* Any assignments, one a line: "STATUS=draining 3 calls". */
void process_notify(const char *state);
