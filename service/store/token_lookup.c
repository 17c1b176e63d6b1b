/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/token_lookup.h"

#include "common/base/list.h"
#include "common/base/xalloc.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
	N_BUCKETS = 256 /* of flights: reads of the store that are under way */
};

struct token_lookup {
	struct store *store;
	const struct clock *clock;
	struct cache *cache;
	_Atomic uint64_t reads, joined;
	pthread_mutex_t lock;
	struct list flights[N_BUCKETS]; /* under the lock, with their waiters */
};

/* What is asked of the store. */
struct question {
	bool by_name;
	struct token_hash hash;
	enum token_kind kind;
	struct str owner, name;
};

/* One lookup that waits. */
struct asker {
	struct list link; /* of its flight */
	struct loop_task task;
	struct store_waiter waiter;
	store_token_fn *done;
	struct status status;
	struct token *token; /* a reference */
};

/* One read of the store, for all who ask the same and began under the same epoch. */
struct flight {
	struct list link; /* of its bucket */
	struct token_lookup *lookup;
	struct cache_key key;
	struct cache_ticket ticket;
	struct list askers;
	struct question question; /* its texts are behind the struct */
	char texts[];
};

/* --- Answers --- */

static void deliver(struct loop_task *task)
{
	struct asker *a = container_of(task, struct asker, task);
	a->done(a->waiter.arg, &a->status, a->token);
	token_unref(a->token);
	free(a);
}

static void answer(struct asker *a, const struct status *status, struct token *token)
{
	a->status = *status;
	a->token = token ? token_ref(token) : NULL;
	a->task.run = deliver;
	loop_post(a->waiter.home, &a->task);
}

static struct status unknown(void)
{
	return status_error(STATUS_NOT_FOUND, "the token is not known");
}

/* --- Flights --- */

static struct list *bucket_of(struct token_lookup *l, const struct cache_key *key)
{
	return &l->flights[key->bytes[0]];
}

static struct flight *flight_new(struct token_lookup *l, const struct cache_key *key,
	struct cache_ticket ticket, const struct question *q)
{
	struct flight *f = xmalloc(sizeof *f + q->owner.n + q->name.n);
	*f = (struct flight){.lookup = l, .key = *key, .ticket = ticket, .question = *q};
	list_init(&f->askers);
	list_init(&f->link);
	f->question.owner.p = f->texts;
	f->question.name.p = f->texts + q->owner.n;
	if (q->owner.n)
		memcpy(f->texts, q->owner.p, q->owner.n);
	if (q->name.n)
		memcpy(f->texts + q->owner.n, q->name.p, q->name.n);
	return f;
}

/* Of the same key and epoch, or NULL. An older one may have read before the change that raised the
 * epoch: who asks now must not hear of it. */
static struct flight *find_flight(
	struct token_lookup *l, const struct cache_key *key, struct cache_ticket ticket)
{
	struct list *bucket = bucket_of(l, key);
	list_for_each (node, bucket) {
		struct flight *f = container_of(node, struct flight, link);
		if (memcmp(&f->key, key, sizeof *key) == 0 && f->ticket.epoch == ticket.epoch)
			return f;
	}
	return NULL;
}

static void on_read(void *arg, const struct status *status, struct token *token);

/* The read waits as long as the most patient of those who ask for it. */
static void start(struct flight *f, struct asker *first)
{
	struct token_lookup *l = f->lookup;
	struct store_waiter waiter = {first->waiter.home, first->waiter.deadline, f};
	list_for_each (node, &f->askers) {
		const struct asker *a = container_of(node, struct asker, link);
		if (a->waiter.deadline.us > waiter.deadline.us)
			waiter.deadline = a->waiter.deadline;
	}
	atomic_fetch_add_explicit(&l->reads, 1, memory_order_relaxed);
	const struct question *q = &f->question;
	if (q->by_name)
		store_token_by_name(l->store, q->kind, q->owner, q->name, waiter, on_read);
	else
		store_token_by_hash(l->store, &q->hash, waiter, on_read);
}

/* Those who joined may have more time than the one who began. */
static void start_again(struct flight *f, struct list *patient)
{
	struct token_lookup *l = f->lookup;
	struct flight *next = flight_new(l, &f->key, f->ticket, &f->question);
	struct asker *first = container_of(patient->next, struct asker, link);
	list_move_all(&next->askers, patient);
	/* Nobody joins it: it is not among the flights. */
	start(next, first);
}

/* The store cannot be asked: what it said before holds for its time to live. */
static bool is_away(const struct status *status)
{
	return status->code == STATUS_UNAVAILABLE || status->code == STATUS_DEADLINE_EXCEEDED;
}

static void on_read(void *arg, const struct status *status, struct token *token)
{
	const struct status ok = status_ok();
	struct flight *f = arg;
	struct token_lookup *l = f->lookup;
	struct mono_time now = clock_mono(l->clock);
	_cleanup_(token_unrefp) struct token *doubted = NULL;
	struct list askers, patient;
	if (is_away(status))
		doubted = cache_get_doubted(l->cache, &f->key, now);
	if (doubted) {
		status = &ok;
		token = doubted;
	}
	list_init(&askers);
	list_init(&patient);
	if (!doubted && (status_is_ok(status) || status->code == STATUS_NOT_FOUND))
		cache_fill(l->cache, &f->key, f->ticket, token, now);

	pthread_mutex_lock(&l->lock);
	list_remove(&f->link);
	list_move_all(&askers, &f->askers);
	pthread_mutex_unlock(&l->lock);

	for (struct list *node; (node = list_pop(&askers));) {
		struct asker *a = container_of(node, struct asker, link);
		if (status->code == STATUS_DEADLINE_EXCEEDED && now.us < a->waiter.deadline.us)
			list_add_tail(&patient, &a->link);
		else
			answer(a, status, token);
	}
	if (!list_empty(&patient))
		start_again(f, &patient);
	free(f);
}

static void ask_store(struct token_lookup *l, const struct cache_key *key,
	struct cache_ticket ticket, const struct question *q, struct asker *a)
{
	pthread_mutex_lock(&l->lock);
	struct flight *f = find_flight(l, key, ticket);
	bool joins = f != NULL;
	if (!joins) {
		f = flight_new(l, key, ticket, q);
		list_add_tail(bucket_of(l, key), &f->link);
	}
	list_add_tail(&f->askers, &a->link);
	if (joins) /* and from here on the flight may land at any time */
		atomic_fetch_add_explicit(&l->joined, 1, memory_order_relaxed);
	else
		start(f, a);
	pthread_mutex_unlock(&l->lock);
}

/* --- Lookups --- */

static void look_up(struct token_lookup *l, const struct cache_key *key, const struct question *q,
	struct store_waiter waiter, store_token_fn *done)
{
	_cleanup_(token_unrefp) struct token *token = NULL;
	struct cache_ticket ticket;
	struct status status;
	struct asker *a = xnew(struct asker);
	a->waiter = waiter;
	a->done = done;
	list_init(&a->link);
	switch (cache_get(l->cache, key, clock_mono(l->clock), &token, &ticket)) {
	case CACHE_HIT:
		status = status_ok();
		answer(a, &status, token);
		break;
	case CACHE_UNKNOWN:
		status = unknown();
		answer(a, &status, NULL);
		break;
	case CACHE_MISS:
		ask_store(l, key, ticket, q, a);
		break;
	}
}

void token_lookup_by_hash(struct token_lookup *l, const struct token_hash *hash,
	struct store_waiter waiter, store_token_fn *done)
{
	struct cache_key key = cache_key_of_hash(hash);
	const struct question q = {.hash = *hash};
	look_up(l, &key, &q, waiter, done);
}

void token_lookup_by_name(struct token_lookup *l, enum token_kind kind, struct str owner,
	struct str name, struct store_waiter waiter, store_token_fn *done)
{
	struct cache_key key = cache_key_of_name(kind, owner, name);
	const struct question q = {.by_name = true, .kind = kind, .owner = owner, .name = name};
	look_up(l, &key, &q, waiter, done);
}

enum cache_result token_lookup_try_hash(
	struct token_lookup *l, const struct token_hash *hash, struct token **ret)
{
	struct cache_key key = cache_key_of_hash(hash);
	return cache_get(l->cache, &key, clock_mono(l->clock), ret, NULL);
}

enum cache_result token_lookup_try_name(struct token_lookup *l, enum token_kind kind,
	struct str owner, struct str name, struct token **ret)
{
	struct cache_key key = cache_key_of_name(kind, owner, name);
	return cache_get(l->cache, &key, clock_mono(l->clock), ret, NULL);
}

/* --- Life --- */

static void on_token_changed(void *arg, const struct token_fields *token)
{
	cache_token_changed(((struct token_lookup *)arg)->cache, token);
}

static void on_all_changed(void *arg)
{
	cache_doubt(((struct token_lookup *)arg)->cache);
}

struct token_lookup *token_lookup_new(
	struct store *store, struct cache *cache, const struct clock *clock)
{
	struct token_lookup *l = xnew(struct token_lookup);
	l->store = store;
	l->clock = clock;
	l->cache = cache;
	pthread_mutex_init(&l->lock, NULL);
	for (size_t i = 0; i < N_BUCKETS; i++)
		list_init(&l->flights[i]);
	const struct store_listener listener = {
		.token_changed = on_token_changed, .all_changed = on_all_changed, .arg = l};
	store_add_listener(l->store, &listener);
	return l;
}

void token_lookup_free(struct token_lookup *l)
{
	if (!l)
		return;
	pthread_mutex_destroy(&l->lock);
	free(l);
}

struct token_lookup_stats token_lookup_stats(const struct token_lookup *l)
{
	return (struct token_lookup_stats){
		.reads = atomic_load_explicit(&l->reads, memory_order_relaxed),
		.joined = atomic_load_explicit(&l->joined, memory_order_relaxed),
	};
}
