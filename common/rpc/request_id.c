/* SPDX-License-Identifier: Apache-2.0 */
#include "common/rpc/request_id.h"

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

void request_id_choose(struct str wish, char ret[CALL_REQUEST_ID_BYTES])
{
	if (is_sane(wish)) {
		memcpy(ret, wish.p, wish.n);
		ret[wish.n] = '\0';
	} else {
		mint(ret);
	}
}

void request_id_assign(struct call *c)
{
	if (!c->request_id[0])
		request_id_choose(c->metadata[CALL_REQUEST_ID].value, c->request_id);
}
