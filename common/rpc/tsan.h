/* SPDX-License-Identifier: Apache-2.0 */
/* What ThreadSanitizer cannot see: that gRPC, which is not instrumented, hands something from one
 * thread to another. */
#pragma once

#if defined(__SANITIZE_THREAD__)
#define HAVE_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HAVE_TSAN 1
#endif
#endif

#ifdef HAVE_TSAN
void __tsan_acquire(void *p);
void __tsan_release(void *p);
#endif

/* Before @p goes to gRPC. */
static inline void tsan_hand_over(void *p)
{
#ifdef HAVE_TSAN
	__tsan_release(p);
#else
	(void)p;
#endif
}

/* When it came back. */
static inline void tsan_take_over(void *p)
{
#ifdef HAVE_TSAN
	__tsan_acquire(p);
#else
	(void)p;
#endif
}
