/* SPDX-License-Identifier: Apache-2.0 */
#include "common/rpc/health.h"

#include "common/base/xalloc.h"

#include <pthread.h>
#include <stdlib.h>

struct service {
	struct list link;
	enum health_state state;
	char name[];
};

struct health {
	pthread_mutex_t lock;
	struct list services; /* a handful: searched from the front */
	struct list watchers;
	bool shut_down;
};

static struct service *find(const struct health *h, struct str name)
{
	list_for_each (node, &h->services) {
		struct service *s = container_of(node, struct service, link);
		if (str_eq(str_of(s->name), name))
			return s;
	}
	return NULL;
}

static struct service *find_or_add(struct health *h, const char *name)
{
	struct service *s = find(h, str_of(name));
	if (s)
		return s;
	size_t n = strlen(name);
	s = xcalloc(1, sizeof *s + n + 1);
	memcpy(s->name, name, n);
	s->state = HEALTH_SERVICE_UNKNOWN;
	list_add_tail(&h->services, &s->link);
	return s;
}

static void change(struct health *h, struct service *s, enum health_state state)
{
	if (s->state == state)
		return;
	s->state = state;
	list_for_each (node, &h->watchers) {
		struct health_watcher *w = container_of(node, struct health_watcher, link_);
		if (strcmp(w->service_, s->name) == 0)
			w->changed(w, state);
	}
}

struct health *health_new(void)
{
	struct health *h = xnew(struct health);
	pthread_mutex_init(&h->lock, NULL);
	list_init(&h->services);
	list_init(&h->watchers);
	find_or_add(h, "")->state = HEALTH_NOT_SERVING;
	return h;
}

void health_free(struct health *h)
{
	if (!h)
		return;
	struct list *node;
	while ((node = list_pop(&h->services)))
		free(container_of(node, struct service, link));
	pthread_mutex_destroy(&h->lock);
	free(h);
}

void health_set(struct health *h, const char *service, bool serving)
{
	pthread_mutex_lock(&h->lock);
	if (!h->shut_down)
		change(h, find_or_add(h, service), serving ? HEALTH_SERVING : HEALTH_NOT_SERVING);
	pthread_mutex_unlock(&h->lock);
}

void health_shut_down(struct health *h)
{
	pthread_mutex_lock(&h->lock);
	h->shut_down = true;
	list_for_each (node, &h->services)
		change(h, container_of(node, struct service, link), HEALTH_NOT_SERVING);
	pthread_mutex_unlock(&h->lock);
}

static enum health_state state_of(const struct health *h, struct str service)
{
	const struct service *s = find(h, service);
	return s ? s->state : HEALTH_SERVICE_UNKNOWN;
}

enum health_state health_get(struct health *h, struct str service)
{
	pthread_mutex_lock(&h->lock);
	enum health_state state = state_of(h, service);
	pthread_mutex_unlock(&h->lock);
	return state;
}

void health_watch(struct health *h, struct health_watcher *w, struct str service)
{
	pthread_mutex_lock(&h->lock);
	w->service_ = str_dup(service);
	list_add_tail(&h->watchers, &w->link_);
	w->changed(w, state_of(h, service));
	pthread_mutex_unlock(&h->lock);
}

void health_unwatch(struct health *h, struct health_watcher *w)
{
	pthread_mutex_lock(&h->lock);
	list_remove(&w->link_);
	pthread_mutex_unlock(&h->lock);
	free(w->service_);
}
