/* SPDX-License-Identifier: Apache-2.0 */
#include "common/program/file_watch.h"

#include "common/base/log.h"
#include "common/base/xalloc.h"
#include "common/event/loop.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
	INTERVAL_S = 1,
	FILES_MAX = 8
};

/* What tells a file from the one that was there before; zero: there is none. */
struct stamp {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec changed;
};

struct group {
	char *what;
	char *paths[FILES_MAX];
	size_t n;
	struct status (*read)(void *arg);
	void *arg;
	struct stamp in_use[FILES_MAX]; /* what @read took over */
	struct stamp seen[FILES_MAX];   /* at the last look */
	struct status said;             /* the last complaint */
};

struct file_watch {
	struct event *timer;
	struct loop *home;
	struct loop_task start;
	struct {
		pthread_mutex_t lock;
		struct group *groups;
		size_t n;
	} shared; /* any thread, locked */
};

static void look_at(const struct group *g, struct stamp ret[FILES_MAX])
{
	/* padding too: they are compared as bytes */
	memset(ret, 0, FILES_MAX * sizeof *ret);
	for (size_t i = 0; i < g->n; i++) {
		struct stat st;
		if (stat(g->paths[i], &st) < 0)
			continue;
		ret[i].device = st.st_dev;
		ret[i].inode = st.st_ino;
		ret[i].size = st.st_size;
		ret[i].changed.tv_sec = st.st_ctim.tv_sec;
		ret[i].changed.tv_nsec = st.st_ctim.tv_nsec;
	}
}

static bool same(const struct stamp a[FILES_MAX], const struct stamp b[FILES_MAX])
{
	return memcmp(a, b, FILES_MAX * sizeof *a) == 0;
}

struct file_watch *file_watch_new(void)
{
	struct file_watch *w = xnew(struct file_watch);
	pthread_mutex_init(&w->shared.lock, NULL);
	return w;
}

void file_watch_free(struct file_watch *w)
{
	if (!w)
		return;
	if (w->timer)
		event_free(w->timer);
	for (size_t i = 0; i < w->shared.n; i++) {
		struct group *g = &w->shared.groups[i];
		for (size_t k = 0; k < g->n; k++)
			free(g->paths[k]);
		free(g->what);
	}
	free(w->shared.groups);
	pthread_mutex_destroy(&w->shared.lock);
	free(w);
}

void file_watch_add(struct file_watch *w, const char *what, const char *const *paths, size_t n,
	struct status (*read)(void *arg), void *arg)
{
	struct group g = {.read = read, .arg = arg, .said = status_ok()};
	for (size_t i = 0; i < n; i++)
		if (paths[i] && g.n < FILES_MAX)
			g.paths[g.n++] = xstrdup(paths[i]);
	g.what = xstrdup(what);
	look_at(&g, g.in_use);
	memcpy(g.seen, g.in_use, sizeof g.seen);
	pthread_mutex_lock(&w->shared.lock);
	w->shared.groups = xreallocarray(w->shared.groups, w->shared.n + 1, sizeof g);
	w->shared.groups[w->shared.n++] = g;
	pthread_mutex_unlock(&w->shared.lock);
}

/* What was looked at first is what is remembered: a file that changes meanwhile is read again. */
static struct status take_over(struct group *g)
{
	struct stamp now[FILES_MAX];
	look_at(g, now);
	TRY(g->read(g->arg));
	memcpy(g->in_use, now, sizeof g->in_use);
	memcpy(g->seen, now, sizeof g->seen);
	g->said = status_ok();
	return status_ok();
}

static void complain(struct group *g, const struct status *status)
{
	log_error("reload.failed", LOG_TEXT("what", g->what), LOG_STATUS(status),
		LOG_TEXT("meaning", "what was read before stays in use; it is tried again"));
	g->said = *status;
}

static void read_changed(struct group *g)
{
	struct status status = take_over(g);
	if (status_is_ok(&status))
		log_info("reload.files", LOG_TEXT("what", g->what));
	else if (g->said.code != status.code || strcmp(g->said.message, status.message) != 0)
		complain(g, &status);
}

static void look(struct group *g)
{
	struct stamp now[FILES_MAX];
	look_at(g, now);
	bool rests = same(now, g->seen);
	memcpy(g->seen, now, sizeof g->seen);
	if (same(now, g->in_use))
		g->said = status_ok();
	else if (rests)
		read_changed(g);
}

void file_watch_look(struct file_watch *w)
{
	pthread_mutex_lock(&w->shared.lock);
	for (size_t i = 0; i < w->shared.n; i++)
		look(&w->shared.groups[i]);
	pthread_mutex_unlock(&w->shared.lock);
}

bool file_watch_read(struct file_watch *w)
{
	bool good = true;
	pthread_mutex_lock(&w->shared.lock);
	for (size_t i = 0; i < w->shared.n; i++) {
		struct group *g = &w->shared.groups[i];
		struct status status = take_over(g);
		if (status_is_ok(&status))
			continue;
		good = false;
		complain(g, &status);
	}
	pthread_mutex_unlock(&w->shared.lock);
	return good;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	file_watch_look(arg);
}

static void start(struct loop_task *task)
{
	struct file_watch *w = container_of(task, struct file_watch, start);
	const struct timeval interval = {INTERVAL_S, 0};
	w->timer = event_new(loop_base(w->home), -1, EV_PERSIST, on_timer, w);
	event_add(w->timer, &interval);
}

void file_watch_start(struct file_watch *w, struct loop *home)
{
	w->home = home;
	w->start.run = start;
	loop_post(home, &w->start);
}
