/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/sqlite/link.h"

#include "common/base/log.h"

enum {
	BACKOFF_LEAST_MS = 20,
	BACKOFF_MOST_MS = 2000,
};

void link_init(struct link *l, const struct connection_options *options, const struct clock *clock,
	struct link_group *group, struct status (*prepare)(void *arg, struct connection *c),
	void *arg)
{
	*l = (struct link){.options = *options,
		.clock = clock,
		.group = group,
		.prepare = prepare,
		.arg = arg};
}

static struct status open_and_prepare(struct link *l)
{
	TRY(connection_open(&l->options, &l->connection));
	return l->prepare(l->arg, &l->connection);
}

struct status link_open(struct link *l)
{
	l->epoch = atomic_load(&l->group->epoch);
	struct status status = open_and_prepare(l);
	if (status_is_ok(&status)) {
		atomic_fetch_add(&l->group->opened, 1);
		l->backoff_ms = 0;
		l->logged = STATUS_OK;
		return status;
	}
	l->opened_before = atomic_load(&l->group->opened);
	/* A file that never opened is waited for like one that is not there. */
	if (l->connection.db || l->opened_before)
		link_note_damage(l);
	connection_close(&l->connection);
	l->backoff_ms = l->backoff_ms ? l->backoff_ms * 2 : BACKOFF_LEAST_MS;
	if (l->backoff_ms > BACKOFF_MOST_MS)
		l->backoff_ms = BACKOFF_MOST_MS;
	l->retry_at = mono_time_add_ms(clock_mono(l->clock), l->backoff_ms);
	l->refusal = status;
	return status;
}

/* A status that is not UNAVAILABLE (somebody put a newer schema there) is for the log, once as long
 * as it stays so: callers cannot do anything about it, and the text may name the file. */
static void refuse(struct link *l, const struct status *status)
{
	if (status->code == STATUS_UNAVAILABLE)
		return;
	if (l->logged != status->code) {
		l->logged = status->code;
		log_error("store.refused", LOG_STATUS(status));
	}
	l->refusal = status_error(STATUS_UNAVAILABLE, "the token store cannot be read now");
}

bool link_is_open(const struct link *l)
{
	return l->connection.db && !l->connection.broken &&
	       l->epoch == atomic_load(&l->group->epoch);
}

void link_close(struct link *l)
{
	l->connection.damaged = l->connection.damaged || atomic_load(&l->group->damaged);
	connection_close(&l->connection);
}

struct status link_use(struct link *l, bool *ret_anew)
{
	if (ret_anew)
		*ret_anew = false;
	if (link_is_open(l))
		return status_ok();
	link_close(l);
	if (!l->backoff_ms || clock_mono(l->clock).us >= l->retry_at.us ||
		atomic_load(&l->group->opened) != l->opened_before) {
		struct status status = link_open(l);
		if (!status_is_ok(&status))
			refuse(l, &status);
	}
	if (!l->connection.db)
		return l->refusal;
	if (ret_anew)
		*ret_anew = true;
	return status_ok();
}

void link_note_damage(const struct link *l)
{
	if (!l->connection.damaged || atomic_exchange(&l->group->damaged, true))
		return;
	log_error("store.damaged", LOG_TEXT("path", l->options.path),
		LOG_TEXT("meaning", "nothing is read or written until it is whole again"));
}
