/* SPDX-License-Identifier: Apache-2.0 */
/* A UTC calendar date of the proleptic Gregorian calendar, years 1 to 9999. Pure. */
#pragma once

#include "common/base/clock.h" /* struct unix_time */
#include "common/base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct date {
	int32_t days; /* since 1970-01-01 */
};

enum {
	DATE_TEXT_BYTES = 11
};

/* The day that @t falls on in UTC. */
struct date date_of(struct unix_time t);
/* 00:00:00 UTC of the day. */
struct unix_time date_start(struct date d);
struct date date_add_days(struct date d, int32_t days);
/* False when year, month and day name no day of the calendar. */
bool date_from_ymd(int year, int month, int day, struct date *ret);
/* As strptime's "%Y-%m-%d": four digits of year, one or two of month and day ("2027-5-1"); nothing
 * around it. */
bool date_parse(struct str s, struct date *ret);
/* "2026-05-01" */
void date_format(struct date d, char ret[DATE_TEXT_BYTES]);
