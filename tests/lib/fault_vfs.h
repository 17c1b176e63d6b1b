/* SPDX-License-Identifier: Apache-2.0 */
/* A disk that fails: a VFS for SQLite that stands before the real one.
 *
 * It counts the calls that may fail, fails the ones it is told to, and remembers what was not
 * synced yet, so that a loss of power can be played: of what was written since the last sync of a
 * file each write is then kept, dropped or torn, as a seed decides. Threads: any. One for the whole
 * process. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define FAULT_VFS "fault"

/* Registers it; may be called again. Everything is forgotten and works from then on. */
void fault_vfs_reset(void);

enum fault_kind {
	FAULT_IO,       /* any call: an I/O error */
	FAULT_FULL,     /* calls that write: the disk is full */
	FAULT_GROWTH,   /* calls that make a file longer: the disk is full */
	FAULT_READONLY, /* calls that write: it may not be written */
};
/* Of the calls of this kind (counted from now, the first is 1) those from @first on fail, @n of
 * them. */
void fault_vfs_fail(enum fault_kind kind, int64_t first, int64_t n);
void fault_vfs_heal(void);

struct fault_counts {
	int64_t calls;                /* that could have failed, since fault_vfs_fail */
	int64_t injected;             /* that did fail */
	int64_t syncs, syncs_took_us; /* since fault_vfs_reset */
};
struct fault_counts fault_vfs_counts(void);

/* Every sync takes this long. */
void fault_vfs_slow_syncs(int us);
/* Syncs reach the real disk, which they do not by default: what is lost is decided here, and real
 * disks take their time. For benches. */
void fault_vfs_real_syncs(bool on);

/* From now on, what is written and not synced is remembered. Before files are opened. */
void fault_vfs_remember(void);
/* The power goes: every call fails from now on. */
void fault_vfs_power_off(void);
/* After everything is closed: the files are what a disk may hold after that, and calls work again.
 */
void fault_vfs_power_on(uint32_t seed);
