/* SPDX-License-Identifier: Apache-2.0 */
/* Writes that wait share a sync: how many, and how long one waits at most. On a disk that is played
 * (fault_vfs), so that the figures are those of the store and not of the machine. */
#include "tests/lib/fault_vfs.h"
#include "tests/lib/store_driver.h"
#include "tests/lib/store_load.h"
#include "tests/lib/test.h"

#include <stdio.h>

static void many_clients_share_syncs(void **state)
{
	(void)state;
	enum {
		SYNC_US = 3000,
		CLIENTS = 64
	};
	fault_vfs_reset();
	fault_vfs_slow_syncs(SYNC_US);
	struct store_driver d = {.vfs = FAULT_VFS};
	assert_ok(store_driver_open(&d));
	struct store_load one, many;
	store_load_run(&d, 1, 1.0, &one);
	store_load_run(&d, CLIENTS, 3.0, &many);
	double sets_a_sync = (double)many.inserts / (double)many.syncs;
	double times = (double)many.inserts / many.took_s / ((double)one.inserts / one.took_s);
	printf("%.1f inserts a sync, %.1f times the rate of one client, p99 of an insert %lld "
	       "syncs\n",
		sets_a_sync, times, (long long)many.waited_syncs.p99);
	assert_true(sets_a_sync >= 16);
	assert_true(times >= 12);
	assert_true(many.waited_syncs.p99 <= 4);
	/* One alone is not kept waiting for company. */
	assert_int_equal(one.waited_syncs.p50, 1);
	store_driver_done(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_clients_share_syncs),
	};
	return RUN_TESTS(tests);
}
