/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/sqlite/checkpointer.h"

enum {
	/* Of 4 KiB. */
	STEP_PAGES = 4000,          /* a checkpoint each */
	LONG_LOG_PAGES = 32000,     /* from here on it should begin anew, ... */
	SMALL_REST_PAGES = 500,     /* ... once no more than this is left to do, ... */
	TOO_LONG_LOG_PAGES = 64000, /* ... and from here on whatever it takes */
};

void checkpointer_init(struct checkpointer *p)
{
	pthread_mutex_init(&p->shared.lock, NULL);
	pthread_cond_init(&p->shared.changed, NULL);
	p->wanted_at = STEP_PAGES;
	p->finished_at = 0;
	p->shared.wanted = p->shared.runs = p->shared.closed = false;
	p->shared.copied_pages = 0;
}

void checkpointer_done(struct checkpointer *p)
{
	pthread_cond_destroy(&p->shared.changed);
	pthread_mutex_destroy(&p->shared.lock);
}

/* Waits; false when it is closed. */
static bool is_wanted(struct checkpointer *p)
{
	pthread_mutex_lock(&p->shared.lock);
	p->shared.runs = false;
	while (!p->shared.wanted && !p->shared.closed)
		pthread_cond_wait(&p->shared.changed, &p->shared.lock);
	bool wanted = !p->shared.closed;
	p->shared.wanted = false;
	p->shared.runs = wanted;
	pthread_mutex_unlock(&p->shared.lock);
	return wanted;
}

void checkpointer_run(struct checkpointer *p)
{
	while (is_wanted(p)) {
		int pages = 0;
		struct status status = link_use(&p->link, NULL);
		/* A failure was logged; the log grows until the next one. */
		if (status_is_ok(&status))
			(void)connection_checkpoint(&p->link.connection, &pages, NULL).code;
		pthread_mutex_lock(&p->shared.lock);
		p->shared.copied_pages = pages;
		pthread_mutex_unlock(&p->shared.lock);
	}
	link_close(&p->link);
}

void checkpointer_close(struct checkpointer *p)
{
	pthread_mutex_lock(&p->shared.lock);
	p->shared.closed = true;
	pthread_cond_signal(&p->shared.changed);
	pthread_mutex_unlock(&p->shared.lock);
}

/* How much of the log the last checkpoint copied; -1 while one runs or is about to. */
static int copied(struct checkpointer *p)
{
	pthread_mutex_lock(&p->shared.lock);
	int pages = p->shared.runs || p->shared.wanted ? -1 : p->shared.copied_pages;
	pthread_mutex_unlock(&p->shared.lock);
	return pages;
}

static void ask(struct checkpointer *p)
{
	pthread_mutex_lock(&p->shared.lock);
	p->shared.wanted = true;
	p->shared.copied_pages = 0;
	pthread_cond_signal(&p->shared.changed);
	pthread_mutex_unlock(&p->shared.lock);
}

/* What is left for the writer, so that the log can begin anew at its next commit. */
static void finish(struct checkpointer *p, struct connection *c)
{
	(void)connection_checkpoint(c, NULL, NULL).code; /* a reader may be in the way: next time */
	p->wanted_at = c->wal_pages + STEP_PAGES;
	p->finished_at = c->wal_pages;
}

void checkpointer_look(struct checkpointer *p, struct connection *c)
{
	const int pages = c->wal_pages;
	if (pages < p->wanted_at - STEP_PAGES) { /* it began anew */
		p->wanted_at = STEP_PAGES;
		p->finished_at = 0;
	}
	bool is_due = pages >= p->wanted_at;
	if ((!is_due && pages < LONG_LOG_PAGES) || pages == p->finished_at)
		return;
	int done = copied(p);
	if (done < 0)
		return;
	bool rest_is_small = done > p->finished_at && pages - done <= SMALL_REST_PAGES;
	if ((pages >= LONG_LOG_PAGES && rest_is_small) || (is_due && pages >= TOO_LONG_LOG_PAGES)) {
		finish(p, c);
	} else if (is_due) {
		ask(p);
		p->wanted_at = pages + STEP_PAGES;
	}
}
