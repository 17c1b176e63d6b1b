/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/cleanup.h"

#include <stdlib.h>
#include <unistd.h>

void cleanup_free(void *pp)
{
	free(*(void **)pp);
}

void cleanup_close(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
