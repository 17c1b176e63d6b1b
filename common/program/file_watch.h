/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are read again when they change, and when SIGHUP asks for it: certificates and keys
 * are renewed under a running program (cert-manager, a mounted Secret, certbot).
 *
 * Each second it is looked whether a path stands for another file, or for one of another size or
 * time; links are followed, as Kubernetes renews a whole folder by swapping one. What has rested
 * for a second is read, so that a certificate and its key may be written one after the other. What
 * cannot be used is said once, changes nothing, and is tried until it can.
 *
 * Threads: read functions run on the loop and in file_watch_read, never two at a time. */
#pragma once

#include "common/base/cleanup.h"
#include "common/base/status.h"

#include <stdbool.h>
#include <stddef.h>

struct file_watch;
struct loop;

struct file_watch *file_watch_new(void);
/* The loop no longer runs. NULL is allowed. */
void file_watch_free(struct file_watch *w);
DEFINE_CLEANUP(struct file_watch *, file_watch_free);

/* Files that are of use only together: @paths (copied) may be NULL where there is none;
 * without any, only file_watch_read reads. To be called before they are read for the first time.
 * @read takes over what they hold now, or leaves everything as it was; @what ("tls") is a word for
 * the log. */
void file_watch_add(struct file_watch *w, const char *what, const char *const *paths, size_t n,
	struct status (*read)(void *arg), void *arg);

/* Everything is added and may be read. */
void file_watch_start(struct file_watch *w, struct loop *home);

/* Reads all files, changed or not; what is wrong is logged. True: nothing is. Blocks; any thread.
 */
bool file_watch_read(struct file_watch *w);

/* A turn of the timer; for tests. */
void file_watch_look(struct file_watch *w);
