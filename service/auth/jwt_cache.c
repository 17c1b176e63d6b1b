/* SPDX-License-Identifier: Apache-2.0 */
#include "service/auth/jwt_cache.h"

#include "common/base/xalloc.h"

#include <pthread.h>
#include <string.h>

enum {
	WAYS = 4,
	LOCKS = 16, /* sets share them */
};

struct entry {
	struct jwt_cache_key key;
	uint64_t generation;
	struct jwt *jwt; /* NULL: free */
};

struct set {
	struct entry ways[WAYS];
};

struct jwt_cache {
	struct {
		_Alignas(64) pthread_mutex_t mutex;
	} locks[LOCKS];
	size_t n_sets;
	struct set *sets; /* a set is guarded by the lock of its number */
};

struct jwt_cache_key jwt_cache_key_of(struct str compact)
{
	struct jwt_cache_key key;
	sha256(compact, key.hash);
	return key;
}

struct jwt_cache *jwt_cache_new(size_t entries)
{
	struct jwt_cache *c = aligned_alloc(64, (sizeof *c + 63) / 64 * 64);
	if (!c)
		abort();
	c->n_sets = LOCKS;
	while (c->n_sets * WAYS < entries)
		c->n_sets *= 2;
	c->sets = xcalloc(c->n_sets, sizeof *c->sets);
	for (size_t i = 0; i < LOCKS; i++)
		pthread_mutex_init(&c->locks[i].mutex, NULL);
	return c;
}

void jwt_cache_free(struct jwt_cache *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n_sets; i++)
		for (size_t way = 0; way < WAYS; way++)
			jwt_unref(c->sets[i].ways[way].jwt);
	for (size_t i = 0; i < LOCKS; i++)
		pthread_mutex_destroy(&c->locks[i].mutex);
	free(c->sets);
	free(c);
}

/* The set that @key belongs to, locked; any bytes of a SHA-256 are as good as others. */
static struct set *lock_set(
	struct jwt_cache *c, const struct jwt_cache_key *key, pthread_mutex_t **ret_lock)
{
	uint32_t number;
	memcpy(&number, key->hash, sizeof number);
	size_t index = number & (c->n_sets - 1);
	*ret_lock = &c->locks[index % LOCKS].mutex;
	pthread_mutex_lock(*ret_lock);
	return &c->sets[index];
}

static struct entry *find(struct set *set, const struct jwt_cache_key *key)
{
	for (size_t way = 0; way < WAYS; way++) {
		struct entry *e = &set->ways[way];
		if (e->jwt && memcmp(e->key.hash, key->hash, sizeof key->hash) == 0)
			return e;
	}
	return NULL;
}

struct jwt *jwt_cache_get(struct jwt_cache *c, const struct jwt_cache_key *key, uint64_t generation)
{
	pthread_mutex_t *lock;
	struct set *set = lock_set(c, key, &lock);
	const struct entry *e = find(set, key);
	struct jwt *jwt = e && e->generation == generation ? jwt_ref(e->jwt) : NULL;
	pthread_mutex_unlock(lock);
	return jwt;
}

/* The one of @key, a free one, or the one that expires first. */
static struct entry *victim(struct set *set, const struct jwt_cache_key *key)
{
	struct entry *best = find(set, key);
	for (size_t way = 0; way < WAYS && !best; way++)
		if (!set->ways[way].jwt)
			best = &set->ways[way];
	if (best)
		return best;
	best = &set->ways[0];
	for (size_t way = 1; way < WAYS; way++)
		if (set->ways[way].jwt->expires.us < best->jwt->expires.us)
			best = &set->ways[way];
	return best;
}

void jwt_cache_put(
	struct jwt_cache *c, const struct jwt_cache_key *key, uint64_t generation, struct jwt *jwt)
{
	if (jwt->bytes > JWT_CACHE_MAX_ENTRY_BYTES)
		return;
	pthread_mutex_t *lock;
	struct set *set = lock_set(c, key, &lock);
	struct entry *e = victim(set, key);
	struct jwt *old = e->jwt;
	*e = (struct entry){.key = *key, .generation = generation, .jwt = jwt_ref(jwt)};
	pthread_mutex_unlock(lock);
	jwt_unref(old);
}
