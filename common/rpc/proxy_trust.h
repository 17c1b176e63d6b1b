/* SPDX-License-Identifier: Apache-2.0 */
/* Whose word is taken for who a caller is: configured proxies, and with dev login everybody.
 *
 * A call_trust for the transports. Immutable once set up. Threads: any. */
#pragma once

#include "common/net/cidr.h"
#include "common/rpc/call.h"

#include <stdbool.h>

struct proxy_trust {
	struct call_trust trust; /* what transports take */
	struct cidr_list proxies;
	bool dev_login; /* x-osmo-user and x-osmo-roles of anybody; never x-forwarded-for */
};

/* Takes the networks of @takes_proxies (proxy_trust_done releases them). */
void proxy_trust_init(struct proxy_trust *t, struct cidr_list takes_proxies, bool dev_login);
void proxy_trust_done(struct proxy_trust *t);
