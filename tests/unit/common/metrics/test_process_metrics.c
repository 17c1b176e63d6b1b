/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/buf.h"
#include "common/metrics/metrics.h"
#include "common/metrics/process_metrics.h"
#include "tests/lib/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static double value_of(const char *text, const char *name)
{
	char line[200];
	snprintf(line, sizeof line, "\n%s ", name);
	const char *at = strstr(text, line);
	if (!at)
		fail_msg("%s is not in\n%s", name, text);
	return strtod(at + strlen(line), NULL);
}

static void the_process_tells_its_size_age_and_build(void **state)
{
	(void)state;
	_cleanup_(metrics_freep) struct metrics *m = metrics_new();
	process_metrics_register(m, "token-service", "1.2.3");
	_cleanup_buf_ struct buf out;
	buf_init(&out, 1 << 16);
	assert_true(metrics_write(m, &out));
	const char *text = buf_str(&out).p;

	assert_non_null(
		strstr(text, "\nbuild_info{program=\"token-service\",version=\"1.2.3\"} 1\n"));
	assert_true(value_of(text, "process_resident_memory_bytes") > 100 * 1024);
	assert_true(value_of(text, "process_virtual_memory_bytes") >
		    value_of(text, "process_resident_memory_bytes"));
	assert_true(value_of(text, "process_cpu_seconds_total") >= 0);
	assert_true(value_of(text, "process_threads") >= 1);
	double age = (double)time(NULL) - value_of(text, "process_start_time_seconds");
	assert_true(age > -2 && age < 300);
}

static void an_open_descriptor_is_counted(void **state)
{
	(void)state;
	_cleanup_(metrics_freep) struct metrics *m = metrics_new();
	process_metrics_register(m, "p", "v");
	_cleanup_buf_ struct buf before, after;
	buf_init(&before, 1 << 16);
	buf_init(&after, 1 << 16);
	assert_true(metrics_write(m, &before));
	int fd = open("/dev/null", O_RDONLY);
	assert_true(fd >= 0);
	assert_true(metrics_write(m, &after));
	close(fd);
	assert_true(value_of(after.p, "process_open_fds") ==
		    value_of(before.p, "process_open_fds") + 1);
	assert_true(value_of(after.p, "process_max_fds") >= value_of(after.p, "process_open_fds"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_process_tells_its_size_age_and_build),
		cmocka_unit_test(an_open_descriptor_is_counted),
	};
	return RUN_TESTS(tests);
}
