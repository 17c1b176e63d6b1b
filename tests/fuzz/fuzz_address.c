/* SPDX-License-Identifier: Apache-2.0 */
/* What address_parse takes, it reads back the same from what address_format writes; what it refuses
 * has a message that can be printed. */
#include "common/net/address.h"

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
	struct address a, b;
	struct status s = address_parse((struct str){(const char *)data, size}, &a);
	if (!status_is_ok(&s)) {
		must(s.code == STATUS_INVALID_ARGUMENT && s.message[0]);
		for (const char *p = s.message; *p; p++)
			must((unsigned char)*p >= 0x20 && *p != 0x7F);
		return 0;
	}
	char first[ADDRESS_TEXT_BYTES], second[ADDRESS_TEXT_BYTES];
	address_format(&a, first);
	s = address_parse(str_of(first), &b);
	must(status_is_ok(&s));
	must(a.kind == b.kind && a.port == b.port);
	address_format(&b, second);
	must(str_eq(str_of(first), str_of(second)));
	must(address_is_loopback(&a) == address_is_loopback(&b));
	if (a.kind != ADDRESS_NAME) {
		struct sockaddr_storage ss;
		socklen_t length;
		s = address_resolve(&a, &ss, &length);
		must(status_is_ok(&s));
		must(address_from_sockaddr((const struct sockaddr *)&ss, length, &b));
		must(a.kind == b.kind && a.port == b.port);
	}
	return 0;
}
