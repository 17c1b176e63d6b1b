/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/date.h"

#include <stdio.h>

static bool is_leap(int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_in_month(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	return days[month - 1] + (month == 2 && is_leap(year));
}

bool date_from_ymd(int year, int month, int day, struct date *ret)
{
	if (year < 1 || year > 9999 || month < 1 || month > 12 || day < 1 ||
		day > days_in_month(year, month))
		return false;
	/* Days from civil: the year begins in March, so the leap day is its last
	 * (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms"). */
	int y = month <= 2 ? year - 1 : year;
	int era = y / 400;
	int year_of_era = y - era * 400;
	int day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
	int day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
	ret->days = era * 146097 + day_of_era - 719468;
	return true;
}

struct date date_of(struct unix_time t)
{
	int64_t s = unix_time_s(t);
	int64_t days = s / 86400 - (s % 86400 < 0);
	return (struct date){(int32_t)days};
}

struct unix_time date_start(struct date d)
{
	return unix_time_from_s((int64_t)d.days * 86400);
}

struct date date_add_days(struct date d, int32_t days)
{
	return (struct date){d.days + days};
}

/* Between @least and @most digits, taken off the front of @s. */
static bool take_digits(struct str *s, size_t least, size_t most, int *ret)
{
	size_t n = 0;
	int value = 0;
	while (n < most && n < s->n && s->p[n] >= '0' && s->p[n] <= '9')
		value = value * 10 + (s->p[n++] - '0');
	if (n < least)
		return false;
	*s = str_sub(*s, n, s->n);
	*ret = value;
	return true;
}

static bool take_dash(struct str *s)
{
	if (!s->n || s->p[0] != '-')
		return false;
	*s = str_sub(*s, 1, s->n);
	return true;
}

bool date_parse(struct str s, struct date *ret)
{
	int year, month, day;
	return take_digits(&s, 4, 4, &year) && take_dash(&s) && take_digits(&s, 1, 2, &month) &&
	       take_dash(&s) && take_digits(&s, 1, 2, &day) && s.n == 0 &&
	       date_from_ymd(year, month, day, ret);
}

void date_format(struct date d, char ret[DATE_TEXT_BYTES])
{
	int z = d.days + 719468;
	int era = (z >= 0 ? z : z - 146096) / 146097;
	int day_of_era = z - era * 146097;
	int year_of_era =
		(day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int shifted = (5 * day_of_year + 2) / 153;
	int day = day_of_year - (153 * shifted + 2) / 5 + 1;
	int month = shifted < 10 ? shifted + 3 : shifted - 9;
	int year = year_of_era + era * 400 + (month <= 2);
	char text[48];
	snprintf(text, sizeof text, "%04d-%02d-%02d", year, month, day);
	snprintf(ret, DATE_TEXT_BYTES, "%.10s", text);
}
