/* SPDX-License-Identifier: Apache-2.0 */
/* One operation at a time, each of them the same row of moves:
 *
 *   READ the record ──► (it is not there) MAKE two keys ──► INIT the record ──► done
 *        │
 *        └► take it over ──► (nothing is due) done
 *                       └──► MAKE a key ──► WRITE the record ──► done
 *                                                └──► (it was changed meanwhile) READ
 *
 * What is due is looked at on every one of them, so that starting, following (each minute) and
 * rotating differ in nothing but who asked. */
#include "service/auth/keyring.h"

#include "common/base/list.h"
#include "common/base/log.h"
#include "common/base/xalloc.h"
#include "service/auth/key_record.h"

#include <assert.h>
#include <event2/event.h>
#include <pthread.h>
#include <signal.h>

#define SETTING STR("jwt-keys")
#define PURPOSE "jwt keys"

enum {
	FOLLOW_INTERVAL_S = 60,
	FOLLOW_TIMEOUT_MS = 20000,
	/* A next key of a new algorithm is published for as long before it signs: every replica
	 * has seen it by then, and has agreed with the others on which it is. */
	NEXT_MIN_AGE_S = 2 * FOLLOW_INTERVAL_S,
};

/* Somebody who waits for an operation; the ring's own have no done. */
struct request {
	struct list link;
	struct loop_task task;
	struct keyring *ring;
	bool start, rotate;
	struct jwt_key *promotes; /* what it made current when it tried last, or NULL */
	struct mono_time deadline;
	store_done_fn *done;
	void *arg;
};

enum change {
	CHANGE_NOTHING,
	CHANGE_PROMOTE,
	CHANGE_NEXT,
	CHANGE_SEAL, /* the same record under the first server key */
};

/* Keys that a thread of their own makes: RSA takes its time. */
struct maker {
	struct keyring *ring;
	struct mono_time begun;
	enum jwt_algorithm algorithm;
	size_t n;
	struct jwt_key *keys[2];
	struct loop_task task;
};

struct keyring {
	struct keyring_config config;
	bool fixed, foreign;
	struct {
		pthread_mutex_t lock;
		struct keyring_state *state;
	} shared; /* any thread, locked */
	_Atomic uint64_t generation;

	/* The loop's. */
	struct key_record record; /* as last taken over; no keys before */
	char *sealed;             /* its text in the store */
	struct list waiting;      /* requests */
	struct request *active;
	enum change change;
	struct key_record changed; /* what is being written */
	struct event *timer;
	void (*stopped)(void *arg); /* set when it was stopped */

	/* Of keyring_stop, on its way to the loop. */
	void (*on_stopped)(void *arg);
	void *stopped_arg;
	struct loop_task task;
};

/* --- States, for all threads --- */

static struct keyring_state *state_new(
	const struct keyring *k, const struct jwt_keys *trusted, uint64_t generation)
{
	struct keyring_state *s = xnew(struct keyring_state);
	for (size_t i = 0; i < trusted->n; i++)
		jwt_keys_add(&s->trusted, trusted->keys[i]);
	s->current = k->foreign ? NULL : s->trusted.keys[0];
	s->generation = generation;
	atomic_init(&s->refs_, 1);
	return s;
}

void keyring_state_unref(struct keyring_state *s)
{
	if (!s || atomic_fetch_sub_explicit(&s->refs_, 1, memory_order_acq_rel) != 1)
		return;
	jwt_keys_done(&s->trusted);
	free(s);
}

struct keyring_state *keyring_get(struct keyring *k)
{
	pthread_mutex_lock(&k->shared.lock);
	struct keyring_state *s = k->shared.state;
	if (s)
		atomic_fetch_add_explicit(&s->refs_, 1, memory_order_relaxed);
	pthread_mutex_unlock(&k->shared.lock);
	return s;
}

uint64_t keyring_generation(const struct keyring *k)
{
	return atomic_load_explicit(&k->generation, memory_order_acquire);
}

/* By what they are: the id of a key in a file is whatever its author calls it. */
static bool same_keys(const struct jwt_keys *a, const struct jwt_keys *b)
{
	bool same = a->n == b->n;
	for (size_t i = 0; same && i < a->n; i++)
		same = jwt_key_eq(a->keys[i], b->keys[i]);
	return same;
}

static void log_keys(const struct keyring_state *s)
{
	if (!s->current)
		log_info("jwt.foreign_keys", LOG_I64("trusted", (int64_t)s->trusted.n));
	else
		log_info("jwt.keys", LOG_STR("current", jwt_key_id(s->current)),
			LOG_TEXT("algorithm", jwt_algorithm_name(jwt_key_algorithm(s->current))),
			LOG_I64("trusted", (int64_t)s->trusted.n));
}

static void show(struct keyring *k, const struct jwt_keys *trusted)
{
	/* Only this thread replaces the state, so it may look at it without the lock. */
	struct keyring_state *old = k->shared.state;
	if (old && same_keys(&old->trusted, trusted))
		return;
	struct keyring_state *s = state_new(k, trusted, old ? old->generation + 1 : 1);
	pthread_mutex_lock(&k->shared.lock);
	k->shared.state = s;
	pthread_mutex_unlock(&k->shared.lock);
	atomic_store_explicit(&k->generation, s->generation, memory_order_release);
	log_keys(s);
	keyring_state_unref(old);
}

/* --- Life --- */

static struct keyring *ring_new(void)
{
	struct keyring *k = xnew(struct keyring);
	pthread_mutex_init(&k->shared.lock, NULL);
	list_init(&k->waiting);
	return k;
}

struct keyring *keyring_new(const struct keyring_config *config)
{
	struct keyring *k = ring_new();
	k->config = *config;
	return k;
}

struct status keyring_set_fixed(struct keyring *k, const struct jwt_keys *keys)
{
	if (!k->foreign && (!keys->n || !jwt_key_is_private(keys->keys[0])))
		return status_error(STATUS_INVALID_ARGUMENT,
			"the first key must be a private one, to sign with; it is a public one");
	show(k, keys);
	return status_ok();
}

struct status keyring_new_fixed(
	const struct jwt_keys *keys, struct loop *home, struct keyring **ret)
{
	_cleanup_(keyring_freep) struct keyring *k = ring_new();
	k->fixed = true;
	k->config.home = home;
	TRY(keyring_set_fixed(k, keys));
	*ret = TAKE_PTR(k);
	return status_ok();
}

struct keyring *keyring_new_foreign(const struct jwt_keys *keys)
{
	struct keyring *k = ring_new();
	k->fixed = k->foreign = true;
	show(k, keys);
	return k;
}

void keyring_free(struct keyring *k)
{
	if (!k)
		return;
	assert(!k->active && list_empty(&k->waiting));
	assert(!k->timer);
	keyring_state_unref(k->shared.state);
	pthread_mutex_destroy(&k->shared.lock);
	key_record_done(&k->record);
	free(k->sealed);
	free(k);
}

/* --- Operations --- */

static void begin(struct keyring *k);

static struct status shutting_down(void)
{
	return status_error(STATUS_UNAVAILABLE, "the service is shutting down");
}

/* The last thing that is done with the ring: its owner may free it from within. */
static void tell_stopped(struct keyring *k)
{
	k->stopped(k->stopped_arg);
}

static void answer(struct request *_takes_request, const struct status *status)
{
	if (_takes_request->done)
		_takes_request->done(_takes_request->arg, status);
	jwt_key_unref(_takes_request->promotes);
	free(_takes_request);
}

static void finish(struct keyring *k, struct status status)
{
	struct request *request = TAKE_PTR(k->active);
	key_record_done(&k->changed);
	if (!status_is_ok(&status) && !request->done)
		log_warning("jwt.keys_not_followed", LOG_STATUS(&status));
	answer(request, &status);
	if (!k->stopped)
		begin(k);
	else
		tell_stopped(k);
}

static struct store_waiter waiter(struct keyring *k)
{
	return (struct store_waiter){k->config.home, k->active->deadline, k};
}

static int64_t now_s(const struct keyring *k)
{
	return unix_time_s(clock_now(k->config.clock));
}

/* @text is what the store has. */
static struct status take_over(struct keyring *k, struct str text, bool *ret_sealed_by_first)
{
	*ret_sealed_by_first = true;
	if (k->sealed && str_eq(str_of(k->sealed), text))
		return status_ok();
	_cleanup_buf_ struct buf plain;
	buf_init(&plain, KEY_RECORD_MAX_BYTES);
	struct key_record record;
	struct status status =
		server_key_open(k->config.server_key, PURPOSE, text, &plain, ret_sealed_by_first);
	if (status_is_ok(&status))
		status = key_record_parse(buf_str(&plain), &record);
	if (status.code == STATUS_FAILED_PRECONDITION)
		return status_error(status.code,
			"the signing keys in the store cannot be read: %s. Start with the key "
			"that they were encrypted under",
			status.message);
	if (!status_is_ok(&status))
		return status_error(status.code, "the signing keys in the store cannot be read: %s",
			status.message);
	key_record_done(&k->record);
	k->record = record;
	free(k->sealed);
	k->sealed = str_dup(text);
	return status_ok();
}

static void show_record(struct keyring *k)
{
	struct jwt_keys trusted;
	key_record_expire(&k->record, now_s(k));
	key_record_trusted(&k->record, &trusted);
	show(k, &trusted);
	jwt_keys_done(&trusted);
}

/* The copy shares the keys. */
static struct key_record copy_record(const struct key_record *r)
{
	struct key_record copy = *r;
	jwt_key_ref(copy.current.key);
	jwt_key_ref(copy.next.key);
	for (size_t i = 0; i < copy.n_retired; i++)
		jwt_key_ref(copy.retired[i].key);
	return copy;
}

static char *seal_record(const struct keyring *k, const struct key_record *record)
{
	_cleanup_buf_ struct buf plain;
	struct buf sealed;
	buf_init(&plain, KEY_RECORD_MAX_BYTES);
	buf_init(&sealed, 2 * KEY_RECORD_MAX_BYTES);
	key_record_format(record, &plain);
	assert(!buf_overflown(&plain));
	server_key_seal(k->config.server_key, PURPOSE, buf_str(&plain), &random_system, &sealed);
	return buf_steal(&sealed);
}

/* --- Writing --- */

static void read_record(struct keyring *k);

static void on_written(void *arg, const struct status *status)
{
	struct keyring *k = arg;
	if (status->code == STATUS_ABORTED && !k->stopped) {
		key_record_done(&k->changed);
		read_record(k);
		return;
	}
	if (!status_is_ok(status)) {
		finish(k, *status); /* the next look at the store shows what became of it */
		return;
	}
	key_record_done(&k->record);
	k->record = k->changed;
	k->changed = (struct key_record){.n_retired = 0};
	free(k->sealed);
	k->sealed = NULL;
	show_record(k);
	finish(k, status_ok());
}

/* In the place of what was read. */
static void write_changed(struct keyring *k)
{
	char *sealed = seal_record(k, &k->changed);
	store_setting_replace(
		k->config.store, SETTING, str_of(k->sealed), str_of(sealed), waiter(k), on_written);
	free(sealed);
}

/* --- Making keys --- */

static void *make_keys(void *arg)
{
	struct maker *m = arg;
	for (size_t i = 0; i < m->n; i++)
		m->keys[i] = jwt_key_generate(m->algorithm);
	loop_post(m->ring->config.home, &m->task);
	return NULL;
}

static void start_maker(struct keyring *k, size_t n, void (*run)(struct loop_task *task))
{
	struct maker *m = xnew(struct maker);
	m->ring = k;
	m->begun = clock_mono(k->config.clock);
	m->algorithm = k->config.existing_only ? jwt_key_algorithm(k->record.next.key)
					       : k->config.algorithm;
	m->n = n;
	m->task.run = run;
	pthread_t thread;
	pthread_attr_t attr;
	sigset_t all, before;
	sigfillset(&all); /* signals are the main thread's */
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = pthread_create(&thread, &attr, make_keys, m);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	if (error)
		make_keys(m); /* slower for this loop, but right */
}

/* The deadline is for the store. A machine that makes keys slowly would else make them in vain, and
 * again at every try. */
static void allow_for(struct request *r, const struct maker *m)
{
	int64_t us = clock_mono(m->ring->config.clock).us - m->begun.us;
	r->deadline.us += r->deadline.us < INT64_MAX - us ? us : 0;
}

static void on_next_made(struct loop_task *task)
{
	struct maker *m = container_of(task, struct maker, task);
	struct keyring *k = m->ring;
	struct jwt_key *key = m->keys[0];
	allow_for(k->active, m);
	free(m);
	k->changed = copy_record(&k->record);
	if (k->change == CHANGE_PROMOTE) {
		struct status status = key_record_promote(&k->changed, key, now_s(k));
		if (!status_is_ok(&status)) {
			finish(k, status);
			return;
		}
		jwt_key_unref(k->active->promotes);
		k->active->promotes = jwt_key_ref(k->changed.current.key);
	} else {
		key_record_replace_next(&k->changed, key, now_s(k));
	}
	write_changed(k);
}

/* --- Reading --- */

static enum change what_is_due(const struct keyring *k, bool sealed_by_first)
{
	const struct key_record *r = &k->record;
	int64_t now = now_s(k);
	if (k->active->rotate) { /* another replica may have done it meanwhile */
		const struct jwt_key *promotes = k->active->promotes;
		return promotes && jwt_key_eq(promotes, r->current.key) ? CHANGE_NOTHING
									: CHANGE_PROMOTE;
	}
	if (k->config.existing_only)
		return CHANGE_NOTHING;
	if (k->config.key_lifetime_s && now - r->current.since_s >= k->config.key_lifetime_s)
		return CHANGE_PROMOTE;
	if (jwt_key_algorithm(r->current.key) != k->config.algorithm) {
		if (jwt_key_algorithm(r->next.key) != k->config.algorithm)
			return CHANGE_NEXT;
		if (now - r->next.since_s >= NEXT_MIN_AGE_S)
			return CHANGE_PROMOTE;
	}
	return sealed_by_first ? CHANGE_NOTHING : CHANGE_SEAL;
}

static void on_record(struct keyring *k, struct str text)
{
	bool sealed_by_first;
	struct status status = take_over(k, text, &sealed_by_first);
	if (!status_is_ok(&status)) {
		finish(k, status);
		return;
	}
	show_record(k);
	k->change = what_is_due(k, sealed_by_first);
	switch (k->change) {
	case CHANGE_NOTHING:
		finish(k, status_ok());
		break;
	case CHANGE_SEAL:
		k->changed = copy_record(&k->record);
		write_changed(k);
		break;
	case CHANGE_PROMOTE:
	case CHANGE_NEXT:
		start_maker(k, 1, on_next_made);
		break;
	}
}

static void on_initialised(void *arg, const struct status *status, struct str value)
{
	struct keyring *k = arg;
	if (status_is_ok(status))
		on_record(k, value);
	else
		finish(k, *status);
}

static void init_record(struct keyring *k, const struct key_record *record)
{
	char *sealed = seal_record(k, record);
	store_setting_init(k->config.store, SETTING, str_of(sealed), waiter(k), on_initialised);
	free(sealed);
}

static void on_first_made(struct loop_task *task)
{
	struct maker *m = container_of(task, struct maker, task);
	struct keyring *k = m->ring;
	_cleanup_key_record_ struct key_record record;
	key_record_init(&record, m->keys[0], m->keys[1], now_s(k));
	allow_for(k->active, m);
	free(m);
	init_record(k, &record);
}

static void on_read(void *arg, const struct status *status, struct str value)
{
	struct keyring *k = arg;
	if (status_is_ok(status))
		on_record(k, value);
	else if (status->code != STATUS_NOT_FOUND)
		finish(k, *status);
	else if (k->config.existing_only)
		finish(k, status_error(STATUS_NOT_FOUND, "there are no signing keys yet: the "
							 "service makes them at its first start"));
	else if (k->record.current.key) /* a database that was put back: ours are still good */
		init_record(k, &k->record);
	else
		start_maker(k, 2, on_first_made);
}

static void read_record(struct keyring *k)
{
	store_setting_get(k->config.store, SETTING, waiter(k), on_read);
}

static void begin(struct keyring *k)
{
	struct list *link = k->active ? NULL : list_pop(&k->waiting);
	if (!link)
		return;
	k->active = container_of(link, struct request, link);
	read_record(k);
}

/* --- The doors: any thread comes in, the loop goes on --- */

static void follow(evutil_socket_t fd, short what, void *arg);

static void run_request(struct loop_task *task)
{
	struct request *request = container_of(task, struct request, task);
	struct keyring *k = request->ring;
	if (k->stopped) {
		struct status status = shutting_down();
		answer(request, &status);
		return;
	}
	if (request->start && !k->timer) {
		k->timer = event_new(loop_base(k->config.home), -1, EV_PERSIST, follow, k);
		event_add(k->timer, &(struct timeval){.tv_sec = FOLLOW_INTERVAL_S});
	}
	list_add_tail(&k->waiting, &request->link);
	begin(k);
}

static void ask(struct keyring *k, struct request what)
{
	struct request *request = xnew(struct request);
	*request = what;
	list_init(&request->link);
	request->ring = k;
	request->task.run = run_request;
	loop_post(k->config.home, &request->task);
}

static void follow(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct keyring *k = arg;
	if (!k->active)
		keyring_follow(k);
}

void keyring_follow(struct keyring *k)
{
	ask(k, (struct request){.deadline = mono_time_add_ms(
					clock_mono(k->config.clock), FOLLOW_TIMEOUT_MS)});
}

void keyring_start(struct keyring *k, struct mono_time deadline, store_done_fn *done, void *arg)
{
	assert(!k->fixed);
	ask(k, (struct request){.start = true, .deadline = deadline, .done = done, .arg = arg});
}

struct status keyring_rotate(
	struct keyring *k, struct mono_time deadline, store_done_fn *done, void *arg)
{
	if (k->fixed)
		return status_error(STATUS_FAILED_PRECONDITION,
			"the signing keys come from a file: they change when the file does");
	ask(k, (struct request){.rotate = true, .deadline = deadline, .done = done, .arg = arg});
	return status_ok();
}

static void run_stop(struct loop_task *task)
{
	struct keyring *k = container_of(task, struct keyring, task);
	k->stopped = k->on_stopped;
	if (k->timer)
		event_free(TAKE_PTR(k->timer)); /* on its own thread */
	struct status status = shutting_down();
	struct list *link;
	while ((link = list_pop(&k->waiting)))
		answer(container_of(link, struct request, link), &status);
	if (!k->active)
		tell_stopped(k);
}

void keyring_stop(struct keyring *k, void (*stopped)(void *arg), void *arg)
{
	k->on_stopped = stopped;
	k->stopped_arg = arg;
	k->task.run = run_stop;
	loop_post(k->config.home, &k->task);
}
