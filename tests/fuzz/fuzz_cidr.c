/* SPDX-License-Identifier: Apache-2.0 */
/* A list that is taken holds the first address of each of its networks; a refusal changes nothing.
 */
#include "common/net/cidr.h"

#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void must(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = {(const char *)data, size};
	struct cidr_list l = {0};
	struct status s = cidr_list_parse(text, &l);
	if (!status_is_ok(&s)) {
		must(s.code == STATUS_INVALID_ARGUMENT && s.message[0] && !l.networks);
	} else {
		for (size_t i = 0; i < l.n; i++) {
			struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
			memcpy(&v6.sin6_addr, l.networks[i].address, sizeof v6.sin6_addr);
			bool mapped = IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr);
			must(!l.networks[i].is_ipv4 || mapped);
			if (mapped == l.networks[i].is_ipv4)
				must(cidr_list_has(&l, (const struct sockaddr *)&v6));
		}
	}
	cidr_list_done(&l);
	return 0;
}
