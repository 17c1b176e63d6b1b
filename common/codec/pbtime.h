/* SPDX-License-Identifier: Apache-2.0 */
/* google.protobuf.Timestamp and Duration as text (the ProtoJSON mapping). Pure. */
#pragma once

#include "common/base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PBTIME_TEXT_BYTES = 40
};

struct pbtime {
	int64_t seconds; /* of a Timestamp: since 1970-01-01T00:00:00Z */
	int32_t nanos;   /* of a Timestamp never negative; of a Duration with the sign of seconds */
};

/* RFC 3339 with 0 to 9 digits of fraction and "Z" or an offset, years 1 to 9999. */
bool pbtime_parse_timestamp(struct str s, struct pbtime *ret);
/* "2026-05-01T12:00:00.123Z", with 0, 3, 6 or 9 digits; false when @t is out of range. */
bool pbtime_format_timestamp(struct pbtime t, char ret[PBTIME_TEXT_BYTES]);
/* "1.5s", up to 10,000 years of either sign. */
bool pbtime_parse_duration(struct str s, struct pbtime *ret);
bool pbtime_format_duration(struct pbtime t, char ret[PBTIME_TEXT_BYTES]);
