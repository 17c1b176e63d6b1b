/* SPDX-License-Identifier: Apache-2.0 */
/* Versions, one a line: they are in an order, in which every two of three agree. */
#include "service/interceptor/client_version.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int sign(int n)
{
	return (n > 0) - (n < 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = {(const char *)data, size}, v[3] = {{NULL, 0}};
	for (int i = 0; i < 3; i++)
		if (!str_split(&rest, '\n', &v[i]) || !client_version_is_valid(v[i]))
			return 0;
	for (int i = 0; i < 3; i++) {
		MUST(client_version_compare(v[i], v[i]) == 0);
		for (int k = 0; k < 3; k++)
			MUST(sign(client_version_compare(v[i], v[k])) ==
				-sign(client_version_compare(v[k], v[i])));
	}
	if (client_version_compare(v[0], v[1]) <= 0 && client_version_compare(v[1], v[2]) <= 0)
		MUST(client_version_compare(v[0], v[2]) <= 0);
	return 0;
}
