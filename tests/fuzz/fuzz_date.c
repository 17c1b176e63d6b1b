/* SPDX-License-Identifier: Apache-2.0 */
/* A text is a date or it is not; a date reads back as itself, and its neighbours are a day away. */
#include "common/base/date.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct date date, again;
	if (!date_parse((struct str){(const char *)data, size}, &date))
		return 0;
	char text[DATE_TEXT_BYTES];
	date_format(date, text);
	if (!date_parse(str_of(text), &again) || again.days != date.days)
		abort();
	if (date_of(date_start(date)).days != date.days)
		abort();
	date_format(date_add_days(date, -1), text);
	if (date_parse(str_of(text), &again) && again.days != date.days - 1)
		abort();
	return 0;
}
