/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/grpc_timeout.h"

bool grpc_timeout_parse(struct str text, int64_t *ret_ms)
{
	enum {
		MAX_DIGITS = 8
	};
	static const struct {
		char unit;
		int64_t ns;
	} units[] = {{'H', INT64_C(3600000000000)}, {'M', INT64_C(60000000000)},
		{'S', INT64_C(1000000000)}, {'m', 1000000}, {'u', 1000}, {'n', 1}};
	uint64_t value;
	if (text.n < 2 || text.n > MAX_DIGITS + 1 ||
		!str_to_u64(str_sub(text, 0, text.n - 1), &value))
		return false;
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		if (units[i].unit == text.p[text.n - 1]) {
			/* 99,999,999 hours do not fit into 64 bits of nanoseconds, but of ms */
			int64_t ns = units[i].ns, n = (int64_t)value;
			*ret_ms = ns >= 1000000 ? n * (ns / 1000000) : (n * ns + 999999) / 1000000;
			return true;
		}
	}
	return false;
}
