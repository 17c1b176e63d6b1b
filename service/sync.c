/* SPDX-License-Identifier: Apache-2.0 */
#include "service/sync.h"

void sync_init(struct sync *s)
{
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->changed, NULL);
	s->is_done = false;
}

void sync_done(struct sync *s, const struct status *status)
{
	pthread_mutex_lock(&s->lock);
	s->status = *status;
	s->is_done = true;
	pthread_cond_signal(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

struct status sync_wait(struct sync *s)
{
	pthread_mutex_lock(&s->lock);
	while (!s->is_done)
		pthread_cond_wait(&s->changed, &s->lock);
	pthread_mutex_unlock(&s->lock);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->changed);
	return s->status;
}

void sync_on_done(void *arg, const struct status *status)
{
	sync_done(arg, status);
}

void sync_on_stopped(void *arg)
{
	struct status ok = status_ok();
	sync_done(arg, &ok);
}
