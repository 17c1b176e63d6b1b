/* SPDX-License-Identifier: Apache-2.0 */
#include "common/metrics/metrics.h"

#include "common/base/list.h"
#include "common/base/str.h"
#include "common/base/xalloc.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Each shard is an array with a slot for every number of every series. A thread adds to one shard
 * for all its life; as many shards as cores (within bounds) keep threads apart most of the time,
 * and a slot that two threads do share is still exact. The memory is mapped once and at full size,
 * so that adding never meets a reallocation; pages nobody counted in cost nothing. */
enum {
	SLOTS_MAX = 16384,
	SHARDS_MIN = 4,
	SHARDS_MAX = 32,
	BOUNDS_MAX = 40,
	LABELS_MAX = 8
};

struct slot {
	_Atomic uint64_t n;
};

enum metric_type {
	METRIC_COUNTER,
	METRIC_GAUGE,
	METRIC_HISTOGRAM
};
static const char *const type_names[] = {
	[METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge", [METRIC_HISTOGRAM] = "histogram"};

/* What all series are; the public types are names for it. */
struct series {
	struct list node; /* of family.series */
	struct metrics *metrics;
	char *labels; /* `method="Set",code="OK"`, escaped; empty without labels */
	size_t first; /* slot; a histogram has bound_count + 2: buckets, +Inf, sum */
	const struct family *family;
	metric_read_fn *read; /* or NULL */
	void *arg;
};
struct counter {
	struct series s;
};
struct gauge {
	struct series s;
};
struct histogram {
	struct series s;
};

struct family {
	struct list node; /* of metrics.families */
	struct list series;
	char *name, *help;
	char *label_names; /* "method,code," */
	enum metric_type type;
	enum histogram_unit unit;
	size_t bound_count;
	int64_t bounds[]; /* ascending */
};

struct metrics {
	struct slot *slots;
	size_t shard_count;
	struct {
		pthread_mutex_t lock;
		struct list families;
		size_t slots_used;
	} shared;
};

const int64_t metrics_latency_bounds_us[] = {50, 100, 250, 500, 1000, 2500, 5000, 10000, 25000,
	50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000};
const size_t metrics_latency_bounds_count = ARRAY_SIZE(metrics_latency_bounds_us);

static _Atomic unsigned next_thread;
static _Thread_local unsigned this_thread; /* from 1; 0 is not known yet */

static __attribute__((noreturn)) void bug(const char *name, const char *what)
{
	fprintf(stderr, "fatal: metric %s: %s\n", name, what);
	abort();
}

static size_t count_shards(void)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	size_t n = SHARDS_MIN;
	while (n < SHARDS_MAX && (long)n < cores)
		n *= 2;
	return n;
}

struct metrics *metrics_new(void)
{
	struct metrics *m = xnew(struct metrics);
	m->shard_count = count_shards();
	m->slots = mmap(NULL, m->shard_count * SLOTS_MAX * sizeof(struct slot),
		PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (m->slots == MAP_FAILED)
		bug("registry", "no memory");
	pthread_mutex_init(&m->shared.lock, NULL);
	list_init(&m->shared.families);
	return m;
}

static void family_free(struct family *f)
{
	list_for_each (node, &f->series) {
		struct series *s = container_of(node, struct series, node);
		free(s->labels);
		free(s);
	}
	free(f->name);
	free(f->help);
	free(f->label_names);
	free(f);
}

void metrics_free(struct metrics *m)
{
	if (!m)
		return;
	list_for_each (node, &m->shared.families)
		family_free(container_of(node, struct family, node));
	munmap(m->slots, m->shard_count * SLOTS_MAX * sizeof(struct slot));
	pthread_mutex_destroy(&m->shared.lock);
	free(m);
}

/* --- counting --- */

static struct slot *shard_of_this_thread(const struct metrics *m)
{
	if (!this_thread)
		this_thread = atomic_fetch_add_explicit(&next_thread, 1, memory_order_relaxed) + 1;
	return m->slots + (this_thread & (m->shard_count - 1)) * SLOTS_MAX;
}

static void add(const struct series *s, size_t offset, uint64_t n)
{
	struct slot *shard = shard_of_this_thread(s->metrics);
	atomic_fetch_add_explicit(&shard[s->first + offset].n, n, memory_order_relaxed);
}

static uint64_t sum(const struct series *s, size_t offset)
{
	uint64_t total = 0;
	for (size_t i = 0; i < s->metrics->shard_count; i++)
		total += atomic_load_explicit(
			&s->metrics->slots[i * SLOTS_MAX + s->first + offset].n,
			memory_order_relaxed);
	return total;
}

void counter_add(struct counter *c, uint64_t n)
{
	add(&c->s, 0, n);
}

uint64_t counter_value(const struct counter *c)
{
	return sum(&c->s, 0);
}

void gauge_set(struct gauge *g, int64_t value)
{
	atomic_store_explicit(
		&g->s.metrics->slots[g->s.first].n, (uint64_t)value, memory_order_relaxed);
}

void gauge_add(struct gauge *g, int64_t n)
{
	add(&g->s, 0, (uint64_t)n); /* shards wrap around, their sum does not */
}

int64_t gauge_value(const struct gauge *g)
{
	return (int64_t)sum(&g->s, 0);
}

void histogram_observe(struct histogram *h, int64_t value)
{
	const struct family *f = h->s.family;
	if (value < 0)
		value = 0;
	size_t bucket = 0;
	while (bucket < f->bound_count && value > f->bounds[bucket])
		bucket++;
	add(&h->s, bucket, 1);
	add(&h->s, f->bound_count + 1, (uint64_t)value);
}

uint64_t histogram_count(const struct histogram *h)
{
	uint64_t total = 0;
	for (size_t i = 0; i <= h->s.family->bound_count; i++)
		total += sum(&h->s, i);
	return total;
}

/* --- registration --- */

static bool is_name(const char *s, bool colons)
{
	for (size_t i = 0; s[i]; i++) {
		char c = s[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
			      (colons && c == ':');
		if (!letter && !(i && c >= '0' && c <= '9'))
			return false;
	}
	return s[0] != '\0';
}

static void append_escaped(struct buf *out, struct str s, bool quotes)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\n')
			buf_append(out, "\\n", 2);
		else if (s.p[i] == '\\' || (quotes && s.p[i] == '"'))
			buf_printf(out, "\\%c", s.p[i]);
		else
			buf_append_char(out, s.p[i]);
	}
}

static void format_labels(
	const char *metric, const struct metric_label *labels, struct buf *names, struct buf *pairs)
{
	for (size_t i = 0; labels && labels[i].name; i++) {
		const char *name = labels[i].name;
		if (i == LABELS_MAX || !is_name(name, false) || strncmp(name, "__", 2) == 0 ||
			strcmp(name, "le") == 0)
			bug(metric, "bad label name");
		if (!str_is_utf8(str_of(labels[i].value)))
			bug(metric, "a label value is not UTF-8");
		buf_printf(names, "%s,", name);
		buf_printf(pairs, "%s%s=\"", i ? "," : "", name);
		append_escaped(pairs, str_of(labels[i].value), true);
		buf_append_char(pairs, '"');
	}
	if (buf_overflown(names) || buf_overflown(pairs))
		bug(metric, "labels are too long");
}

static struct family *find_family(struct metrics *m, const char *name)
{
	list_for_each (node, &m->shared.families) {
		struct family *f = container_of(node, struct family, node);
		if (strcmp(f->name, name) == 0)
			return f;
	}
	return NULL;
}

static struct series *find_series(struct family *f, struct str labels)
{
	list_for_each (node, &f->series) {
		struct series *s = container_of(node, struct series, node);
		if (str_eq(str_of(s->labels), labels))
			return s;
	}
	return NULL;
}

/* What a registration asks for. */
struct wanted {
	const char *name, *help;
	const struct metric_label *labels;
	enum metric_type type;
	enum histogram_unit unit;
	const int64_t *bounds;
	size_t bound_count;
	metric_read_fn *read;
	void *arg;
};

static bool family_is(const struct family *f, const struct wanted *w, struct str label_names)
{
	return f->type == w->type && strcmp(f->help, w->help) == 0 &&
	       str_eq(str_of(f->label_names), label_names) && f->unit == w->unit &&
	       f->bound_count == w->bound_count &&
	       (!w->bound_count ||
		       memcmp(f->bounds, w->bounds, w->bound_count * sizeof w->bounds[0]) == 0);
}

static struct family *family_new(const struct wanted *w, struct str label_names)
{
	if (!is_name(w->name, true))
		bug(w->name, "bad name");
	if (w->bound_count > BOUNDS_MAX)
		bug(w->name, "too many bounds");
	for (size_t i = 1; i < w->bound_count; i++)
		if (w->bounds[i] <= w->bounds[i - 1])
			bug(w->name, "bounds do not ascend");
	struct family *f = xcalloc(1, sizeof *f + w->bound_count * sizeof f->bounds[0]);
	f->name = xstrdup(w->name);
	f->help = xstrdup(w->help);
	f->label_names = str_dup(label_names);
	f->type = w->type;
	f->unit = w->unit;
	f->bound_count = w->bound_count;
	if (w->bound_count)
		memcpy(f->bounds, w->bounds, w->bound_count * sizeof f->bounds[0]);
	list_init(&f->series);
	return f;
}

static struct series *series_new(
	struct metrics *m, struct family *f, const struct wanted *w, struct str labels)
{
	size_t slots = w->read ? 0 : w->type == METRIC_HISTOGRAM ? w->bound_count + 2 : 1;
	if (SLOTS_MAX - m->shared.slots_used < slots)
		bug(w->name, "the registry is full");
	struct series *s = xnew(struct series);
	s->metrics = m;
	s->family = f;
	s->labels = str_dup(labels);
	s->first = m->shared.slots_used;
	s->read = w->read;
	s->arg = w->arg;
	m->shared.slots_used += slots;
	list_add_tail(&f->series, &s->node);
	return s;
}

static struct series *register_series(struct metrics *m, const struct wanted *w)
{
	_cleanup_buf_ struct buf names, pairs;
	buf_init(&names, 512);
	buf_init(&pairs, 4096);
	format_labels(w->name, w->labels, &names, &pairs);

	pthread_mutex_lock(&m->shared.lock);
	struct family *f = find_family(m, w->name);
	if (!f) {
		f = family_new(w, buf_str(&names));
		list_add_tail(&m->shared.families, &f->node);
	} else if (!family_is(f, w, buf_str(&names))) {
		bug(w->name, "registered twice, with different properties");
	}
	struct series *s = find_series(f, buf_str(&pairs));
	if (s && (s->read || w->read))
		bug(w->name, "a callback is registered twice");
	if (!s)
		s = series_new(m, f, w, buf_str(&pairs));
	pthread_mutex_unlock(&m->shared.lock);
	return s;
}

struct counter *metrics_counter(
	struct metrics *m, const char *name, const char *help, const struct metric_label *labels)
{
	const struct wanted w = {
		.name = name, .help = help, .labels = labels, .type = METRIC_COUNTER};
	return container_of(register_series(m, &w), struct counter, s);
}

struct gauge *metrics_gauge(
	struct metrics *m, const char *name, const char *help, const struct metric_label *labels)
{
	const struct wanted w = {
		.name = name, .help = help, .labels = labels, .type = METRIC_GAUGE};
	return container_of(register_series(m, &w), struct gauge, s);
}

struct histogram *metrics_histogram(struct metrics *m, const char *name, const char *help,
	const struct metric_label *labels, enum histogram_unit unit, const int64_t *bounds,
	size_t count)
{
	const struct wanted w = {.name = name,
		.help = help,
		.labels = labels,
		.type = METRIC_HISTOGRAM,
		.unit = unit,
		.bounds = bounds,
		.bound_count = count};
	return container_of(register_series(m, &w), struct histogram, s);
}

void metrics_gauge_callback(struct metrics *m, const char *name, const char *help,
	const struct metric_label *labels, metric_read_fn *read, void *arg)
{
	const struct wanted w = {.name = name,
		.help = help,
		.labels = labels,
		.type = METRIC_GAUGE,
		.read = read,
		.arg = arg};
	register_series(m, &w);
}

void metrics_counter_callback(struct metrics *m, const char *name, const char *help,
	const struct metric_label *labels, metric_read_fn *read, void *arg)
{
	const struct wanted w = {.name = name,
		.help = help,
		.labels = labels,
		.type = METRIC_COUNTER,
		.read = read,
		.arg = arg};
	register_series(m, &w);
}

/* --- text --- */

/* The shortest of the usual forms that reads back as the same number. */
static void append_number(struct buf *out, double value)
{
	char text[40];
	if (isinf(value)) {
		buf_append_str(out, value < 0 ? STR("-Inf") : STR("+Inf"));
		return;
	}
	snprintf(text, sizeof text, "%.15g", value);
	if (strtod(text, NULL) != value)
		snprintf(text, sizeof text, "%.17g", value);
	buf_append_str(out, str_of(text));
}

static void append_histogram_value(struct buf *out, const struct family *f, uint64_t value)
{
	if (f->unit == HISTOGRAM_PLAIN)
		buf_printf(out, "%llu", (unsigned long long)value);
	else
		append_number(out, (double)value / 1e6);
}

/* `name_suffix{labels} ` */
static void append_name(struct buf *out, const struct series *s, const char *suffix)
{
	buf_printf(out, "%s%s", s->family->name, suffix);
	if (s->labels[0])
		buf_printf(out, "{%s}", s->labels);
	buf_append_char(out, ' ');
}

static void append_histogram(struct buf *out, const struct series *s)
{
	const struct family *f = s->family;
	uint64_t count = 0;
	for (size_t i = 0; i <= f->bound_count; i++) {
		count += sum(s, i);
		buf_printf(out, "%s_bucket{%s%sle=\"", f->name, s->labels, s->labels[0] ? "," : "");
		if (i < f->bound_count)
			append_histogram_value(out, f, (uint64_t)f->bounds[i]);
		else
			buf_append_str(out, STR("+Inf"));
		buf_printf(out, "\"} %llu\n", (unsigned long long)count);
	}
	append_name(out, s, "_sum");
	append_histogram_value(out, f, sum(s, f->bound_count + 1));
	buf_append_char(out, '\n');
	append_name(out, s, "_count");
	/* the buckets were read one by one while others count: their sum is the one number that
	 * agrees with them */
	buf_printf(out, "%llu\n", (unsigned long long)count);
}

static void append_series(struct buf *out, const struct series *s)
{
	if (s->family->type == METRIC_HISTOGRAM) {
		append_histogram(out, s);
		return;
	}
	double value = s->read ? s->read(s->arg) : 0;
	if (isnan(value))
		return;
	append_name(out, s, "");
	if (s->read)
		append_number(out, value);
	else if (s->family->type == METRIC_GAUGE)
		buf_printf(out, "%lld", (long long)sum(s, 0));
	else
		buf_printf(out, "%llu", (unsigned long long)sum(s, 0));
	buf_append_char(out, '\n');
}

bool metrics_write(struct metrics *m, struct buf *out)
{
	pthread_mutex_lock(&m->shared.lock);
	list_for_each (node, &m->shared.families) {
		const struct family *f = container_of(node, struct family, node);
		buf_printf(out, "# HELP %s ", f->name);
		append_escaped(out, str_of(f->help), false);
		buf_printf(out, "\n# TYPE %s %s\n", f->name, type_names[f->type]);
		list_for_each (entry, &f->series)
			append_series(out, container_of(entry, const struct series, node));
	}
	pthread_mutex_unlock(&m->shared.lock);
	return !buf_overflown(out);
}
