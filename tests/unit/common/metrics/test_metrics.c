/* SPDX-License-Identifier: Apache-2.0 */
#include "common/metrics/metrics.h"
#include "tests/lib/test.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct metrics *metrics;

static int with_registry(void **state)
{
	(void)state;
	metrics = metrics_new();
	return 0;
}

static int without_registry(void **state)
{
	(void)state;
	metrics_free(metrics);
	return 0;
}

#define assert_text(text)                                                                          \
	do {                                                                                       \
		_cleanup_buf_ struct buf out;                                                      \
		buf_init(&out, 1 << 20);                                                           \
		assert_true(metrics_write(metrics, &out));                                         \
		assert_string_equal(buf_str(&out).p, (text));                                      \
	} while (0)

static void counters_of_one_name_are_one_family(void **state)
{
	(void)state;
	struct counter *ok = metrics_counter(metrics, "calls_total", "Calls answered.",
		METRIC_LABELS({"method", "Set"}, {"code", "OK"}));
	struct counter *denied = metrics_counter(metrics, "calls_total", "Calls answered.",
		METRIC_LABELS({"method", "Set"}, {"code", "PERMISSION_DENIED"}));
	struct gauge *open = metrics_gauge(metrics, "open", "Connections.", NULL);
	counter_inc(ok);
	counter_add(ok, 41);
	counter_inc(denied);
	gauge_set(open, -3);
	assert_text("# HELP calls_total Calls answered.\n"
		    "# TYPE calls_total counter\n"
		    "calls_total{method=\"Set\",code=\"OK\"} 42\n"
		    "calls_total{method=\"Set\",code=\"PERMISSION_DENIED\"} 1\n"
		    "# HELP open Connections.\n"
		    "# TYPE open gauge\n"
		    "open -3\n");
}

static void the_same_series_is_registered_once(void **state)
{
	(void)state;
	struct counter *a = metrics_counter(metrics, "a_total", "A.", METRIC_LABELS({"l", "1"}));
	struct counter *b = metrics_counter(metrics, "a_total", "A.", METRIC_LABELS({"l", "2"}));
	assert_ptr_equal(a, metrics_counter(metrics, "a_total", "A.", METRIC_LABELS({"l", "1"})));
	assert_ptr_not_equal(a, b);
}

static void buckets_are_cumulative_and_upper_bounds_belong_to_them(void **state)
{
	(void)state;
	const int64_t bounds[] = {1000, 2500, 1000000};
	struct histogram *h = metrics_histogram(metrics, "latency_seconds", "How long.",
		METRIC_LABELS({"method", "List"}), HISTOGRAM_MICROSECONDS, bounds, 3);
	const int64_t observed[] = {-5, 0, 1000, 1001, 2500, 2501, 1000000, 1000001};
	for (size_t i = 0; i < sizeof observed / sizeof observed[0]; i++)
		histogram_observe(h, observed[i]);
	assert_int_equal(histogram_count(h), 8);
	assert_text("# HELP latency_seconds How long.\n"
		    "# TYPE latency_seconds histogram\n"
		    "latency_seconds_bucket{method=\"List\",le=\"0.001\"} 3\n"
		    "latency_seconds_bucket{method=\"List\",le=\"0.0025\"} 5\n"
		    "latency_seconds_bucket{method=\"List\",le=\"1\"} 7\n"
		    "latency_seconds_bucket{method=\"List\",le=\"+Inf\"} 8\n"
		    "latency_seconds_sum{method=\"List\"} 2.007003\n"
		    "latency_seconds_count{method=\"List\"} 8\n");
}

static void a_histogram_of_bytes_has_whole_numbers_and_needs_no_labels(void **state)
{
	(void)state;
	const int64_t bounds[] = {1024};
	struct histogram *h = metrics_histogram(
		metrics, "body_bytes", "Bodies.", NULL, HISTOGRAM_PLAIN, bounds, 1);
	histogram_observe(h, 1LL << 53);
	histogram_observe(h, 1);
	assert_text("# HELP body_bytes Bodies.\n"
		    "# TYPE body_bytes histogram\n"
		    "body_bytes_bucket{le=\"1024\"} 1\n"
		    "body_bytes_bucket{le=\"+Inf\"} 2\n"
		    "body_bytes_sum 9007199254740993\n"
		    "body_bytes_count 2\n");
}

static void help_and_label_values_are_escaped(void **state)
{
	(void)state;
	metrics_gauge(metrics, "g", "Back\\slash, \"quotes\" and\nnewline.",
		METRIC_LABELS({"l", "a\\b\"c\nd\xC3\xA9"}));
	assert_text("# HELP g Back\\\\slash, \"quotes\" and\\nnewline.\n"
		    "# TYPE g gauge\n"
		    "g{l=\"a\\\\b\\\"c\\nd\xC3\xA9\"} 0\n");
}

static double from_pointer(void *arg)
{
	return *(const double *)arg;
}

static void callbacks_are_asked_at_each_scrape_and_may_decline(void **state)
{
	(void)state;
	double a = 0.1, b = NAN;
	metrics_gauge_callback(metrics, "v", "V.", METRIC_LABELS({"x", "a"}), from_pointer, &a);
	metrics_gauge_callback(metrics, "v", "V.", METRIC_LABELS({"x", "b"}), from_pointer, &b);
	assert_text("# HELP v V.\n# TYPE v gauge\nv{x=\"a\"} 0.1\n");
	a = 1e300;
	b = -INFINITY;
	assert_text("# HELP v V.\n# TYPE v gauge\nv{x=\"a\"} 1e+300\nv{x=\"b\"} -Inf\n");
}

static void a_full_buffer_is_told(void **state)
{
	(void)state;
	metrics_counter(metrics, "a_total", "A.", NULL);
	_cleanup_buf_ struct buf out;
	buf_init(&out, 20);
	assert_false(metrics_write(metrics, &out));
}

/* The child aborts, as a bug of ours does. */
static void assert_aborts(void (*misuse)(void))
{
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		signal(SIGABRT, SIG_DFL); /* cmocka's handler would carry on in the child */
		(void)!freopen("/dev/null", "w", stderr);
		misuse();
		_exit(0);
	}
	int how;
	assert_int_equal(waitpid(child, &how, 0), child);
	assert_true(WIFSIGNALED(how) && WTERMSIG(how) == SIGABRT);
}

static void other_type(void)
{
	metrics_counter(metrics, "x", "X.", NULL);
	metrics_gauge(metrics, "x", "X.", NULL);
}

static void other_labels(void)
{
	metrics_counter(metrics, "x", "X.", METRIC_LABELS({"a", "1"}));
	metrics_counter(metrics, "x", "X.", METRIC_LABELS({"b", "1"}));
}

static void other_help(void)
{
	metrics_counter(metrics, "x", "X.", NULL);
	metrics_counter(metrics, "x", "Y.", NULL);
}

static void bad_name(void)
{
	metrics_counter(metrics, "1x", "X.", NULL);
}

static void bad_label(void)
{
	metrics_counter(metrics, "x", "X.", METRIC_LABELS({"le", "1"}));
}

static void bounds_that_fall(void)
{
	metrics_histogram(metrics, "x", "X.", NULL, HISTOGRAM_PLAIN, (const int64_t[]){2, 1}, 2);
}

static void callback_twice(void)
{
	double v = 0;
	metrics_gauge_callback(metrics, "x", "X.", NULL, from_pointer, &v);
	metrics_gauge_callback(metrics, "x", "X.", NULL, from_pointer, &v);
}

static void too_many(void)
{
	for (int i = 0; i < 1000; i++) {
		char value[16];
		snprintf(value, sizeof value, "%d", i);
		metrics_histogram(metrics, "x", "X.", METRIC_LABELS({"l", value}), HISTOGRAM_PLAIN,
			metrics_latency_bounds_us, metrics_latency_bounds_count);
	}
}

static void misuse_is_a_bug_and_aborts(void **state)
{
	(void)state;
	void (*const misuses[])(void) = {other_type, other_labels, other_help, bad_name, bad_label,
		bounds_that_fall, callback_twice, too_many};
	for (size_t i = 0; i < sizeof misuses / sizeof misuses[0]; i++)
		assert_aborts(misuses[i]);
}

enum {
	THREADS = 8,
	ROUNDS = 20000
};

struct counting {
	struct counter *c;
	struct gauge *g;
	struct histogram *h;
};

static void *count_from_a_thread(void *arg)
{
	struct counting *it = arg;
	for (int i = 0; i < ROUNDS; i++) {
		counter_inc(it->c);
		gauge_add(it->g, i % 2 ? 2 : -1);
		histogram_observe(it->h, i);
	}
	return NULL;
}

static void nothing_is_lost_between_threads(void **state)
{
	(void)state;
	const int64_t bounds[] = {ROUNDS / 2};
	struct counting it = {
		.c = metrics_counter(metrics, "c_total", "C.", NULL),
		.g = metrics_gauge(metrics, "g", "G.", NULL),
		.h = metrics_histogram(metrics, "h", "H.", NULL, HISTOGRAM_PLAIN, bounds, 1),
	};
	pthread_t threads[THREADS];
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, count_from_a_thread, &it), 0);
	/* scraping and registering while others count */
	for (int i = 0; i < 20; i++) {
		_cleanup_buf_ struct buf out;
		buf_init(&out, 1 << 16);
		char value[16];
		snprintf(value, sizeof value, "%d", i);
		metrics_counter(metrics, "more_total", "More.", METRIC_LABELS({"i", value}));
		assert_true(metrics_write(metrics, &out));
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(counter_value(it.c), THREADS * ROUNDS);
	assert_int_equal(gauge_value(it.g), THREADS * ROUNDS / 2);
	assert_int_equal(histogram_count(it.h), THREADS * ROUNDS);
}

static double ns_each(struct timespec from, struct timespec to, int n)
{
	return ((double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec)) / n;
}

/* Printed, not asserted: a loaded machine or a sanitizer must not fail the test. */
static void the_cost_of_counting_is_shown(void **state)
{
	(void)state;
	enum {
		N = 1000000
	};
	struct counter *c = metrics_counter(metrics, "c_total", "C.", NULL);
	struct histogram *h = metrics_histogram(metrics, "h_seconds", "H.", NULL,
		HISTOGRAM_MICROSECONDS, metrics_latency_bounds_us, metrics_latency_bounds_count);
	struct timespec t0, t1, t2;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t0);
	for (int i = 0; i < N; i++)
		counter_inc(c);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t1);
	for (int i = 0; i < N; i++)
		histogram_observe(h, i & 4095);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t2);
	print_message("counter_inc %.1f ns, histogram_observe %.1f ns\n", ns_each(t0, t1, N),
		ns_each(t1, t2, N));
	assert_int_equal(counter_value(c), N);
	assert_int_equal(histogram_count(h), N);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, with_registry, without_registry)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(counters_of_one_name_are_one_family),
		TEST(the_same_series_is_registered_once),
		TEST(buckets_are_cumulative_and_upper_bounds_belong_to_them),
		TEST(a_histogram_of_bytes_has_whole_numbers_and_needs_no_labels),
		TEST(help_and_label_values_are_escaped),
		TEST(callbacks_are_asked_at_each_scrape_and_may_decline),
		TEST(a_full_buffer_is_told),
		TEST(misuse_is_a_bug_and_aborts),
		TEST(nothing_is_lost_between_threads),
		TEST(the_cost_of_counting_is_shown),
	};
	return RUN_TESTS(tests);
}
