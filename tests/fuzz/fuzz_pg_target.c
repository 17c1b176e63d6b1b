/* SPDX-License-Identifier: Apache-2.0 */
/* A connection string of libpq: what is refused is refused without repeating a password. */
#include "common/base/xalloc.h"
#include "service/store/postgres/pg_target.h"
#include "tests/fuzz/must.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char password[] = "hunter2";
	char *url = xstrndup((const char *)data, size);
	_cleanup_(pg_target_freep) struct pg_target *t = NULL;
	struct status s = pg_target_parse(&(struct pg_target_options){.url = url}, &t);
	if (status_is_ok(&s)) {
		MUST(pg_target_connect_timeout_ms(t) > 0 && !pg_target_is_pooler(t));
		(void)pg_target_is_plaintext(t);
	} else {
		MUST(!t && s.code == STATUS_INVALID_ARGUMENT && s.message[0]);
		MUST(!strstr(s.message, password));
	}
	free(url);
	return 0;
}
