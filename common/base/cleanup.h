/* SPDX-License-Identifier: Apache-2.0 */
/* Scope-bound release: a variable marked _cleanup_(fn) is released when it leaves scope.
 *
 * DEFINE_CLEANUP(struct token *, token_free) defines token_freep for use as _cleanup_(token_freep);
 * TAKE_PTR(p) hands the pointer on and leaves NULL behind. */
#pragma once

#include <stddef.h>

#define _cleanup_(fn) __attribute__((cleanup(fn)))

#define DEFINE_CLEANUP(type, fn)                                                                   \
	static inline void fn##p(type *p)                                                          \
	{                                                                                          \
		if (*p)                                                                            \
			fn(*p);                                                                    \
	}                                                                                          \
	struct fn##_cleanup_defined

#define TAKE_PTR(p)                                                                                \
	({                                                                                         \
		__typeof__(p) *take_pp = &(p);                                                     \
		__typeof__(p) take_p = *take_pp;                                                   \
		*take_pp = NULL;                                                                   \
		take_p;                                                                            \
	})

/* The same for a file descriptor, which leaves -1 behind. */
#define TAKE_FD(fd)                                                                                \
	({                                                                                         \
		int *take_pfd = &(fd);                                                             \
		int take_fd = *take_pfd;                                                           \
		*take_pfd = -1;                                                                    \
		take_fd;                                                                           \
	})

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Releases memory of xalloc.h. */
void cleanup_free(void *pp);
#define _cleanup_free_ _cleanup_(cleanup_free)

/* Closes a file descriptor that is not negative. */
void cleanup_close(const int *fd);
#define _cleanup_close_ _cleanup_(cleanup_close)
