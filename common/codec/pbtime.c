/* SPDX-License-Identifier: Apache-2.0 */
#include "common/codec/pbtime.h"

#include "common/base/date.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	S_PER_MINUTE = 60,
	S_PER_HOUR = 3600,
	S_PER_DAY = 86400,
	NS_PER_S = 1000000000,
};
static const int64_t timestamp_min_s = -62135596800; /* 0001-01-01T00:00:00Z */
static const int64_t timestamp_max_s = 253402300799; /* 9999-12-31T23:59:59Z */
static const int64_t duration_max_s = 315576000000;  /* of duration.proto, nanos beside it */

/* Takes exactly @n digits. */
static bool take_digits(struct str *s, size_t n, int *ret)
{
	int value = 0;
	if (s->n < n)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (s->p[i] < '0' || s->p[i] > '9')
			return false;
		value = value * 10 + (s->p[i] - '0');
	}
	*s = str_sub(*s, n, s->n);
	*ret = value;
	return true;
}

static bool take_char(struct str *s, char c)
{
	if (!s->n || s->p[0] != c)
		return false;
	*s = str_sub(*s, 1, s->n);
	return true;
}

/* ".123" of 1 to 9 digits, or nothing. */
static bool take_fraction(struct str *s, int32_t *ret)
{
	int32_t value = 0, n = 0;
	*ret = 0;
	if (!take_char(s, '.'))
		return true;
	for (; s->n && s->p[0] >= '0' && s->p[0] <= '9'; n++) {
		if (n == 9)
			return false;
		value = value * 10 + (s->p[0] - '0');
		*s = str_sub(*s, 1, s->n);
	}
	if (!n)
		return false;
	for (; n < 9; n++)
		value *= 10;
	*ret = value;
	return true;
}

/* "Z", or "+01:30"; *ret is what local time is ahead of UTC. */
static bool take_offset(struct str *s, int *ret)
{
	int hours, minutes;
	*ret = 0;
	if (take_char(s, 'Z'))
		return true;
	const bool behind = s->n && s->p[0] == '-';
	if (!(take_char(s, '+') || take_char(s, '-')) || !take_digits(s, 2, &hours) ||
		!take_char(s, ':') || !take_digits(s, 2, &minutes) || hours > 23 || minutes > 59)
		return false;
	*ret = (hours * S_PER_HOUR + minutes * S_PER_MINUTE) * (behind ? -1 : 1);
	return true;
}

bool pbtime_parse_timestamp(struct str s, struct pbtime *ret)
{
	int year, month, day, hour, minute, second, offset;
	int32_t nanos;
	struct date date;
	if (!take_digits(&s, 4, &year) || !take_char(&s, '-') || !take_digits(&s, 2, &month) ||
		!take_char(&s, '-') || !take_digits(&s, 2, &day) ||
		!date_from_ymd(year, month, day, &date))
		return false;
	if (!take_char(&s, 'T') || !take_digits(&s, 2, &hour) || !take_char(&s, ':') ||
		!take_digits(&s, 2, &minute) || !take_char(&s, ':') ||
		!take_digits(&s, 2, &second) || hour > 23 || minute > 59 || second > 59)
		return false;
	if (!take_fraction(&s, &nanos) || !take_offset(&s, &offset) || s.n)
		return false;
	const int64_t of_day = (hour * 60L + minute) * 60 + second;
	const int64_t seconds = (int64_t)date.days * S_PER_DAY + of_day - offset;
	if (seconds < timestamp_min_s || seconds > timestamp_max_s)
		return false;
	*ret = (struct pbtime){.seconds = seconds, .nanos = nanos};
	return true;
}

/* Appends ".123" and the end: 0, 3, 6 or 9 digits, as few as do. */
static void append_fraction(char *text, size_t size, int32_t nanos, const char *end)
{
	size_t n = strlen(text);
	if (!nanos)
		snprintf(text + n, size - n, "%s", end);
	else if (nanos % 1000000 == 0)
		snprintf(text + n, size - n, ".%03d%s", nanos / 1000000, end);
	else if (nanos % 1000 == 0)
		snprintf(text + n, size - n, ".%06d%s", nanos / 1000, end);
	else
		snprintf(text + n, size - n, ".%09d%s", nanos, end);
}

bool pbtime_format_timestamp(struct pbtime t, char ret[PBTIME_TEXT_BYTES])
{
	if (t.seconds < timestamp_min_s || t.seconds > timestamp_max_s || t.nanos < 0 ||
		t.nanos >= NS_PER_S)
		return false;
	const struct unix_time seconds = unix_time_from_s(t.seconds);
	char date[DATE_TEXT_BYTES];
	const struct date day = date_of(seconds);
	date_format(day, date);
	const int of_day = (int)(t.seconds - unix_time_s(date_start(day)));
	snprintf(ret, PBTIME_TEXT_BYTES, "%.10sT%02d:%02d:%02d", date, of_day / S_PER_HOUR,
		of_day / S_PER_MINUTE % 60, of_day % 60);
	append_fraction(ret, PBTIME_TEXT_BYTES, t.nanos, "Z");
	return true;
}

bool pbtime_parse_duration(struct str s, struct pbtime *ret)
{
	const bool negative = take_char(&s, '-');
	size_t n = 0;
	while (n < s.n && s.p[n] >= '0' && s.p[n] <= '9')
		n++;
	uint64_t seconds;
	int32_t nanos;
	if (!str_to_u64(str_sub(s, 0, n), &seconds) || seconds > (uint64_t)duration_max_s)
		return false;
	s = str_sub(s, n, s.n);
	if (!take_fraction(&s, &nanos) || !str_eq(s, STR("s")))
		return false;
	*ret = (struct pbtime){.seconds = negative ? -(int64_t)seconds : (int64_t)seconds,
		.nanos = negative ? -nanos : nanos};
	return true;
}

bool pbtime_format_duration(struct pbtime t, char ret[PBTIME_TEXT_BYTES])
{
	const bool negative = t.seconds < 0 || t.nanos < 0;
	if (t.seconds < -duration_max_s || t.seconds > duration_max_s || t.nanos <= -NS_PER_S ||
		t.nanos >= NS_PER_S || (negative && (t.seconds > 0 || t.nanos > 0)))
		return false;
	snprintf(
		ret, PBTIME_TEXT_BYTES, "%s%lld", negative ? "-" : "", llabs((long long)t.seconds));
	append_fraction(ret, PBTIME_TEXT_BYTES, abs(t.nanos), "s");
	return true;
}
