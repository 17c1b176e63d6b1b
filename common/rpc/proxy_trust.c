/* SPDX-License-Identifier: Apache-2.0 */
#include "common/rpc/proxy_trust.h"

static bool keeps(
	const struct call_trust *self, const struct call_peer *peer, enum call_metadata_key key)
{
	const struct proxy_trust *t = (const void *)self; /* its first member */
	if (t->dev_login && key != CALL_FORWARDED_FOR)
		return true;
	return cidr_list_has(&t->proxies, (const struct sockaddr *)&peer->address);
}

void proxy_trust_init(struct proxy_trust *t, struct cidr_list takes_proxies, bool dev_login)
{
	*t = (struct proxy_trust){
		.trust = {.keeps = keeps}, .proxies = takes_proxies, .dev_login = dev_login};
}

void proxy_trust_done(struct proxy_trust *t)
{
	cidr_list_done(&t->proxies);
}
