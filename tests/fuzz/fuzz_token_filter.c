/* SPDX-License-Identifier: Apache-2.0 */
/* A filter that is taken says no more than stands in it; a refusal names the field and the reason.
 */
#include "service/app/token_filter.h"

#include <stdint.h>
#include <stdlib.h>

static void must(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = {(const char *)data, size};
	struct arena *arena = arena_new();
	struct store_token_query q = {.limit = 7};
	struct status s = token_filter_parse(text, (struct date){20000}, arena, &q);
	must(q.limit == 7 && !q.has_after && !q.any_owner && !q.owner.n);
	if (status_is_ok(&s)) {
		must(!(q.name.n && q.name_prefix.n));
		must(q.name.n + q.name_prefix.n <= size);
		must(str_index(q.name, '*') == q.name.n);
		must(q.has_expires_from || q.expires_from.days == 0);
		must(q.has_expires_until || q.expires_until.days == 0);
	} else {
		must(s.code == STATUS_INVALID_ARGUMENT && s.message[0]);
		must(str_eq(str_of(s.field), STR("filter")));
	}
	arena_free(arena);
	return 0;
}
