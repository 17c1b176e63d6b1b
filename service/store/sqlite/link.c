/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/sqlite/link.h"

enum {
	BACKOFF_LEAST_MS = 20,
	BACKOFF_MOST_MS = 2000,
};

void link_init(struct link *l, const struct connection_options *options, const struct clock *clock,
	struct status (*prepare)(void *arg, struct connection *c), void *arg)
{
	*l = (struct link){.options = *options, .clock = clock, .prepare = prepare, .arg = arg};
}

static struct status open_and_prepare(struct link *l)
{
	TRY(connection_open(&l->options, &l->connection));
	return l->prepare(l->arg, &l->connection);
}

struct status link_open(struct link *l)
{
	struct status status = open_and_prepare(l);
	if (status_is_ok(&status)) {
		l->backoff_ms = 0;
		return status;
	}
	connection_close(&l->connection);
	l->backoff_ms = l->backoff_ms ? l->backoff_ms * 2 : BACKOFF_LEAST_MS;
	if (l->backoff_ms > BACKOFF_MOST_MS)
		l->backoff_ms = BACKOFF_MOST_MS;
	l->retry_at = mono_time_add_ms(clock_mono(l->clock), l->backoff_ms);
	return status;
}

struct status link_use(struct link *l, bool *ret_anew)
{
	if (ret_anew)
		*ret_anew = false;
	if (l->connection.db && !l->connection.broken)
		return status_ok();
	connection_close(&l->connection);
	struct status status = status_error(STATUS_UNAVAILABLE, "the token store is away");
	if (!l->backoff_ms || clock_mono(l->clock).us >= l->retry_at.us)
		status = link_open(l);
	/* Whatever it is (somebody put a newer schema there), callers cannot do anything about it,
	 * and the text may name the file. */
	if (!status_is_ok(&status))
		return status_error(STATUS_UNAVAILABLE, "the token store cannot be read now");
	if (ret_anew)
		*ret_anew = true;
	return status;
}

void link_close(struct link *l)
{
	connection_close(&l->connection);
}
