/* SPDX-License-Identifier: Apache-2.0 */
/* For fuzz targets: an assert that is there in every build. */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#define MUST(holds)                                                                                \
	do {                                                                                       \
		if (!(holds)) {                                                                    \
			fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #holds);  \
			abort();                                                                   \
		}                                                                                  \
	} while (0)
