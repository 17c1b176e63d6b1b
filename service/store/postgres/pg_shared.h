/* SPDX-License-Identifier: Apache-2.0 */
/* What all parts of the store share: how it was set up, and what is counted.
 *
 * Threads: any; what changes is atomic or under the lock. */
#pragma once

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/event/worker.h"
#include "service/store/postgres/pg_target.h"
#include "service/store/postgres/pq.h"
#include "service/store/store_ops.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum pg_schema {
	PG_SCHEMA_AWAITED, /* nobody has looked yet */
	PG_SCHEMA_AWAY,    /* the database cannot be reached, nor could it before */
	PG_SCHEMA_REFUSED, /* it is not for this program; see @refusal */
	PG_SCHEMA_READY,
};

/* Counter rows are chosen among so many, by connection. */
enum {
	PG_STRIPES = 64,
	PG_SENDER_CHARS = 16
};

struct pg_shared {
	struct store *store; /* for its listeners */
	const struct pq *pq;
	const struct clock *clock;
	struct worker_pool *workers;
	struct pg_target *target; /* of the calls */
	struct pg_target *direct; /* of LISTEN and migrations; NULL: there is none */
	int statement_timeout_ms;
	int tick_ms, purge_interval_ms;
	char sender[PG_SENDER_CHARS + 1]; /* this process, in what it sends to others */

	_Atomic int64_t user_tokens, service_tokens;
	_Atomic uint64_t commits, written;
	_Atomic uint64_t groups_begun, groups_ended;
	atomic_size_t waiting_reads, waiting_writes;
	size_t max_waiting;
	atomic_bool writes_fail;
	atomic_bool notified; /* notifications of other replicas arrive */
	_Atomic int64_t notify_delay_us;
	atomic_uint connections; /* that are ready */
	_Atomic uint64_t reconnects;

	struct {
		pthread_mutex_t lock;
		enum pg_schema schema;
		struct status refusal;
	} state;
};

enum pg_schema pg_shared_schema(struct pg_shared *s, struct status *ret_refusal);
void pg_shared_set_schema(struct pg_shared *s, enum pg_schema schema, const struct status *refusal);
