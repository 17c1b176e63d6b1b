/* SPDX-License-Identifier: Apache-2.0 */
#include "common/metrics/process_metrics.h"

#include "common/base/file.h"
#include "common/base/str.h"
#include "common/metrics/metrics.h"

#include <dirent.h>
#include <math.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
	PROC_TEXT_MAX = 4096
};

/* Number @index (from 0) of a line of numbers, or NaN. */
static double field_of(struct str line, size_t index)
{
	struct str part;
	uint64_t value;
	while (str_split(&line, ' ', &part)) {
		if (index-- == 0)
			return str_to_u64(str_trim(part), &value) ? (double)value : NAN;
	}
	return NAN;
}

static double read_field(const char *path, size_t index)
{
	_cleanup_buf_ struct buf text;
	buf_init(&text, PROC_TEXT_MAX);
	struct status s = file_read(path, PROC_TEXT_MAX, &text);
	if (!status_is_ok(&s))
		return NAN;
	/* of /proc/self/stat, the name in parentheses may hold anything: count from behind it */
	struct str line = buf_str(&text);
	for (size_t i = line.n; i > 0; i--) {
		if (line.p[i - 1] == ')') {
			line = str_sub(line, i + 1, line.n);
			break;
		}
	}
	return field_of(line, index);
}

static double resident_bytes(void *arg)
{
	(void)arg;
	return read_field("/proc/self/statm", 1) * (double)sysconf(_SC_PAGESIZE);
}

static double virtual_bytes(void *arg)
{
	(void)arg;
	return read_field("/proc/self/statm", 0) * (double)sysconf(_SC_PAGESIZE);
}

static double thread_count(void *arg)
{
	(void)arg;
	return read_field("/proc/self/stat", 17); /* num_threads, field 20 of proc(5) */
}

static double cpu_seconds(void *arg)
{
	(void)arg;
	struct rusage u;
	if (getrusage(RUSAGE_SELF, &u) < 0)
		return NAN;
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static double open_descriptors(void *arg)
{
	(void)arg;
	DIR *folder = opendir("/proc/self/fd");
	if (!folder)
		return NAN;
	double n = -3;          /* ".", ".." and the descriptor of the folder itself */
	while (readdir(folder)) /* NOLINT(concurrency-mt-unsafe): a stream of our own */
		n++;
	closedir(folder);
	return n;
}

static double most_descriptors(void *arg)
{
	(void)arg;
	struct rlimit limit;
	return getrlimit(RLIMIT_NOFILE, &limit) < 0 ? NAN : (double)limit.rlim_cur;
}

/* Boot time plus the ticks after boot at which the process started: what other exporters show. */
static double start_time(void)
{
	struct timespec now, up;
	double ticks = read_field("/proc/self/stat", 19); /* starttime, field 22 */
	if (clock_gettime(CLOCK_REALTIME, &now) < 0 || clock_gettime(CLOCK_BOOTTIME, &up) < 0)
		return NAN;
	return (double)(now.tv_sec - up.tv_sec) + (double)(now.tv_nsec - up.tv_nsec) / 1e9 +
	       ticks / (double)sysconf(_SC_CLK_TCK);
}

static double start_time_once(void *arg)
{
	return *(const double *)arg;
}

static double one(void *arg)
{
	(void)arg;
	return 1;
}

void process_metrics_register(struct metrics *m, const char *program, const char *version)
{
	/* fixed at the first registration: a wall clock that jumps must not look like a restart */
	static double started;
	if (started == 0)
		started = start_time();
	metrics_gauge_callback(m, "build_info", "Constant 1; the program and its version.",
		METRIC_LABELS({"program", program}, {"version", version}), one, NULL);
	metrics_gauge_callback(m, "process_resident_memory_bytes", "Resident memory size in bytes.",
		NULL, resident_bytes, NULL);
	metrics_gauge_callback(m, "process_virtual_memory_bytes", "Virtual memory size in bytes.",
		NULL, virtual_bytes, NULL);
	metrics_counter_callback(m, "process_cpu_seconds_total",
		"Total user and system CPU time spent in seconds.", NULL, cpu_seconds, NULL);
	metrics_gauge_callback(m, "process_open_fds", "Number of open file descriptors.", NULL,
		open_descriptors, NULL);
	metrics_gauge_callback(m, "process_max_fds", "Maximum number of open file descriptors.",
		NULL, most_descriptors, NULL);
	metrics_gauge_callback(
		m, "process_threads", "Number of threads.", NULL, thread_count, NULL);
	metrics_gauge_callback(m, "process_start_time_seconds",
		"Start time of the process since unix epoch in seconds.", NULL, start_time_once,
		&started);
}
