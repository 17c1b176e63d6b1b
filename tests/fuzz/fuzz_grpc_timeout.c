/* SPDX-License-Identifier: Apache-2.0 */
/* A Grpc-Timeout that is taken is no shorter than it says, by less than a millisecond longer, and a
 * deadline that far away is still ahead. */
#include "common/base/clock.h"
#include "gateway/grpc_timeout.h"
#include "tests/fuzz/must.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
	char unit;
	double ms;
} units[] = {{'H', 3.6e6}, {'M', 6e4}, {'S', 1e3}, {'m', 1}, {'u', 1e-3}, {'n', 1e-6}};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = {(const char *)data, size};
	int64_t ms = -7;
	if (!grpc_timeout_parse(text, &ms)) {
		MUST(ms == -7);
		return 0;
	}
	MUST(size >= 2 && size <= 9);
	double number = 0;
	for (size_t i = 0; i + 1 < size; i++) {
		MUST(data[i] >= '0' && data[i] <= '9');
		number = number * 10 + (data[i] - '0');
	}
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		if (units[i].unit == text.p[size - 1]) {
			double exact = number * units[i].ms;
			MUST((double)ms >= exact - 1e-5 && (double)ms < exact + 1);
			const struct mono_time now = {INT64_C(1) << 50};
			MUST(mono_time_add_ms(now, ms).us >= now.us);
			return 0;
		}
	}
	abort(); /* a unit that there is not */
}
