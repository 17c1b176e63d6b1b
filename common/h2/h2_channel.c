/* SPDX-License-Identifier: Apache-2.0 */
#include "common/h2/h2_channel.h"

#include "common/base/backoff.h"
#include "common/base/clock.h"
#include "common/base/list.h"
#include "common/base/log.h"
#include "common/base/random.h"
#include "common/base/xalloc.h"
#include "common/event/loop.h"
#include "common/event/worker.h"
#include "common/h2/h2_connection.h"
#include "common/h2/h2_request.h"
#include "common/net/address.h"
#include "common/net/tls_client.h"

#include <assert.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdio.h>
#include <string.h>

enum {
	/* A connection that lived shorter is followed by another at once only one time in a row.
	 * Requests wait out the pause if it was of use; else the attempt has failed. */
	SHORT_LIFE_MS = 1000,
	/* Addresses so young are used without another look-up. */
	FRESH_ADDRESSES_MS = 1000,
	MAX_KEEPALIVE_MS = 10 * 60 * 1000,
	REASON_BYTES = 448, /* as of a struct status */
};

struct addresses {
	size_t n;
	struct sockaddr_storage items[ADDRESS_RESOLVED_MAX];
};

/* A connection, while it is in a slot and after it left it. */
struct link {
	struct list node; /* of channel->leaving; alone while in a slot */
	struct h2_channel *channel;
	struct slot *slot; /* NULL: leaving */
	struct h2_connection *connection;
	struct mono_time ready_at;
	bool was_ready;
};

/* Where a connection belongs. */
struct slot {
	struct h2_channel *channel;
	enum {
		SLOT_IDLE,
		SLOT_LOOKING_UP,
		SLOT_CONNECTING,
		SLOT_READY,
		SLOT_PAUSING,
	} state;
	struct link *link;
	size_t next_address; /* modulo their number */
	size_t tried;        /* addresses in this attempt */
	struct backoff backoff;
	bool short_lived; /* the last connection was */
	bool failing;     /* the last attempt failed */
	bool cut_short;   /* the pause before was; the next one is not */
	struct event timer;
};

/* On a worker and back; the channel may be gone by then. */
struct lookup {
	struct worker_task task;
	struct h2_channel *channel; /* NULL: nobody cares any more */
	struct address address;
	struct addresses found;
	struct status status;
};

struct h2_channel {
	struct h2_channel_options options;
	struct address address;
	struct addresses addresses;
	struct mono_time looked_up;
	struct lookup *lookup; /* under way, or NULL */
	struct slot slots[H2_MAX_CONNECTIONS];
	size_t n_slots, next_slot;
	int64_t keepalive_ms;
	struct list leaving;        /* links */
	struct list waiting, ended; /* requests; those that are to be told of their end */
	size_t n_waiting;
	struct event later;
	struct h2_channel_stats stats;
	char reason[REASON_BYTES]; /* of the last failure */
};

static void slot_begin(struct slot *slot);
static void slot_connect(struct slot *slot);

static void count(_Atomic uint64_t *c, int64_t by)
{
	/* one writer: no need to lock the bus */
	uint64_t old = atomic_load_explicit(c, memory_order_relaxed);
	atomic_store_explicit(c, old + (uint64_t)by, memory_order_relaxed);
}

/* --- requests --- */

static struct slot *choose(struct h2_channel *ch)
{
	for (size_t i = 0; i < ch->n_slots; i++) {
		struct slot *slot = &ch->slots[ch->next_slot++ % ch->n_slots];
		if (slot->state == SLOT_READY && h2_connection_has_room(slot->link->connection))
			return slot;
	}
	return NULL;
}

/* Is there any use in waiting? */
static bool is_hopeful(const struct h2_channel *ch)
{
	for (size_t i = 0; i < ch->n_slots; i++)
		if (ch->slots[i].state == SLOT_READY || !ch->slots[i].failing)
			return true;
	return false;
}

static void set_waiting(struct h2_channel *ch, struct h2_request *r)
{
	r->state_ = H2_REQUEST_WAITING;
	list_add_tail(&ch->waiting, &r->node_);
	ch->n_waiting++;
	count(&ch->stats.waiting, 1);
}

static void unset_waiting(struct h2_channel *ch, struct h2_request *r)
{
	list_remove(&r->node_);
	ch->n_waiting--;
	count(&ch->stats.waiting, -1);
}

static void set_ended(struct h2_channel *ch, struct h2_request *r, enum h2_end end)
{
	r->state_ = H2_REQUEST_ENDED;
	r->end_ = end;
	list_add_tail(&ch->ended, &r->node_);
	event_active(&ch->later, 0, 0);
}

static void fail_waiting(struct h2_channel *ch)
{
	while (!list_empty(&ch->waiting)) {
		struct h2_request *r = container_of(ch->waiting.next, struct h2_request, node_);
		unset_waiting(ch, r);
		set_ended(ch, r, H2_END_UNREACHABLE);
	}
}

static void pump(struct h2_channel *ch)
{
	struct slot *slot;
	while (!list_empty(&ch->waiting) && (slot = choose(ch))) {
		struct h2_request *r = container_of(ch->waiting.next, struct h2_request, node_);
		unset_waiting(ch, r);
		h2_connection_send(slot->link->connection, r);
	}
}

static void on_later(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	struct h2_channel *ch = arg;
	struct list ended;
	struct list *node;
	list_init(&ended);
	list_move_all(&ended, &ch->ended);
	while ((node = list_pop(&ended))) {
		struct h2_request *r = container_of(node, struct h2_request, node_);
		r->state_ = H2_REQUEST_IDLE;
		r->reason = ch->reason;
		r->ops->end(r, r->end_);
	}
}

static void count_ready(const struct h2_channel *ch, int by)
{
	if (ch->options.all_ready)
		atomic_fetch_add_explicit(ch->options.all_ready, by, memory_order_relaxed);
}

/* Another loop has found the server: what failed here is of the past. */
static void try_if_others_are_ready(struct h2_channel *ch)
{
	if (!ch->options.all_ready ||
		atomic_load_explicit(ch->options.all_ready, memory_order_relaxed) <= 0)
		return;
	for (size_t i = 0; i < ch->n_slots; i++) {
		struct slot *slot = &ch->slots[i];
		if (slot->state != SLOT_PAUSING || slot->cut_short)
			continue;
		event_del(&slot->timer);
		slot->cut_short = true;
		slot->failing = false;
		slot_begin(slot);
	}
}

void h2_channel_send(struct h2_channel *ch, struct h2_request *r)
{
	struct slot *slot = list_empty(&ch->waiting) ? choose(ch) : NULL;
	list_init(&r->node_);
	r->connection_ = NULL;
	if (!slot && !is_hopeful(ch))
		try_if_others_are_ready(ch);
	if (slot) {
		h2_connection_send(slot->link->connection, r);
	} else if (!is_hopeful(ch)) {
		set_ended(ch, r, H2_END_UNREACHABLE);
	} else if (ch->n_waiting >= ch->options.max_waiting) {
		set_ended(ch, r, H2_END_CROWDED);
	} else {
		set_waiting(ch, r);
		for (size_t i = 0; i < ch->n_slots; i++)
			if (ch->slots[i].state == SLOT_IDLE)
				slot_begin(&ch->slots[i]);
	}
}

void h2_channel_cancel(struct h2_channel *ch, struct h2_request *r)
{
	switch (r->state_) {
	case H2_REQUEST_IDLE:
		return;
	case H2_REQUEST_WAITING:
		unset_waiting(ch, r);
		break;
	case H2_REQUEST_ACTIVE:
	case H2_REQUEST_ENDED:
		if (r->connection_) {
			h2_connection_cancel(r->connection_, r);
			return;
		}
		list_remove(&r->node_);
		break;
	}
	r->state_ = H2_REQUEST_IDLE;
}

/* --- connections --- */

static void link_free(struct link *link)
{
	list_remove(&link->node);
	h2_connection_free(link->connection);
	free(link);
}

/* Waits before the next attempt. */
static void slot_pause(struct slot *slot)
{
	int64_t ms = backoff_next(&slot->backoff, &random_system);
	const struct timeval after = {
		.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000 * US_PER_MS)};
	event_add(&slot->timer, &after);
	slot->state = SLOT_PAUSING;
}

/* No address could be connected to. */
static void slot_failed(struct slot *slot)
{
	slot->failing = true;
	slot_pause(slot);
	if (!is_hopeful(slot->channel))
		fail_waiting(slot->channel);
}

static int64_t lived_ms(const struct link *link)
{
	return (clock_mono(&clock_system).us - link->ready_at.us) / US_PER_MS;
}

/* Its connection, which was ready, is over or leaving: another one, of the next address, because
 * this one's server may be about to stop. */
static void slot_renew(struct slot *slot, const struct link *link)
{
	bool is_short = lived_ms(link) < SHORT_LIFE_MS;
	count_ready(slot->channel, -1);
	bool again_short = slot->short_lived && is_short;
	slot->link = NULL;
	slot->state = SLOT_IDLE;
	slot->next_address++;
	slot->short_lived = is_short;
	if (!is_short) {
		backoff_reset(&slot->backoff);
		slot->cut_short = false;
	}
	if (slot >= slot->channel->slots + slot->channel->n_slots)
		return; /* there are fewer addresses now */
	if (!again_short)
		slot_begin(slot);
	else if (h2_connection_was_of_use(link->connection))
		slot_pause(slot);
	else
		slot_failed(slot);
}

static void on_ready(void *arg)
{
	struct link *link = arg;
	struct h2_channel *ch = link->channel;
	link->was_ready = true;
	link->ready_at = clock_mono(&clock_system);
	link->slot->state = SLOT_READY;
	link->slot->failing = false;
	count(&ch->stats.connections, 1);
	count(&ch->stats.opened, 1);
	count_ready(ch, 1);
	pump(ch);
}

static void on_room(void *arg)
{
	pump(((struct link *)arg)->channel);
}

static void on_leaving(void *arg, bool pinged_too_much)
{
	struct link *link = arg;
	struct h2_channel *ch = link->channel;
	struct slot *slot = link->slot;
	if (pinged_too_much && ch->keepalive_ms < MAX_KEEPALIVE_MS)
		ch->keepalive_ms *= 2;
	link->slot = NULL;
	list_add_tail(&ch->leaving, &link->node);
	slot_renew(slot, link);
}

static void on_closed(void *arg, const char *why)
{
	struct link *link = arg;
	struct h2_channel *ch = link->channel;
	struct slot *slot = link->slot;
	snprintf(ch->reason, sizeof ch->reason, "%s", why);
	log_debug(link->was_ready ? "h2.closed" : "h2.failed",
		LOG_TEXT("server", ch->options.authority), LOG_TEXT("reason", why));
	if (link->was_ready) {
		count(&ch->stats.connections, -1);
		if (slot)
			slot_renew(slot, link);
	} else {
		count(&ch->stats.failed, 1);
		slot->link = NULL;
		slot->next_address++;
		slot_connect(slot);
	}
	link_free(link);
}

static struct status open_connection(struct slot *slot, struct link *link)
{
	struct h2_channel *ch = slot->channel;
	const struct h2_channel_options *o = &ch->options;
	const struct sockaddr_storage *to =
		&ch->addresses.items[slot->next_address % ch->addresses.n];
	struct h2_connection_options options = {
		.loop = o->loop,
		.address = (const struct sockaddr *)to,
		.length = address_sockaddr_length(to),
		.authority = o->authority,
		.open_timeout_ms = o->open_timeout_ms,
		.keepalive_ms = ch->keepalive_ms,
		.keepalive_timeout_ms = o->keepalive_timeout_ms,
	};
	const struct h2_connection_events events = {.arg = link,
		.ready = on_ready,
		.room = on_room,
		.leaving = on_leaving,
		.closed = on_closed};
	if (o->tls)
		options.takes_tls = tls_client_session(o->tls, ch->address.host);
	return h2_connection_open(&options, &events, &link->connection);
}

/* The next address of this attempt; pauses when all were tried. */
static void slot_connect(struct slot *slot)
{
	struct h2_channel *ch = slot->channel;
	for (; slot->tried < ch->addresses.n; slot->next_address++) {
		struct link *link = xnew(struct link);
		*link = (struct link){.channel = ch, .slot = slot};
		list_init(&link->node);
		slot->tried++;
		slot->state = SLOT_CONNECTING;
		struct status s = open_connection(slot, link);
		if (status_is_ok(&s)) {
			slot->link = link;
			return;
		}
		snprintf(ch->reason, sizeof ch->reason, "%s", s.message);
		count(&ch->stats.failed, 1);
		link_free(link);
	}
	slot_failed(slot);
}

/* --- names --- */

static void work_lookup(struct worker_task *task)
{
	struct lookup *l = container_of(task, struct lookup, task);
	l->status = address_resolve_all(&l->address, l->found.items, &l->found.n);
}

static void connect_all(struct h2_channel *ch)
{
	for (size_t i = 0; i < ch->n_slots; i++) {
		struct slot *slot = &ch->slots[i];
		if (slot->state == SLOT_IDLE) /* it is new */
			slot->tried = 0;
		if (slot->state == SLOT_IDLE || slot->state == SLOT_LOOKING_UP)
			slot_connect(slot);
	}
}

static void use_addresses(struct h2_channel *ch, const struct addresses *found)
{
	ch->addresses = *found;
	ch->looked_up = clock_mono(&clock_system);
	size_t n = found->n < H2_MAX_CONNECTIONS ? found->n : H2_MAX_CONNECTIONS;
	ch->n_slots = n > ch->options.n_connections ? n : ch->options.n_connections;
}

/* A look-up that fails while there are addresses from before changes nothing. */
static void done_lookup(struct worker_task *task)
{
	struct lookup *l = container_of(task, struct lookup, task);
	struct h2_channel *ch = l->channel;
	if (ch) {
		ch->lookup = NULL;
		if (status_is_ok(&l->status))
			use_addresses(ch, &l->found);
		else
			snprintf(ch->reason, sizeof ch->reason, "%s", l->status.message);
		connect_all(ch);
	}
	free(l);
}

static void look_up(struct h2_channel *ch)
{
	struct lookup *l = xnew(struct lookup);
	l->task.work = work_lookup;
	l->task.done = done_lookup;
	l->channel = ch;
	l->address = ch->address;
	struct status s = worker_pool_submit(ch->options.resolver, ch->options.loop, &l->task);
	if (status_is_ok(&s)) {
		ch->lookup = l;
		return;
	}
	snprintf(ch->reason, sizeof ch->reason, "%s", s.message);
	free(l);
	connect_all(ch);
}

static bool is_fresh(const struct h2_channel *ch)
{
	int64_t age_us = clock_mono(&clock_system).us - ch->looked_up.us;
	return ch->addresses.n && age_us < (int64_t)FRESH_ADDRESSES_MS * US_PER_MS;
}

static void slot_begin(struct slot *slot)
{
	struct h2_channel *ch = slot->channel;
	slot->tried = 0;
	if (!address_needs_lookup(&ch->address) || is_fresh(ch)) {
		slot_connect(slot);
		return;
	}
	slot->state = SLOT_LOOKING_UP;
	if (!ch->lookup)
		look_up(ch);
}

static void on_pause_over(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	struct slot *slot = arg;
	slot->cut_short = false;
	slot_begin(slot);
}

/* --- life --- */

static void set_defaults(struct h2_channel_options *o)
{
#define DEFAULT(member, value) o->member = o->member ? o->member : (value)
	DEFAULT(n_connections, 1);
	DEFAULT(max_waiting, 1000);
	DEFAULT(open_timeout_ms, 5000);
	DEFAULT(keepalive_ms, 30000);
	DEFAULT(keepalive_timeout_ms, 10000);
	DEFAULT(min_backoff_ms, 100);
	DEFAULT(max_backoff_ms, 2000);
#undef DEFAULT
	if (o->n_connections > H2_MAX_CONNECTIONS)
		o->n_connections = H2_MAX_CONNECTIONS;
}

struct h2_channel *h2_channel_new(const struct h2_channel_options *options)
{
	struct h2_channel *ch = xnew(struct h2_channel);
	struct event_base *base = loop_base(options->loop);
	ch->options = *options;
	set_defaults(&ch->options);
	ch->address = *options->address;
	ch->keepalive_ms = ch->options.keepalive_ms;
	ch->n_slots = ch->options.n_connections;
	list_init(&ch->leaving);
	list_init(&ch->waiting);
	list_init(&ch->ended);
	event_assign(&ch->later, base, -1, 0, on_later, ch);
	for (size_t i = 0; i < H2_MAX_CONNECTIONS; i++) {
		struct slot *slot = &ch->slots[i];
		slot->channel = ch;
		slot->next_address = options->first_address + i;
		slot->backoff = backoff_new(ch->options.min_backoff_ms, ch->options.max_backoff_ms);
		event_assign(&slot->timer, base, -1, 0, on_pause_over, slot);
	}
	assert(options->resolver || !address_needs_lookup(options->address));
	if (!address_needs_lookup(&ch->address)) {
		struct status s =
			address_resolve_all(&ch->address, ch->addresses.items, &ch->addresses.n);
		assert(status_is_ok(&s)); /* there was nothing to look up */
		(void)s;
	}
	return ch;
}

void h2_channel_free(struct h2_channel *ch)
{
	if (!ch)
		return;
	assert(list_empty(&ch->waiting) && list_empty(&ch->ended));
	if (ch->lookup)
		ch->lookup->channel = NULL;
	for (size_t i = 0; i < H2_MAX_CONNECTIONS; i++) {
		event_del(&ch->slots[i].timer);
		if (ch->slots[i].link)
			link_free(ch->slots[i].link);
	}
	list_for_each (node, &ch->leaving)
		link_free(container_of(node, struct link, node));
	event_del(&ch->later);
	free(ch);
}

const struct h2_channel_stats *h2_channel_stats(const struct h2_channel *ch)
{
	return &ch->stats;
}
