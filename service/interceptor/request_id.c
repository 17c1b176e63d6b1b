/* SPDX-License-Identifier: Apache-2.0 */
#include "service/interceptor/request_id.h"

#include "common/base/base64.h" /* hex_encode */
#include "common/base/random.h"

#include <string.h>

static bool is_sane(struct str id)
{
	if (!id.n || id.n >= CALL_REQUEST_ID_BYTES)
		return false;
	for (size_t i = 0; i < id.n; i++)
		if (id.p[i] <= ' ' || id.p[i] > '~')
			return false;
	return true;
}

/* Unique, not secret: a random start for each thread, then counted. */
static void mint(char ret[CALL_REQUEST_ID_BYTES])
{
	static _Thread_local struct {
		uint64_t start, count;
	} state;
	if (!state.start)
		random_bytes(&random_system, &state, sizeof state);
	state.count++;
	hex_encode(&state, sizeof state, ret);
}

struct call_step request_id_run(void *self, struct call *c)
{
	(void)self;
	struct str id = c->metadata[CALL_REQUEST_ID].value;
	if (is_sane(id)) {
		memcpy(c->request_id, id.p, id.n);
		c->request_id[id.n] = '\0';
	} else {
		mint(c->request_id);
	}
	return call_next(c);
}
