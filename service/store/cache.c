/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/cache.h"

#include "common/base/buf.h"
#include "common/base/list.h"
#include "common/base/sha256.h"
#include "common/base/xalloc.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
	DEFAULT_SHARDS = 64,
	FIRST_BUCKETS = 8,
	/* What malloc takes beside an entry. */
	MALLOC_OVERHEAD = 16,
	/* Unknown keys may take one part in so many. */
	UNKNOWN_SHARE = 8,
};

struct entry {
	struct entry *next;     /* of the bucket */
	struct list age;        /* of known or of unknown ones, the oldest first */
	struct token *token;    /* NULL: unknown */
	struct mono_time until; /* served before this */
	uint32_t bytes;
	bool used;    /* since it last came to the front of its list: spared once */
	bool doubted; /* the store is to be asked */
	struct cache_key key;
};

/* A queue of entries with a second chance, and how much is in it. */
struct pool {
	struct list entries;
	size_t bytes, max_bytes;
};

struct shard {
	pthread_mutex_t lock;
	uint32_t epoch;
	size_t n_buckets; /* a power of two */
	size_t n_entries;
	struct entry **buckets;
	struct pool known, unknown;
	uint64_t hits, unknown_hits, misses, evictions;
} __attribute__((aligned(64))); /* a line of its own: neighbours' locks do not meet */

struct cache {
	struct cache_options options;
	uint64_t seed[2];
	unsigned n_shards;
	struct shard *shards;
};

/* --- Keys --- */

struct cache_key cache_key_of_hash(const struct token_hash *hash)
{
	struct cache_key key;
	_Static_assert(sizeof key.bytes == sizeof hash->bytes, "a key is a SHA-256");
	memcpy(key.bytes, hash->bytes, sizeof key.bytes);
	return key;
}

struct cache_key cache_key_of_name(enum token_kind kind, struct str owner, struct str name)
{
	/* The NUL in front keeps names apart from secrets, which are text; the length keeps
	 * (owner, name) pairs apart. */
	static const char domain[] = "\0osmo token name";
	uint8_t head[sizeof domain + 1 + sizeof(uint32_t)];
	const uint32_t owner_bytes = (uint32_t)owner.n;
	memcpy(head, domain, sizeof domain);
	head[sizeof domain] = (uint8_t)kind;
	memcpy(head + sizeof domain + 1, &owner_bytes, sizeof owner_bytes);

	_cleanup_buf_ struct buf text;
	buf_init(&text, SIZE_MAX);
	buf_append(&text, head, sizeof head);
	buf_append_str(&text, owner);
	buf_append_str(&text, name);
	struct cache_key key;
	sha256(buf_str(&text), key.bytes);
	return key;
}

/* Somebody can look for secrets whose hashes begin alike, but not without the seed for ones that
 * meet in a bucket. */
static uint64_t place_of(const struct cache *c, const struct cache_key *key)
{
	uint64_t word[2];
	memcpy(word, key->bytes, sizeof word);
	__extension__ unsigned __int128 product =
		(unsigned __int128)(word[0] ^ c->seed[0]) * (word[1] ^ c->seed[1]);
	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static struct shard *shard_of(const struct cache *c, uint64_t place)
{
	return &c->shards[place & (c->n_shards - 1)];
}

static struct entry **bucket_of(const struct shard *s, uint64_t place)
{
	return &s->buckets[(place >> 32) & (s->n_buckets - 1)];
}

static bool key_eq(const struct cache_key *a, const struct cache_key *b)
{
	/* Hashes, of which nothing can be learned by time: they are not the secret. */
	return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

/* --- A shard; the caller holds its lock --- */

static struct entry **find(struct shard *s, uint64_t place, const struct cache_key *key)
{
	struct entry **at = bucket_of(s, place);
	while (*at && !key_eq(&(*at)->key, key))
		at = &(*at)->next;
	return at;
}

static struct pool *pool_of(struct shard *s, const struct entry *e)
{
	return e->token ? &s->known : &s->unknown;
}

static void remove_at(struct shard *s, struct entry **at)
{
	struct entry *e = *at;
	*at = e->next;
	list_remove(&e->age);
	pool_of(s, e)->bytes -= e->bytes;
	s->n_entries--;
	token_unref(e->token);
	free(e);
}

static void evict(const struct cache *c, struct shard *s, struct pool *pool)
{
	while (pool->bytes > pool->max_bytes && !list_empty(&pool->entries)) {
		struct entry *e = container_of(pool->entries.next, struct entry, age);
		if (e->used) {
			e->used = false;
			list_remove(&e->age);
			list_add_tail(&pool->entries, &e->age);
			continue;
		}
		remove_at(s, find(s, place_of(c, &e->key), &e->key));
		s->evictions++;
	}
}

static void grow(const struct cache *c, struct shard *s)
{
	struct entry **old = s->buckets;
	size_t n_old = s->n_buckets;
	s->n_buckets = n_old ? n_old * 2 : FIRST_BUCKETS;
	s->buckets = xcalloc(s->n_buckets, sizeof(struct entry *));
	for (size_t i = 0; i < n_old; i++) {
		for (struct entry *e = old[i], *next; e; e = next) {
			next = e->next;
			struct entry **at = bucket_of(s, place_of(c, &e->key));
			e->next = *at;
			*at = e;
		}
	}
	free(old);
}

static void add(const struct cache *c, struct shard *s, uint64_t place, const struct cache_key *key,
	struct token *token, struct mono_time until)
{
	if (s->n_entries >= s->n_buckets)
		grow(c, s);
	struct entry *e = xnew(struct entry);
	/* With its bucket, and its token as if nobody else had it. */
	size_t bytes = sizeof *e + MALLOC_OVERHEAD + sizeof(struct entry *) +
		       (token ? token->bytes + MALLOC_OVERHEAD : 0);
	e->key = *key;
	e->token = token ? token_ref(token) : NULL;
	e->until = until;
	e->bytes = (uint32_t)bytes;
	struct entry **at = bucket_of(s, place);
	e->next = *at;
	*at = e;
	struct pool *pool = pool_of(s, e);
	list_add_tail(&pool->entries, &e->age);
	pool->bytes += bytes;
	s->n_entries++;
	evict(c, s, pool);
}

static void clear(struct shard *s)
{
	s->epoch++;
	for (size_t i = 0; i < s->n_buckets; i++)
		while (s->buckets[i])
			remove_at(s, &s->buckets[i]);
}

/* --- All of it --- */

struct cache *cache_new(const struct cache_options *options)
{
	struct cache *c = xnew(struct cache);
	c->options = *options;
	if (c->options.unknown_ttl_ms > c->options.ttl_ms)
		c->options.unknown_ttl_ms = c->options.ttl_ms;
	c->n_shards = options->n_shards ? options->n_shards : DEFAULT_SHARDS;
	random_bytes(options->random, c->seed, sizeof c->seed);
	c->shards = aligned_alloc(64, c->n_shards * sizeof *c->shards);
	if (!c->shards)
		abort();
	memset(c->shards, 0, c->n_shards * sizeof *c->shards);
	size_t per_shard = options->max_bytes / c->n_shards;
	for (unsigned i = 0; i < c->n_shards; i++) {
		struct shard *s = &c->shards[i];
		pthread_mutex_init(&s->lock, NULL);
		list_init(&s->known.entries);
		list_init(&s->unknown.entries);
		s->unknown.max_bytes = per_shard / UNKNOWN_SHARE;
		s->known.max_bytes = per_shard - s->unknown.max_bytes;
		grow(c, s);
	}
	return c;
}

void cache_free(struct cache *c)
{
	if (!c)
		return;
	for (unsigned i = 0; i < c->n_shards; i++) {
		clear(&c->shards[i]);
		free(c->shards[i].buckets);
		pthread_mutex_destroy(&c->shards[i].lock);
	}
	free(c->shards);
	free(c);
}

enum cache_result cache_get(struct cache *c, const struct cache_key *key, struct mono_time now,
	struct token **ret_token, struct cache_ticket *ret_ticket)
{
	uint64_t place = place_of(c, key);
	struct shard *s = shard_of(c, place);
	enum cache_result result = CACHE_MISS;
	pthread_mutex_lock(&s->lock);
	struct entry **at = find(s, place, key);
	struct entry *e = *at;
	if (e && now.us >= e->until.us) {
		remove_at(s, at);
		e = NULL;
	}
	if (!e || e->doubted) {
		s->misses++;
		if (ret_ticket)
			ret_ticket->epoch = s->epoch;
	} else if (e->token) {
		if (!e->used) /* a write would take the line from the other threads */
			e->used = true;
		s->hits++;
		*ret_token = token_ref(e->token);
		result = CACHE_HIT;
	} else {
		s->unknown_hits++;
		result = CACHE_UNKNOWN;
	}
	pthread_mutex_unlock(&s->lock);
	return result;
}

void cache_fill(struct cache *c, const struct cache_key *key, struct cache_ticket ticket,
	struct token *token, struct mono_time now)
{
	uint64_t place = place_of(c, key);
	struct shard *s = shard_of(c, place);
	struct mono_time until =
		mono_time_add_ms(now, token ? c->options.ttl_ms : c->options.unknown_ttl_ms);
	if (until.us <= now.us)
		return;
	pthread_mutex_lock(&s->lock);
	if (s->epoch == ticket.epoch) {
		struct entry **at = find(s, place, key);
		if (*at)
			remove_at(s, at);
		add(c, s, place, key, token, until);
	}
	pthread_mutex_unlock(&s->lock);
}

bool cache_ticket_is_current(
	struct cache *c, const struct cache_key *key, struct cache_ticket ticket)
{
	struct shard *s = shard_of(c, place_of(c, key));
	pthread_mutex_lock(&s->lock);
	bool current = s->epoch == ticket.epoch;
	pthread_mutex_unlock(&s->lock);
	return current;
}

static void forget(struct cache *c, const struct cache_key *key)
{
	uint64_t place = place_of(c, key);
	struct shard *s = shard_of(c, place);
	pthread_mutex_lock(&s->lock);
	s->epoch++;
	struct entry **at = find(s, place, key);
	if (*at)
		remove_at(s, at);
	pthread_mutex_unlock(&s->lock);
}

void cache_token_changed(struct cache *c, const struct token_fields *token)
{
	struct cache_key by_hash = cache_key_of_hash(&token->hash);
	struct cache_key by_name = cache_key_of_name(token->kind, token->owner, token->name);
	forget(c, &by_hash);
	forget(c, &by_name);
	if (token->old_until.us) {
		struct cache_key by_old_hash = cache_key_of_hash(&token->old_hash);
		forget(c, &by_old_hash);
	}
}

static void doubt(struct shard *s)
{
	s->epoch++;
	for (size_t i = 0; i < s->n_buckets; i++)
		for (struct entry **at = &s->buckets[i]; *at;) {
			if (!(*at)->token) {
				remove_at(s, at);
				continue;
			}
			(*at)->doubted = true;
			at = &(*at)->next;
		}
}

void cache_doubt(struct cache *c)
{
	for (unsigned i = 0; i < c->n_shards; i++) {
		pthread_mutex_lock(&c->shards[i].lock);
		doubt(&c->shards[i]);
		pthread_mutex_unlock(&c->shards[i].lock);
	}
}

struct token *cache_get_doubted(struct cache *c, const struct cache_key *key, struct mono_time now)
{
	uint64_t place = place_of(c, key);
	struct shard *s = shard_of(c, place);
	struct token *token = NULL;
	pthread_mutex_lock(&s->lock);
	const struct entry *e = *find(s, place, key);
	if (e && e->token && now.us < e->until.us)
		token = token_ref(e->token);
	pthread_mutex_unlock(&s->lock);
	return token;
}

struct cache_stats cache_stats(struct cache *c)
{
	struct cache_stats sum = {0};
	for (unsigned i = 0; i < c->n_shards; i++) {
		struct shard *s = &c->shards[i];
		pthread_mutex_lock(&s->lock);
		sum.hits += s->hits;
		sum.unknown_hits += s->unknown_hits;
		sum.misses += s->misses;
		sum.evictions += s->evictions;
		sum.entries += s->n_entries;
		sum.bytes += s->known.bytes + s->unknown.bytes;
		pthread_mutex_unlock(&s->lock);
	}
	return sum;
}
